"""Scrapes that were not made, or not answered: bounds count on every one, so what is late then proves nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from sloproof.checks.wording import count_of, instant_text
from sloproof.finding import Finding, Verdict
from sloproof.harness import Harness
from sloproof.model import Window

# A scrape that began in an outage may end after it.
_AFTER = timedelta(seconds=1)


def missed_scrapes(harness: Harness, window: Window, outages: Sequence[Window] = ()) -> tuple[datetime, ...]:
    """Return when a scrape of the service found no answer or was not made, outages on purpose left out, in order.

    A scrape was not made where two samples of `up` lie further apart than two intervals.

    Raises:
        UnavailableError: Prometheus does not answer.
    """
    selector = f'up{{job="{harness.settings.service.name}"}}'
    found = harness.clients.prometheus.samples(selector, window).series
    limit = harness.scrape_interval * 2
    missed = [sample.time for series in found for sample in series.samples if not sample.value]
    missed += [
        earlier.time + harness.scrape_interval
        for series in found
        for earlier, later in pairwise(series.samples)
        if later.time - earlier.time > limit
    ]
    return tuple(sorted(at for at in missed if not any(one.start <= at <= one.end + _AFTER for one in outages)))


def excused(findings: Sequence[Finding], missed: Sequence[datetime]) -> tuple[Finding, ...]:
    """Return findings of which none that fails is believed where scrapes were missed: it may be the machine's doing."""
    if not missed:
        return tuple(findings)
    seen = (
        f"{count_of(len(missed), 'scrape')} of the running service not made or not answered, "
        f"from {instant_text(missed[0])} to {instant_text(missed[-1])}"
    )
    return tuple(
        replace(
            one,
            verdict=Verdict.INCONCLUSIVE,
            measured=f"{one.measured}; {seen}",
            hint="bounds count on every scrape: is the machine too busy? prove it again where it is not",
        )
        if one.verdict is Verdict.FAIL
        else one
        for one in findings
    )
