"""What the service's instrumentation costs behind gunicorn, beside the bare application and beside everyone else's.

    python bench/served.py [--rounds 15] [--requests 800] [--connections 8]

Every variant has a gunicorn of its own with one worker, all up at once; each round sends the same number of requests to
each in turn, on kept connections. Cost is the CPU time of the worker as the scheduler accounts for it, task by task.
Each worker must have answered every request with 200 and counted it, or no figure is printed.
"""

from __future__ import annotations

import argparse
import os
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import requests as http
from peers import Peers, peers
from prometheus_client.parser import text_string_to_metric_families
from rounds import show_noise, show_rows, spread
from world import describe_machine, goal

from sloproof.environment.components import free_ports

GOAL = 1.15
OURS, BARE, AGAIN = "ours, text", "bare", "bare again"
_REQUEST = b"GET /api/users HTTP/1.1\r\nHost: bench\r\n\r\n"
_THREADS = 8


@contextmanager
def serving(
    found: Peers, name: str, kind: str, folder: Path, *, processes: bool
) -> Iterator[tuple[int, psutil.Process]]:
    """Run one variant behind gunicorn; yield its port and its worker."""
    port = free_ports(("bench",))["bench"]
    environ = {**os.environ, "BENCH_VARIANT": name}
    environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    if processes:
        environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(dir=folder)
    command = [
        found.python, "-m", "gunicorn", "--worker-class", kind, "--workers", "1", "--bind", f"127.0.0.1:{port}",
        "--keep-alive", "60", "--log-level", "error", "--no-control-socket", "variants:application",
    ]  # fmt: skip
    if kind == "gthread":
        command += ["--threads", str(_THREADS)]
    log = folder / f"{name}-{kind}-{processes}.log"
    with log.open("wb") as out, (folder / "errors.log").open("ab") as errors:
        server = subprocess.Popen(command, cwd=Path(__file__).parent, env=environ, stdout=out, stderr=errors)
        try:
            deadline = time.monotonic() + 20
            workers: list[psutil.Process] = []
            while not (workers and _answers(port)):
                workers = psutil.Process(server.pid).children()
                if server.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{name} did not come up: {(folder / 'errors.log').read_text()[-2000:]}")
                time.sleep(0.05)
            yield port, workers[0]
        finally:
            server.terminate()
            server.wait(10)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def cpu_ns(pid: int) -> int:
    """Return the CPU time of a process in nanoseconds, by the scheduler's account of each of its threads."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def drive(port: int, count: int, connections: int) -> None:
    """Send so many requests on kept connections, one at a time on each.

    Raises:
        SystemExit: An answer was not 200, or a connection was closed.
    """
    left, done = count, 0
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(min(connections, count)):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            selector.register(sock, selectors.EVENT_READ, bytearray())
            sock.sendall(_REQUEST)
            left -= 1
        while done < count:
            ready = selector.select(10)
            if not ready:
                raise SystemExit(f"{count - done} of {count} requests got no answer within 10 s")
            for key, _ in ready:
                sock, got = key.fileobj, key.data
                assert isinstance(sock, socket.socket)
                part = sock.recv(65536)
                got += part
                if not part or not got.startswith(b"HTTP/1.1 200 OK"[: len(got)]):
                    raise SystemExit(f"expected an answer of 200, got {bytes(got[:200])!r}")
                head, _, body = got.partition(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or -1)
                if length < 0 or len(body) < length:
                    continue
                done += 1
                got.clear()
                if left:
                    left -= 1
                    sock.sendall(_REQUEST)
                else:
                    selector.unregister(sock)
                    # A sync worker takes no other connection before this one's client has closed it.
                    sock.close()


def _counted(port: int) -> float | None:
    """Return how many requests a variant says that it answered; None where it exposes nothing."""
    answer = http.get(f"http://127.0.0.1:{port}/metrics", timeout=5)
    if answer.status_code != http.codes.ok:
        return None
    names = {"app_request_count_total", "flask_http_request_total"}
    samples = (sample for family in text_string_to_metric_families(answer.text) for sample in family.samples)
    return sum(sample.value for sample in samples if sample.name in names)


def serve_rounds(
    found: Peers, names: Sequence[str], kind: str, *, rounds: int, requests: int, connections: int = 8,
    processes: bool = False,
) -> Mapping[str, Sequence[float]]:  # fmt: skip
    """Return the CPU microseconds a request of each variant's worker, round by round.

    Args:
        found: Where the variants run.
        names: Which.
        kind: gunicorn's worker class.
        rounds: How many, after one that is not counted.
        requests: To each variant in each round.
        connections: At once. A sync worker closes each after its answer, so that it gets one request on each.
        processes: Whether the metrics client counts for several processes.

    Raises:
        SystemExit: A variant failed a request, or did not count them all.
    """
    spent: dict[str, list[float]] = {name: [] for name in names}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        up = {name: stack.enter_context(serving(found, name, kind, folder, processes=processes)) for name in names}
        for turn in range(-1, rounds):
            first = turn % len(names)
            for name in (*names[first:], *names[:first]):
                port, worker = up[name]
                begin = cpu_ns(worker.pid)
                if kind == "sync":
                    for _ in range(requests // connections):
                        drive(port, connections, connections)
                else:
                    drive(port, requests, connections)
                if turn >= 0:
                    sent = requests // connections * connections if kind == "sync" else requests
                    spent[name].append((cpu_ns(worker.pid) - begin) / sent / 1000)
        for name, (port, _) in up.items():
            expected = (rounds + 1) * (requests // connections * connections if kind == "sync" else requests)
            counted = None if processes else _counted(port)
            lines = (folder / f"{name}-{kind}-{processes}.log").read_bytes().count(b"\n")
            if counted not in (None, expected) or (name.startswith(("ours", "seed")) and lines != expected):
                raise SystemExit(f"{name}: expected {expected} requests counted, got {counted} and {lines} lines")
    return spent


def main() -> int:
    """Measure, print, and say which goals are met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--requests", type=int, default=800)
    parser.add_argument("--connections", type=int, default=8)
    options = parser.parse_args()
    describe_machine(())
    found = peers()
    print(found.versions)
    others = [name for name in ("seed", "exporter", "otel") if name not in found.missing]
    goals = []
    for kind, processes in (("sync", False), ("gthread", False), ("gthread", True)):
        names = [BARE, AGAIN, OURS, "ours, JSON", *(() if processes else others)]
        costs = serve_rounds(
            found, names, kind, rounds=options.rounds, requests=options.requests, connections=options.connections,
            processes=processes,
        )  # fmt: skip
        what = f"gunicorn {kind}{', counting in a shared file' if processes else ''}"
        print(f"{what}: {options.rounds} rounds of {options.requests} requests, {options.connections} connections")
        show_rows(costs, BARE)
        show_noise(costs, BARE, AGAIN)
        bare = [statistics.mean(pair) for pair in zip(costs[BARE], costs[AGAIN], strict=True)]
        goals.append((what, [ours / base for ours, base in zip(costs[OURS], bare, strict=True)]))
    missed = 0
    for what, ratios in goals:
        figure = statistics.median(ratios)
        missed += goal(
            f"behind {what} at most {GOAL:g} times the CPU of the bare application", f"{spread(ratios)} times",
            is_met=figure <= GOAL,
        )  # fmt: skip
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
