"""The in-flight gauge is at 0 when nothing is in flight, and a fresh sample says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sloproof.checks.evidence import Basis, selector_text
from sloproof.checks.freshness import last_sample, resting_on
from sloproof.checks.wording import count_of, instant_text, number, table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from sloproof.finding import Finding
    from sloproof.model import Sample, Series

CHECK = "gauge_at_rest"


@dataclass(frozen=True, slots=True)
class RestEvidence:
    """The gauge's series at an instant when nothing is in flight.

    Attributes:
        gauge: Its name.
        series: One or more series an instance, with their samples.
        at: The instant judged at.
        rest_since: When the last request had been answered; only later samples say anything about rest.
        events: Requests that went up and down the gauge before; 0 where nobody counted.
    """

    gauge: str
    series: Sequence[Series]
    at: datetime
    rest_since: datetime
    events: int = 0


def judge(evidence: RestEvidence, basis: Basis, *, max_age: timedelta) -> Finding:
    """Return whether every series of the gauge is at exactly 0 in a sample taken at rest.

    Args:
        evidence: The gauge's series.
        basis: What it rests on; the sample age is worked out here.
        max_age: How old the newest sample of each series may be.
    """
    claim = f"{evidence.gauge} is back at 0 at rest"
    expected = f"every series at 0 in a sample taken after {instant_text(evidence.rest_since)}"
    newest = [(series, last_sample(series, evidence.at)) for series in evidence.series]
    read = [(series, sample) for series, sample in newest if sample is not None]
    if not read:
        return basis.inconclusive(
            CHECK, claim, expected=expected, measured=f"no sample of {evidence.gauge}",
            hint="does the service export it under this name, and is the target scraped?",
        )  # fmt: skip
    basis = resting_on(basis, [series for series, _ in read], evidence.at, max_age)
    early = [(series, sample) for series, sample in read if sample.time <= evidence.rest_since]
    raised = [(series, sample) for series, sample in read if sample.value != 0]
    events = ("events", f"{count_of(evidence.events, 'request')} before, {count_of(len(read), 'series', 'series')}")
    if early:
        return basis.inconclusive(
            CHECK, claim, expected=expected,
            measured=f"{count_of(len(early), 'series', 'series')} read last while requests were still in flight",
            hint="wait for a scrape that began after the last answer before judging",
            evidence=(("read too early", _rows(early)), events),
        )  # fmt: skip
    values = ", ".join(sorted({number(sample.value) for _, sample in read}))
    below = any(sample.value < 0 for _, sample in raised)
    return basis.judged(
        CHECK,
        claim,
        holds=not raised,
        expected=expected,
        measured=f"{len(raised)} of {count_of(len(read), 'series', 'series')} not at 0; values {values}",
        hint="below 0: something is counted down twice" if below else
        "it is not counted down on some way out: an exception, a disconnect, a timeout, or a worker that died",
        evidence=(("not at 0", _rows(raised)), events),
    )  # fmt: skip


def _rows(found: Sequence[tuple[Series, Sample]]) -> str:
    return table(
        ("series", "value", "sampled"),
        ((selector_text(series.labels), number(sample.value), instant_text(sample.time)) for series, sample in found),
    )
