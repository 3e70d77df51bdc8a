"""The harness: drives load at a running environment and turns it into observations.

It keeps one account of everything that was ever sent: an observation reaches from the last anchor to the next, so that
a request that nobody asked for cannot hide between two scenarios.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

from sloproof.barrier import Anchor, Barrier
from sloproof.belief import Belief
from sloproof.clients.service import ProbeKind, ProbeSample, Response, ServiceClient
from sloproof.environment.base import Environment
from sloproof.errors import ExpectationError, LoadError, SettingsError, UnavailableError
from sloproof.finding import Finding, Verdict
from sloproof.load.driver import Driver, LoadResult, RunningLoad
from sloproof.load.ledger import Ledger
from sloproof.load.profile import Profile, RequestSpec
from sloproof.load.running import Progress
from sloproof.observation import Observation
from sloproof.own_requests import OwnRequests
from sloproof.servers import Clients
from sloproof.settings import Settings
from sloproof.slo.verdicts import Judgement
from sloproof.stage import OwnStage, Stage


@contextmanager
def _unwatched(_name: str, _profile: Profile) -> Iterator[Callable[[Progress], None]]:
    yield lambda _: None


class Harness:
    """Sends, waits, observes, judges.

    Args:
        settings: The project's settings.
        root: The project's root.
        environment: Up already.
        clients: Connected to it.
        driver: The resident load driver, writing into `ledger_dir`.
        ledger_dir: Where every process that sends keeps its ledger file.
        run_id: Part of every request id; no two processes have the same one.
        stage: Where it meets others who use the environment at the same time; None where nobody does.
        on_finding: Told of every finding, whatever its verdict.
        on_load: Told of every load that has ended.
        on_anchor: Told of every anchor.
        on_slo: Told of every objective that was judged, whatever its verdict.
        watching: Opens a place to show how a load of a name and profile is doing, and closes it.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        root: Path,
        environment: Environment,
        clients: Clients,
        driver: Driver,
        ledger_dir: Path,
        run_id: str,
        stage: Stage | None = None,
        on_finding: Callable[[Finding], None] = lambda _: None,
        on_load: Callable[[LoadResult], None] = lambda _: None,
        on_anchor: Callable[[Anchor], None] = lambda _: None,
        on_slo: Callable[[Judgement], None] = lambda _: None,
        watching: Callable[[str, Profile], AbstractContextManager[Callable[[Progress], None]]] = _unwatched,
    ) -> None:
        self.settings = settings
        self.root = root
        self.environment = environment
        self.clients = clients
        self.driver = driver
        self.run_id = run_id
        self._stage = stage or OwnStage(ledger_dir)
        self._shared_dir = None if stage is None else ledger_dir  # one's own ledger among those of others
        self._own = OwnRequests(settings, clients.service, ledger_dir / "harness.jsonl", run_id)
        self._on_finding = on_finding
        self._on_load = on_load
        self._on_anchor = on_anchor
        self.note_slo = on_slo  # whether it ends the scenario is for `judge` to say
        self._watching = watching
        self._down: dict[str, str] = {}
        self._scrape_interval: timedelta | None = None
        self._background: RunningLoad | None = None
        self._background_turn = ExitStack()
        self.last_load: LoadResult | None = None
        self.belief = Belief()
        self.barrier = Barrier(
            settings=settings,
            prometheus=clients.prometheus,
            loki=clients.loki,
            service=clients.service,
            send_sentinel=self._own.send_sentinel,
            check_alive=environment.check_alive,
            down=lambda: self._down,
        )

    # What is sent

    def request(
        self,
        path: str,
        method: str = "GET",
        *,
        weight: float = 1.0,
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> RequestSpec:
        """Return a kind of request to this service, counted under the endpoint that the settings give its path."""
        return RequestSpec(
            path=path,
            endpoint=self.settings.endpoint_of(path),
            method=method,
            weight=weight,
            body=body,
            headers=dict(headers or {}),
        )

    @property
    def usual_mix(self) -> tuple[RequestSpec, ...]:
        """Return the mix that the settings call usual.

        Raises:
            SettingsError: They give none.
        """
        mix = self.settings.load.mix
        if not mix:
            raise SettingsError("expected a usual mix of requests, but tool.sloproof.load.mix is empty")
        return tuple(
            self.request(one.path, one.method, weight=one.weight, body=one.body, headers=one.headers) for one in mix
        )

    def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | str | None = None,
        client: ServiceClient | None = None,
    ) -> Response:
        """Send one request, by a client of its own if one is given, record it in the ledger, and return the answer."""
        with self._stage.sending():
            return self._own.send(method, path, headers=headers, body=body, client=client)

    # Load

    def run(self, profile: Profile, name: str, *, base_url: str | None = None) -> Observation:
        """Drive a load to its end, pass the barrier, and return what happened.

        Args:
            profile: What to drive.
            name: What it is called.
            base_url: By which of the service's addresses; None for the usual one.
        """
        before = self.baseline()
        with self._stage.sending(), self._watching(name, profile) as watch:
            load = self.driver.begin(profile, name, base_url=base_url)
            self._end(load.wait(check_alive=self.environment.check_alive, on_progress=watch))
        return self.observe(before)

    def burst(self, count: int, spec: RequestSpec, *, users: int = 8) -> Observation:
        """Send a number of requests of one kind as fast as a few users can, and return what happened."""
        profile = Profile(
            mix=(spec,),
            users=min(users, count),
            requests=count,
            seed=self.settings.load.seed,
            timeout_seconds=self.settings.load.timeout_seconds,
        )
        return self.run(profile, f"{count} x {spec.method} {spec.path}")

    def begin(self, profile: Profile, name: str, *, base_url: str | None = None) -> Anchor:
        """Start a load that goes on in the background, and return the anchor it began after; arguments as `run`."""
        if self._background is not None:
            raise LoadError("expected one load in the background at most, but one is running already")
        before = self.baseline()
        with ExitStack() as held:
            held.enter_context(self._stage.sending())
            self._background = self.driver.begin(profile, name, base_url=base_url)
            self._background_turn = held.pop_all()
        return before

    @property
    def is_loaded(self) -> bool:
        """Return whether a load is running in the background."""
        return self._background is not None

    def end_load(self, *, by_itself: bool = False) -> LoadResult | None:
        """End the load in the background, if there is one, or wait for its own end, and return what it did."""
        load, self._background = self._background, None
        if load is None:
            return None
        with self._background_turn:
            return self._end(load.wait(check_alive=self.environment.check_alive) if by_itself else load.stop())

    def _end(self, result: LoadResult) -> LoadResult:
        self.last_load = result
        self.belief.note(result.window.end, result.doubts)
        self._on_load(result)
        return result

    # Observation

    def baseline(self) -> Anchor:
        """Return an anchor to begin from: the last one, where an observation may begin there, or a new one."""

        def take() -> Anchor:
            taken = self._pass()
            self._on_anchor(taken)
            return taken

        return self._stage.begin(take)

    def anchor(self, *, rules: bool = False) -> Anchor:
        """Pass the barrier now."""
        anchor = self._stage.anchor(lambda: self._pass(rules=rules), adopt=not rules)
        self._on_anchor(anchor)
        return anchor

    def _pass(self, *, rules: bool = False) -> Anchor:
        return self.barrier.anchor(rules=rules, at_rest=not self.is_loaded)

    def observe(self, before: Anchor, *, rules: bool = False) -> Observation:
        """Pass the barrier now and return what happened since an earlier anchor."""
        after = self.anchor(rules=rules)
        return Observation(
            settings=self.settings,
            prometheus=self.clients.prometheus,
            loki=self.clients.loki,
            ledger=self.ledger,
            before=before,
            after=after,
            own=None if self._shared_dir is None else Ledger.open(self._shared_dir),
        )

    @property
    def ledger(self) -> Ledger:
        """Return the record of all that was sent, as far as it is written."""
        return Ledger.open(self._stage.ledgers())

    @property
    def scrape_interval(self) -> timedelta:
        """Return how often the service is scraped, as Prometheus says it does."""
        own = [target for target in self.clients.prometheus.targets() if target.job == self.settings.service.name]
        if own:
            self._scrape_interval = max(target.scrape_interval for target in own)
        if self._scrape_interval is None:
            raise UnavailableError("expected Prometheus to scrape the service, but it has no such target")
        # Where targets are discovered, a service that is gone has none; how often it was scraped is known all the same.
        return self._scrape_interval

    @property
    def instances(self) -> tuple[str, ...]:
        """Return the `instance` label of every instance of the service that the environment runs."""
        return self.environment.instances

    def anchor_observers(self, after: Anchor) -> datetime:
        """Return the instant by which every target, observers included, has a good scrape after an anchor's evidence.

        What an observer says of itself up to the anchor is known from then on.
        """
        return self.barrier.await_all_targets(after.at)

    # Judgement

    def judge(self, *findings: Finding) -> None:
        """Record findings, and end the scenario at the first that is not a pass.

        What rests on a load whose numbers are worthless is inconclusive, whatever was found.

        Raises:
            ExpectationError: A finding is not a pass; it carries the findings.
        """
        running = () if self._background is None else self._background.doubts()
        believed = [self.belief.judge(finding, running) for finding in findings]
        for finding in believed:
            self._on_finding(finding)
        bad = [finding for finding in believed if finding.verdict is not Verdict.PASS]
        if bad:
            raise ExpectationError("\n".join(finding.text() for finding in bad))

    # Probes

    def watch(
        self,
        kind: ProbeKind,
        duration: timedelta,
        *,
        until: Callable[[ProbeSample], bool] | None = None,
        every: timedelta = timedelta(milliseconds=50),
    ) -> tuple[ProbeSample, ...]:
        """Ask a probe again and again for a while, or until it gives the answer that is waited for.

        Returns:
            One sample an ask, oldest first, each with the instant it was asked at.

        Raises:
            ComponentExitedError: A component ended by itself meanwhile.
        """
        samples: list[ProbeSample] = []
        end = time.monotonic() + duration.total_seconds()
        while True:
            self.environment.check_alive()
            samples.append(self.clients.service.probe(kind))
            rest = end - time.monotonic()
            if rest <= 0 or (until is not None and until(samples[-1])):
                return tuple(samples)
            time.sleep(min(every.total_seconds(), rest))

    def linger(self, length: timedelta) -> None:
        """Let time pass while every component lives.

        Raises:
            ComponentExitedError: One ended by itself meanwhile.
        """
        end = time.monotonic() + length.total_seconds()
        while (rest := end - time.monotonic()) > 0:
            self.environment.check_alive()
            time.sleep(min(0.1, rest))

    # Programs

    def stop_component(self, name: str) -> None:
        """Stop a component on purpose; what depends on it is blocked until it is started again."""
        self._down[name] = "stopped"
        self.environment.stop_component(name)

    def pause_component(self, name: str) -> None:
        """Freeze a component on purpose; what depends on it is blocked until it is resumed."""
        self._down[name] = "paused"
        self.environment.pause_component(name)

    def drain_service(self) -> tuple[ProbeSample, ...]:
        """Stop the service as a rollout does, and return what its readiness said from then until it was gone."""
        stopping = Thread(target=self.stop_component, args=("service",))
        stopping.start()
        samples: list[ProbeSample] = []
        while stopping.is_alive():
            samples.append(self.clients.service.probe("readiness"))
            stopping.join(0.02)
        return tuple(samples)

    def restart_component(self, name: str) -> None:
        """Stop a component and start it again on its old address."""
        self.environment.stop_component(name)
        self.environment.start_component(name)

    def revive_component(self, name: str) -> None:
        """Start a component that was stopped, or resume one that was paused."""
        states = {status.name: status.state for status in self.environment.status()}
        if states.get(name) == "stopped":
            self.environment.start_component(name)
        else:
            self.environment.resume_component(name)
        self._down.pop(name, None)
        self.barrier.forget()

    def restore(self) -> None:
        """Undo what a scenario did: its load, its faults, what it stopped or paused."""
        for name in sorted(self._down):
            self.revive_component(name)
        # Before the load: what is in flight must not wait for a fault that nobody needs any more.
        if self.clients.service.has_fault_switch and self.clients.service.faults():
            self.clients.service.clear_faults()
            self.barrier.forget()
        self.end_load()
        self.belief.since(datetime.now(UTC))

    def close(self) -> None:
        """End the driver and close the harness's own ledger."""
        try:
            self.end_load()
        finally:
            self.driver.close()
            self._own.close()
