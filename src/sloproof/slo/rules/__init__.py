"""Rules from objectives, for Prometheus and Loki, and a promtool test for each row."""
