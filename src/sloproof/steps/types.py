"""Kinds of values in sentences. Each is read once, here, so that a sentence means the same in every module."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sloproof.duration import parse_duration
from sloproof.errors import FeatureError


class Kind:
    """A kind of value, as the sentence parser takes one: what it looks like, and how it is read.

    Args:
        pattern: Regular expression of its text.
        read: Turns the text into the value.
    """

    def __init__(self, pattern: str, read: Callable[[str], Any] = str) -> None:
        self.pattern = pattern
        self._read = read

    def __call__(self, text: str) -> Any:
        """Return the value of a text.

        Raises:
            FeatureError: The text differs in case: sentences match whatever their case, values are taken to the letter.
        """
        if re.fullmatch(self.pattern, text) is None:
            raise FeatureError(f"expected a value like {self.pattern}, got {text!r}", hint="write it in that case")
        return self._read(text)


# Free values stand in quotes and hold none, so that no sentence can swallow the rest of another.
TYPES: dict[str, Callable[[str], Any]] = {
    "text": Kind(r'[^"]*'),
    "duration": Kind(r'[0-9][^"]*', parse_duration),
    "method": Kind(r"[A-Z]+"),
    "probe": Kind(r"liveness|readiness"),
    "severity": Kind(r"page|ticket"),
    "colour": Kind(r"green|red"),
    "quantity": Kind(r"rate|error ratio"),
}
