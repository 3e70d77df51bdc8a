"""Runs on a cluster that are killed at random moments: the next one recovers by itself.

    python bench/interrupt_cluster.py 20 --env kube --kube-context NAME [--seed 1]
    python bench/interrupt_cluster.py 20 --env minikube

Each time one victim is killed without warning: pytest itself, or a helm, kubectl or minikube that it runs, at a random
moment of that one's life. kubectl is met as the way to the monitoring, from when all is ready to the end.
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
# Of a helm that asks for its own version nothing is left behind.
_ASKS = {"helm": "--kube-context", "kubectl": "proxy"}
# How long it has run when it is killed, at most: about as long as it does run.
# Of a profile that runs already Minikube is only asked.
_LIVES = {"helm": 2.0, "kubectl": 8.0, "minikube": 30.0}


def start(options: argparse.Namespace, reports: Path, *more: str) -> subprocess.Popen[str]:
    """Start a run of one feature."""
    where = ["--kube-context", options.kube_context] if options.kube_context else []
    command = [sys.executable, "-m", "pytest", _SCENARIO, "-q", "--env", options.env, *where]
    more = (*more, "--env-reuse") if options.reuse else more
    return subprocess.Popen(
        [*command, "--report-dir", str(reports), *more],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def victim_of(run: subprocess.Popen[str], wanted: str, delay: float) -> psutil.Process | None:
    """Return the process to kill: one of that name among the run's own, or the run; None if it is over.

    Args:
        run: The run.
        wanted: The name.
        delay: Seconds that it has run before it is killed; of one that ends sooner, the next is taken.
    """
    root = psutil.Process(run.pid)
    while run.poll() is None:
        with contextlib.suppress(psutil.Error):
            for one in [root] if wanted == "pytest" else root.children(recursive=True):
                is_it = one is root or (one.name() == wanted and _ASKS.get(wanted, wanted) in " ".join(one.cmdline()))
                if is_it and time.time() - one.create_time() >= delay:
                    return one
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
    parser.add_argument("--longest", type=float, default=30.0, help="kill pytest after at most so many seconds")
    parser.add_argument("--reuse", action="store_true", help="on what the run before has kept, killed or not")
    parser.add_argument("--victims", nargs="+", choices=_VICTIMS, default=_VICTIMS, help="in turn (default: all)")
    options = parser.parse_args()
    print(machine_noise(), flush=True)
    chance = random.Random(options.seed)
    victims = [name for name in options.victims if name != "minikube" or options.env == "minikube"]
    lives = {**_LIVES, "minikube": 0.5} if options.reuse else _LIVES
    reports = Path(os.environ.get("TMPDIR", "/tmp")) / f"sloproof-interrupt-{os.getpid()}"
    before = foreign(options)
    recovered = 0
    for number in range(1, options.times + 1):
        run, started = start(options, reports), time.monotonic()
        wanted = victims[number % len(victims)]
        delay = chance.uniform(0.0, lives.get(wanted, options.longest))
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
