"""What OpenSLO has no field for: annotations under our own prefix, on an SLO, a policy or a condition."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from sloproof.duration import parse_duration
from sloproof.errors import SettingsError
from sloproof.slo.documents.openslo import Metadata
from sloproof.slo.documents.problem import Problems
from sloproof.slo.documents.shape import nearest_text
from sloproof.slo.ledger_query import parse_ledger_query
from sloproof.slo.model import NoData, Place, Truth

T = TypeVar("T")

PREFIX = "sloproof/"
SHORT_WINDOW = "short-window"
MIN_EVENTS, NO_DATA, MISSING_AFTER = "min-events", "no-data", "missing-after"
TRUTH_BAD, TRUTH_TOTAL, FAULT = "truth-bad", "truth-total", "fault"
OF_SLO = (MIN_EVENTS, NO_DATA, MISSING_AFTER, TRUTH_BAD, TRUTH_TOTAL, FAULT)
OF_POLICY = (SHORT_WINDOW,)


@dataclass(frozen=True, slots=True)
class SloExtensions:
    """What an SLO's annotations say; see `model.Objective` for each.

    Attributes:
        missing_after: None where nothing is said, zero for never.
    """

    min_events: int = 0
    no_data: NoData = NoData.UNKNOWN
    missing_after: timedelta | None = None
    truth: Truth | None = None
    fault: str = ""


def extensions_of(metadata: Metadata, problems: Problems) -> SloExtensions:
    """Return what the annotations of an SLO say; what is wrong with them goes to the problems."""
    own = own_annotations(metadata, OF_SLO, problems)

    def read(name: str, parse: Callable[[str], T], default: T) -> T:
        if name not in own:
            return default
        place = annotation_place(metadata, name)
        return parsed(place, own[name], parse, problems, default)

    bad = read(TRUTH_BAD, _ledger_text, "")
    total = read(TRUTH_TOTAL, _ledger_text, "")
    if (TRUTH_BAD in own) != (TRUTH_TOTAL in own):
        given, absent = (TRUTH_BAD, TRUTH_TOTAL) if TRUTH_BAD in own else (TRUTH_TOTAL, TRUTH_BAD)
        problems.add(
            annotation_place(metadata, given), "annotation",
            f"expected {PREFIX}{TRUTH_BAD} and {PREFIX}{TRUTH_TOTAL}, got only the first named of {given}, {absent}",
            f"add {PREFIX}{absent}: a ratio needs both",
        )  # fmt: skip
    return SloExtensions(
        read(MIN_EVENTS, _count, 0),
        read(NO_DATA, _no_data, NoData.UNKNOWN),
        read(MISSING_AFTER, _missing_after, None),
        Truth(bad, total) if bad and total else None,
        read(FAULT, _json_object, ""),
    )


def own_annotations(metadata: Metadata | None, known: tuple[str, ...], problems: Problems) -> Mapping[str, str]:
    """Return the annotations under our prefix without it; those that are not known there are problems."""
    own: dict[str, str] = {}
    for key, text in ((metadata.annotations if metadata else None) or {}).items():
        name = key.removeprefix(PREFIX)
        if not key.startswith(PREFIX):
            continue
        if name in known:
            own[name] = text
        elif metadata is not None:
            problems.add(
                annotation_place(metadata, name), "annotation",
                f"expected an annotation that is known here, got {key}",
                nearest_text(key, [PREFIX + one for one in known]) if known else "remove it",
            )  # fmt: skip
    return own


def annotation_place(metadata: Metadata, name: str) -> Place:
    """Return where an annotation of ours stands."""
    return metadata.at(f"annotations.{PREFIX}{name}")


def parsed(place: Place, text: str, parse: Callable[[str], T], problems: Problems, default: T) -> T:
    """Return what a text says, or the default with a problem added."""
    try:
        return parse(text)
    except SettingsError as error:
        problems.add(place, "annotation", error.headline, error.details.get("hint", "write it so"))
        return default


def positive_duration(text: str) -> timedelta:
    """Return a duration in Prometheus' words that is longer than nothing."""
    found = parse_duration(text)
    if not found:
        raise SettingsError(f"expected a duration above 0, got {text!r}", hint='write it as "5m" or "30s"')
    return found


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise SettingsError(f"expected a whole number of events, got {text!r}", hint='write it as "100"')
    return int(text)


def _no_data(text: str) -> NoData:
    try:
        return NoData(text)
    except ValueError:
        options = [one.value for one in NoData]
        raise SettingsError(
            f"expected {', '.join(options)} for missing data, got {text!r}", hint=nearest_text(text, options)
        ) from None


def _missing_after(text: str) -> timedelta | None:
    return timedelta(0) if text == "never" else positive_duration(text)


def _ledger_text(text: str) -> str:
    parse_ledger_query(text)
    return text


def _json_object(text: str) -> str:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise SettingsError(f"expected a JSON object, got {text!r}: {error}", hint='write it as {"name": 1}') from None
    if not isinstance(found, dict):
        raise SettingsError(f"expected a JSON object, got {text!r}", hint='write it as {"name": 1}')
    return text
