"""What the ledger costs: Locust driven by sloproof, every request written down, beside plain Locust with FastHttpUser.

Both are resident processes with the same number of users in a closed loop against the same small server, in
interleaved rounds: plain, ledger, plain again. Cost is CPU time a request, speed is requests a second; ratios are
paired within a round, and plain against plain shows what the machine's noise alone does.

    python bench/ledger_overhead.py [--rounds 6] [--seconds 1.5] [--users 16]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import IO, NamedTuple, cast

from sloproof.load.driver import Driver
from sloproof.load.profile import Profile, RequestSpec

GOAL = 0.95

_GO = """package main

import ("net/http"; "os")

func main() {
	answer := []byte(`[{"id":1,"name":"Alice"}]`)
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(answer)
	})
	panic(http.ListenAndServe(os.Args[1], nil))
}
"""

_WSGI = """def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "25")])
    return [b'[{"id":1,"name":"Alice"}]']
"""

_PLAIN = """
import json, logging, sys, time
import locust
import gevent
from locust.env import Environment

logging.getLogger("locust").setLevel(logging.ERROR)

class Plain(locust.FastHttpUser):
    host = sys.argv[1]
    @locust.task
    def get(self):
        self.client.get("/users")

for line in sys.stdin:
    users, seconds = json.loads(line)
    environment = Environment(user_classes=[Plain])
    runner = environment.create_local_runner()
    runner.start(users, spawn_rate=users)
    runner.spawning_greenlet.join()
    begin, cpu, before = time.monotonic(), time.process_time(), environment.stats.total.num_requests
    gevent.sleep(seconds)
    spent, cpu = time.monotonic() - begin, time.process_time() - cpu
    done = environment.stats.total.num_requests - before
    failed = environment.stats.total.num_failures
    runner.quit()
    print(json.dumps([done, failed, spent, cpu]), flush=True)
"""


class Round(NamedTuple):
    """One measurement."""

    rate: float
    cpu_us: float


def free_port() -> int:
    """Return a free loopback port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, str]]:
    """Run the target; yield its address and what it is."""
    address = f"127.0.0.1:{free_port()}"
    go = shutil.which("go")
    if go:
        (folder / "main.go").write_text(_GO)
        subprocess.run([go, "build", "-o", "target", "main.go"], cwd=folder, check=True, timeout=120)
        name, command = "a Go net/http server", [str(folder / "target"), address]
    else:
        (folder / "target.py").write_text(_WSGI)
        name = "gunicorn, gthread with 16 threads"
        command = [
            sys.executable, "-m", "gunicorn", "-k", "gthread", "--threads", "16", "-b", address, "--keep-alive", "5",
            "--log-level", "error", "target:app",
        ]  # fmt: skip
    with subprocess.Popen(command, cwd=folder) as server:
        try:
            await_listening(address, server)
            yield f"http://{address}", name
        finally:
            server.terminate()


def await_listening(address: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until a server accepts connections."""
    host, _, port = address.partition(":")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise SystemExit(f"the target did not listen on {address}")


def plain_round(plain: subprocess.Popen[bytes], users: int, seconds: float) -> Round:
    """Have plain Locust run once."""
    stdin, stdout = cast("IO[bytes]", plain.stdin), cast("IO[bytes]", plain.stdout)
    stdin.write(json.dumps([users, seconds]).encode() + b"\n")
    stdin.flush()
    done, failed, spent, cpu = json.loads(stdout.readline())
    if failed or not done:
        raise SystemExit(f"plain Locust: {failed} of {done} requests failed; nothing to compare")
    return Round(done / spent, cpu / done * 1e6)


def ledger_round(driver: Driver, users: int, seconds: float) -> Round:
    """Have sloproof run once, and hold its ledger against its own count."""
    mix = (RequestSpec(path="/users", endpoint="/users"),)
    result = driver.run(Profile(mix=mix, users=users, duration_seconds=seconds), "closed")
    tally = result.ledger.tally()
    if result.failures or tally.certain != {("/users", "GET", 200): result.requests}:
        raise SystemExit(f"the ledger does not hold what was sent: {tally} against {result.requests}")
    spent = result.window.duration.total_seconds()
    return Round(result.requests / spent, result.cpu_share * spent / result.requests * 1e6)


def show(name: str, rounds: Sequence[Round]) -> None:
    """Print one row."""
    rates, costs = [one.rate for one in rounds], [one.cpu_us for one in rounds]
    print(
        f"{name:<28} {statistics.median(rates):>9.0f} {min(rates):>7.0f}-{max(rates):<7.0f}"
        f" {statistics.median(costs):>9.1f} {min(costs):>7.1f}-{max(costs):<7.1f}"
    )


def ratio(name: str, over: Sequence[float], under: Sequence[float]) -> float:
    """Print the median of paired ratios with its spread, and return it."""
    ratios = [a / b for a, b in zip(over, under, strict=True)]
    print(f"{name:<44} {statistics.median(ratios):.3f}  ({min(ratios):.3f} to {max(ratios):.3f})")
    return statistics.median(ratios)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--users", type=int, default=16)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url, target = stack.enter_context(serving(folder))
        (folder / "plain.py").write_text(_PLAIN)
        plain = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-W", "ignore", folder / "plain.py", url],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )
        )  # fmt: skip
        driver = stack.enter_context(Driver(base_url=url, ledger_dir=folder / "ledger", run_id="bench"))
        print(
            f"target: {target}; {options.users} users, {options.rounds} rounds of {options.seconds:g} s; "
            f"Locust {version('locust')}, Python {sys.version.split()[0]}, {os.cpu_count()} cores"
        )
        plain_round(plain, options.users, 0.5)
        ledger_round(driver, options.users, 0.5)
        first, ledger, second = [], [], []
        for _ in range(options.rounds):
            first.append(plain_round(plain, options.users, options.seconds))
            ledger.append(ledger_round(driver, options.users, options.seconds))
            second.append(plain_round(plain, options.users, options.seconds))
        print(f"{'':<28} {'requests a second':^25} {'CPU us a request':^25}")
        show("plain Locust, FastHttpUser", first + second)
        show("Locust with the ledger", ledger)
        plain_rates = [(a.rate + b.rate) / 2 for a, b in zip(first, second, strict=True)]
        plain_costs = [(a.cpu_us + b.cpu_us) / 2 for a, b in zip(first, second, strict=True)]
        ratio("noise: plain / plain, throughput", [a.rate for a in first], [b.rate for b in second])
        ratio("noise: plain / plain, CPU a request", [a.cpu_us for a in first], [b.cpu_us for b in second])
        ratio("ledger / plain, CPU a request", [one.cpu_us for one in ledger], plain_costs)
        figure = ratio("ledger / plain, throughput", [one.rate for one in ledger], plain_rates)
    verdict = "met" if figure >= GOAL else "missed"
    print(f"goal: ledger throughput >= {GOAL} of plain Locust: {figure:.2f} {verdict}")


if __name__ == "__main__":
    main()
