"""What minikube tells while it works: the CloudEvents of `--output=json`, and how far they say it is."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from sloproof.environment.obtaining import Progress

Level = Literal["info", "warning", "error"]

_PREFIX = "io.k8s.sigs.minikube."
_CELLS = 20
_KEPT = 20
_LEVELS: dict[str, Level] = {"info": "info", "warning": "warning", "error": "error"}
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class _CloudEvent(msgspec.Struct, frozen=True):
    type: str
    data: dict[str, Any] = {}

    def text(self, key: str) -> str:
        """Return a value as text; empty where there is none."""
        value = self.data.get(key)
        return "" if value is None else _COLOUR.sub("", str(value)).strip()


@dataclass(frozen=True, slots=True)
class Step:
    """A stage begins. Numbers are skipped, repeated, and missing where a start makes a detour."""

    number: int | None
    total: int | None
    name: str
    message: str


@dataclass(frozen=True, slots=True)
class Download:
    """A file is being fetched; `fraction` is between 0 and 1, None where it is not told."""

    artifact: str
    fraction: float | None


@dataclass(frozen=True, slots=True)
class Said:
    """A remark. An error among them need not be the end: a start that succeeds emits some."""

    level: Level
    message: str


@dataclass(frozen=True, slots=True)
class Fatal:
    """The error that it ends with.

    Attributes:
        exit_code: The status it is about to exit with.
        name: The reason's id, such as `PROVIDER_DOCKER_NOT_RUNNING`.
        message: What happened.
        advice: What minikube advises; empty where it does not.
        url: Where it says more.
    """

    exit_code: int
    name: str
    message: str
    advice: str
    url: str


Event = Step | Download | Said | Fatal


def parse_event(line: str) -> Event | None:
    """Return the event in a line; None for a line that is none, or of a kind that tells nothing."""
    try:
        event = msgspec.json.decode(line, type=_CloudEvent)
    except msgspec.DecodeError:
        return None
    kind = event.type.removeprefix(_PREFIX)
    if kind == "step":
        number, total = _whole(event.text("currentstep")), _whole(event.text("totalsteps"))
        return Step(number, total, event.text("name"), event.text("message"))
    if kind in {"download", "download.progress"}:
        return Download(event.text("artifact"), _fraction(event.text("progress")))
    exit_code = _whole(event.text("exitcode"))
    if kind == "error" and exit_code is not None:
        return Fatal(exit_code, event.text("name"), event.text("message"), event.text("advice"), event.text("url"))
    level = _LEVELS.get(kind)
    return Said(level, event.text("message")) if level else None


class Told:
    """All that one call of minikube has told; `hear` takes its lines in order.

    Args:
        subject: Whose progress it is.
        progress: Told of each stage.
    """

    def __init__(self, subject: str, progress: Progress) -> None:
        self.step = 0
        self.total = 0
        self.stage = ""
        self.fatal: Fatal | None = None
        self.remarks: list[Said] = []
        self._subject = subject
        self._progress = progress

    def hear(self, line: str) -> None:
        """Take a line of its output."""
        match parse_event(line):
            case Step(number, total, name, message):
                # Never backwards: "Enabling Addons" may come before "Verifying Kubernetes".
                self.step, self.total = max(self.step, number or 0), max(self.total, total or 0)
                self.stage = name or message or self.stage
                self._progress.tick(self._subject, self.text())
            case Download(artifact, fraction):
                share = "" if fraction is None else f" {fraction:.0%}"
                self._progress.tick(self._subject, f"{self.text()}, fetching {artifact}{share}")
            case Fatal() as fatal:
                self.fatal = fatal
            case Said(level, message) as remark if level != "info" and message:
                self.remarks = [*self.remarks, remark][-_KEPT:]

    def text(self) -> str:
        """Return how far it is, in one line."""
        if not self.total:
            return self.stage.lower()
        full = round(_CELLS * min(self.step / self.total, 1))
        return f"{'━' * full}{'╌' * (_CELLS - full)} {self.step} of {self.total}, {self.stage.lower()}"

    def troubles(self) -> str:
        """Return its warnings and errors, one a line, the fatal one last."""
        lines = [one.message for one in self.remarks]
        if self.fatal:
            lines.append(f"{self.fatal.name}: {self.fatal.message}" if self.fatal.name else self.fatal.message)
        return "\n".join(dict.fromkeys(lines))


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _fraction(text: str) -> float | None:
    try:
        share = float(text)
    except ValueError:
        return None
    return None if math.isnan(share) else min(max(share, 0.0), 1.0)
