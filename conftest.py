"""The step modules, and nothing clever."""

pytest_plugins = ["steps.faults", "steps.observers", "steps.processes"]
