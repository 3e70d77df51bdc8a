"""How costs of interleaved rounds are compared: paired within a round, medians with their spread, noise shown first."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from world import quantile

# Between the same application twice; outside, the machine was too busy for any figure to mean much.
_QUIET = (0.95, 1.05)


def spread(values: Sequence[float]) -> str:
    """Return a median with the middle half of its values."""
    return f"{statistics.median(values):.2f} ({quantile(values, 0.25):.2f} to {quantile(values, 0.75):.2f})"


def show_rows(costs: Mapping[str, Sequence[float]], bare: str) -> None:
    """Print each variant's cost, and what it adds to the bare application's of the same round."""
    print(f"{'':<14} {'CPU us a request':>28} {'added us':>30} {'of bare':>9}")
    for name, values in costs.items():
        added = [value - base for value, base in zip(values, costs[bare], strict=True)]
        share = statistics.median(value / base for value, base in zip(values, costs[bare], strict=True))
        print(f"{name:<14} {spread(values):>28} {spread(added) if name != bare else '':>30} {share:>8.2f}x")


def show_noise(costs: Mapping[str, Sequence[float]], bare: str, again: str) -> None:
    """Print by how much the same application differs from itself."""
    ratios = [one / other for one, other in zip(costs[again], costs[bare], strict=True)]
    is_quiet = _QUIET[0] <= statistics.median(ratios) <= _QUIET[1]
    print(f"noise: bare / bare {spread(ratios)}{'' if is_quiet else ', which is too much for these figures to count'}")


def added_ratios(costs: Mapping[str, Sequence[float]], ours: str, theirs: str, bares: Sequence[str]) -> list[float]:
    """Return what ours adds to the bare application as a share of what theirs adds, round by round.

    Rounds in which theirs added nothing measurable are left out: the machine was elsewhere.
    """
    bare = [statistics.mean(costs[name][turn] for name in bares) for turn in range(len(costs[ours]))]
    pairs = [(a - base, b - base) for a, b, base in zip(costs[ours], costs[theirs], bare, strict=True)]
    return [mine / other for mine, other in pairs if other > 0]
