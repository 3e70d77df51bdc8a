"""A harness on stand-ins: its barrier gives anchors at once, its driver's loads are over at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from sloproof.barrier import Anchor, Barrier
from sloproof.finding import Finding
from sloproof.harness import Harness
from sloproof.load.doubt import Doubt
from sloproof.load.driver import Driver, LoadResult, RunningLoad
from sloproof.load.ledger import Ledger
from sloproof.load.profile import Profile
from sloproof.load.running import Progress
from sloproof.model import Window
from sloproof.servers import Clients
from sloproof.settings import Settings
from tests.fakes import SETTINGS, T0, FakeEnvironment, FakeLoki, FakePrometheus, FakeService, after, clients, seconds


def load_result(name: str, folder: Path) -> LoadResult:
    return LoadResult(
        name=name,
        window=Window(T0, after(1)),
        ledger=Ledger.open(folder),
        requests=4,
        failures={"timeout": 1},
        asked_rate=4.0,
        achieved_rate=4.0,
        unsent=0,
        cpu_share=0.1,
        warnings=(),
    )


class FakeLoad(RunningLoad):
    def __init__(self, name: str, folder: Path, did: list[str]) -> None:
        self.name = name
        self.folder = folder
        self.did = did
        self.error: Exception | None = None

    def wait(
        self,
        check_alive: Callable[[], None] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> LoadResult:
        self.did.append(f"wait {self.name}")
        if check_alive is not None:
            check_alive()
        return load_result(self.name, self.folder)

    def doubts(self) -> tuple[Doubt, ...]:
        return ()

    def stop(self) -> LoadResult:
        self.did.append(f"stop {self.name}")
        if self.error is not None:
            raise self.error
        return load_result(self.name, self.folder)


class FakeDriver(Driver):
    def __init__(self, folder: Path, did: list[str]) -> None:
        self.folder = folder
        self.did = did
        self.loads: list[FakeLoad] = []
        self.profiles: list[Profile] = []

    def begin(self, profile: Profile, name: str, *, base_url: str | None = None) -> RunningLoad:
        self.did.append(f"begin {name}" + (f" at {base_url}" if base_url else ""))
        self.profiles.append(profile)
        self.loads.append(FakeLoad(name, self.folder, self.did))
        return self.loads[-1]

    def close(self) -> None:
        self.did.append("close driver")


class FakeBarrier(Barrier):
    """Gives anchors a second apart; what is `dead` is dead in each."""

    def __init__(self) -> None:
        self.dead: Mapping[str, str] = {}
        self.asked: list[tuple[bool, bool]] = []
        self.forgotten = 0
        self.awaited: list[datetime] = []
        self.observers_lag = seconds(0)
        self.is_settled = True

    def anchor(self, *, rules: bool = False, at_rest: bool = True) -> Anchor:
        self.asked.append((rules, at_rest))
        at = after(len(self.asked))
        lag = seconds(0.5)
        return Anchor(at=at, covers=at, waited=seconds(0.25), log_lag=lag, dead=self.dead, is_settled=self.is_settled)

    def forget(self) -> None:
        self.forgotten += 1

    def await_all_targets(self, after: datetime) -> datetime:
        self.awaited.append(after)
        return after + self.observers_lag


class World:
    """Everything around one harness."""

    def __init__(self, folder: Path, settings: Settings = SETTINGS, known: Clients | None = None) -> None:
        self.environment = FakeEnvironment()
        self.service = FakeService()
        self.prometheus = FakePrometheus()
        self.loki = FakeLoki()
        self.driver = FakeDriver(folder, self.environment.did)
        self.findings: list[Finding] = []
        self.loads: list[LoadResult] = []
        self.anchors: list[Anchor] = []
        self.shown: list[str] = []
        self.folder = folder
        self.harness = Harness(
            settings=settings,
            root=folder,
            environment=self.environment,
            clients=known or clients(self.prometheus, self.loki, self.service),
            driver=self.driver,
            ledger_dir=folder,
            run_id="run",
            on_finding=self.findings.append,
            on_load=self.loads.append,
            on_anchor=self.anchors.append,
            watching=self._watching,
        )
        self.barrier = FakeBarrier()
        self.harness.barrier = self.barrier

    @contextmanager
    def _watching(self, name: str, profile: Profile) -> Iterator[Callable[[Progress], None]]:
        self.shown.append(name)
        yield lambda _: None

    @property
    def ledger(self) -> Ledger:
        return Ledger.open(self.folder)
