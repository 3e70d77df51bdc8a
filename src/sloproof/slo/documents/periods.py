"""From an SLO's time window to its period."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from sloproof.errors import SettingsError
from sloproof.slo.calendar import nominal_length
from sloproof.slo.documents.openslo import CalendarWindow, SloSpec, TimeWindow
from sloproof.slo.documents.openslo_duration import parse_openslo_duration
from sloproof.slo.documents.problem import Problems
from sloproof.slo.documents.shape import nearest_text
from sloproof.slo.model import Calendar, Period, Place, Rolling

DEFAULT_PERIOD = Rolling(timedelta(days=30))
_SHORTEST, _LONGEST = timedelta(hours=1), timedelta(days=366)
_FORMAT = "%Y-%m-%d %H:%M:%S"


def period_of(spec: SloSpec, problems: Problems) -> Period | None:
    """Return the period of an SLO, 30 days rolling where it names none; None where it is wrong, with problems added."""
    if spec.time_window is None:
        return DEFAULT_PERIOD
    if len(spec.time_window) != 1:
        problems.add(
            spec.at("timeWindow"), "time-window", f"expected exactly one time window, got {len(spec.time_window)}",
            "write an SLO for each: a budget is for one period",
        )  # fmt: skip
        return None
    window = spec.time_window[0]
    try:
        number, unit = parse_openslo_duration(window.duration)
    except SettingsError as error:
        problems.add(window.at("duration"), "duration", error.headline, error.details["hint"])
        return None
    if window.calendar is None:
        found: Period | None = _rolling(window, number, unit, problems)
    else:
        found = _calendar(window, window.calendar, number, unit, problems)
    if found is not None and not _SHORTEST <= nominal_length(found) <= _LONGEST:
        hint = "m is minutes, M is months" if unit == "m" else "shorten or lengthen it"
        problems.add(
            window.at("duration"),
            "time-window",
            f"expected a period from one hour to a year, got {window.duration}",
            hint,
        )
        return None
    return found


def _rolling(window: TimeWindow, number: int, unit: str, problems: Problems) -> Rolling | None:
    if not window.is_rolling:
        problems.add(
            window.at("isRolling"), "time-window", "expected isRolling: true or a calendar, got neither",
            "add isRolling: true, or calendar with startTime and timeZone",
        )  # fmt: skip
        return None
    return Rolling(nominal_length(Calendar(number, unit, datetime.min, ZoneInfo("UTC"))))  # noqa: DTZ901 - not a time


def _calendar(
    window: TimeWindow, calendar: CalendarWindow, number: int, unit: str, problems: Problems
) -> Calendar | None:
    if window.is_rolling:
        problems.add(
            window.at("isRolling"), "time-window", "expected isRolling: false beside a calendar, got true",
            "remove isRolling, or the calendar",
        )  # fmt: skip
        return None
    start = _start(calendar, problems)
    zone = _zone(calendar.time_zone, calendar.at("timeZone"), problems)
    return Calendar(number, unit, start, zone) if start is not None and zone is not None else None


def _start(calendar: CalendarWindow, problems: Problems) -> datetime | None:
    try:
        return datetime.strptime(calendar.start_time.strip(), _FORMAT)  # noqa: DTZ007 - the zone is a field of its own
    except ValueError:
        problems.add(
            calendar.at("startTime"), "wrong-value",
            f"expected startTime as YYYY-MM-DD hh:mm:ss, without a zone, got {calendar.start_time}",
            "write it as 2026-01-01 00:00:00; the zone goes into timeZone",
        )  # fmt: skip
        return None


def _zone(name: str, place: Place, problems: Problems) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = available_timezones()  # slow: it looks through the whole database
    hint = nearest_text(name, known) if len(known) > 1 else "install the system's time zones, or the tzdata package"
    problems.add(place, "time-zone", f"expected a time zone of the IANA database, got {name}", hint)
    return None
