"""What the tiers of a proof found, and the tier that needs no environment."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sloproof.finding import Verdict, worst
from sloproof.prove.alert_history import prove_alert_history
from sloproof.prove.history import HistoryResult, prove_history
from sloproof.prove.scratch_server import Programs
from sloproof.prove.watch import LiveRow
from sloproof.slo.model import Objective
from sloproof.slo.rules.promtool_tests import TEST_SUFFIX, rule_test_texts, run_rule_tests
from sloproof.slo.rules.values import Timing


@dataclass(frozen=True, slots=True)
class Proven:
    """One thing that a tier set out to show.

    Attributes:
        what: Which row of which objective, or which history.
        text: What was seen; of what does not hold, everything needed to understand it.
    """

    what: str
    verdict: Verdict
    text: str


@dataclass(frozen=True, slots=True)
class Tier:
    """One tier of the proof.

    Attributes:
        name: `rules`, `history` or `live`.
        seconds: How long it took.
    """

    name: str
    proven: tuple[Proven, ...]
    seconds: float

    @property
    def verdict(self) -> Verdict:
        """Return the worst verdict; of a tier that showed nothing, inconclusive."""
        return worst(one.verdict for one in self.proven)


def prove_rules(objectives: Sequence[Objective], timing: Timing, root: Path, promtool: Path) -> Tier:
    """Run tier 1: the rules of every row in promtool's engine, on series made for it.

    Args:
        objectives: As the documents have them.
        timing: What the rules are made for.
        root: What documents are named from.
        promtool: The program.

    Raises:
        SettingsError: A query cannot be used.
        ToolError: promtool does not run.
    """
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sloproof-rule-tests-") as folder:
        texts = rule_test_texts(objectives, timing, root)
        for path, text in texts.items():
            target = Path(folder) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        files = [Path(folder) / path for path in texts if path.name.endswith(TEST_SUFFIX)]
        results = run_rule_tests(promtool, files)
    proven = tuple(
        Proven(
            f"{one.objective} {one.row}",
            Verdict.PASS if one.holds else Verdict.FAIL,
            "fires, is silent and clears in time" + (", on counters in place of its queries" if one.stands_in else "")
            if one.holds
            else one.output,
        )
        for one in results
    )
    return Tier("rules", proven, time.monotonic() - begin)


def live_tier(rows: Sequence[LiveRow], seconds: float) -> Tier:
    """Return what was seen live as a tier."""
    return Tier("live", tuple(_live(row) for row in rows), seconds)


def _live(row: LiveRow) -> Proven:
    what = f"{row.objective.id} {row.row.name}"
    if row.verdict is not Verdict.PASS:
        bad = [finding for finding in row.findings if finding.verdict is not Verdict.PASS]
        return Proven(what, row.verdict, "\n".join(finding.text() for finding in bad))
    return Proven(what, row.verdict, "; ".join(finding.measured for finding in row.findings))


def prove_months(programs: Programs) -> Tier:
    """Run tier 2: months written into a real Prometheus, judged there, and compared with exact arithmetic.

    Raises:
        ToolError: A program is missing, or refuses what it is given.
        ComponentExitedError: A server ended by itself.
        DeadlineError: It was not ready in time, or not every row of the history's alerts fired.
    """
    begin = time.monotonic()
    alerts = prove_alert_history(programs)
    told = (
        f"{alerts.written} samples written, served and judged in {alerts.seconds:.2f} s; "
        f"firing: {', '.join(alerts.firing)}; expected: {', '.join(alerts.expected)}"
    )
    verdict = Verdict.PASS if alerts.passed else Verdict.FAIL
    months = [Proven("a month with its alerts", verdict, told), *map(_month, prove_history(programs))]
    return Tier("history", tuple(months), time.monotonic() - begin)


def _month(result: HistoryResult) -> Proven:
    deserved = " or ".join(verdict.value for verdict in result.verdicts)
    text = f"judged {result.judgement.verdict.value}, deserved {deserved}"
    if result.expected is not None:
        measured = "nothing" if result.measured is None else f"{float(result.measured):.12g}"
        text = f"budget spent {measured}, exactly {float(result.expected):.12g}; {text}"
    if not result.passed:
        text += f"\n{result.judgement.reason}"
    return Proven(result.scenario, Verdict.PASS if result.passed else Verdict.FAIL, text)
