"""Claims about which pods a node without memory would end first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sloproof.checks.evidence import Basis
from sloproof.checks.wording import count_of, listing, table
from sloproof.finding import Finding, Query

CHECK = "eviction"
_MIB = 2**20
# What the kernel is told of a process that is to end before all others.
_MOST_KILLABLE = 1000


@dataclass(frozen=True, slots=True)
class PodMemory:
    """What decides when a pod is evicted: class of service, priority, bytes asked for and used.

    `is_asked` says whether each of its containers asks for memory.
    """

    name: str
    qos: str
    priority: int
    requested: int
    used: int
    is_asked: bool


def eviction_order(pods: Sequence[PodMemory]) -> list[PodMemory]:
    """Return pods in the order in which a node without memory evicts them, as the kubelet ranks them."""
    return sorted(pods, key=lambda pod: (pod.used <= pod.requested, pod.priority, pod.requested - pod.used))


def hog_goes_first(pods: Sequence[PodMemory], hog: str, scores: Mapping[str, int], at: datetime) -> tuple[Finding, ...]:
    """Judge whether everything but the hog asks for memory, and a node without memory would end the hog first.

    Args:
        pods: All of the namespace.
        hog: The pod that asks for nothing and uses much.
        scores: How readily the kernel ends a pod's first process, by pod: 1000 is first of all.
        at: The instant of judging.
    """
    basis = Basis(at=at, queries=(Query("http", "GET pods, GET stats/summary of each node"),))
    others = [pod for pod in pods if pod.name != hog]
    bare = [pod.name for pod in others if pod.qos in ("", "BestEffort") or not pod.is_asked]
    order = eviction_order(pods)
    rows = [(str(place), one.name, one.qos, f"{one.requested / _MIB:.0f} Mi", f"{one.used / _MIB:.1f} Mi")
            for place, one in enumerate(order, 1)]  # fmt: skip
    shown = (("order of eviction", table(("place", "pod", "class", "asked", "used"), rows)),)
    asks = basis.judged(
        CHECK,
        "nothing of the stack runs without a memory request",
        holds=bool(others) and not bare,
        expected=f"a memory request of each container of {count_of(len(others), 'pod')}, and none BestEffort",
        measured=f"{listing(bare)} without" if bare else "all of them",
        hint="a pod that asks for nothing goes first when the node has no memory left: set resources.requests.memory",
        evidence=shown,
    )
    first = order[0].name if order else "nothing"
    below = {pod: score for pod, score in scores.items() if pod != hog and score >= _MOST_KILLABLE}
    is_first = first == hog and scores.get(hog) == _MOST_KILLABLE and not below and len(scores) > 1
    goes = basis.judged(
        CHECK,
        "a pod that asks for no memory and takes much of it would go before anything of the stack",
        holds=is_first and bool(others),
        expected=f"{hog} first to be evicted, and first to be ended by the kernel",
        measured=f"{first} is evicted first; the kernel's scores are "
        + ", ".join(f"{pod} {score}" for pod, score in sorted(scores.items())),
        hint="the stack uses more than it asks for: raise its requests",
        evidence=shown,
    )
    return asks, goes
