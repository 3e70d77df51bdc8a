"""Ties a run to pytest's session: makes it when a scenario is there, ends it and writes its report at the end."""

from __future__ import annotations

import contextlib
import os
import shutil
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
import pytest

from sloproof.environment.backends import CAPABILITIES_OF, note, state_file
from sloproof.environment.components import ExtraRules
from sloproof.environment.local import LocalEnvironment
from sloproof.errors import (
    ComponentExitedError,
    EnvironmentStartError,
    SettingsError,
    SloproofError,
    ToolError,
)
from sloproof.harness import Harness
from sloproof.plugin.backend import let_go, make_environment, prepare, take_running
from sloproof.plugin.collect import ScenarioItem, collected_features
from sloproof.plugin.interruption import Interruption
from sloproof.plugin.job_summary import append_job_summary
from sloproof.plugin.not_run import not_run
from sloproof.plugin.options import read_options
from sloproof.plugin.recorder import RECORDER
from sloproof.plugin.run_record import run_record
from sloproof.plugin.session import RunSession
from sloproof.plugin.sharing import shareable_first, turn_of
from sloproof.plugin.tags import missing_capabilities, tags_of
from sloproof.plugin.workers import Controller, hand_over, place_of
from sloproof.prove.local_rules import compressed_objectives, compressed_rules
from sloproof.report import history
from sloproof.report.junit import junit
from sloproof.report.record import RunRecord
from sloproof.report.run_id import new_run_id
from sloproof.report.terminal import closing_lines
from sloproof.report.write import write_report, write_whole
from sloproof.settings import Settings, load_settings
from sloproof.stage import SharedStage

# Scenarios with this tag need the rules of the SLO documents; without one, nobody pays for their evaluation.
_SLO = "slo"
SESSION = pytest.StashKey[RunSession]()
INTERRUPTION = pytest.StashKey[Interruption]()
RECORD = pytest.StashKey[RunRecord]()
CONTROLLER = pytest.StashKey[Controller]()
IS_DEAD = pytest.StashKey[bool]()
REFUSAL = pytest.StashKey[SettingsError]()
TROUBLE = pytest.StashKey[str]()
FOLDER = pytest.StashKey[Path]()
_MARKUP = {
    "pass": {"green": True},
    "fail": {"red": True, "bold": True},
    "error": {"red": True},
    "blocked": {"yellow": True},
    "inconclusive": {"yellow": True},
}
_ENDS_HERE = "the run ends here: "
# Settings that are wrong end the run too, where they keep it from coming up; one wrong value in a step does not.
_FATAL = (ComponentExitedError, EnvironmentStartError, ToolError)


def required_settings(config: pytest.Config) -> Settings:
    """Return the project's settings.

    Raises:
        UsageError: They are wrong.
    """
    try:
        return load_settings(config.rootpath)
    except SettingsError as error:
        raise pytest.UsageError(f"{error}\nnothing was started") from None


def begin(session: pytest.Session) -> None:
    """Make the run if there are scenarios to run; nothing is started yet.

    Raises:
        UsageError: The project's table is wrong.
    """
    config = session.config
    if config.option.collectonly or not collected_features(config) or SESSION in config.stash:
        return
    options = read_options(config)
    settings = required_settings(config)
    place = place_of(config)
    if "kubernetes" in CAPABILITIES_OF.get(options.environment, ()):
        settings = settings.in_cluster("" if place is None else place.worker)
    take_running(config, settings, options)
    prepared = prepare(config, options)
    reports = reports_of(config, settings)
    with_rules = any(_SLO in tags_of(item) for item in session.items)
    rules = partial(_own_rules, config.rootpath, settings) if with_rules else lambda: None
    run_id = new_run_id(datetime.now(UTC)) if place is None else place.own_id
    run = RunSession(
        settings=settings,
        root=config.rootpath,
        run_id=run_id,
        folder=reports / run_id if place is None else place.folder(reports),
        make_environment=lambda: prepared or make_environment(config, run, options, rules),
        keep=options.keep or options.reuse,
        stage=None if place is None or place.stage is None else SharedStage(place.stage, reports / place.run_id),
        uncaptured=_uncaptured(config),
    )
    config.stash[SESSION] = run
    config.stash[INTERRUPTION] = Interruption()
    # The session's end is not reached by every way out of pytest; this is.
    config.add_cleanup(lambda: _close(config))
    recorder = config.stash[RECORDER]
    run.on_finding = recorder.add_finding
    recorder.diagnose = run.diagnose


