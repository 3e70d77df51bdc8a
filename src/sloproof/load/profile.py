"""The shape of a load: what is sent, how often, for how long."""

from __future__ import annotations

import itertools
import math
from typing import Literal

import msgspec

from sloproof.errors import FeatureError
from sloproof.model import NANOSECONDS


class RequestSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of request. `weight` is its share of the mix, relative to the others.

    Attributes:
        path: Path and query, as sent.
        endpoint: The `endpoint` label value under which the service should count it.
        method: HTTP method.
        weight: Share of the mix; above 0.
        body: Sent as it is, UTF-8.
        headers: Sent besides the request id.
    """

    path: str
    endpoint: str
    method: str = "GET"
    weight: float = 1.0
    body: str | None = None
    headers: dict[str, str] = {}


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a load in the open model, in which the rate stays as it is or changes evenly.

    Attributes:
        seconds: How long it is; a spike may be a few milliseconds.
        rate: Arrivals a second at its beginning; 0 is a pause.
        to_rate: The same at its end; None: it stays.
    """

    seconds: float
    rate: float
    to_rate: float | None = None

    @property
    def arrivals(self) -> float:
        """Return how many arrivals are due in it."""
        return (self.rate + (self.rate if self.to_rate is None else self.to_rate)) / 2 * self.seconds


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """Arrivals of a load that was driven before, to be sent again as they were due.

    Attributes:
        offsets_ns: When each is due after the begin, in order.
        kinds: The place of each in the profile's mix.
    """

    offsets_ns: tuple[int, ...]
    kinds: tuple[int, ...]


