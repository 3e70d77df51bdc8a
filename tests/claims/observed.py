"""An observation of a healthy service, and the ways in which one can be blind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sloproof.barrier import Anchor
from sloproof.load.ledger import Ledger, LedgerWriter
from sloproof.model import LogEntry, Series, ns_from_instant
from sloproof.observation import Observation
from tests.fakes import OWN, SETTINGS, FakeLoki, FakePrometheus, after, entry, seconds, series

GOOD, BAD = 24, 2
JOB = 'job="api"'
TIMES = [number * 0.25 for number in range(-8, 13)]  # scrapes, from two seconds before the first anchor to the second
BEGIN_S, REST_S, END_S = 0.0, 2.6, 3.0


def counter(name: str, last: float, **labels: str) -> Series:
    """Return a counter that stands at 0 until the load and at `last` once it has ended."""
    values = {at: last if at > REST_S else 0.0 for at in TIMES}
    return series(values, __name__=name, **OWN, **labels)


def gauge(name: str, value: float) -> Series:
    return series(dict.fromkeys(TIMES, value), __name__=name, **OWN)


def stored() -> dict[str, list[Series]]:
    """Return what Prometheus holds of it, by the selector that each claim asks."""
    path = {"endpoint": "/", "method": "GET"}
    requests = [
        counter("requests_total", GOOD, **path, status="200"), counter("requests_total", BAD, **path, status="500"),
    ]  # fmt: skip
    edges = {"0.005": 0, "0.05": GOOD + BAD, "+Inf": GOOD + BAD}
    return {
        f"requests_total{{{JOB}}}": requests,
        f"errors_total{{{JOB}}}": [counter("errors_total", BAD, **path, error_type="crash")],
        f'latency_seconds_bucket{{{JOB}, endpoint="/"}}': [
            counter("latency_seconds_bucket", last, **path, le=edge) for edge, last in edges.items()
        ],
        f"in_flight{{{JOB}}}": [gauge("in_flight", 0)],
        f"up{{{JOB}}}": [gauge("up", 1)],
        'up{app="api"}': [gauge("up", 1)],
        "{}": requests,
    }


def observation(
    folder: Path,
    *,
    without: Sequence[str] = (),
    dead: Mapping[str, str] | None = None,
    are_lines_there: bool = True,
    changed: Mapping[str, Sequence[Series]] | None = None,
) -> Observation:
    """Return the observation.

    Args:
        folder: Where its ledger is kept.
        without: Begins of the selectors that Prometheus holds no series of.
        dead: Pipelines that are dead at the second anchor.
        are_lines_there: Whether Loki holds the lines.
        changed: Series to hold instead.
    """
    lines = []
    with LedgerWriter(folder / "load-1.jsonl", run_id="run") as writer:
        for number in range(GOOD + BAD):
            at, status = 0.1 + number * 0.05, 200 if number < GOOD else 500
            one = entry(at, request_id=f"r-{number}", status=status, took=0.02)
            writer.write(one)
            level = "INFO" if status == 200 else "ERROR"
            text = f"[{level}] GET / {status} 0.019s - request_id=r-{number}"
            lines.append(LogEntry(one.end_ns + 1_000_000, text))
    held = {**stored(), **(changed or {})}
    kept = {key: found for key, found in held.items() if not any(key.startswith(one) for one in without)}
    return Observation(
        settings=SETTINGS,
        prometheus=FakePrometheus(kept),
        loki=FakeLoki(lines if are_lines_there else ()),
        ledger=Ledger.open(folder),
        before=Anchor(after(BEGIN_S), after(BEGIN_S), seconds(0), log_at_ns=ns_from_instant(after(BEGIN_S))),
        after=Anchor(
            after(END_S), after(REST_S), seconds(0), log_at_ns=ns_from_instant(after(REST_S)), dead=dead or {}
        ),
    )
