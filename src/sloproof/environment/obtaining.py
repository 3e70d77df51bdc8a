"""What the ways of obtaining a tool have in common: what they hand over, how they decline, whom they tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from sloproof.errors import ToolError

Source = Literal["release", "module"]


@dataclass(frozen=True, slots=True)
class Obtained:
    """The programs of one bundle, verified, in a scratch folder.

    Attributes:
        files: Tool name to its program.
        origin: The way they came.
        source: The archive's URL, or the module and its version.
        proof: The archive's SHA-256, or the module's checksum.
    """

    files: Mapping[str, Path]
    origin: Source
    source: str
    proof: str


class NotServedError(ToolError):
    """This way of obtaining a tool does not serve here, harmlessly: the next one is tried, and the reason kept."""


class Progress(Protocol):
    """Told how obtaining goes. `subject` is the name of a bundle; every `start` is followed by one `finish`."""

    def start(self, subject: str, text: str) -> None:
        """Hear that something that takes time begins."""

    def advance(self, subject: str, done: int, total: int | None) -> None:
        """Hear how many bytes have come, of how many, if that is known; called often."""

    def tick(self, subject: str, detail: str) -> None:
        """Hear that work without a known end goes on; called often."""

    def finish(self, subject: str, text: str) -> None:
        """Hear that it is over, and how it ended."""

    def note(self, subject: str, text: str) -> None:
        """Hear something the user should know, such as why a way did not serve."""


class Silence:
    """Progress for those who do not want to hear."""

    def start(self, subject: str, text: str) -> None:
        """Do nothing."""

    def advance(self, subject: str, done: int, total: int | None) -> None:
        """Do nothing."""

    def tick(self, subject: str, detail: str) -> None:
        """Do nothing."""

    def finish(self, subject: str, text: str) -> None:
        """Do nothing."""

    def note(self, subject: str, text: str) -> None:
        """Do nothing."""
