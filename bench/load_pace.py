"""A paced load on a healthy server: does the source send when it should, and does it add latency of its own?

The server is gunicorn with 8 threads. At 100, 400 and 1,000 requests a second, in interleaved rounds: sloproof, vegeta,
k6's constant arrival rate, Locust with constant_throughput. sloproof's latency is that from the intended start, which
holds whatever lateness is its own; that from the send stands beside it.

    python bench/load_pace.py [--rounds 7] [--seconds 2] [--rates 100 400 1000] [--tools DIR]
"""

from __future__ import annotations

import argparse
import itertools
import math
import socket
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import load_peers
from load_peers import Said
from load_world import await_listening, conditions, goal, paired, tools

from sloproof.load.driver import Driver
from sloproof.load.profile import Profile, RequestSpec

RATES = (100, 400, 1000)
P50_GOAL, RATE_GOAL, EVEN_GOAL = 1.5, 0.995, 0.10
_USERS = 20
_STRETCHES = 20
_APP = """def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "25")])
    return [b'[{"id":1,"name":"Alice"}]']
"""


@contextmanager
def gunicorn(folder: Path) -> Iterator[str]:
    """Run the server; yield its address."""
    (folder / "bare.py").write_text(_APP)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    command = [
        sys.executable, "-m", "gunicorn", "-k", "gthread", "--threads", "8", "--keep-alive", "5", "-b", address,
        "--log-level", "error", "bare:app",
    ]  # fmt: skip
    with subprocess.Popen(command, cwd=folder) as server:
        try:
            await_listening(address, server)
            yield f"http://{address}"
        finally:
            server.terminate()


class Paced:
    """sloproof's rounds at one rate."""

    def __init__(self, driver: Driver, rate: int, seconds: float) -> None:
        self._driver = driver
        self._rate = rate
        self._seconds = seconds
        self.achieved: list[float] = []
        self.uneven: list[float] = []

    def even(self) -> tuple[Said, Said]:
        """Drive evenly; return the latencies from the intended start and from the send."""
        starts, intended, sent = self._drive("constant")
        gap = 1 / self._rate
        # The middle one: a machine that is busy elsewhere holds up some, a source that bunches holds up most.
        self.uneven.append(statistics.median(abs(b - a - gap) / gap for a, b in itertools.pairwise(starts)))
        return Said.of(intended), Said.of(sent)

    def poisson(self) -> bool:
        """Drive at random; return whether the requests were sent as a Poisson process sends them.

        That is: given their number, their instants are uniform (Kolmogorov-Smirnov), and the numbers in equal
        stretches vary as much as chance has it, no more and no less (dispersion); both at the 0.1 % level. Gaps are not
        asked: a machine that holds everyone up for a millisecond forbids gaps shorter than that.
        """
        starts, _, _ = self._drive("poisson")
        count = len(starts)
        ordered = [(start - starts[0]) / (starts[-1] - starts[0]) for start in sorted(starts)]
        worst = max(abs(n / (count - 1) - at) for n, at in enumerate(ordered))
        stretches = Counter(min(int(at * _STRETCHES), _STRETCHES - 1) for at in ordered)
        mean = count / _STRETCHES
        dispersion = sum((stretches[n] - mean) ** 2 for n in range(_STRETCHES)) / mean
        low, high = (_chi_square(_STRETCHES - 1, z) for z in (-3.09, 3.09))
        return worst * math.sqrt(count) < 1.95 and low <= dispersion <= high

    def _drive(self, arrivals: str) -> tuple[list[float], list[float], list[float]]:
        mix = (RequestSpec(path="/", endpoint="/"),)
        profile = Profile(mix=mix, rate=self._rate, duration_seconds=self._seconds, arrivals=arrivals)  # type: ignore[arg-type]
        result = self._driver.run(profile, f"{self._rate} {arrivals}")
        entries = list(result.ledger.entries())
        if result.failures or not entries:
            raise SystemExit(f"of {len(entries)} requests failed: {result.failures}")
        if arrivals == "constant":
            self.achieved.append(result.achieved_rate / self._rate)
        intended = [(one.end_ns - one.intended_ns) / 1e6 for one in entries]
        return [one.start_ns / 1e9 for one in entries], intended, [one.duration_ns / 1e6 for one in entries]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rates", type=int, nargs="+", default=RATES)
    parser.add_argument("--tools", type=Path)
    options = parser.parse_args()
    found = tools(options.tools, ("k6", "vegeta"))
    met: list[bool] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(gunicorn(folder))
        driver = stack.enter_context(Driver(base_url=url, ledger_dir=folder / "ledger", run_id="bench"))
        driver.run(Profile(mix=(RequestSpec(path="/", endpoint="/"),), users=8, requests=100), "warm")
        print(f"target: gunicorn, gthread with 8 threads; {conditions(found)}", flush=True)
        for rate in options.rates:
            met += at_rate(Paced(driver, rate, options.seconds), folder, url, found, rate, options)
    raise SystemExit(not all(met))


