"""Claims about the service's pods in a cluster: who is led to them, how they are restarted, and how they end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sloproof.checks.evidence import NEVER_ARRIVED, NOTHING, Basis, Bounds, RequestRecord, total
from sloproof.checks.wording import count_of, duration_text, instant_text, listing, table
from sloproof.environment.kube.objects import Event
from sloproof.environment.kube.pod_wish import Bound
from sloproof.errors import ComponentExitedError
from sloproof.finding import Finding, Query
from sloproof.log_lines import LineParser, RequestLine
from sloproof.model import Stream
from sloproof.observation import Observation

CHECK = "pods"
_SUCCESS = range(200, 300)


@dataclass(frozen=True, slots=True)
class GateSighting:
    """Which pods a Service led to at an instant."""

    at: datetime
    pods: frozenset[str]


def gate_follows(
    pod: str, since: datetime, sightings: Sequence[GateSighting], bound: Bound, *, is_behind: bool
) -> Finding:
    """Judge whether a Service led to a pod, or did not any more, within a bound, and stayed so.

    Args:
        pod: Which.
        since: When the pod began to say the other thing.
        sightings: Of the Service's endpoints since then, oldest first, each with the instant its answer was there.
        bound: How long the endpoints may be wrong.
        is_behind: Whether the Service is to lead to it.
    """
    to = "in" if is_behind else "out of"
    claim = f"a pod is {to} the endpoints within its bound of saying {'yes' if is_behind else 'no'}"
    basis = Basis(at=sightings[-1].at if sightings else since, queries=(Query("http", "GET endpointslices"),))
    expected = f"{pod} {to} them at most {bound.text} after {instant_text(since)}, and from then on"
    after = [one for one in sightings if one.at >= since]
    if not after:
        return basis.inconclusive(
            CHECK, claim, expected=expected, measured="nobody looked", hint="look at the endpoints after the change"
        )
    wrong = [one for one in after if (pod in one.pods) != is_behind]
    right = [one for one in after if (pod in one.pods) == is_behind]
    took = right[0].at - since if right else None
    is_steady = not wrong or not right or wrong[-1].at < right[0].at
    measured = f"so after {duration_text(took)}" if took is not None else f"not in {count_of(len(after), 'look')}"
    return basis.judged(
        CHECK,
        claim,
        holds=took is not None and took <= bound.length and is_steady,
        expected=expected,
        measured=measured + ("" if is_steady else f", and not so again at {instant_text(wrong[-1].at)}"),
        hint="clients are led to a pod that says no, or kept from one that says yes: see its readiness probe",
        evidence=(
            ("looks", f"{len(after)}, the first {len(wrong)} of them otherwise" if is_steady else f"{len(after)}"),
        ),
    )


def in_flight_finish(requests: Sequence[RequestRecord], left_ns: int, at: datetime) -> Finding:
    """Judge whether requests that were under way as their pod left the endpoints were answered with success.

    Args:
        requests: Begun before that.
        left_ns: When it left, Unix nanoseconds.
        at: The instant of judging.
    """
    claim = "what was in flight as its pod left the endpoints is finished"
    basis = Basis(at=at, queries=(Query("ledger", "every request that was in flight then"),))
    across = [one for one in requests if one.start_ns < left_ns < one.start_ns + one.duration_ns]
    cut = [one for one in across if one.status not in _SUCCESS]
    expected = f"{count_of(len(requests), 'request')} in flight, each answered with success"
    if not requests or len(across) < len(requests):
        return basis.inconclusive(
            CHECK,
            claim,
            expected=expected,
            measured=f"only {len(across)} of {len(requests)} were in flight then",
            hint="let them take longer than the pod takes to leave",
        )
    return basis.judged(
        CHECK,
        claim,
        holds=not cut,
        expected=expected,
        measured="each was" if not cut else f"{len(cut)} were not: {_outcomes(cut)}",
        hint="a pod that is not ready must go on with what it has begun",
    )


def none_arrived(requests: Sequence[RequestRecord], at: datetime) -> Finding:
    """Judge whether requests were turned away before any pod had them: refused, or with no way there."""
    claim = "nobody is led to a pod that is out of the endpoints"
    basis = Basis(at=at, queries=(Query("ledger", "failure of every request"),))
    expected = f"{count_of(len(requests), 'request')}, none of which reaches a pod"
    if not requests:
        return basis.inconclusive(
            CHECK, claim, expected="requests", measured="none was sent", hint="send some while the pod is out"
        )
    through = [one for one in requests if one.failure not in NEVER_ARRIVED]
    return basis.judged(
        CHECK,
        claim,
        holds=not through,
        expected=expected,
        measured=_outcomes(requests),
        hint="clients are led there still: look at the Service's endpoints and at its publishNotReadyAddresses",
    )


def shared_by(counted: Mapping[str, Bounds], shares: Mapping[str, Collection[str]], sent: int, at: datetime) -> Finding:
    """Judge whether each of these groups of pods has counted some of the requests, and together they counted all.

    Args:
        counted: By how much the request counter rose, by pod.
        shares: What each group is called, and its pods.
        sent: How many requests were answered in all, the barrier's own among them.
        at: The instant of judging.
    """
    claim = "pods served between them what was sent, and counted all of it"
    basis = Basis(at=at, queries=(Query("prometheus", "rise of the request counter by pod"),))
    risen = {pod: bounds for pod, bounds in counted.items() if bounds.high > 0}
    idle = [name for name, pods in shares.items() if risen.keys().isdisjoint(pods)]
    others = sorted(risen.keys() - {pod for pods in shares.values() for pod in pods})
    whole = total(counted.values())
    problems = [f"none counted by {listing(idle)}"] if idle else []
    problems += [f"counted by {listing(others)}, of which nobody knows"] if others else []
    problems += [] if whole.holds(sent) else [f"{whole} counted of {sent}"]
    return basis.judged(
        CHECK,
        claim,
        holds=bool(shares) and not problems,
        expected=f"{sent} over {listing(shares)}, some by each",
        measured="; ".join(problems) or f"{whole} over {count_of(len(risen), 'pod')}",
        hint="look at the targets: a pod that is not scraped, or twice, makes every sum wrong",
        evidence=(("by pod", table(("pod", "rise"), sorted((pod, str(one)) for pod, one in counted.items()))),),
    )


def counted_by_pod(seen: Observation) -> Mapping[str, Bounds]:
    """Return by how much the request counter rose, by pod."""
    found: dict[str, Bounds] = {}
    for delta in seen.increase(seen.request_selector):
        pod = delta.labels.get("pod", "")
        found[pod] = found.get(pod, NOTHING).plus(Bounds(delta.low, delta.high))
    return found


def restarted_in_time(hung: datetime, restarted: datetime | None, bound: Bound, events: Sequence[Event]) -> Finding:
    """Judge whether a container that hangs is replaced within its bound, and the cluster says that liveness is why.

    Args:
        hung: When it began to hang.
        restarted: When another one was seen running in its place; None for never.
        bound: How long that may take.
        events: Of the pod, since it began to hang.
    """
    claim = "a container that hangs is restarted by its liveness within its bound"
    basis = Basis(at=restarted or hung, queries=(Query("http", "GET pod, GET events"),))
    killed = [one for one in events if one.reason == "Killing" and "liveness" in one.message.lower()]
    took = restarted - hung if restarted is not None else None
    return basis.judged(
        CHECK,
        claim,
        holds=took is not None and took <= bound.length and bool(killed),
        expected=f"another one at most {bound.text} after {instant_text(hung)}, and an event that says why",
        measured=(f"another one after {duration_text(took)}" if took is not None else "no other one")
        + ("" if killed else "; no event says that it is killed for its liveness"),
        hint="see the pod's liveness probe, and what else ends its container",
        evidence=(("events", "\n".join(f"{one.reason}: {one.message}" for one in events)),),
    )


def end_is_reported(
    report: ComponentExitedError | None, at: datetime, *, reason: str, exit_code: int, line: str = ""
) -> Finding:
    """Judge whether what is reported of a pod that ended names the reason, the exit code and its last line.

    Args:
        report: What the environment reports; None where it reports nothing.
        at: When.
        reason: A word of the cluster, such as `CrashLoopBackOff`.
        exit_code: Of the container.
        line: Part of what it said last.
    """
    claim = f"the service is reported as {reason} with exit code {exit_code}"
    basis = Basis(at=at, queries=(Query("http", "GET pods, GET log"),))
    expected = f"{reason}, exit code {exit_code}" + (f", {line!r} in its last lines" if line else "")
    if report is None:
        return basis.judged(
            CHECK, claim, holds=False, expected=expected, measured="nothing is reported", hint="see the pods' states"
        )
    text = str(report)
    missing = [f"{reason} is not named"] if reason not in text else []
    missing += [] if report.exit_status == exit_code else [f"exit code {report.exit_status}"]
    missing += [] if any(line in one for one in report.last_lines) or not line else [f"{line!r} is not in its lines"]
    return basis.judged(
        CHECK,
        claim,
        holds=not missing,
        expected=expected,
        measured="; ".join(missing) or "all of it",
        hint="whoever is told no more than that it failed has to look for the rest",
        evidence=(("reported", text),),
    )


def lines_are_of(
    streams: Sequence[Stream], parser: LineParser, ids: Collection[str], pod: str, at: datetime
) -> Finding:
    """Judge whether each of these requests has exactly one line, among the lines of one pod."""
    claim = "every line of a pod that is gone is kept, exactly once"
    found: Counter[tuple[str, str]] = Counter()
    for stream in streams:
        for line in parser.parse_all(stream.entries):
            if isinstance(line, RequestLine) and line.request_id in ids:
                found[line.request_id, stream.labels.get("pod", "")] += 1
    own = {one: found[one, pod] for one in ids}
    lost, twice = [one for one in ids if own[one] == 0], [one for one in ids if own[one] > 1]
    elsewhere = sorted({of for (_, of) in found if of != pod})
    basis = Basis(at=at, queries=(Query("loki", f'{{pod="{pod}"}}'),))
    expected = f"one line of {pod} for each of {count_of(len(ids), 'request')}"
    if not ids:
        return basis.inconclusive(
            CHECK, claim, expected=expected, measured="no request was answered", hint="send some before it is killed"
        )
    problems = [f"{count_of(len(lost), 'line')} lost"] if lost else []
    problems += [f"{count_of(len(twice), 'line')} there more than once"] if twice else []
    problems += [f"lines of {listing(elsewhere)}"] if elsewhere else []
    return basis.judged(
        CHECK,
        claim,
        holds=not problems,
        expected=expected,
        measured="; ".join(problems) or "one each",
        hint="the node takes a pod's files away soon after the pod: the shipper must have them open by then",
        evidence=(("at fault", listing(sorted((*lost, *twice)))),),
    )


def _outcomes(requests: Sequence[RequestRecord]) -> str:
    return ", ".join(f"{count} x {what}" for what, count in sorted(Counter(map(_outcome, requests)).items()))


def _outcome(request: RequestRecord) -> str:
    return request.failure or f"status {request.status}"
