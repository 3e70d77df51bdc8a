"""Sentences about what the service's observers ask: its probes, its metrics, its fault switch."""

from __future__ import annotations

import contextlib
import http.client
import socket
import uuid
from collections import Counter
from datetime import timedelta
from urllib.parse import urlsplit

from pytest_bdd import parsers, then, when

from sloproof.load.hostile import hostile_requests_to
from sloproof.log_lines import OtherLine
from sloproof.steps.types import TYPES
from sloproof.trial import Trial


@when(parsers.parse("{count:d} hostile requests are sent to the probes, the metrics and the fault switch", TYPES))
def send_hostile_to_observers(trial: Trial, count: int) -> None:
    """Send requests with hostile methods, queries, headers, bodies and tokens to the observers' paths, by the seed."""
    service = trial.harness.settings.service
    paths = [path for path in (service.liveness, service.readiness, service.metrics, service.faults) if path]
    for request in hostile_requests_to(paths, count, trial.harness.settings.load.seed):
        trial.send(request.method, request.path, headers=dict(request.headers), body=request.body)


@when(parsers.parse('the fault switch is asked {count:d} times with the token "{token:text}"', TYPES))
def ask_fault_switch(trial: Trial, count: int, token: str) -> None:
    """Ask for every fault to be cleared, as a stranger would who guesses at the token."""
    path = trial.harness.settings.service.faults or "/faults"
    for _ in range(count):
        trial.send("DELETE", path, headers={"Authorization": f"Bearer {token}"})


@then("the fault switch still holds what was set")
def fault_still_set(trial: Trial) -> None:
    """Judge the readiness that the fault turns red: it is red still, so nobody's guess has cleared the fault."""
    sample = trial.harness.clients.service.probe("readiness")
    trial.expect(
        "the fault switch still holds what was set",
        check="probe_truth",
        expected="readiness answers 503",
        measured=str(sample.status or sample.failure),
        holds=sample.status == 503,  # noqa: PLR2004 - HTTP
    )


@then(parsers.parse('each of those requests has exactly one warning saying "{text:text}"', TYPES))
def one_warning_each(trial: Trial, text: str) -> None:
    """Judge that each request id is in exactly one line of level WARNING that holds the text."""
    seen = trial.observation
    lines = Counter(
        line.request_id
        for line in seen.lines
        if isinstance(line, OtherLine) and line.level.upper() == "WARNING" and text in line.line
    )
    wrong = [entry.request_id for entry in seen.sent_entries if lines[entry.request_id] != 1]
    trial.expect(
        f"each request has exactly one warning saying {text!r}",
        check="log_delivery",
        expected=f"one line for each of {len(seen.sent_entries)} requests",
        measured=f"{len(wrong)} requests have another number of lines" if wrong else "one line each",
        holds=bool(seen.sent_entries) and not wrong,
        queries=(seen.log_query,),
    )


@then(parsers.parse("each of {count:d} probes without a request id is answered with a fresh UUID", TYPES))
def fresh_ids(trial: Trial, count: int) -> None:
    """Ask liveness without the header that sloproof sends otherwise, and judge the ids that come back."""
    settings = trial.harness.settings.service
    address = urlsplit(trial.harness.clients.service.base_url)
    given = []
    for _ in range(count):
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=5)
        try:
            connection.request("GET", settings.liveness)
            given.append(connection.getresponse().getheader(settings.request_id_header, ""))
        finally:
            connection.close()
    fresh = {one for one in given if _is_uuid(one)}
    trial.expect(
        "a request without an id gets a UUID of its own",
        check="id_join",
        expected=f"{count} different UUIDs",
        measured=f"{len(fresh)} different UUIDs; {given[:3]}",
        holds=len(fresh) == count,
    )


@then(parsers.parse('both probes answer within "{bound:duration}" while {count:d} clients stall their bodies', TYPES))
def answers_beside_stalled(trial: Trial, bound: timedelta, count: int) -> None:
    """Let clients announce a body to liveness and never send it, and judge ten answers of each probe meanwhile."""
    service = trial.harness.clients.service
    address = urlsplit(service.base_url)
    head = f"POST {trial.harness.settings.service.liveness} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            client = stack.enter_context(socket.create_connection((address.hostname or "", address.port), 5))
            client.sendall(head.encode())
        samples = [service.probe(kind) for _ in range(10) for kind in ("liveness", "readiness")]
    # What was refused has lines, which must not be taken for those of the scenario that comes next.
    trial.harness.anchor()
    late = [sample for sample in samples if sample.status is None or sample.duration > bound]
    slowest = max(sample.duration for sample in samples)
    trial.expect(
        f"both probes answer while {count} clients stall their bodies",
        check="probe_truth",
        expected=f"{len(samples)} answers, each within {bound.total_seconds():g} s",
        measured=f"the slowest took {slowest.total_seconds():.3f} s, {len(late)} were late or none",
        holds=not late,
    )


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