def reports_of(config: pytest.Config, settings: Settings) -> Path:
    """Return the folder where report folders go."""
    return read_options(config).report_dir or config.rootpath / settings.reports_dir


def _uncaptured(config: pytest.Config) -> Callable[[], AbstractContextManager[None]]:
    """Return what lets output through to the terminal while a test runs."""
    manager = config.pluginmanager.getplugin("capturemanager")
    return nullcontext if manager is None else manager.global_and_fixture_disabled


def harness_of(config: pytest.Config) -> Harness:
    """Return the harness on a running environment, having brought it up if this is the first use.

    Raises:
        SettingsError: The project's table is missing or wrong.
        EnvironmentStartError: A component did not become ready.
    """
    if REFUSAL in config.stash:
        raise config.stash[REFUSAL]
    try:
        return config.stash[SESSION].up()
    except SettingsError as error:
        config.stash[REFUSAL] = error
        raise


def budgets_first(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Move the scenarios that need unspent error budgets before the other scenarios; tests keep their places."""
    if read_options(session.config).shared:
        shareable_first(session, items)
        return
    places = [place for place, item in enumerate(items) if isinstance(item, ScenarioItem)]
    ordered = sorted((items[place] for place in places), key=lambda item: _SLO not in tags_of(item))
    for place, item in zip(places, ordered, strict=True):
        items[place] = item


def _own_rules(root: Path, settings: Settings) -> ExtraRules:
    return compressed_rules(compressed_objectives(root, settings), root, settings)


def skip_if_incapable(item: pytest.Item) -> None:
    """Skip a scenario that needs what the backend has not, with that reason."""
    if SESSION not in item.config.stash:
        return
    name = read_options(item.config).environment
    has = CAPABILITIES_OF.get(name)
    environment = item.config.stash[SESSION].environment
    if environment is not None:
        has = environment.capabilities
    missing = missing_capabilities(tags_of(item), has) if has is not None else ()
    if missing:
        pytest.skip(f"needs {', '.join(missing)}, which the {name} environment has not")


def turn(item: pytest.Item) -> AbstractContextManager[None]:
    """Return what an item holds while it runs, where others use the same environment."""
    run = item.config.stash.get(SESSION, None)
    return nullcontext() if run is None or run.stage is None else turn_of(item, run.stage)


def note_scenario(item: pytest.Item) -> None:
    """Let loads be told apart by the scenario that drove them.

    Raises:
        EnvironmentStartError: Another worker has left the environment as nobody knows it.
    """
    if SESSION in item.config.stash:
        run = item.config.stash[SESSION]
        run.current = item.nodeid
        if run.stage is not None:
            run.stage.require_whole()


def end_if_dead(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """End the whole run when there is no environment, or a component of it has ended: nothing else can be judged."""
    refusal = item.config.stash.get(REFUSAL, None)
    if call.excinfo is None or (refusal is None and SESSION not in item.config.stash):
        return
    error = call.excinfo.value
    if isinstance(error, _FATAL) or (isinstance(error, SettingsError) and error is refusal):
        item.config.stash[IS_DEAD] = True
        item.session.shouldfail = f"{_ENDS_HERE}{error.headline}"


def has_environment(config: pytest.Config) -> bool:
    """Return whether there is a living environment to tidy up: after Ctrl-C it ends before pytest ends its fixtures."""
    return SESSION in config.stash and not config.stash.get(IS_DEAD, False)


def finish(session: pytest.Session) -> None:
    """Write the report while the environment can still be asked, and end everything."""
    run = session.config.stash.get(SESSION, None)
    if run is None:
        return
    with session.config.stash[INTERRUPTION].held() as noted:
        try:
            _tell_of(session, run)
        except Exception:  # noqa: BLE001 - a report that cannot be written must not hide what the tests said
            _note_trouble(session)
        finally:
            _keep(session.config, run)
            _close(session.config)
    if noted:
        session.exitstatus = pytest.ExitCode.INTERRUPTED


def finish_controller(session: pytest.Session) -> None:
    """Write the one report of a run that was spread over workers; they have all ended by now."""
    controller = session.config.stash.get(CONTROLLER, None)
    records = session.config.stash[RECORDER].records
    if controller is None:
        return
    try:
        settings = load_settings(session.config.rootpath)
    except SettingsError:  # no worker had an environment: what the scenarios say is all there is
        return
    folder = reports_of(session.config, settings) / controller.run_id
    try:
        if records:
            _write(session.config, controller.record(settings.service.name, records, _problems(session)), folder)
    except Exception:  # noqa: BLE001 - as in `finish`
        _note_trouble(session)
    finally:
        _remove_unreported(session.config, folder)


def _note_trouble(session: pytest.Session) -> None:
    session.config.stash[TROUBLE] = traceback.format_exc()
    session.exitstatus = pytest.ExitCode.INTERNAL_ERROR


def _remove_unreported(config: pytest.Config, folder: Path) -> None:
    """Remove a report folder that never came to a report; what could be written of one that failed is kept."""
    if FOLDER not in config.stash and TROUBLE not in config.stash:
        shutil.rmtree(folder, ignore_errors=True)


def _close(config: pytest.Config) -> None:
    """End everything that has not ended yet, and remove a report folder that never came to a report."""
    run = config.stash.get(SESSION, None)
    if run is None:
        return
    interruption = config.stash[INTERRUPTION]
    with interruption.held():
        run.close()
        let_go(config)
        if place_of(config) is None:
            _remove_unreported(config, run.folder)
        del config.stash[SESSION]
    interruption.restore()


def _keep(config: pytest.Config, run: RunSession) -> None:
    """Note an environment that is to be kept, so that `sloproof status` and `sloproof down` find it."""
    environment = run.environment
    if read_options(config).keep and isinstance(environment, LocalEnvironment) and environment.addresses:
        note(environment, state_file(run.root, os.environ))


def _tell_of(session: pytest.Session, run: RunSession) -> None:
    """Write the report of this process's run, or hand what it knows to the controller that writes."""
    config = session.config
    recorder = config.stash[RECORDER]
    if not recorder.records:
        return
    problems = list(_problems(session))
    with contextlib.suppress(SloproofError):
        run.keep_logs()
    left = tuple(not_run(session.items, recorder, _why(session), config.rootpath))
    if place_of(config) is None:
        _write(config, run_record(run, [*recorder.records, *left], problems), run.folder)
    else:
        record = run_record(run, recorder.records, problems)
        hand_over(config, msgspec.structs.replace(record, scenarios=left))


def _write(config: pytest.Config, record: RunRecord, folder: Path) -> None:
    # What the terminal says must not depend on whether the files can be written.
    config.stash[RECORD] = record
    if read_options(config).write_report:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "junit.xml", junit(record))
        record = write_report(record, folder, latest=folder.parent / "latest", history=folder.parent / history.FILE)
        config.stash[RECORD] = record
        config.stash[FOLDER] = _shown(folder)
        config.hook.pytest_sloproof_report(config=config, record=record, folder=folder)
        append_job_summary(folder / "report.md", os.environ)


