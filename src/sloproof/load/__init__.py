"""Real load from Locust in a child process, and the ledger of what it really did."""
