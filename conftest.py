"""The step modules, and nothing clever."""

pytest_plugins = ["steps.faults"]