def _shown(folder: Path) -> Path:
    """Return a folder as it is shortest to type from here."""
    try:
        return folder.relative_to(Path.cwd())
    except ValueError:
        return folder


def _problems(session: pytest.Session) -> Iterator[str]:
    if session.exitstatus == pytest.ExitCode.INTERRUPTED:
        yield "the run was interrupted: what comes after the last scenario here was not judged"
    if isinstance(session.shouldfail, str):
        yield session.shouldfail
    if isinstance(session.shouldstop, str):
        yield session.shouldstop


def _why(session: pytest.Session) -> str:
    """Return why the run ended before its end."""
    for told in (session.shouldfail, session.shouldstop):
        if isinstance(told, str):
            return told.removeprefix(_ENDS_HERE)
    return "the run was interrupted" if session.exitstatus == pytest.ExitCode.INTERRUPTED else "the run ended"


def tell(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Close with the verdict, the worst failures and the report's place."""
    trouble = config.stash.get(TROUBLE, None)
    if trouble is not None:
        terminalreporter.section("the report could not be written", red=True)
        terminalreporter.write_line(trouble)
    record = config.stash.get(RECORD, None)
    if record is None:
        return
    terminalreporter.section("monitoring")
    for line in closing_lines(
        record, config.stash.get(FOLDER, None), width=max(shutil.get_terminal_size((110, 24)).columns, 80)
    ):
        terminalreporter.write_line(line.text, **_MARKUP.get(line.verdict, {}))
    left = len(record.scenarios) - len(config.stash[RECORDER].records)
    if left > 0:
        terminalreporter.write_line("1 scenario was not run" if left == 1 else f"{left} scenarios were not run")
