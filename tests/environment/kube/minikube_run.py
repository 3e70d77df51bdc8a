"""A run that ensures a profile in a process of its own, to be interrupted or killed.

python -m tests.environment.kube.minikube_run fake FOLDER
python -m tests.environment.kube.minikube_run real STATE_DIR PROFILE PREFIX EXTRA_ARGS
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from sloproof.environment.kube.minikube import Minikube
from sloproof.environment.kube.minikube_wish import load_wish
from tests.environment.kube.minikube_world import WISH, MinikubeWorld

PINS = Path(__file__).parents[3] / "platform" / "minikube.yaml"


class Aloud:
    """Progress on standard output, a line each."""

    def start(self, subject: str, text: str) -> None:
        print(text, flush=True)

    def advance(self, subject: str, done: int, total: int | None) -> None:
        """Minikube tells no bytes."""

    def tick(self, subject: str, detail: str) -> None:
        print(detail, flush=True)

    def finish(self, subject: str, text: str) -> None:
        print(text, flush=True)

    def note(self, subject: str, text: str) -> None:
        print(f"note: {text}", flush=True)


def main() -> None:
    """Ensure it, and tell how."""
    if sys.argv[1] == "fake":
        cluster = MinikubeWorld(Path(sys.argv[2]), is_new=False).minikube().ensure(WISH, reuse=True, progress=Aloud())
    else:
        _, _, state_dir, profile, command, extra = sys.argv
        minikube = Minikube(shlex.split(command), state_dir=Path(state_dir), environ=os.environ)
        wish = load_wish(PINS, profile=profile, memory_mb=2500, extra_args=shlex.split(extra))
        cluster = minikube.ensure(wish, reuse=True, progress=Aloud())
    print(f"ended: {cluster.how}", flush=True)


if __name__ == "__main__":
    main()
