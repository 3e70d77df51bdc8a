"""Real clusters on a machine that has the `cluster` tool: built once, started for a test, gone afterwards.

The tool is no part of the project. It is taken from `SLOPROOF_CLUSTER_TOOL`, else from where it lies beside a checkout.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BESIDE = ROOT.parent / "shared" / "cluster" / "cluster"
_BUILD_SECONDS = 3600
# What was done, for the closing lines.
TOLD = pytest.StashKey[list[str]]()


class CannotStart(Exception):  # noqa: N818 - what the tool says, not a fault of ours
    """The tool cannot bring a cluster up here; the text is why."""


@dataclass(frozen=True)
class ClusterTool:
    """The tool, and how long each of its parts took, in seconds."""

    program: Path
    took: dict[str, float] = field(default_factory=dict)

    def prepare(self) -> None:
        """Build what is not built yet.

        Raises:
            CannotStart: It does not work here.
        """
        self._run("build", seconds=_BUILD_SECONDS)
        self._run("base-image", seconds=600)

    @contextmanager
    def minikube(self) -> Iterator[Mapping[str, str]]:
        """Yield the environment variables on which `--env minikube` works; nothing is left of it afterwards."""
        try:
            self._run("minikube", "prepare", seconds=300)
            told = subprocess.run(
                ["bash", "-c", f'eval "$({self.program} minikube env)" && env -0'], capture_output=True, check=True
            ).stdout
            variables = dict(one.decode().split("=", 1) for one in told.split(b"\0") if one)
            yield {**variables, **self._images(), "SLOPROOF_MINIKUBE": f"{self.program} exec -- minikube"}
        finally:
            self._stop("minikube", "stop")

    @contextmanager
    def bare(self) -> Iterator[Mapping[str, str]]:
        """Yield the environment variables on which `--env kube` works; nothing is left of it afterwards."""
        try:
            kubeconfig = self._run("up", seconds=300).strip().splitlines()[-1]
            path = subprocess.run(
                [self.program, "exec", "--", "bash", "-c", "echo $PATH"], capture_output=True, text=True, check=True
            ).stdout.strip()
            yield {
                **os.environ,
                **self._images(),
                "PATH": path,
                "KUBECONFIG": kubeconfig,
                "SLOPROOF_IMAGE_LOAD": f"{self.program} load {{archive}}",
            }
        finally:
            self._stop("down")

    def _images(self) -> dict[str, str]:
        return {
            "SLOPROOF_IMAGE_BUILD": f"{self.program} docker-build -t {{tag}} -f {{dockerfile}} {{context}}",
            "SLOPROOF_BASE_IMAGE": "local/python:3.11-slim",
            "SLOPROOF_TOOL_IMAGES": "tools",
        }

    def _run(self, *words: str, seconds: float) -> str:
        begin = time.monotonic()
        try:
            done = subprocess.run([self.program, *words], capture_output=True, text=True, timeout=seconds, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CannotStart(f"cluster {' '.join(words)}: {error}") from error
        self.took[f"cluster {' '.join(words)}"] = time.monotonic() - begin
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()[-3:]
            raise CannotStart(f"cluster {' '.join(words)} ended with status {done.returncode}: {' | '.join(said)}")
        return done.stdout

    def _stop(self, *words: str) -> None:
        subprocess.run([self.program, *words], capture_output=True, timeout=180, check=False)


def find_tool() -> ClusterTool:
    """Return the tool.

    Raises:
        CannotStart: There is none, or it cannot work here.
    """
    program = Path(os.environ.get("SLOPROOF_CLUSTER_TOOL") or BESIDE)
    if not program.is_file():
        raise CannotStart(f"there is no cluster tool at {program}")
    if os.geteuid() != 0:
        raise CannotStart("the cluster tool needs root")
    return ClusterTool(program)
