"""What a load that cannot be believed does to verdicts: what rests on its numbers is neither true nor false."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from sloproof.finding import Finding, Verdict
from sloproof.load.doubt import Doubt, DoubtKind

# Claims on rates and latencies rest on the load source's own clockwork. Counts and ids do not: its ledger is exact even
# where it was slow.
_OF_THE_LOAD = "load"
_TIMED = frozenset({_OF_THE_LOAD, "quantile_bracket", "slo_ledger"})
# What the service itself counted is true of what was sent, however late that was. That it was too slow may be the
# doing of whatever held the source up.
_SERVED = "slo"


class Belief:
    """Keeps the doubts on loads, and judges findings by them."""

    def __init__(self) -> None:
        self._doubted: list[tuple[datetime, tuple[Doubt, ...]]] = []  # by when their load ended
        self._since = datetime.now(UTC)

    def note(self, ended: datetime, doubts: tuple[Doubt, ...]) -> None:
        """Note the doubts on a load that has ended."""
        self._doubted.append((ended, doubts))

    def since(self, instant: datetime) -> None:
        """Let findings rest on the loads that ended since then."""
        self._since = instant

    def judge(self, finding: Finding, running: Sequence[Doubt]) -> Finding:
        """Return a finding as it stands: inconclusive, if it rests on a load whose numbers are worthless.

        Args:
            finding: What was found.
            running: Doubts on a load that still runs.
        """
        if finding.verdict not in {Verdict.PASS, Verdict.FAIL}:
            return finding
        doubts = [*(one for end, own in self._doubted if end >= self._since for one in own), *running]
        texts = [one.text for one in doubts if _touches(one, finding)]
        if not texts:
            return finding
        return replace(
            finding,
            verdict=Verdict.INCONCLUSIVE,
            evidence=(*finding.evidence, *(("not to be believed", text) for text in dict.fromkeys(texts))),
            hint=f"with a load to be believed this would be a {finding.verdict}; run it again on a quieter machine",
        )


def _touches(doubt: Doubt, finding: Finding) -> bool:
    """Return whether a finding rests on what is in doubt."""
    if doubt.kind is DoubtKind.CLOCK:
        return True
    if doubt.kind is DoubtKind.SHORTFALL and finding.check != _OF_THE_LOAD:
        # Who could not be sent to a service that had no answer for others would not have fared better.
        return finding.check in {*_TIMED, _SERVED} and finding.verdict is Verdict.PASS
    return finding.check in _TIMED or (finding.check == _SERVED and finding.verdict is Verdict.FAIL)
