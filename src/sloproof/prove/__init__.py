"""Proof of generated rules: every row seen to fire when it should, to stay silent when it should, to clear on time."""
