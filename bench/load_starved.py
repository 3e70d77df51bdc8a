"""A load source that is starved on purpose, 50 times: how often does its judge say something false?

The server is healthy and answers in 5 ms. Two claims are judged on each load: "p90 from the intended start is at most
50 ms", which is true, and "p50 is at least 25 ms", which is not. The source is stopped for a while, or shares its core
with others, or its wall clock is stepped; every fifth time it is left alone. False is a `fail` of the first claim, a
`pass` of the second, and any verdict but `inconclusive` after a step of the clock.

    python bench/load_starved.py [--trials 50] [--seed N]
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from load_world import conditions, goal, serving

from sloproof.belief import Belief
from sloproof.finding import Finding, Verdict
from sloproof.load.child_process import CHILD_COMMAND
from sloproof.load.driver import Driver, LoadResult
from sloproof.load.profile import Profile, RequestSpec

KINDS = ("stopped", "shared core", "clock stepped", "both stopped and shared", "left alone")
SECONDS, RATE = 1.2, 100


def child(folder: Path, core: int) -> list[str]:
    """Return a child program that stays on one core, tells its pid, and whose clock is off while a file is there."""
    code = (
        f"import os, sys, time; os.sched_setaffinity(0, {{{core}}})\n"
        f"open({str(folder / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        f"real = time.time_ns; time.time_ns = lambda: real() + 10**9 * os.path.exists({str(folder / 'step')!r})\n"
        "import runpy; sys.argv[:] = sys.argv[:1]; runpy.run_module('sloproof.load.child', run_name='__main__')"
    )
    return [*CHILD_COMMAND[:-2], "-c", code]


def trial(driver: Driver, folder: Path, kind: str, core: int, draw: random.Random) -> LoadResult:
    """Drive one load, and starve it."""
    mix = (RequestSpec(path="/", endpoint="/"),)
    # In the closed model as well: there nothing is late, and a source in want of a core just counts it as latency.
    shape = {"rate": RATE} if draw.random() < 0.5 else {"users": 4}
    spin = f"import os; os.sched_setaffinity(0, {{{core}}})\nwhile True: pass"
    with ExitStack() as stack:
        if "shared" in kind:
            for _ in range(draw.randint(2, 6)):
                spinner = stack.enter_context(subprocess.Popen([sys.executable, "-c", spin]))
                stack.callback(spinner.kill)
        running = driver.begin(Profile(mix=mix, duration_seconds=SECONDS, timeout_seconds=5, **shape), kind)  # type: ignore[arg-type]
        time.sleep(draw.uniform(0.1, 0.4))
        if "stopped" in kind:
            pid = int((folder / "pid").read_text())
            os.kill(pid, signal.SIGSTOP)
            time.sleep(draw.uniform(0.3, 0.6))
            os.kill(pid, signal.SIGCONT)
        if "clock" in kind:
            (folder / "step").touch()
            time.sleep(draw.uniform(0.25, 0.5))
            (folder / "step").unlink()
        return running.wait()


def verdicts(result: LoadResult) -> tuple[Verdict, Verdict]:
    """Judge the true claim and the false one."""
    belief = Belief()
    belief.since(result.window.start)
    belief.note(result.window.end, result.doubts)
    p50, p90 = (result.ledger.quantile(q, from_="intended") for q in (0.5, 0.9))
    assert p50 is not None
    assert p90 is not None
    claims = (p90.total_seconds() <= 0.050, p50.total_seconds() >= 0.025)
    found = (Finding("load", Verdict.PASS if holds else Verdict.FAIL, "c", "e", "m") for holds in claims)
    true, false = (belief.judge(one, ()).verdict for one in found)
    return true, false


def is_false(kind: str, true: Verdict, false: Verdict) -> bool:
    """Return whether the verdicts on the true claim and on the false one say something that is not so."""
    is_doubtless = "clock" in kind and {true, false} != {Verdict.INCONCLUSIVE}
    return true is Verdict.FAIL or false is Verdict.PASS or is_doubtless


def main() -> None:
    """Try, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    options = parser.parse_args()
    draw = random.Random(options.seed)
    core = max(os.sched_getaffinity(0))
    seen: Counter[tuple[str, Verdict, Verdict]] = Counter()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        target = stack.enter_context(serving(folder))
        target.control(delay=5)
        driver = stack.enter_context(
            Driver(base_url=target.url, ledger_dir=folder / "ledger", run_id="bench", command=child(folder, core))
        )
        print(f"seed {options.seed}; {conditions({})}", flush=True)
        for number in range(options.trials):
            kind = KINDS[number % len(KINDS)]
            seen[kind, *verdicts(trial(driver, folder, kind, core, draw))] += 1
    for (kind, true, false), count in sorted(seen.items()):
        print(f"{kind:<26}{count:>3} x  true claim: {true:<14}false claim: {false}")
    wrong = sum(
        count
        for (kind, true, false), count in seen.items()
        if true is Verdict.FAIL
        or false is Verdict.PASS
        or ("clock" in kind and {true, false} != {Verdict.INCONCLUSIVE})
    )
    text = f"{options.trials} loads, most of them starved: no false pass and no false fail"
    raise SystemExit(not goal(text, f"{wrong} false", is_met=not wrong))


if __name__ == "__main__":
    main()
