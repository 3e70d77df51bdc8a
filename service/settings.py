"""The service's settings: read from `SERVICE_*` variables once, checked whole, never changed afterwards."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PREFIX = "SERVICE_"
_SHOWN = 80
_MOST_THRESHOLDS = 16


class SettingsError(Exception):
    """Settings that cannot be: one line a problem, each naming the variable, what was expected and what was seen."""


class _Unfit(Exception):  # noqa: N818 - it never leaves this module: it carries what was expected
    """A text that is no such value; carries what was expected instead."""


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        # int() would also take "1_000", " 7 " and digits of other scripts.
        if not (text.isascii() and text.isdigit() and len(text) <= len(str(high)) and low <= int(text) <= high):
            raise _Unfit(f"a whole number from {low} to {high}")
        return int(text)

    return read


def _number(low: float, high: float, what: str) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text) if text.isascii() and "_" not in text else math.nan
        except ValueError:
            value = math.nan
        # A comparison with NaN is false, so that NaN is refused here too.
        if not low <= value <= high:
            raise _Unfit(f"{what} from {low:g} to {high:g}")
        return value

    return read


def _seconds(low: float, high: float) -> Callable[[str], float]:
    return _number(low, high, "seconds")


def _thresholds(text: str) -> tuple[float, ...]:
    parts = text.split(",") if text else []
    read = _number(0.0001, 600, f"up to {_MOST_THRESHOLDS} numbers of seconds with commas between them, each")
    if len(parts) > _MOST_THRESHOLDS:
        read("nan")
    return tuple(read(part.strip()) for part in parts)


def _choice(*values: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in values:
            raise _Unfit("one of " + ", ".join(values))
        return text

    return read


def _seed(text: str) -> int | None:
    return _whole(0, 2**64 - 1)(text) if text else None


def _host(text: str) -> str:
    if not text or not text.isascii() or any(character.isspace() for character in text) or "/" in text:
        raise _Unfit("a host name or an address, without scheme and port")
    return text


def _token(text: str) -> str:
    if not all("!" <= character <= "~" for character in text):
        raise _Unfit("printable ASCII without blanks, or nothing to switch /faults off")
    return text


def _path(text: str) -> str:
    if "\0" in text:
        raise _Unfit("a path")
    return text


def _setting(default: Any, read: Callable[[str], Any], *, secret: bool = False) -> Any:
    return field(default=default, repr=not secret, metadata={"read": read, "secret": secret})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything about the service that can be set; each is read from the variable `SERVICE_<NAME>`.

    Attributes:
        host: Name or address to listen on.
        port: Port to listen on; 0 for any free one, which the "Listening at" line names.
        workers: Processes that answer requests.
        threads: API requests that one worker works on at once.
        queue_size: API requests that may wait in one worker for their turn; further ones get 503 at once.
        queue_seconds: How long an API request waits for its turn before it gets 503.
        keepalive_seconds: How long an idle connection is kept.
        client_seconds: How long a client may stall while it sends a request or takes an answer.
        max_requests: Requests after which a worker is replaced by a fresh one; 0 for never.
        max_body_bytes: Largest request body taken, in bytes.
        drain_seconds: From SIGTERM on: how long readiness says no while everything is still served.
        grace_seconds: How long after that requests in flight may take to finish.
        warmup_seconds: How long after its start the service reports that it is still starting.
        hang_limit_seconds: Longest time that the fault `hang` holds one request.
        state_dir: Folder for the counters that the workers share; empty for a private one, in memory if possible.
        latency_thresholds_seconds: Thresholds of SLOs: the latency histogram has a bound at each, besides its own.
        log_format: `text` or `json`.
        log_level: Least level that is written.
        faults_token: Bearer token of `/faults`; empty switches the endpoint off.
        seed: Seed of all chance; without one every run differs.
        users_error_ratio: Share of users queries that fail.
        users_latency_median_seconds: Median of the log-normal time a users query takes.
        users_latency_sigma: Standard deviation of that time's logarithm; 0 makes it constant.
        users_latency_cap_seconds: Longest time a users query takes.
    """

    host: str = _setting("127.0.0.1", _host)
    port: int = _setting(8000, _whole(0, 65535))
    workers: int = _setting(2, _whole(1, 64))
    threads: int = _setting(8, _whole(1, 256))
    queue_size: int = _setting(64, _whole(0, 1024))
    queue_seconds: float = _setting(5.0, _seconds(0, 600))
    keepalive_seconds: int = _setting(5, _whole(0, 3600))
    client_seconds: float = _setting(10.0, _seconds(0.1, 600))
    max_requests: int = _setting(0, _whole(0, 10**9))
    max_body_bytes: int = _setting(1024 * 1024, _whole(0, 64 * 1024 * 1024))
    drain_seconds: float = _setting(0.2, _seconds(0, 600))
    grace_seconds: int = _setting(8, _whole(0, 600))
    warmup_seconds: float = _setting(0.0, _seconds(0, 600))
    hang_limit_seconds: float = _setting(30.0, _seconds(0, 600))
    state_dir: str = _setting("", _path)
    latency_thresholds_seconds: tuple[float, ...] = _setting((), _thresholds)
    log_format: str = _setting("text", _choice("text", "json"))
    log_level: str = _setting("INFO", _choice("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
    faults_token: str = _setting("", _token, secret=True)
    seed: int | None = _setting(None, _seed)
    users_error_ratio: float = _setting(0.02, _number(0, 1, "a ratio"))
    users_latency_median_seconds: float = _setting(0.03, _seconds(0, 600))
    users_latency_sigma: float = _setting(0.5, _number(0, 5, "a standard deviation"))
    users_latency_cap_seconds: float = _setting(2.0, _seconds(0, 600))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Return the settings that an environment asks for; what it does not name has its default.

        Raises:
            SettingsError: A value is wrong, a `SERVICE_*` variable is none of ours, or values contradict each other.
                All problems are told at once.
        """
        known = {PREFIX + one.name.upper(): one for one in fields(cls)}
        values: dict[str, Any] = {}
        problems = []
        for name, text in sorted(environment.items()):
            if not name.startswith(PREFIX):
                continue
            if name not in known:
                problems.append(_unknown(name, known))
                continue
            meta = known[name].metadata
            try:
                values[known[name].name] = meta["read"](text)
            except _Unfit as error:
                seen = "a value that is not shown" if meta["secret"] else repr(text[:_SHOWN])
                problems.append(f"{name}: expected {error}, saw {seen}")
        if problems:
            raise SettingsError("\n".join(problems))
        settings = cls(**values)
        if settings.users_latency_cap_seconds < settings.users_latency_median_seconds:
            raise SettingsError(
                f"SERVICE_USERS_LATENCY_CAP_SECONDS: expected at least SERVICE_USERS_LATENCY_MEDIAN_SECONDS "
                f"({settings.users_latency_median_seconds:g}), saw {settings.users_latency_cap_seconds:g}"
            )
        return settings


def _unknown(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    hint = f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"
    return f"{name[:_SHOWN]}: expected a setting of this service, saw a name it does not know{hint}"
