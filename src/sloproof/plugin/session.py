"""One run: the environment is brought up for the first scenario that needs it, and everything ends with the session."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console

from sloproof.barrier import Anchor
from sloproof.environment.base import Environment
from sloproof.environment.toolchain import Tool
from sloproof.errors import SloproofError
from sloproof.finding import Finding
from sloproof.harness import Harness
from sloproof.load.child_process import CHILD_COMMAND
from sloproof.load.driver import Driver, LoadResult
from sloproof.load.profile import Profile
from sloproof.load.progress import ProgressLine
from sloproof.load.running import Progress
from sloproof.servers import connect
from sloproof.settings import Settings
from sloproof.slo.verdicts import Judgement
from sloproof.stage import SharedStage

_KEPT_LINES = 1000


class RunSession:
    """What a run owns.

    Args:
        settings: The project's settings.
        root: The project's root.
        run_id: From `sloproof.report.run_id.new_run_id`.
        folder: The run's report folder; evidence is kept in it.
        make_environment: Makes the backend that was asked for; nothing is started by making it.
        keep: Leave the environment running at the end.
        stage: Where it meets the other workers on one environment; None where it has its own.
        uncaptured: Lets what is printed meanwhile reach the terminal.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        root: Path,
        run_id: str,
        folder: Path,
        make_environment: Callable[[], Environment],
        keep: bool,
        stage: SharedStage | None = None,
        uncaptured: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.settings = settings
        self.root = root
        self.run_id = run_id
        self.folder = folder
        self.started = datetime.now(UTC)
        self.environment: Environment | None = None
        self._driver: Driver | None = None
        self.harness: Harness | None = None
        self.loads: list[tuple[str, LoadResult]] = []
        self.anchors: list[Anchor] = []
        self._judgements: dict[tuple[str, str, bool], Judgement] = {}
        self.timings: dict[str, timedelta] = {}
        self.tools: Mapping[str, Tool] = {}
        self.current = ""
        self.on_finding: Callable[[Finding], None] = lambda _: None
        self._make_environment = make_environment
        self._keep = keep
        self.stage = stage
        self._uncaptured = uncaptured
        self._began = time.monotonic()

    @property
    def evidence(self) -> Path:
        """Return the folder of the raw evidence."""
        return self.folder / "evidence"

    def up(self) -> Harness:
        """Return the harness, having brought the environment up if this is the first use.

        Raises:
            EnvironmentStartError: A component did not become ready.
            ToolError: A program of the environment cannot be had.
        """
        if self.harness is not None:
            return self.harness
        begin = time.monotonic()
        environment = self._make_environment()
        self.environment = environment
        self._time("programs found", begin)
        begin = time.monotonic()
        ledger_dir = self.evidence / "ledger"
        ledger_dir.mkdir(parents=True, exist_ok=True)
        environment.start()
        self._time("environment start", begin)
        begin = time.monotonic()
        driver = self._driver = Driver(
            base_url=environment.addresses["service"],
            ledger_dir=ledger_dir,
            run_id=self.run_id,
            request_id_header=self.settings.service.request_id_header,
            commands=lambda process: environment.load_command(process) or CHILD_COMMAND,
        )
        driver.start()
        token = getattr(environment, "faults_token", "")
        self.harness = Harness(
            settings=self.settings,
            root=self.root,
            environment=environment,
            clients=connect(environment, self.settings, token),
            driver=driver,
            ledger_dir=ledger_dir,
            run_id=self.run_id,
            stage=self.stage,
            on_finding=self._tell,
            on_load=lambda load: self.loads.append((self.current, load)),
            on_anchor=self._note_anchor,
            on_slo=self._note_slo,
            watching=self._watching,
        )
        self._time("load driver", begin)
        begin = time.monotonic()
        self.harness.baseline()
        self._time("first verified metric and log line", begin)
        return self.harness

    @contextmanager
    def _watching(self, name: str, profile: Profile) -> Iterator[Callable[[Progress], None]]:
        """Show a load that takes a while as a moving line, on a terminal; elsewhere the report tells of it."""
        with self._uncaptured():
            console = Console(stderr=True)
            if not console.is_terminal or (profile.duration_seconds or 0) < 1:
                yield lambda _: None
                return
            with ProgressLine(console, name, profile) as line:
                yield line.update

    def _tell(self, finding: Finding) -> None:
        self.on_finding(finding)

    def _note_anchor(self, anchor: Anchor) -> None:
        self.anchors.append(anchor)
        self.timings["barrier"] = self.timings.get("barrier", timedelta()) + anchor.waited

    @property
    def judgements(self) -> tuple[tuple[str, Judgement], ...]:
        """Return the objectives that were judged, in order, each with the id of its scenario.

        What a scenario has judged again later stands in the place of the first time.
        """
        return tuple((scenario, found) for (scenario, _, _), found in self._judgements.items())

    def _note_slo(self, found: Judgement) -> None:
        self._judgements[self.current, found.objective.id, found.drill] = found

    def _time(self, part: str, begin: float) -> None:
        self.timings[part] = self.timings.get(part, timedelta()) + timedelta(seconds=time.monotonic() - begin)

    def diagnose(self) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
        """Return each component's health, and the end of each one's log, as they are now."""
        if self.environment is None:
            return (), ()
        try:
            statuses = self.environment.status()
        except SloproofError:
            if self.harness is None:  # it never came up: there is nothing to tell of but why, which the error does
                return (), ()
            raise
        health = []
        for status in statuses:
            text = status.state if status.exit_status is None else f"{status.state} with status {status.exit_status}"
            health.append((status.name, text + (f", restarted {status.restarts} times" if status.restarts else "")))
        lines = tuple((name, "\n".join(self.environment.last_lines(name, 8))) for name, _ in health)
        return tuple(health), lines

    def keep_logs(self) -> None:
        """Keep the end of each component's own log beside the ledger; the rest goes with the environment."""
        if self.environment is None:
            return
        folder = self.evidence / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        self.environment.keep_evidence(folder)
        for status in self.environment.status():
            lines = self.environment.last_lines(status.name, _KEPT_LINES)
            (folder / f"{status.name}.log").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def close(self) -> None:
        """End the driver and the environment; safe after a failure at any point, and twice."""
        begin = time.monotonic()
        # Each is forgotten only once it has ended, so that an interrupted end can be taken up again.
        try:
            if self.harness is not None:
                self.harness.close()
                self.harness = None
            elif self._driver is not None:
                self._driver.close()
            self._driver = None
        finally:
            if self.environment is not None and self._keep:
                self.environment.detach()
            elif self.environment is not None:
                self.environment.stop()
            self.environment = None
            self._time("environment stop", begin)
