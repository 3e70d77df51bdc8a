"""What a run comes to: counts, features, and each claim that does not hold with the time since when."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sloproof.report.record import FindingRecord, RunRecord, ScenarioRecord, StepRecord
from sloproof.report.slo_summary import SloSummary, summarise_slos
from sloproof.report.wording import clock_text, count_text, instant, rank, seconds_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_GREEN = ("pass", "skipped")


@dataclass(frozen=True, slots=True)
class Since:
    """When a claim stopped to hold, as far as this run can know it.

    Attributes:
        first: The first instant at which it was judged and was no pass; the start of its scenario where no instant
            was given.
        held: The last instant before that at which the same claim was a pass, if it ever was.
        held_at: Where that was: feature:line.
        into_run: From the start of the run to `first`.
        times: How often it was judged and was no pass.
    """

    first: datetime | None
    held: datetime | None
    held_at: str
    into_run: timedelta | None
    times: int

    def text(self) -> str:
        """Return it in one line."""
        told = clock_text(self.first)
        if self.into_run is not None and self.into_run >= timedelta(0):
            told += f", {seconds_text(self.into_run.total_seconds())} into the run"
        if self.held is not None:
            told += f"; last held {clock_text(self.held)} ({self.held_at})"
        return told


@dataclass(frozen=True, slots=True)
class Failure:
    """One claim that does not hold, or could not be judged.

    Attributes:
        number: From 1, in the order of urgency; documents refer to it.
        scenario: Where it was made.
        step: The step that made it; None where a scenario failed outside its steps.
        finding: What was found; made from the error where a step failed without one.
        since: Since when.
        error: The error's text where there is no finding; empty otherwise.
        diagnosed_by: The number of the first failure of the same scenario, which shows its components and logs.
        others: More scenarios that were not run for the same cause; `scenario` is the first of them.
    """

    number: int
    scenario: ScenarioRecord
    step: StepRecord | None
    finding: FindingRecord
    since: Since
    error: str
    diagnosed_by: int
    others: tuple[ScenarioRecord, ...] = ()

    @property
    def where(self) -> str:
        """Return feature:line, of the step if there is one."""
        return f"{self.scenario.feature_file}:{self.step.line if self.step else self.scenario.line}"

    @property
    def is_lie(self) -> bool:
        """Return whether the claim was judged and is false, not merely unproven."""
        return self.finding.verdict == "fail"


@dataclass(frozen=True, slots=True)
class FeatureSummary:
    """One feature: its scenarios in the order they ran, and how many there are of each verdict."""

    name: str
    file: str
    scenarios: tuple[ScenarioRecord, ...]
    counts: tuple[tuple[str, int], ...]
    duration_seconds: float

    @property
    def verdict(self) -> str:
        """Return its worst verdict; `skipped` only where every scenario was."""
        return self.counts[0][0]


@dataclass(frozen=True, slots=True)
class Summary:
    """The whole run in numbers."""

    counts: tuple[tuple[str, int], ...]
    features: tuple[FeatureSummary, ...]
    failures: tuple[Failure, ...]
    headline: str
    slos: SloSummary

    @property
    def lies(self) -> tuple[Failure, ...]:
        """Return the claims that are false."""
        return tuple(failure for failure in self.failures if failure.is_lie)

    @property
    def unproven(self) -> tuple[Failure, ...]:
        """Return the claims that could not be judged."""
        return tuple(failure for failure in self.failures if not failure.is_lie)


def summarise(record: RunRecord) -> Summary:
    """Return what a run comes to."""
    counts = _counts(record.scenarios)
    failures = _failures(record)
    slos = summarise_slos(record.slos)
    told = _headline(record, dict(counts), failures) if record.scenarios or record.problems or not record.slos else ""
    return Summary(
        counts=counts,
        features=_features(record.scenarios),
        failures=failures,
        headline="; ".join(filter(None, (slos.headline, told))),
        slos=slos,
    )


def scenario_instant(scenario: ScenarioRecord) -> datetime | None:
    """Return when a scenario started."""
    return instant(scenario.started)


def _counts(scenarios: Iterable[ScenarioRecord]) -> tuple[tuple[str, int], ...]:
    found = Counter(scenario.verdict for scenario in scenarios)
    return tuple(sorted(found.items(), key=lambda item: rank(item[0])))


def _features(scenarios: Iterable[ScenarioRecord]) -> tuple[FeatureSummary, ...]:
    """Return the features, those with something wrong first, else in the order they ran."""
    groups: dict[str, list[ScenarioRecord]] = {}
    for scenario in scenarios:
        groups.setdefault(scenario.feature_file, []).append(scenario)
    features = [
        FeatureSummary(
            name=group[0].feature,
            file=file,
            scenarios=tuple(group),
            counts=_counts(group),
            duration_seconds=sum(one.duration_seconds for one in group),
        )
        for file, group in groups.items()
    ]
    return tuple(sorted(features, key=lambda one: min(rank(one.verdict), rank("pass"))))


def _headline(record: RunRecord, counts: dict[str, int], failures: Sequence[Failure]) -> str:
    judged = sum(amount for verdict, amount in counts.items() if verdict != "skipped")
    if record.verdict == "pass":
        return f"{count_text(judged, 'scenario')} judged, every claim holds"
    if not judged and not record.problems:
        return "nothing was judged, and no evidence is no success"
    lies = sum(failure.is_lie for failure in failures)
    open_claims = len(failures) - lies
    parts = []
    if lies:
        parts.append(f"{count_text(lies, 'claim is', 'claims are')} false")
    if open_claims:
        parts.append(
            f"{open_claims:,} could not be judged"
            if lies
            else f"{count_text(open_claims, 'claim')} could not be judged"
        )
    if record.problems:
        parts.append(count_text(len(record.problems), "problem outside any scenario", "problems outside any scenario"))
    bad = sum(amount for verdict, amount in counts.items() if verdict not in _GREEN)
    return (
        f"{', '.join(parts)}; {bad:,} of {count_text(judged, 'scenario')} affected" if parts else "no claim was judged"
    )


@dataclass(frozen=True, slots=True)
class _Judged:
    """A finding at its place."""

    scenario: ScenarioRecord
    step: StepRecord | None
    finding: FindingRecord
    at: datetime | None
    error: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return (self.finding.check, self.finding.claim)


def _failures(record: RunRecord) -> tuple[Failure, ...]:
    left = _not_run(record.scenarios)
    together = {id(one): group for group in left for one in group}
    judged = [
        one
        for scenario in record.scenarios
        for one in (_left(together[id(scenario)]) if id(scenario) in together else _judgements(scenario))
        # Of those that were not run for one cause, the first stands for all.
        if id(scenario) not in together or together[id(scenario)][0] is scenario
    ]
    held: dict[tuple[str, str], list[_Judged]] = {}
    broken: dict[tuple[str, str], list[_Judged]] = {}
    for one in judged:
        side = held if one.finding.verdict == "pass" else broken
        if side is held or one.scenario.verdict not in _GREEN:
            side.setdefault(one.key, []).append(one)
    urgent = sorted((one for group in broken.values() for one in group), key=_urgency)
    begun = instant(record.started)
    first_of: dict[int, int] = {}
    failures = []
    for number, one in enumerate(urgent, start=1):
        first_of.setdefault(id(one.scenario), number)
        failures.append(
            Failure(
                number=number,
                scenario=one.scenario,
                step=one.step,
                finding=one.finding,
                error=one.error,
                since=_since(broken[one.key], held.get(one.key, []), begun),
                diagnosed_by=first_of[id(one.scenario)],
                others=tuple(together.get(id(one.scenario), ())[1:]),
            )
        )
    return tuple(failures)


def _not_run(scenarios: Iterable[ScenarioRecord]) -> list[list[ScenarioRecord]]:
    """Return the scenarios of which nothing was run, those of one cause together."""
    groups: dict[str, list[ScenarioRecord]] = {}
    for one in scenarios:
        if one.verdict == "blocked" and all(step.outcome == "not run" and not step.findings for step in one.steps):
            groups.setdefault(one.reason, []).append(one)
    return [group for group in groups.values() if len(group) > 1]


def _left(group: Sequence[ScenarioRecord]) -> Iterator[_Judged]:
    """Yield one judgement for scenarios that were not run for one cause."""
    first = group[0]
    made = FindingRecord(
        check="",
        verdict=first.verdict,
        claim=f"{count_text(len(group), 'scenario')} not run",
        expected="every scenario runs",
        measured=first.reason.removeprefix("not run: "),
    )
    yield _Judged(first, None, made, scenario_instant(first))


def _judgements(scenario: ScenarioRecord) -> Iterator[_Judged]:
    """Yield what was judged in a scenario; where it failed without a finding, one made from its error."""
    begun = scenario_instant(scenario)
    explained = False
    for step in scenario.steps:
        for finding in step.findings:
            explained = explained or finding.verdict != "pass"
            yield _Judged(scenario, step, finding, instant(finding.at) or begun)
    if explained or scenario.verdict in _GREEN:
        return
    failed = next((one for one in scenario.steps if one.outcome == "failed"), None)
    error = (failed.error if failed else "") or scenario.reason
    claim = f"{failed.keyword} {failed.text}" if failed else scenario.name
    headline = next(iter(error.splitlines()), "") or "it did not, and left no message"
    expected = "the step passes" if failed else "the scenario is set up, runs and is cleaned up"
    made = FindingRecord(check="", verdict=scenario.verdict, claim=claim, expected=expected, measured=headline)
    yield _Judged(scenario, failed, made, begun, error if "\n" in error.strip() else "")


def _urgency(one: _Judged) -> tuple[int, bool, float]:
    return (rank(one.finding.verdict), one.at is None, one.at.timestamp() if one.at else 0.0)


def _since(broken: Sequence[_Judged], held: Sequence[_Judged], begun: datetime | None) -> Since:
    first = min((one.at for one in broken if one.at is not None), default=None)
    before = [(one.at, one) for one in held if one.at is not None and first is not None and one.at <= first]
    at, last = max(before, key=lambda pair: pair[0], default=(None, None))
    line = last.step.line if last is not None and last.step is not None else 0
    return Since(
        first=first,
        held=at,
        held_at=f"{last.scenario.feature_file}:{line}" if last is not None else "",
        into_run=first - begun if first is not None and begun is not None else None,
        times=len(broken),
    )
