"""Runs on a cluster that are killed at random moments: the next one recovers by itself.

    python bench/interrupt_cluster.py 20 --env kube --kube-context NAME [--seed 1]
    python bench/interrupt_cluster.py 20 --env minikube

Each time one victim is killed without warning: pytest itself, or a helm, kubectl or minikube that it runs just then.
Then a run of one scenario must come up and pass with no help, or name the one command to run. Namespaces that are not
sloproof's must be the same before and after.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import psutil
from world import ROOT, goal, machine_noise

_SCENARIO = "features/three_way_count.feature"
_VICTIMS = ("pytest", "helm", "kubectl", "minikube")
_PATIENCE = 600
_WAIT_SECONDS = 15.0


def start(options: argparse.Namespace, reports: Path, *more: str) -> subprocess.Popen[str]:
    """Start a run of one feature."""
    where = ["--kube-context", options.kube_context] if options.kube_context else []
    command = [sys.executable, "-m", "pytest", _SCENARIO, "-q", "--env", options.env, *where]
    return subprocess.Popen(
        [*command, "--report-dir", str(reports), *more],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def victim_of(run: subprocess.Popen[str], wanted: str) -> psutil.Process:
    """Return the process to kill: the next of that name among the run's own, else the run itself."""
    root = psutil.Process(run.pid)
    end = time.monotonic() + _WAIT_SECONDS
    while wanted != "pytest" and time.monotonic() < end and run.poll() is None:
        with contextlib.suppress(psutil.Error):
            for child in root.children(recursive=True):
                if child.name() == wanted:
                    return child
        time.sleep(0.01)
    return root


def foreign_namespaces(options: argparse.Namespace) -> set[str]:
    """Return the namespaces that are not sloproof's; none where the cluster is the run's own."""
    if not options.kube_context:
        return set()
    words = ["get", "namespaces", "-l", "app.kubernetes.io/managed-by!=sloproof", "-o", "name"]
    done = subprocess.run(
        ["kubectl", "--context", options.kube_context, *words], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def main() -> int:
    """Kill, recover, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("times", type=int, nargs="?", default=20)
    parser.add_argument("--env", default="kube")
    parser.add_argument("--kube-context", default="")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=float, default=30.0, help="kill after at most so many seconds")
    options = parser.parse_args()
    print(machine_noise(), flush=True)
    chance = random.Random(options.seed)
    reports = Path(os.environ.get("TMPDIR", "/tmp")) / f"sloproof-interrupt-{os.getpid()}"
    before = foreign_namespaces(options)
    recovered = 0
    for number in range(1, options.times + 1):
        run = start(options, reports)
        delay, wanted = chance.uniform(0.5, options.longest), chance.choice(_VICTIMS)
        time.sleep(delay)
        ended = run.poll() is not None
        name = "nothing: it had ended"
        if not ended:
            victim = victim_of(run, wanted)
            name = "pytest" if victim.pid == run.pid else wanted
            with contextlib.suppress(psutil.Error):
                victim.kill()
        run.communicate(timeout=_PATIENCE)
        begin = time.monotonic()
        again = start(options, reports, "-k", "usual_mix")
        said = again.communicate(timeout=_PATIENCE)[0]
        is_well = again.returncode == 0
        recovered += is_well
        print(
            f"{number:3}: killed {name} after {delay:.1f} s (status {run.returncode}); "
            f"next run {'passed' if is_well else 'DID NOT PASS'} in {time.monotonic() - begin:.0f} s",
            flush=True,
        )
        if not is_well:
            print(said[-3000:])
    untouched = foreign_namespaces(options) == before
    return goal(
        f"{options.times} runs killed at random moments, the next recovers each time, nothing foreign touched",
        f"{recovered} recovered, namespaces {'the same' if untouched else 'CHANGED'}",
        is_met=recovered == options.times and untouched,
    )


if __name__ == "__main__":
    sys.exit(main())
