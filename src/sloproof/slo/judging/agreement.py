"""Whether two witnesses tell the same of the same events: what a server counted, and what the load driver sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from fractions import Fraction

from sloproof.slo.verdicts import Count

# A scrape, or a line on its way, may be missing at either end of the traffic.
_SLACK = Fraction(2, 100)
_FEW = 10


def disagreement(told: Sequence[Count], truth: Sequence[Count], *, teller: str) -> str:
    """Return in words how two counts of the same events differ; empty where they do not, or nothing can be compared.

    Ratios may agree where half of all events is lost, so it is counts that are compared: bad events, and all.

    Args:
        told: What a server counted, step by step.
        truth: What the ledger holds, in the same steps. Only those that it covers anything of are compared.
        teller: Who told it.
    """
    pairs = [(one, other) for one, other in zip(told, truth, strict=True) if other.covered > timedelta(0)]
    differences = []
    for name in ("bad", "valid"):
        seen = sum((getattr(one, name) for one, _ in pairs), Fraction(0))
        sent = sum((getattr(one, name) for _, one in pairs), Fraction(0))
        if abs(seen - sent) > max(_SLACK * sent, _FEW):
            differences.append(f"{float(seen):g} {name} events by {teller}, but {float(sent):g} by the ledger")
    return "; ".join(differences)
