"""The general sentences: one meaning each, for any service that has a `[tool.sloproof]` table."""
