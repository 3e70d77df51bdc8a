"""Hostile input: no 5xx that is not counted, no new label value, no line that cannot be read."""

from __future__ import annotations

import concurrent.futures
import contextlib
import re
import socket

import pytest

from tests.service.hostile import Hostile, hostile_requests
from tests.service.observed import REQUEST, Observed, Samples, label_values, total
from tests.service.running import Running, wait_for

pytestmark = pytest.mark.slow  # real processes and real time

COUNT, ERRORS, ACTIVE = "app_request_count_total", "app_error_count_total", "app_active_requests"
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


def failures(samples: Samples, least: int) -> float:
    """Return how many requests were counted with at least that status."""
    return sum(
        value
        for (name, labels), value in samples.items()
        if name == COUNT and int(dict(labels)["http_status"]) >= least
    )


def errors_of_traffic(samples: Samples) -> float:
    """Return how many errors were counted of traffic: those of the fault switch are of no traffic."""
    return total(samples, ERRORS) - total(samples, ERRORS, endpoint="/faults")


def refusals(lines: list[str]) -> dict[str, int]:
    """Return how many lines there are, by endpoint, of observers' requests that were refused."""
    found = [line.split()[7] for line in lines if line[20:].startswith("[WARNING] Observer request refused: ")]
    return {endpoint: found.count(endpoint) for endpoint in found}


def forged_lines(lines: list[str]) -> list[str]:
    """Return the lines that a search for error lines finds although they are none."""
    return [line for line in lines if "[ERROR]" in line and line[20:27] != "[ERROR]"]


def attack_in_process(observed: Observed, count: int, seed: int = 1) -> None:
    """Send so many hostile requests past the server to the application, and judge what it makes of them."""
    before = observed.samples
    statuses = [int(observed.call(one.environ)[0][:3]) for one in hostile_requests(count, seed)]
    after = observed.samples
    assert label_values(after) == label_values(before)
    assert total(after, COUNT) == len(observed.requests)
    assert errors_of_traffic(after) == failures(after, 400)
    assert failures(after, 500) == sum(status >= 500 for status in statuses)
    assert total(after, ACTIVE) == 0
    assert forged_lines(observed.lines) == []
    assert {line["method"] for line in observed.requests} >= {"OTHER", "GET"}
    told = refusals(observed.lines)
    assert told.keys() == {"/faults", "/health/liveness", "/health/readiness", "/metrics"}
    assert total(after, ERRORS, endpoint="/faults") == told["/faults"]


def attack_over_sockets(service: Running, count: int, seed: int = 1, threads: int = 8) -> None:
    """Send so many hostile requests as bytes, and judge what the service, server and all, makes of them."""
    before = service.samples

    def send(one: Hostile) -> list[int]:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", service.port), 15) as sock:
            with contextlib.suppress(OSError):
                sock.sendall(one.raw)
                sock.shutdown(socket.SHUT_WR)
            parts = []
            with contextlib.suppress(OSError):
                while part := sock.recv(65536):
                    parts.append(part)
            # A body may hold another request; every answer counts. Echoed bodies hold no status line.
            return [int(status) for status in _STATUS.findall(b"".join(parts))]
        return []

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        statuses = [status for found in pool.map(send, hostile_requests(count, seed)) for status in found]
    wait_for(lambda: service.total(ACTIVE) == 0, "nothing in flight")
    after = service.samples
    assert label_values(after) == label_values(before)
    assert service.unparsable_lines == []
    assert forged_lines(service.lines) == []
    requests = [line for line in service.lines if REQUEST.search(line) and " [INFO] " in line]
    assert total(after, COUNT) == len(requests)
    assert errors_of_traffic(after) == failures(after, 400)
    assert total(after, ERRORS, endpoint="/faults") == refusals(service.lines)["/faults"]
    # An answer that its client did not read is counted all the same.
    assert failures(after, 500) >= sum(status >= 500 for status in statuses)
    assert len(statuses) > count / 3, "most of it is answered with something"
    assert {"501", "414"} <= {line.rpartition("s - ")[0].split()[-2] for line in requests}


def test_hostile_requests_change_nothing_but_counts(observed: Observed) -> None:
    attack_in_process(observed, 1200)


def test_hostile_bytes_change_nothing_but_counts(start: Running) -> None:
    attack_over_sockets(start(SERVICE_WORKERS="2", SERVICE_CLIENT_SECONDS="1"), 800)


def test_the_label_of_a_path_is_the_rule_that_answers_it(observed: Observed) -> None:
    """The label is taken before routing, so that both must agree on every path."""
    adapter = observed.app.flask.url_map.bind("host")
    for one in hostile_requests(600, 2):
        path = str(one.environ["PATH_INFO"])
        rule: str | None
        try:
            found = adapter.match(path.encode("latin-1").decode("utf-8", "replace"), method="GET", return_rule=True)
            rule = found[0].rule
        except Exception as error:  # noqa: BLE001 - 404 or 405
            rule = None if getattr(error, "code", 0) == 404 else "unknown"
        label = observed.app.instrumentation.endpoint_of(path)
        assert rule == "unknown" or label == (rule or "unmatched"), path
