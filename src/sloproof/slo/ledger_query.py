"""Questions to the load driver's ledger, written as a PromQL selector: `requests{endpoint="/api", outcome=~"5.."}`.

The labels of a request are `endpoint`, `method` and `outcome`: the status of its answer, or how it failed (`timeout`,
`refused`, `reset`, `connect`, `protocol`). `within="500ms"` takes only those that were answered in that time, from send
to last byte; `slower="500ms"` takes all others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import promql_parser

from sloproof.duration import parse_duration
from sloproof.errors import SettingsError
from sloproof.slo.model import Place

METRIC = "requests"
_TEXTS = ("endpoint", "method", "outcome")
_TIMES = ("within", "slower")


class Request(Protocol):
    """One request of the ledger; nanoseconds, `status` 0 and a `failure` where no whole answer came."""

    @property
    def endpoint(self) -> str: ...  # noqa: D102 - described above, as the rest

    @property
    def method(self) -> str: ...  # noqa: D102

    @property
    def status(self) -> int: ...  # noqa: D102

    @property
    def failure(self) -> str: ...  # noqa: D102

    @property
    def duration_ns(self) -> int: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class _Matcher:
    label: str
    pattern: re.Pattern[str]
    is_wanted: bool


@dataclass(frozen=True, slots=True)
class LedgerQuery:
    """A question, read.

    Attributes:
        text: As it was written.
        within: Only what was answered in this time.
        slower: Only what was not.
    """

    text: str
    matchers: tuple[_Matcher, ...]
    within: timedelta | None = None
    slower: timedelta | None = None

    def matches(self, request: Request) -> bool:
        """Return whether a request is meant; an arrival that could not be sent never is."""
        if request.failure == "unsent":
            return False
        outcome = request.failure or str(request.status)
        texts = {"endpoint": request.endpoint, "method": request.method, "outcome": outcome}
        if any((one.pattern.fullmatch(texts[one.label]) is not None) is not one.is_wanted for one in self.matchers):
            return False
        taken = timedelta(microseconds=request.duration_ns / 1000)
        if self.within is not None and (request.failure or taken > self.within):
            return False
        return self.slower is None or bool(request.failure) or taken > self.slower


def parse_ledger_query(text: str, place: Place | None = None) -> LedgerQuery:
    """Read a question to the ledger.

    Args:
        text: The selector.
        place: Where it stands, for the error.

    Raises:
        SettingsError: It is no selector of `requests`, or has a label that requests do not have.
    """
    try:
        parsed = promql_parser.parse(text)
    except ValueError as error:
        raise _refusal(text, str(error), place) from error
    if not isinstance(parsed, promql_parser.VectorSelector) or parsed.name != METRIC:
        raise _refusal(text, f"it is no selector of {METRIC!r}", place)
    if parsed.offset is not None or parsed.at is not None:
        raise _refusal(text, "a question to the ledger has no offset and no @", place)
    matchers: list[_Matcher] = []
    times: dict[str, timedelta] = {}
    for one in parsed.matchers.matchers:
        is_equal = one.op in (promql_parser.MatchOp.Equal, promql_parser.MatchOp.Re)
        is_regex = one.op in (promql_parser.MatchOp.Re, promql_parser.MatchOp.NotRe)
        if one.name in _TIMES:
            if is_regex or not is_equal or one.name in times:
                raise _refusal(text, f"{one.name} takes one duration, with =", place)
            times[one.name] = parse_duration(one.value)
        elif one.name in _TEXTS:
            try:
                pattern = re.compile(one.value if is_regex else re.escape(one.value))
            except re.error as error:
                raise _refusal(text, f"{one.name} is no regular expression: {error}", place) from error
            matchers.append(_Matcher(one.name, pattern, is_equal))
        else:
            raise _refusal(text, f"requests have no label {one.name!r}", place)
    return LedgerQuery(text, tuple(matchers), times.get("within"), times.get("slower"))


def _refusal(text: str, why: str, place: Place | None) -> SettingsError:
    return SettingsError(
        f"expected a question to the ledger, but {why}",
        where=place or "",
        seen=text,
        known=f"labels {', '.join((*_TEXTS, *_TIMES))}",
        hint='write it as requests{endpoint="/api", outcome=~"5..|timeout"}',
    )
