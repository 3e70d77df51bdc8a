"""One truth a module: evidence in, findings out.

The module's name is the id of the check, of its page in docs/checks and of its feature file. A `judge` reads nothing,
waits for nothing and never raises for a false claim: the same evidence always gives the same findings.
"""
