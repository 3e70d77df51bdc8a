"""The barrier: wait for evidence newer than what happened, then judge once.

A counter is known only as of a scrape, a log line only once Loki answers with it. So after every load the barrier
waits until each target of the service has a good scrape that began after the load's end, each rule group has evaluated
after that scrape, and a sentinel line has come back from Loki. It then gives an `Anchor`: an instant in the past at
which everything that happened before is in evidence. All queries of a judgement are asked at that one instant, so
asking again later gives the same answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from sloproof.clients.loki import LokiClient
from sloproof.clients.prometheus import PrometheusClient
from sloproof.clients.service import ServiceClient
from sloproof.duration import format_duration
from sloproof.errors import DeadlineError, UnavailableError
from sloproof.model import RuleGroup, Series, Target, Window
from sloproof.polling import wait_until
from sloproof.settings import Settings

T = TypeVar("T")

METRICS = "metrics"
LOGS = "logs"
RULES = "rules"

# The components without which a pipeline gives no evidence.
_NEEDS: Mapping[str, frozenset[str]] = {
    METRICS: frozenset({"service", "prometheus"}),
    LOGS: frozenset({"service", "promtail", "loki"}),
    RULES: frozenset({"prometheus"}),
}

# Scrape timestamps may be aligned to the interval by up to 2 ms (Prometheus' scrape timestamp tolerance).
_ALIGNMENT = timedelta(milliseconds=3)
_POLL = timedelta(milliseconds=15)
# A scrape is looked for so many times an interval, within bounds: what looking costs and adds is then a small share.
_LOOKS_PER_INTERVAL = 40
_SHORTEST_POLL, _LONGEST_POLL = timedelta(milliseconds=5), timedelta(milliseconds=100)
# Until a scrape is due nothing is to be seen but a component that dies.
_LONGEST_SLEEP = timedelta(milliseconds=500)
# A pipeline that is known to be dead, or part of which was frozen on purpose, is given this long to show that it lives.
_SECOND_LOOK = timedelta(seconds=1)
# How long a service may take to account for what it has answered before it is judged as it is.
_REST = timedelta(seconds=1)
# How far from its computed bound a healthy pipeline may be on a busy machine before it counts as dead.
DEFAULT_GRACE = timedelta(seconds=6)
_SENTINEL = "-sentinel-"


def sentinel_id(run_id: str, number: int) -> str:
    """Return the request id of a sentinel."""
    return f"{run_id}{_SENTINEL}{number}"


def is_sentinel(request_id: str) -> bool:
    """Return whether a request was sent only to look for its log line."""
    return _SENTINEL in request_id


@dataclass(frozen=True, slots=True)
class Sentinel:
    """A request sent only so that its log line can be looked for."""

    request_id: str
    sent: datetime
    answered: datetime


@dataclass(frozen=True, slots=True)
class Anchor:
    """An instant at which everything that happened before `covers` is in evidence.

    Attributes:
        at: The instant to ask every query at; the timestamp of the youngest evidence.
        covers: What happened before this instant is in evidence at `at`.
        waited: How long the evidence took to arrive.
        bounds: Per pipeline, the bound it was given, written as the sum it is.
        log_lag: From the sentinel's answer to Loki returning its line; None where logs are dead.
        log_at_ns: The time of the sentinel's line, Unix nanoseconds: every line of what happened before is at or
            before it; None where logs are dead.
        dead: Pipelines that gave no evidence, and why.
        is_settled: Whether the service has accounted for all that was sent: of requests that are still in flight the
            evidence is yet to come.
        scrape_interval: How often the service's targets are scraped; None where that is not known.
    """

    at: datetime
    covers: datetime
    waited: timedelta
    bounds: Mapping[str, str] = field(default_factory=dict)
    log_lag: timedelta | None = None
    log_at_ns: int | None = None
    dead: Mapping[str, str] = field(default_factory=dict)
    is_settled: bool = True
    scrape_interval: timedelta | None = None


class Barrier:
    """Gives anchors.

    Args:
        settings: The project's settings.
        prometheus: Where the service's metrics are.
        loki: Where its log lines are.
        service: The service itself.
        send_sentinel: Sends one request that the service logs, records it in the ledger, and returns it.
        check_alive: Raises as soon as a component has ended by itself, which ends every wait.
        down: Components that were stopped (`stopped`) or frozen (`paused`) on purpose. Nothing is awaited of one that
            is stopped; a frozen one is found out by its silence, once.
        grace: What a busy machine may add to each computed bound.
        now: The clock.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        prometheus: PrometheusClient,
        loki: LokiClient,
        service: ServiceClient,
        send_sentinel: Callable[[], Sentinel],
        check_alive: Callable[[], None],
        down: Callable[[], Mapping[str, str]],
        grace: timedelta = DEFAULT_GRACE,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._prometheus = prometheus
        self._loki = loki
        self._service = service
        self._send_sentinel = send_sentinel
        self._check_alive = check_alive
        self._down = down
        self._grace = grace
        self._now = now
        self._dead: dict[str, str] = {}
        self._interval: timedelta | None = None

    @property
    def up_selector(self) -> str:
        """Return the selector of the `up` series of the service's targets."""
        return f'up{{job="{self._settings.service.name}"}}'

    def forget(self) -> None:
        """Take no pipeline for dead any more: what made it so was undone."""
        self._dead = {}

    def anchor(self, *, rules: bool = False, at_rest: bool = True) -> Anchor:
        """Wait for evidence of everything that has happened until now, and return the instant to judge at.

        A pipeline that gives none within its bound is dead: the anchor says so, and later anchors do not wait for it
        again but look once whether it has come back.

        Args:
            rules: Wait also for every rule group to have evaluated on the new samples.
            at_rest: No load is running, so that the service can be waited for to finish its accounting.
        """
        begin = self._now()
        dead: dict[str, str] = {}
        bounds: dict[str, str] = {}
        # At rest before the sentinel, so that its line is the last; and after it, so that it is counted too.
        rests = self._await_rest() if at_rest else None
        sentinel = self._sentinel(dead)
        if sentinel is not None and rests:
            rests = self._await_rest()
        covers = self._now()
        # Logs first: they come sooner, and how late they were is then not the scrape's doing.
        line = None
        if sentinel is not None:
            line = self._in_bound(LOGS, dead, lambda grace: self._await_line(sentinel, grace, bounds))
        at = self._in_bound(METRICS, dead, lambda grace: self._await_scrape(covers, grace, bounds)) or covers
        if rules:
            evaluated = self._in_bound(RULES, dead, lambda grace: self._await_evaluation(at, grace, bounds))
            at = evaluated or at
        self._dead = dead
        return Anchor(
            at=at,
            covers=covers,
            waited=self._now() - begin,
            bounds=bounds,
            log_lag=line[0] if line else None,
            log_at_ns=line[1] if line else None,
            dead=dead,
            is_settled=rests is not False,
            scrape_interval=self._interval,
        )

    def _in_bound(self, pipeline: str, dead: dict[str, str], wait: Callable[[timedelta], T]) -> T | None:
        """Wait for one pipeline's evidence; note the pipeline as dead when it does not come."""
        down = {name: how for name, how in self._down().items() if name in _NEEDS[pipeline]}
        known = self._dead.get(pipeline)
        stopped = [name for name, how in down.items() if how == "stopped"]
        if stopped:
            dead[pipeline] = f"{' and '.join(stopped)} was stopped"
            return None
        # One deadline a pipeline: one that is known to be dead is given a moment to come back, and none while what
        # made it so goes on. No busy machine is an excuse for what was frozen on purpose: it gets a moment, too.
        if known is not None and down:
            dead[pipeline] = known
            return None
        grace = self._grace if known is None and not down else _SECOND_LOOK
        try:
            return wait(grace)
        except (DeadlineError, UnavailableError) as error:
            dead[pipeline] = str(error)
            return None

    def _sentinel(self, dead: dict[str, str]) -> Sentinel | None:
        how = self._down().get("service")
        if how == "stopped":
            dead[LOGS] = "service was stopped"
            return None
        if how is not None and LOGS in self._dead:
            dead[LOGS] = self._dead[LOGS]
            return None
        try:
            return self._send_sentinel()
        except UnavailableError as error:
            dead[LOGS] = f"the service did not answer the request whose log line was to be looked for: {error}"
            return None

    def _await_rest(self) -> bool | None:
        """Wait until the service has accounted for what it has answered: its in-flight gauge is at 0.

        Returns:
            Whether it is; None where there is nothing to tell by.

        Accounting happens after the last byte is sent, so a client can hold an answer that is not counted yet. A gauge
        that never comes down is a claim of its own (`gauge_at_rest`), so it ends this wait without a verdict.
        """
        gauge = self._settings.metrics.in_flight
        if gauge is None or "service" in self._down():
            return None
        try:
            wait_until(
                lambda: self._service.gauge_value(gauge),
                lambda value: value == 0,
                what=f"{gauge} at 0",
                timeout=_REST,
                interval=timedelta(milliseconds=5),
                check_alive=self._check_alive,
            )
        except (DeadlineError, UnavailableError):
            return False
        return True

    def _await_scrape(self, after: datetime, grace: timedelta, bounds: dict[str, str]) -> datetime:
        """Return the timestamp of the youngest of the first good scrapes, one a target, begun after an instant."""
        prometheus = self._prometheus if grace == self._grace else self._prometheus.within(grace)
        targets = self._await_own_targets(prometheus, grace)
        # Where nothing tells that accounting has ended, one whole interval more stands in for it.
        scrapes = 1 if self._settings.metrics.in_flight is not None else 2
        interval = self._interval = max(target.scrape_interval for target in targets)
        timeout = max(target.scrape_timeout for target in targets)
        bound = scrapes * interval + timeout + grace
        bounds[METRICS] = (
            f"{scrapes} x scrape interval {format_duration(interval)} + scrape timeout {format_duration(timeout)}"
            f" + grace {format_duration(grace)} = {format_duration(bound)}"
        )
        reach = bound + 2 * interval
        threshold = after + _ALIGNMENT + (scrapes - 1) * interval
        due = max(_next(threshold, one.last_scrape, one.scrape_interval) + one.last_scrape_duration for one in targets)

        def observe() -> tuple[Series, ...]:
            now = self._now()
            return prometheus.samples(self.up_selector, Window(max(after - reach, now - reach), now)).series

        def fresh(found: tuple[Series, ...]) -> bool:
            return len(_good_scrapes(found, threshold)) >= len(targets)

        waited = wait_until(
            observe,
            fresh,
            what=f"a good scrape of each of {len(targets)} targets begun after {after.isoformat()}",
            timeout=bound,
            interval=self._until(due, interval),
            check_alive=self._check_alive,
            describe=lambda found: _describe_scrapes(found, targets),
        )
        return max(_good_scrapes(waited.value, threshold))

    def _until(self, due: datetime, interval: timedelta) -> Callable[[], timedelta]:
        """Return how long to sleep between looks for what comes every interval: until it is due, then but little."""
        poll = max(min(interval / _LOOKS_PER_INTERVAL, _LONGEST_POLL), _SHORTEST_POLL)
        return lambda: min(max(due - self._now(), poll), _LONGEST_SLEEP)

    def _await_own_targets(self, prometheus: PrometheusClient, grace: timedelta) -> list[Target]:
        """Return the service's targets: a Prometheus that has just started says it is ready before it has any."""
        job = self._settings.service.name
        answers: list[tuple[Target, ...]] = []

        def observe() -> list[Target]:
            answers.append(prometheus.targets())
            return [target for target in answers[-1] if target.job == job]

        try:
            return wait_until(
                observe,
                bool,
                what=f"a target of job {job!r}",
                timeout=grace,
                interval=_POLL,
                check_alive=self._check_alive,
            ).value
        except DeadlineError as error:
            if not answers:
                raise
            raise DeadlineError(
                f"expected Prometheus to scrape job {job!r}, but it has no such target",
                waited=format_duration(grace),
                hint="look at the scrape configuration: platform/local/prometheus.yml",
            ) from error

    def await_all_targets(self, after: datetime) -> datetime:
        """Return the timestamp of the youngest of the first good scrapes, one a target of any job, after an instant.

        Raises:
            DeadlineError: One has none within its bound.
        """
        targets = self._prometheus.targets()
        bound = max((target.scrape_interval + target.scrape_timeout for target in targets), default=timedelta())
        waited = wait_until(
            lambda: self._prometheus.samples("up", Window(after, self._now())).series,
            lambda found: len(_good_scrapes(found, after)) >= len(targets),
            what=f"a good scrape of each of {len(targets)} targets",
            timeout=bound + self._grace,
            interval=_POLL,
            check_alive=self._check_alive,
            describe=lambda found: _describe_scrapes(found, list(targets)),
        )
        return max(_good_scrapes(waited.value, after), default=after)

    def _await_evaluation(self, after: datetime, grace: timedelta, bounds: dict[str, str]) -> datetime:
        """Return the latest of the groups' evaluations, each begun after an instant."""
        groups = self._prometheus.rule_groups()
        if not groups:
            return after
        interval = max(group.interval for group in groups)
        due = max(_next(after, one.last_evaluation, one.interval) + one.evaluation_duration for one in groups)
        bound = 2 * interval + grace
        bounds[RULES] = (
            f"2 x evaluation interval {format_duration(interval)} + grace {format_duration(grace)}"
            f" = {format_duration(bound)}"
        )
        waited = wait_until(
            self._prometheus.rule_groups,
            lambda found: all(_evaluated_after(group, after) for group in found),
            what=f"an evaluation of each of {len(groups)} rule groups after {after.isoformat()}",
            timeout=bound,
            interval=self._until(due, interval),
            check_alive=self._check_alive,
            describe=lambda found: ", ".join(f"{group.name} {group.last_evaluation}" for group in found),
        )
        return max(group.last_evaluation for group in waited.value if group.last_evaluation is not None)

    def _await_line(self, sentinel: Sentinel, grace: timedelta, bounds: dict[str, str]) -> tuple[timedelta, int]:
        """Return how long after its answer the sentinel's line came back from Loki, and the line's own time."""
        ship = timedelta(seconds=self._settings.logs.ship_seconds)
        loki, bound = self._loki, ship
        bounds[LOGS] = f"time to ship {format_duration(ship)}"
        if grace != self._grace and grace < ship:
            loki, bound = self._loki.within(grace), grace
            bounds[LOGS] = f"{format_duration(grace)} for a pipeline that is known to be dead or frozen"
        selector = f'{{app="{self._settings.service.name}"}} |= "{sentinel.request_id}"'
        waited = wait_until(
            lambda: [
                entry.time_ns
                for stream in loki.query_range(
                    selector, Window(sentinel.sent - timedelta(seconds=2), self._now() + timedelta(seconds=2)), limit=10
                )
                for entry in stream.entries
            ],
            bool,
            what=f"the log line of request {sentinel.request_id} back from Loki",
            timeout=bound,
            interval=_POLL,
            check_alive=self._check_alive,
        )
        return self._now() - sentinel.answered, max(waited.value)


def _good_scrapes(found: tuple[Series, ...], after: datetime) -> list[datetime]:
    """Return, per series, the timestamp of the first sample of value 1 after an instant; none where there is none."""
    firsts = []
    for series in found:
        good = [sample.time for sample in series.samples if sample.time > after and sample.value == 1]
        if good:
            firsts.append(min(good))
    return firsts


def _next(after: datetime, last: datetime | None, interval: timedelta) -> datetime:
    """Return when what comes every interval comes first after an instant, if it keeps its rhythm."""
    if last is None:
        return after
    return last + max(math.ceil((after - last) / interval), 0) * interval


def _evaluated_after(group: RuleGroup, after: datetime) -> bool:
    return group.last_evaluation is not None and group.last_evaluation > after


def _describe_scrapes(found: tuple[Series, ...], targets: list[Target]) -> str:
    rows = []
    for series in found:
        last = series.samples[-1] if series.samples else None
        state = "no sample" if last is None else f"up={last.value:g} at {last.time.isoformat(timespec='milliseconds')}"
        rows.append(f"{series.labels.get('instance', '?')} {state}")
    errors = [f"{target.instance}: {target.last_error}" for target in targets if target.last_error]
    return "; ".join(rows + errors) or "no up series"
