"""What the driver and its child program say to each other: one JSON object a line, over pipes."""

from __future__ import annotations

import msgspec

from sloproof.load.ledger_file import Clock
from sloproof.load.profile import Profile
from sloproof.load.strain import Strain


class Begin(msgspec.Struct, frozen=True, kw_only=True, tag="begin"):
    """Drive a load.

    Attributes:
        id: Names the load in everything that is said about it.
        name: The load's name, for the ledger.
        run_id: The run's id, for the ledger.
        profile: The whole load; this process drives its share.
        process: Which share.
        ledger: Path of the new ledger file.
        base_url: Where requests go.
        header: Name of the request id's header.
        id_prefix: What each request's id begins with.
        clock: Of the ledger.
        begin_ns: When the schedule begins, by the monotonic clock; None: when this process is ready.
    """

    id: int
    name: str
    run_id: str
    profile: Profile
    process: int
    ledger: str
    base_url: str
    header: str
    id_prefix: str
    clock: Clock
    begin_ns: int | None = None


class Stop(msgspec.Struct, frozen=True, kw_only=True, tag="stop"):
    """End a load's arrivals now; what is in flight is waited for."""

    id: int


Command = Begin | Stop


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag="ready"):
    """The child takes commands now; `clock` is that of its machine."""

    locust: str
    clock: Clock | None = None


class Started(msgspec.Struct, frozen=True, kw_only=True, tag="started"):
    """A load's schedule has begun."""

    id: int
    begin_ns: int


class Advanced(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    """How far a load is; `p95_ns` is that of the last requests, from the send."""

    id: int
    requests: int
    failures: int
    p95_ns: int | None
    in_flight: int
    elapsed_ns: int
    strain: Strain | None = None


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag="finished"):
    """A load is over and its ledger file closed. Instants are monotonic.

    Attributes:
        id: Names the load.
        begin_ns: When its schedule began.
        first_ns: The first send; None if nothing was sent.
        last_start_ns: The last send.
        end_ns: The last answer or failure.
        due_ns: The last intended instant.
        stop_ns: When arrivals were ended by a command; None if they ended by themselves.
        requests: How many were sent.
        unsent: How many were due and not sent.
        failures: By kind; answers with a 5xx are `http_5xx`.
        cpu_ns: CPU time of the process from the begin to the end.
        wall_ns: Time from the begin to the end.
        stepped_ns: By how much the wall clock was stepped meanwhile.
        strain: How hard the process had it; None from a child program that does not tell.
    """

    id: int
    begin_ns: int
    first_ns: int | None
    last_start_ns: int
    end_ns: int
    due_ns: int
    stop_ns: int | None
    requests: int
    unsent: int
    failures: dict[str, int]
    cpu_ns: int
    wall_ns: int
    stepped_ns: int
    strain: Strain | None = None


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="error"):
    """A load could not be driven."""

    id: int
    message: str


Event = Ready | Started | Advanced | Finished | Failed


def to_line(message: Command | Event) -> bytes:
    """Return a message as one line."""
    return msgspec.json.encode(message) + b"\n"
