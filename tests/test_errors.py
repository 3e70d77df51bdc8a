from __future__ import annotations

import inspect

import pytest

from sloproof import errors
from sloproof.errors import ComponentExitedError, DeadlineError, ExpectationError, QueryError, SloproofError
from sloproof.errors import UnavailableError as Unavailable


def test_error_is_its_headline_and_aligned_rows_in_the_order_given() -> None:
    error = SloproofError("expected a, got b", where="here", last_seen="one\ntwo", hint="look there")
    assert str(error).splitlines() == [
        "expected a, got b",
        "  where:     here",
        "  last seen: one",
        "             two",
        "  hint:      look there",
    ]


def test_empty_details_are_left_out() -> None:
    error = DeadlineError("late", waited="", hint="x", count=0)
    assert error.details == {"hint": "x", "count": "0"}
    assert str(SloproofError("alone")) == "alone"


@pytest.mark.parametrize(
    ("status", "how"), [(2, "with status 2"), (-9, "killed by signal 9"), (None, "with unknown status")]
)
def test_component_that_exited_says_how_and_what_it_said_last(status: int | None, how: str) -> None:
    error = ComponentExitedError("loki", status, ("first", "last"))
    assert error.headline == f"component loki was expected to run, but it ended {how}"
    assert error.details["last_lines"] == "first\nlast"
    assert (error.component, error.exit_status) == ("loki", status)


def test_unavailable_and_refused_carry_what_was_asked() -> None:
    silent = Unavailable("no answer", kind="timeout", url="http://a/b")
    assert (silent.kind, silent.status, silent.details) == ("timeout", None, {"url": "http://a/b"})
    refused = QueryError("no", status=400, url="http://a/c", answer="bad")
    assert (refused.status, refused.details) == (400, {"url": "http://a/c", "answer": "bad"})


def test_false_claim_is_an_assertion_too_and_nothing_else_is() -> None:
    """Pytest counts assertions as failures and the rest as errors."""
    classes = [found for _, found in inspect.getmembers(errors, inspect.isclass) if found.__module__ == errors.__name__]
    assert all(issubclass(one, SloproofError) for one in classes)
    assert [one for one in classes if issubclass(one, AssertionError)] == [ExpectationError]


def test_module_docstring_lists_every_error() -> None:
    own = {name for name, found in vars(errors).items() if inspect.isclass(found) and issubclass(found, Exception)}
    assert errors.__doc__ is not None
    assert all(name in errors.__doc__ for name in own)
