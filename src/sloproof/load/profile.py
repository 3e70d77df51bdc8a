"""The shape of a load: what is sent, how often, for how long."""

from __future__ import annotations

from typing import Literal

import msgspec

from sloproof.errors import FeatureError


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


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What the driver is asked to do.

    Open model (the default): `rate` arrivals a second, whatever the service does. Closed model: `users` users, each
    sending its next request when the last is answered. Exactly one of the two. A burst is `users` with `requests`.

    Attributes:
        mix: What is sent.
        rate: Arrivals a second, open model.
        users: Concurrent users, closed model.
        duration_seconds: How long arrivals go on; the driver then waits for what is still in flight.
        requests: Total number of requests; with `rate`, the load ends at whichever comes first.
        arrivals: `constant` spaces arrivals evenly, `poisson` draws the gaps.
        connections: Most requests in flight at once in the open model, each on a connection of its own.
        timeout_seconds: When an unanswered request counts as timed out.
        seed: All chance (mix, arrivals) is drawn from it.
        processes: Load processes; the ledger is one all the same.
    """

    mix: tuple[RequestSpec, ...]
    rate: float | None = None
    users: int | None = None
    duration_seconds: float | None = None
    requests: int | None = None
    arrivals: Literal["constant", "poisson"] = "constant"
    connections: int = 64
    timeout_seconds: float = 10.0
    seed: int = 1
    processes: int = 1

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
        problems = [
            (not self.mix, "at least one kind of request to send, got none"),
            (self.requests is not None and self.requests < 1, f"at least 1 request to send, got {self.requests}"),
            ((self.rate is None) == (self.users is None), "either a rate of requests or a number of users"),
            (self.rate is not None and not self.rate > 0, f"a rate above 0 requests a second, got {self.rate}"),
            (self.users is not None and self.users < 1, f"at least 1 user, got {self.users}"),
            (self.duration_seconds is None and self.requests is None, "a duration or a number of requests"),
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
