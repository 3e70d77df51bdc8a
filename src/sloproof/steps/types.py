"""Kinds of values in sentences. Each is read once, here, so that a sentence means the same in every module."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import parse

from sloproof.duration import parse_duration


@parse.with_pattern(r'[^"]*')
def _text(text: str) -> str:
    return text


@parse.with_pattern(r"[0-9][^\"]*")
def _duration(text: str) -> timedelta:
    return parse_duration(text)


@parse.with_pattern(r"[A-Z]+")
def _method(text: str) -> str:
    return text


@parse.with_pattern(r"liveness|readiness")
def _probe(text: str) -> str:
    return text


@parse.with_pattern(r"green|red")
def _colour(text: str) -> str:
    return text


@parse.with_pattern(r"rate|error ratio")
def _quantity(text: str) -> str:
    return text


# Free values stand in quotes and hold none, so that no sentence can swallow the rest of another.
TYPES: dict[str, Callable[[str], Any]] = {"text": _text, "duration": _duration, "method": _method, "probe": _probe,
                                             "colour": _colour, "quantity": _quantity}
