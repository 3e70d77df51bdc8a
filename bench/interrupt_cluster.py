"""Runs on a cluster that are killed at random moments: the next one recovers by itself.

    python bench/interrupt_cluster.py 20 --env kube --kube-context NAME [--seed 1]
    python bench/interrupt_cluster.py 20 --env minikube

Each time one victim is killed without warning: pytest itself, or a helm, kubectl or minikube that it runs just then.
Then a run of one scenario must come up and pass with no help. What is not sloproof's must be the same before and after:
namespaces with their identity, the user's own kubeconfig file to the byte, and Minikube's other profiles.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import shlex
import subprocess
import sys
import time
from pathlib import Path

import psutil
from world import ROOT, goal, machine_noise

_SCENARIO = "features/three_way_count.feature"
_VICTIMS = ("pytest", "helm", "kubectl", "minikube")
_PATIENCE = 600
_WAIT_SECONDS = 60.0


def start(options: argparse.Namespace, reports: Path, *more: str) -> subprocess.Popen[str]:
    """Start a run of one feature."""
    where = ["--kube-context", options.kube_context] if options.kube_context else []
    command = [sys.executable, "-m", "pytest", _SCENARIO, "-q", "--env", options.env, *where]
    return subprocess.Popen(
        [*command, "--report-dir", str(reports), *more],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def victim_of(run: subprocess.Popen[str], wanted: str, delay: float) -> psutil.Process | None:
    """Return the process to kill: the next of that name among the run's own, else the run; None if it is over."""
    root = psutil.Process(run.pid)
    begin = time.monotonic()
    while run.poll() is None:
        is_time = time.monotonic() > begin + delay
        if is_time and (wanted == "pytest" or time.monotonic() > begin + delay + _WAIT_SECONDS):
            return root
        with contextlib.suppress(psutil.Error):
            for child in root.children(recursive=True) if is_time else ():
                if child.name() == wanted:
                    return child
        time.sleep(0.005)
    return None


def foreign(options: argparse.Namespace) -> dict[str, object]:
    """Return what is not sloproof's, each with what would show that it was touched."""
    config = Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
    found: dict[str, object] = {
        "kubeconfig": hashlib.sha256(config.read_bytes()).hexdigest() if config.is_file() else "none",
    }
    if options.kube_context:
        words = ["get", "namespaces", "-l", "app.kubernetes.io/managed-by!=sloproof", "-o", "json"]
        done = subprocess.run(
            ["kubectl", "--context", options.kube_context, *words], capture_output=True, text=True, check=True
        )
        found["namespaces"] = {
            one["metadata"]["name"]: one["metadata"]["uid"] for one in json.loads(done.stdout)["items"]
        }
    else:
        minikube = shlex.split(os.environ.get("SLOPROOF_MINIKUBE", "minikube"))
        done = subprocess.run([*minikube, "profile", "list", "-o", "json"], capture_output=True, text=True, check=False)
        profiles = json.loads(done.stdout).get("valid") or []
        found["profiles"] = sorted(one["Name"] for one in profiles if one["Name"] != "sloproof")
    return found


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
    victims = [name for name in _VICTIMS if name != "minikube" or options.env == "minikube"]
    reports = Path(os.environ.get("TMPDIR", "/tmp")) / f"sloproof-interrupt-{os.getpid()}"
    before = foreign(options)
    recovered = 0
    for number in range(1, options.times + 1):
        run, started = start(options, reports), time.monotonic()
        wanted = chance.choice(victims)
        # Helm is run in the first seconds only, and Minikube at both ends.
        delay = chance.uniform(0.5, options.longest if wanted in ("pytest", "minikube") else options.longest / 6)
        victim = victim_of(run, wanted, delay)
        name = "nothing: it had ended"
        if victim is not None:
            with contextlib.suppress(psutil.Error):
                name = victim.name() if victim.pid != run.pid else "pytest"
                victim.kill()
        killed = time.monotonic()
        run.communicate(timeout=_PATIENCE)
        begin = time.monotonic()
        again = start(options, reports, "-k", "usual_mix")
        said = again.communicate(timeout=_PATIENCE)[0]
        is_well = again.returncode == 0
        recovered += is_well
        print(
            f"{number:3}: killed {name} after {killed - started:.1f} s (status {run.returncode}); "
            f"next run {'passed' if is_well else 'DID NOT PASS'} in {time.monotonic() - begin:.0f} s",
            flush=True,
        )
        if not is_well:
            print(said[-3000:])
    after = foreign(options)
    touched = [name for name in before if before[name] != after[name]]
    return goal(
        f"{options.times} runs killed at random moments, the next recovers each time, nothing foreign touched",
        f"{recovered} recovered, {' and '.join(touched) + ' CHANGED' if touched else ', '.join(before) + ' the same'}",
        is_met=recovered == options.times and not touched,
    )


if __name__ == "__main__":
    sys.exit(main())
