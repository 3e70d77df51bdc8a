"""What a run comes to, in one word."""

from __future__ import annotations

from collections.abc import Sequence

from sloproof.finding import Verdict, worst
from sloproof.report.record import ScenarioRecord, SloRecord

_SKIPPED = "skipped"


def run_verdict(scenarios: Sequence[ScenarioRecord], slos: Sequence[SloRecord], problems: Sequence[str]) -> str:
    """Return the worst verdict of a run; of one that judged nothing, inconclusive.

    An SLO counts as much as a scenario. One that a skipped scenario judged, or one that is expected to fail, counts as
    little as that scenario. A problem makes an error of a pass.
    """
    skipped = {one.node_id for one in scenarios if one.verdict == _SKIPPED}
    verdicts = [Verdict(one.verdict) for one in scenarios if one.verdict != _SKIPPED]
    verdicts += [Verdict(one.verdict) for one in slos if one.scenario not in skipped]
    if problems:
        verdicts.append(Verdict.ERROR)
    return worst(verdicts).value
