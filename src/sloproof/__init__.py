"""sloproof proves that a service's monitoring tells the truth."""

from sloproof.errors import ExpectationError, SloproofError
from sloproof.finding import Finding, Query, Verdict

__all__ = ["ExpectationError", "Finding", "Query", "SloproofError", "Verdict"]
