"""Verdicts and findings: what a check returns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Verdict(StrEnum):
    """The answer to a claim. Only `PASS` passes a gate."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"  # no data, too few events, window not covered
    BLOCKED = "blocked"  # a pipeline it needs is dead
    ERROR = "error"  # the check itself could not be carried out


# An objective's budget is counted with dozens; in a terminal they would push aside what they are the evidence of.
_MOST_QUERIES = 3

# A proven lie outranks a broken tool, which outranks a missing answer.
SEVERITY = (Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.BLOCKED, Verdict.ERROR, Verdict.FAIL)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict on many claims together: the worst of them; of none, `INCONCLUSIVE`.

    No claims judged is never a pass.
    """
    return max(verdicts, key=SEVERITY.index, default=Verdict.INCONCLUSIVE)


@dataclass(frozen=True, slots=True)
class Query:
    """A question that was asked, as it was asked: repeatable by hand.

    Attributes:
        source: Who was asked: `prometheus`, `loki`, `alertmanager`, `ledger`, `http`.
        text: PromQL, LogQL, or the request in words.
        url: An address that asks it again at the same instant; empty where there is none.
    """

    source: str
    text: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found out about one claim.

    Attributes:
        check: Id of the check: its module's name, its docs page, its feature file.
        verdict: The answer.
        claim: The claim in one sentence.
        expected: What would have been true.
        measured: What was.
        at: The instant it was judged at; every query of it was asked at that instant.
        sample_age: How old the youngest sample it rests on was at that instant.
        queries: The exact questions asked.
        hint: What to look at next; empty when there is nothing to say.
        evidence: Named rows of text that support it, such as ("poll history", "..."), in the order to show them.
    """

    check: str
    verdict: Verdict
    claim: str
    expected: str
    measured: str
    at: datetime | None = None
    sample_age: timedelta | None = None
    queries: tuple[Query, ...] = ()
    hint: str = ""
    evidence: tuple[tuple[str, str], ...] = ()

    def text(self) -> str:
        """Return the finding as an on-call engineer reads it in a terminal: several lines, most telling first."""
        rows = [("expected", self.expected), ("measured", self.measured)]
        if self.at is not None:
            age = "" if self.sample_age is None else f", newest sample {self.sample_age.total_seconds():.3f} s old"
            rows.append(("at", f"{self.at.isoformat(timespec='milliseconds')}{age}"))
        for query in self.queries[:_MOST_QUERIES]:
            rows.append((query.source, query.text))
            if query.url:
                rows.append(("", query.url))
        if len(self.queries) > _MOST_QUERIES:
            rows.append(("", f"and {len(self.queries) - _MOST_QUERIES} more queries, all of them in the report"))
        rows += self.evidence
        if self.hint:
            rows.append(("hint", self.hint))
        width = max(len(name) for name, _ in rows) + 1
        lines = [f"{self.verdict.value.upper()} [{self.check}] {self.claim}"]
        for name, text in rows:
            first, *rest = text.splitlines() or [""]
            label = f"{name}:" if name else ""
            lines.append(f"  {label:<{width}} {first}")
            lines += [f"  {'':<{width}} {line}" for line in rest]
        return "\n".join(lines)