class Locustfile(msgspec.Struct, frozen=True, kw_only=True):
    """A locustfile of the project's own, whose users send what they like.

    Attributes:
        path: The file.
        user_classes: Names of those that take part; empty for all.
        endpoints: Which `endpoint` label a path is counted under, where that is not the path itself: regular
            expressions for the whole path, and the label; the first that matches counts.
    """

    path: str
    user_classes: tuple[str, ...] = ()
    endpoints: tuple[tuple[str, str], ...] = ()


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What the driver is asked to do.

    Open model (the default): `rate` arrivals a second, whatever the service does; or a rate that changes in `stages`;
    or the arrivals of a `recording`. Closed model: `users` users, each sending its next request when the last is
    answered. Exactly one of these. A burst is `users` with `requests`.

    Attributes:
        mix: What is sent; nothing, where a locustfile says it.
        locustfile: Whose users send: `users` of them at their own pace, in the closed model; or with a rate or stages,
            in the open model, where each of their requests waits for the next arrival.
        rate: Arrivals a second, open model.
        stages: Rates one after the other, open model: steps, ramps and spikes. They are as long as they say.
        recording: Arrivals that were recorded, open model.
        users: Concurrent users, closed model.
        duration_seconds: How long arrivals go on; the driver then waits for what is still in flight.
        requests: Total number of requests; with `rate`, the load ends at whichever comes first.
        arrivals: `constant` spaces arrivals evenly, `poisson` draws the gaps.
        connections: Most requests in flight at once in the open model, each on a connection of its own.
        timeout_seconds: When an unanswered request counts as timed out.
        seed: All chance (mix, arrivals) is drawn from it.
        processes: Load processes; the ledger is one all the same.
    """

    mix: tuple[RequestSpec, ...] = ()
    locustfile: Locustfile | None = None
    rate: float | None = None
    stages: tuple[Stage, ...] = ()
    recording: Recording | None = None
    users: int | None = None
    duration_seconds: float | None = None
    requests: int | None = None
    arrivals: Literal["constant", "poisson"] = "constant"
    connections: int = 64
    timeout_seconds: float = 10.0
    seed: int = 1
    processes: int = 1

    @property
    def length_seconds(self) -> float | None:
        """Return how long the schedule is; None where only the service decides."""
        bounds = [] if self.duration_seconds is None else [self.duration_seconds]
        if self.stages:
            bounds.append(sum(stage.seconds for stage in self.stages))
        if self.recording is not None and self.recording.offsets_ns:
            bounds.append(self.recording.offsets_ns[-1] / NANOSECONDS)
        if self.rate is not None and self.requests is not None:
            bounds.append(self.requests / self.rate)
        return min(bounds) if bounds else None

    @property
    def mean_rate(self) -> float | None:
        """Return the arrivals a second that are asked for, over the whole schedule; None in the closed model."""
        if self.recording is not None:
            count = len(self.recording.offsets_ns)
            return (count - 1) / (self.length_seconds or math.inf) if count > 1 else float(count)
        if self.stages:
            return sum(stage.arrivals for stage in self.stages) / sum(stage.seconds for stage in self.stages)
        return self.rate

    def check(self) -> None:
        """Refuse a profile that cannot be driven.

        Raises:
            FeatureError: It names the value, and what is expected of it.
        """
        for spec in self.mix:
            if not spec.path.startswith("/"):
                raise FeatureError(
                    f'expected a path that begins with a slash, got "{spec.path}"', hint=f'write "/{spec.path}"'
                )
            if not spec.weight > 0:
                raise FeatureError(f"expected a weight above 0 for {spec.method} {spec.path}, got {spec.weight:g}")
        shapes = (self.rate is not None, bool(self.stages), self.recording is not None, self.users is not None)
        problems = [
            *self._shape_problems(),
            (not self.mix and self.locustfile is None, "at least one kind of request to send, got none"),
            (
                self.locustfile is not None
                and (bool(self.mix) or self.recording is not None or self.requests is not None),
                "users or a rate, and a duration, for a locustfile, which says itself what is sent",
            ),
            (self.requests is not None and self.requests < 1, f"at least 1 request to send, got {self.requests}"),
            (sum(shapes) != 1, "either a rate of requests or a number of users, or stages or a recording"),
            (
                self.rate is not None and not 0 < self.rate < math.inf,
                f"a rate above 0 requests a second, got {self.rate}",
            ),
            (self.users is not None and self.users < 1, f"at least 1 user, got {self.users}"),
            (self.length_seconds is None and self.requests is None, "a duration or a number of requests"),
            (
                self.duration_seconds is not None and not self.duration_seconds > 0,
                f"a load that lasts longer than 0 s, got {self.duration_seconds} s",
            ),
            (self.connections < 1, f"at least 1 connection, got {self.connections}"),
            (not self.timeout_seconds > 0, f"a wait longer than 0 s for an answer, got {self.timeout_seconds} s"),
            (self.processes < 1, f"at least 1 load process, got {self.processes}"),
        ]
        for wrong, expected in problems:
            if wrong:
                raise FeatureError(f"expected {expected}")

    def _shape_problems(self) -> list[tuple[bool, str]]:
        problems = []
        for stage in self.stages:
            rates = [stage.rate, *([] if stage.to_rate is None else [stage.to_rate])]
            problems += [
                (not 0 < stage.seconds < math.inf, f"a stage longer than 0 s, got {stage.seconds:g} s"),
                (not all(0 <= rate < math.inf for rate in rates), f"a stage's rate of 0 or more, got {rates}"),
            ]
        if self.stages:
            problems.append((not any(one.arrivals for one in self.stages), "a stage with a rate above 0, got none"))
        if self.recording is not None:
            offsets, kinds = self.recording.offsets_ns, self.recording.kinds
            problems += [
                (not offsets, "a recording with at least 1 arrival, got none"),
                (len(offsets) != len(kinds), f"as many kinds as arrivals, got {len(kinds)} and {len(offsets)}"),
                (any(b < a for a, b in itertools.pairwise((0, *offsets))), "arrivals in order, from 0 on"),
                (any(not 0 <= kind < len(self.mix) for kind in kinds), "kinds that are in the mix"),
            ]
        return problems
