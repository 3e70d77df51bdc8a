"""A machine with a Minikube that does what a test tells it to."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sloproof.environment.kube.minikube import Minikube
from sloproof.environment.kube.minikube_node import NodeFacts
from sloproof.environment.kube.minikube_wish import OWNER_LABEL, MinikubeWish
from sloproof.errors import UnavailableError

FAKE = Path(__file__).with_name("fake_minikube.py")
PROFILE = "ours"
WISH = MinikubeWish(
    profile=PROFILE,
    kubernetes_version="v1.33.1",
    container_runtime="containerd",
    cpus=2,
    memory_mb=4096,
    driver="docker",
    arguments=("--nodes=1", "--wait=all"),
    minikube=">=1.36, <1.40",
)


@dataclass
class Heard:
    """Progress that remembers."""

    lines: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    open: int = 0

    def start(self, subject: str, text: str) -> None:
        self.open += 1
        self.lines.append(text)

    def advance(self, subject: str, done: int, total: int | None) -> None:
        raise AssertionError("minikube tells no bytes")

    def tick(self, subject: str, detail: str) -> None:
        self.lines.append(detail)

    def finish(self, subject: str, text: str) -> None:
        self.open -= 1
        self.lines.append(text)

    def note(self, subject: str, text: str) -> None:
        self.notes.append(text)


class MinikubeWorld:
    """The fake program's file, and a `Minikube` that runs it."""

    def __init__(self, folder: Path, *, is_new: bool = True) -> None:
        self.folder = folder
        self.file = folder / "world.json"
        self.state_dir = folder / "state"
        self.node_mark: str | None = None
        if is_new:
            empty: dict[str, Any] = {"profiles": {}, "invalid": [], "starts": [], "archives": {}, "calls": []}
            self.file.write_text(json.dumps(empty | {"version": "v1.36.0"}))

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-S", str(FAKE), str(self.file)]

    def minikube(self) -> Minikube:
        """Return one as a new process would make it; the fake's interpreter stands in front as a prefix would."""
        runner = self.folder / "minikube"
        runner.write_text(f'#!/bin/sh\nexec {" ".join(self.command)} "$@"\n')
        runner.chmod(0o755)
        return Minikube(
            [str(runner)], state_dir=self.state_dir, environ=os.environ, home=self.folder / "home", look=self.look
        )

    def look(self, kubeconfig: Path, context: str) -> NodeFacts:
        """Answer as the API server of the profile that a kubeconfig file leads to."""
        profile = self.read()["profiles"][context]
        if profile["status"] != "Running" or not kubeconfig.exists():
            raise UnavailableError("expected an API server, but nothing answers")
        kubernetes = profile["config"]["KubernetesConfig"]
        labels = next((one["Value"] for one in kubernetes["ExtraOptions"] if one["Key"] == "node-labels"), "")
        mark = dict(pair.split("=") for pair in labels.split(",") if pair).get(OWNER_LABEL, "")
        return NodeFacts(
            owner=mark if self.node_mark is None else self.node_mark,
            ip=profile["config"]["Nodes"][0]["IP"],
            kubelet=kubernetes["KubernetesVersion"],
            runtime="containerd://1.7.27",
        )

    def read(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.file.read_text())
        return content

    def set(self, **values: Any) -> None:
        """Change how the next calls go."""
        self.file.write_text(json.dumps(self.read() | values))

    def alter(self, profile: str, **values: Any) -> None:
        """Change a profile behind everybody's back."""
        content = self.read()
        content["profiles"][profile].update(values)
        self.file.write_text(json.dumps(content))

    def add_foreign(self, profile: str = PROFILE) -> None:
        """Make a profile as somebody else would."""
        content = self.read()
        content["profiles"][profile] = {
            "config": {
                "Driver": "docker", "CPUs": 2, "Memory": 4096, "Nodes": [{"IP": "192.0.2.9"}],
                "KubernetesConfig": {"KubernetesVersion": "v1.33.1", "ContainerRuntime": "containerd"},
            },
            "status": "Running",
            "images": {},
        }  # fmt: skip
        self.file.write_text(json.dumps(content))

    def calls(self, name: str) -> list[list[str]]:
        """Return the calls of a subcommand, oldest first."""
        return [words for words in self.read()["calls"] if words[0] == name]
