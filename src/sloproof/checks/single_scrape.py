"""Each instance is scraped exactly once: none twice, none not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sloproof.checks.evidence import Basis, selector_text
from sloproof.checks.freshness import last_sample
from sloproof.checks.wording import count_of, duration_text, listing, table
from sloproof.finding import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime, timedelta

    from sloproof.model import Series

CHECK = "single_scrape"


@dataclass(frozen=True, slots=True)
class ScrapeEvidence:
    """The series of one metric, and the instances that really run.

    Attributes:
        metric: The metric's name, such as `up`.
        series: Its series over all jobs, each with its newest sample; select by what the application sets, never by
            `job`, or the second scrape of a target stays out of sight.
        instances: The `instance` label of every instance that runs.
        at: The instant the series were asked for.
    """

    metric: str
    series: Sequence[Series]
    instances: Collection[str]
    at: datetime


def judge(
    evidence: ScrapeEvidence,
    basis: Basis,
    *,
    max_age: timedelta,
    child_labels: Collection[str] = (),
    instance_label: str = "instance",
) -> Finding:
    """Return whether there is exactly one fresh series per instance.

    Args:
        evidence: Series and instances.
        basis: What it rests on.
        max_age: How old the newest sample of a series that counts may be.
        child_labels: Labels that tell one instance's own series apart, for a metric that has more than one; empty for
            a metric with one series per instance.
        instance_label: The label that names the instance.
    """
    claim = f"each instance has {'each' if child_labels else 'the'} series of {evidence.metric} exactly once"
    expected = f"{count_of(len(evidence.instances), 'instance')}: {listing(sorted(evidence.instances))}"
    if not evidence.series or not evidence.instances:
        nothing = f"no series of {evidence.metric}" if not evidence.series else "no instance was expected"
        return basis.inconclusive(
            CHECK, claim, expected=expected, measured=nothing,
            hint="see whether Prometheus has a target for the service, and what its last error is",
        )  # fmt: skip
    groups: dict[tuple[str, ...], list[Series]] = {}
    ages: dict[str, timedelta] = {}
    for series in evidence.series:
        sample = last_sample(series, evidence.at)
        instance = series.labels.get(instance_label, "")
        if sample is None:
            continue
        age = evidence.at - sample.time
        ages[instance] = min(age, ages.get(instance, age))
        if age <= max_age:
            child = tuple(series.labels.get(label, "") for label in sorted(child_labels))
            groups.setdefault((instance, *child), []).append(series)
    stale = {instance: age for instance, age in ages.items() if age > max_age and instance in evidence.instances}
    seen = {key[0] for key in groups}
    rows = [(key[0], f"{len(found)} times", listing(selector_text(series.labels) for series in found))
            for key, found in sorted(groups.items()) if len(found) > 1]  # fmt: skip
    rows += [(one, "not at all", "no series") for one in sorted(set(evidence.instances) - seen - stale.keys())]
    rows += [(one or '""', "unexpected", _jobs(groups, one)) for one in sorted(seen - set(evidence.instances))]
    rows += [(one, "stale", f"newest sample {duration_text(age)} old") for one, age in sorted(stale.items())]
    verdict = Verdict.PASS if not rows else Verdict.FAIL
    if rows and len(rows) == len(stale):
        verdict = Verdict.INCONCLUSIVE
    return basis.finding(
        CHECK,
        verdict,
        claim,
        expected=expected + ", one fresh series each",
        measured=f"{count_of(sum(map(len, groups.values())), 'fresh series', 'fresh series')} of "
        f"{count_of(len(seen), 'instance')}" + (f"; {count_of(len(rows), 'problem')}" if rows else ""),
        hint=_hint({row[1] for row in rows}),
        evidence=(("problems", table(("instance", "scraped", "series"), rows)),),
    )


def _jobs(groups: Mapping[tuple[str, ...], Sequence[Series]], instance: str) -> str:
    jobs = {series.labels.get("job", "") for key, found in groups.items() if key[0] == instance for series in found}
    return f"job {listing(sorted(jobs))}"


def _hint(problems: set[str]) -> str:
    if not problems:
        return ""
    if any(problem.endswith("times") for problem in problems):
        return "two scrape jobs keep the same target (an annotation on both Service and Pod does it): sums are doubled"
    if "unexpected" in problems:
        return "one process under two addresses is scraped twice; or an instance runs that nobody knows of"
    if "not at all" in problems:
        return "an instance that is not scraped is missing from every sum: look at target discovery"
    return "the target was scraped before and is not now: look at its last error"
