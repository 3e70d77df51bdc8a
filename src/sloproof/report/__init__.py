"""The record of a run, and the documents made from it."""
