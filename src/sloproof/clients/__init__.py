"""One HTTP API each: arguments in, `model` values out, typed errors. Nothing is retried in here."""

from sloproof.clients._http import Http

__all__ = ["Http"]