def at_rate(
    paced: Paced, folder: Path, url: str, found: dict[str, Path], rate: int, options: argparse.Namespace
) -> list[bool]:
    """Measure at one rate and print; return which goals are met."""
    rounds: dict[str, list[Said]] = {}
    poisson = []
    for _ in range(options.rounds):
        intended, sent = paced.even()
        rounds.setdefault("sloproof, from the intended start", []).append(intended)
        rounds.setdefault("sloproof, from the send", []).append(sent)
        if "vegeta" in found:
            said = load_peers.vegeta(found["vegeta"], folder, url, rate, options.seconds)
            rounds.setdefault("vegeta", []).append(said)
        if "k6" in found:
            said = load_peers.k6(found["k6"], folder, url, rate, options.seconds, 64)
            rounds.setdefault("k6, constant arrival rate", []).append(said)
        said = load_peers.locust(folder, url, rate, options.seconds, _USERS)
        rounds.setdefault(f"Locust, {_USERS} x constant_throughput", []).append(said)
        again, _ = paced.even()
        rounds.setdefault("sloproof again", []).append(again)
        poisson.append(paced.poisson())
    print(f"{f'{rate} a second, medians of {options.rounds}':<44}{'sent':>7}{'p50 ms':>10}{'p90 ms':>10}{'p99 ms':>10}")
    for name, own in rounds.items():
        sent_, *rest = (statistics.median(values) for values in zip(*map(_values, own), strict=True))
        print(Said(round(sent_), *rest).row(name))
    p50s = {name: [one.p50 for one in own] for name, own in rounds.items()}
    ours = p50s["sloproof, from the intended start"]
    print(f"noise, sloproof / sloproof: {paired(p50s['sloproof again'], ours)[1]}")
    met = []
    text = f"{rate} a second: p50 from the intended start at most {P50_GOAL:g} times vegeta's"
    if "vegeta" in p50s:
        print(f"from the send / vegeta: {paired(p50s['sloproof, from the send'], p50s['vegeta'])[1]}")
        figure, spread = paired(ours, p50s["vegeta"])
        met.append(goal(text, spread, is_met=figure <= P50_GOAL))
    else:
        met.append(goal(text, "no figure", is_met=False))
    least = statistics.median(paced.achieved)
    met.append(goal(f"{rate} a second: achieved at least {RATE_GOAL:.1%}", f"{least:.2%}", is_met=least >= RATE_GOAL))
    met.append(_shape_goal(rate, paced.uneven, poisson))
    return met


def _shape_goal(rate: int, uneven: Sequence[float], poisson: Sequence[bool]) -> bool:
    even = statistics.median(uneven)
    text = f"{rate} a second: gaps even within {EVEN_GOAL:.0%}; at random, Poisson by test in most rounds"
    figure = f"{even:.1%}, {sum(poisson)} of {len(poisson)} rounds"
    return goal(text, figure, is_met=even <= EVEN_GOAL and sum(poisson) > len(poisson) / 2)


def _chi_square(freedom: int, z: float) -> float:
    """Return a quantile of the chi-square distribution (Wilson and Hilferty)."""
    share = 2 / (9 * freedom)
    return float(freedom * (1 - share + z * math.sqrt(share)) ** 3)


def _values(said: Said) -> tuple[float, float, float, float]:
    return said.sent, said.p50, said.p90, said.p99


if __name__ == "__main__":
    main()
