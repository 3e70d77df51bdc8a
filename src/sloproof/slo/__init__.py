"""Service level objectives: read, turned into rules, proven, judged."""
