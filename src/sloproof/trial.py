"""A trial: what one scenario has done and seen so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event, Thread

from sloproof.barrier import Anchor
from sloproof.checks import probe_truth
from sloproof.checks.evidence import Basis
from sloproof.checks.probe_truth import ProbeAnswer, ProbeEvidence, TruthSpan
from sloproof.clients.service import ProbeKind, ProbeSample, Response
from sloproof.duration import format_duration
from sloproof.errors import FeatureError
from sloproof.finding import Finding, Query, Verdict
from sloproof.harness import Harness
from sloproof.load.profile import Profile
from sloproof.model import Window
from sloproof.observation import Observation
from sloproof.usual_load import usual_load


@dataclass(slots=True)
class Trial:
    """The state that the steps of one scenario share.

    Attributes:
        harness: Sends, waits, observes, judges.
        responses: Answers to requests sent one at a time, oldest first.
        changed_at: When the last fault or repair began to take effect; what "within" counts from.
        change_took: How long after that it may have taken effect at the latest: a pod goes on serving for a while.
        quiet: The stretch of healthy load before the fault, where a step has waited for one.
        fault_began: When the fault began that an alert was seen to fire on.
        fault_took: How long that fault took to take effect.
        answers: What watched probes said, by kind.
        truth: What was really so meanwhile.
        drain: What readiness said while the service was told to end.
    """

    harness: Harness
    responses: list[Response] = field(default_factory=list)
    changed_at: datetime | None = None
    change_took: timedelta = timedelta(0)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    quiet: Window | None = None
    fault_began: datetime | None = None
    fault_took: timedelta = timedelta(0)
    answers: dict[ProbeKind, list[ProbeAnswer]] = field(default_factory=dict)
    truth: list[TruthSpan] = field(default_factory=list)
    drain: tuple[ProbeSample, ...] = ()
    _faults: dict[str, object] = field(default_factory=dict)
    _observation: Observation | None = None
    _before: Anchor | None = None

    @property
    def observation(self) -> Observation:
        """Return what happened in the last load, or since it began in the background.

        Raises:
            FeatureError: No earlier step has sent anything, or a load is still running: what it has in flight is in
                one record and not yet in the other.
        """
        if self.harness.is_loaded:
            raise FeatureError(
                "expected the load to have ended before it is judged, but it is still running",
                hint="add before this step: When the load ends",
            )
        if self._observation is None:
            if self._before is None:
                raise FeatureError(
                    "expected an earlier step to have sent requests, but none has",
                    hint='add a step such as: When 20 requests are sent to GET "/"',
                )
            self._observation = self.harness.observe(self._before)
        return self._observation

    @property
    def response(self) -> Response:
        """Return the last answer to a single request.

        Raises:
            FeatureError: No earlier step has sent one.
        """
        if not self.responses:
            raise FeatureError("expected an earlier step to have sent a single request, but none has")
        return self.responses[-1]

    def send(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, body: bytes | str | None = None
    ) -> Response:
        """Send one request and keep its answer."""
        if self._before is None:
            self._before = self.harness.baseline()
        self._observation = None
        self.responses.append(self.harness.send(method, path, headers=headers, body=body))
        return self.responses[-1]

    def mark_beginning(self) -> None:
        """Let the scenario's observation begin here."""
        self._before = self.harness.baseline()
        self._observation = None

    def run(self, profile: Profile, name: str, *, base_url: str | None = None) -> None:
        """Drive a load to its end and observe it; `base_url` is another address of the service than the usual one."""
        self._observation = self.harness.run(profile, name, base_url=base_url)
        self._before = self._observation.before

    def burst(
        self, count: int, method: str, path: str, *, headers: dict[str, str] | None = None, body: str | None = None
    ) -> None:
        """Send a number of equal requests and observe them."""
        spec = self.harness.request(path, method, headers=headers, body=body)
        self._observation = self.harness.burst(count, spec)
        self._before = self._observation.before

    def run_usual(self, rate: float, duration: timedelta) -> None:
        """Drive the usual mix in the open model to its end and observe it."""
        self.run(self.usual(rate, duration), f"{rate:g}/s for {format_duration(duration)}")

    def usual(self, rate: float, duration: timedelta) -> Profile:
        """Return the usual mix as a load in the open model."""
        return usual_load(self.harness, Profile(rate=rate, duration_seconds=duration.total_seconds()))

    def recall(self, observation: Observation) -> None:
        """Let the scenario judge an observation that an earlier one of its feature has made."""
        self._observation, self._before = observation, observation.before
        self.harness.belief.since(observation.before.at)

    def begin(self, profile: Profile, name: str, *, base_url: str | None = None) -> None:
        """Start a load that goes on while the next steps run; `base_url` as in `run`."""
        self._before = self.harness.begin(profile, name, base_url=base_url)
        self._observation = None

    def end_load(self) -> None:
        """End the load in the background, and observe all of it."""
        self.harness.end_load()
        self._observation = None

    def set_faults(self, **faults: object) -> None:
        """Add faults to those the scenario has set already; the service obeys before this returns."""
        self._faults.update(faults)
        self.harness.clients.service.set_faults(self._faults)
        self.changed(datetime.now(UTC))

    def clear_faults(self) -> None:
        """End every fault."""
        self._faults.clear()
        self.harness.clients.service.clear_faults()
        self.changed(datetime.now(UTC))

    def changed(self, at: datetime, took: timedelta = timedelta(0)) -> None:
        """Note a fault or a repair, and how long it took to take effect."""
        self.changed_at, self.change_took = at, took

    @contextmanager
    def watching(self, *kinds: ProbeKind) -> Iterator[None]:
        """Ask probes, each in a thread of its own, for as long as the block runs."""
        over = Event()
        self.answers = {kind: [] for kind in kinds}

        def ask(kind: ProbeKind) -> None:
            while not over.wait(0.02):
                sample = self.harness.clients.service.probe(kind)
                self.answers[kind].append(ProbeAnswer(sample.time, sample.duration, sample.status))

        threads = [Thread(target=ask, args=(kind,), daemon=True) for kind in kinds]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()

    def watch_truth(self, length: timedelta, *, is_green: bool, because: str) -> None:
        """Let a stretch pass in which the true answer of readiness is known."""
        start = self.truth[-1].window.end if self.truth else datetime.now(UTC)
        self.harness.linger(length)
        self.truth.append(TruthSpan(Window(start, datetime.now(UTC)), is_green, because))

    def probes_told(self, kind: ProbeKind, tolerance: timedelta, *, always_green: bool = False) -> tuple[Finding, ...]:
        """Judge a watched probe's answers against the truth."""
        truth = self.truth
        if always_green and truth:
            whole = Window(truth[0].window.start, truth[-1].window.end)
            truth = [TruthSpan(whole, is_green=True, because="the process runs")]
        last = truth[-1].window.end if truth else datetime.now(UTC)
        evidence = ProbeEvidence(kind, [one for one in self.answers.get(kind, []) if one.asked <= last], truth)
        basis = Basis(at=last, queries=(Query("http", f"GET {kind} probe, every 20 ms"),))
        return probe_truth.judge(evidence, basis, tolerance=tolerance, max_answer=timedelta(seconds=1))

    def expect(
        self,
        claim: str,
        *,
        expected: str,
        measured: str,
        holds: bool,
        check: str = "scenario",
        at: datetime | None = None,
        queries: tuple[Query, ...] = (),
        hint: str = "",
        evidence: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Judge a claim that a step has worked out by itself.

        Raises:
            ExpectationError: It does not hold.
        """
        self.harness.judge(
            Finding(
                check=check,
                verdict=Verdict.PASS if holds else Verdict.FAIL,
                claim=claim,
                expected=expected,
                measured=measured,
                at=at or datetime.now(UTC),
                queries=queries,
                hint=hint,
                evidence=evidence,
            )
        )

    def watch(
        self,
        kind: ProbeKind,
        duration: timedelta,
        *,
        until: Callable[[ProbeSample], bool] | None = None,
        every: timedelta = timedelta(milliseconds=50),
    ) -> tuple[ProbeSample, ...]:
        """Ask a probe again and again for a while, or until it gives an answer that is waited for.

        Returns:
            One sample an ask, oldest first, each with the instant it was asked at.
        """
        return self.harness.watch(kind, duration, until=until, every=every)
