"""sloproof proves that a service's monitoring tells the truth."""

import importlib
import typing

if typing.TYPE_CHECKING:
    from sloproof.errors import ExpectationError, SloproofError
    from sloproof.finding import Finding, Query, Verdict

__all__ = ["ExpectationError", "Finding", "Query", "SloproofError", "Verdict"]


def __getattr__(name: str) -> object:
    # Imported when asked for: an environment's supervisor needs none of them, and starts in two thirds of the time.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("sloproof.errors" if name.endswith("Error") else "sloproof.finding"), name)
