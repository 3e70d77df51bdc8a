"""A dead pipeline is noticed, and what needs it is blocked: blindness never passes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sloproof.checks.wording import count_of, duration_text, instant_text, table
from sloproof.finding import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sloproof.checks.evidence import Basis
    from sloproof.model import RuleGroup, Target

CHECK = "pipeline_alive"

METRICS = "metrics"
LOGS = "logs"
RULES = "rules"

# Scrape timestamps may be moved onto the interval's grid by this much.
_JITTER = timedelta(milliseconds=3)


@dataclass(frozen=True, slots=True)
class SentinelState:
    """A line that was written only to be looked for.

    Attributes:
        written: When.
        returned: When the log store first answered with it; None where it has not.
        asked: When it was last asked.
        bound: How long it may take.
    """

    written: datetime
    returned: datetime | None
    asked: datetime
    bound: timedelta


@dataclass(frozen=True, slots=True)
class PipelineEvidence:
    """What the pipelines last delivered.

    Attributes:
        at: The instant judged at.
        targets: The service's targets, as Prometheus reports them.
        expected_targets: How many there must be.
        sentinel: The last sentinel line; None where the pipeline was not looked at.
        groups: Rule groups; None where the pipeline was not looked at.
    """

    at: datetime
    targets: Sequence[Target]
    expected_targets: int = 1
    sentinel: SentinelState | None = None
    groups: Sequence[RuleGroup] | None = None


@dataclass(frozen=True, slots=True)
class DeadPipeline:
    """A pipeline that delivers nothing: its name, since when if that is known, and why."""

    name: str
    since: datetime | None
    reason: str

    def __str__(self) -> str:
        """Return the reason and since when."""
        return self.reason if self.since is None else f"{self.reason}, since {instant_text(self.since)}"


def dead_pipelines(evidence: PipelineEvidence) -> tuple[DeadPipeline, ...]:
    """Return the pipelines that are dead, in the order metrics, logs, rules."""
    found = (_metrics(evidence), _logs(evidence), _rules(evidence))
    return tuple(one for one in found if one is not None)


def judge(evidence: PipelineEvidence, basis: Basis) -> tuple[Finding, ...]:
    """Return one finding a pipeline that was looked at: pass where it is alive, blocked where it is dead."""
    dead = {one.name: one for one in dead_pipelines(evidence)}
    looked = [METRICS]
    looked += [LOGS] if evidence.sentinel is not None else []
    looked += [RULES] if evidence.groups is not None else []
    expected = {
        METRICS: f"{count_of(evidence.expected_targets, 'target')} up, each with a recent good scrape",
        LOGS: "the sentinel line back within its bound",
        RULES: "every rule group evaluated within two of its intervals",
    }
    return tuple(
        basis.finding(
            CHECK,
            Verdict.BLOCKED if name in dead else Verdict.PASS,
            f"the {name} pipeline delivers",
            expected=expected[name],
            measured=str(dead[name]) if name in dead else "alive",
            hint=f"nothing that needs {name} can be judged until it delivers again" if name in dead else "",
            evidence=(("targets", _target_rows(evidence)),) if name == METRICS else (),
        )
        for name in looked
    )


def blocked_by(finding: Finding, needs: Collection[str], dead: Mapping[str, str]) -> Finding:
    """Return the finding as blocked if a pipeline it needs is dead, and as it is otherwise.

    A pass on a dead pipeline is luck and a fail is no news, so neither is kept as the verdict; it stands in the
    evidence.

    Args:
        finding: What the check found.
        needs: Names of the pipelines whose answers it rests on.
        dead: Dead pipelines, name to reason.
    """
    missing = sorted(name for name in needs if name in dead)
    if not missing:
        return finding
    return replace(
        finding,
        verdict=Verdict.BLOCKED,
        measured="; ".join(f"the {name} pipeline is dead: {dead[name]}" for name in missing),
        hint=f"repair the {' and '.join(missing)} pipeline first; this claim was not judged",
        evidence=(*finding.evidence, ("without them", f"{finding.verdict.value}: {finding.measured}")),
    )


def _metrics(evidence: PipelineEvidence) -> DeadPipeline | None:
    if len(evidence.targets) < evidence.expected_targets or not evidence.targets:
        seen = count_of(len(evidence.targets), "target")
        return DeadPipeline(METRICS, None, f"Prometheus has {seen} of {evidence.expected_targets}")
    bad = [target for target in evidence.targets if _is_silent(target, evidence.at)]
    if not bad:
        return None
    scraped = [target.last_scrape for target in bad if target.last_scrape is not None]
    first = bad[0]
    error = f" ({first.last_error})" if first.last_error else ""
    reason = f"{count_of(len(bad), 'target')} without a good recent scrape: {first.instance}{error}"
    return DeadPipeline(METRICS, min(scraped) if scraped else None, reason)


def _is_silent(target: Target, at: datetime) -> bool:
    if target.health != "up" or target.last_scrape is None:
        return True
    return at - target.last_scrape > 2 * target.scrape_interval + target.scrape_timeout + _JITTER


def _logs(evidence: PipelineEvidence) -> DeadPipeline | None:
    sentinel = evidence.sentinel
    if sentinel is None:
        return None
    if sentinel.returned is not None:
        took = sentinel.returned - sentinel.written
        if took <= sentinel.bound:
            return None
        return DeadPipeline(
            LOGS, sentinel.written,
            f"the sentinel line came back after {duration_text(took)}, its bound is {duration_text(sentinel.bound)}",
        )  # fmt: skip
    waited = sentinel.asked - sentinel.written
    return DeadPipeline(LOGS, sentinel.written, f"the sentinel line had not come back after {duration_text(waited)}")


def _rules(evidence: PipelineEvidence) -> DeadPipeline | None:
    if evidence.groups is None:
        return None
    if not evidence.groups:
        return DeadPipeline(RULES, None, "Prometheus has no rule group")
    late = [
        group
        for group in evidence.groups
        if group.last_evaluation is None or evidence.at - group.last_evaluation > 2 * group.interval + _JITTER
    ]
    if not late:
        return None
    evaluated = [group.last_evaluation for group in late if group.last_evaluation is not None]
    reason = f"{count_of(len(late), 'rule group')} not evaluated: {late[0].name}"
    return DeadPipeline(RULES, min(evaluated) if evaluated else None, reason)


def _target_rows(evidence: PipelineEvidence) -> str:
    return table(
        ("instance", "health", "last scrape", "error"),
        (
            (target.instance, target.health, "never" if target.last_scrape is None
             else f"{duration_text(evidence.at - target.last_scrape)} ago", target.last_error or "")
            for target in evidence.targets
        ),
    )  # fmt: skip
