"""One environment for all workers of a run (pytest-xdist): `-n 8 --env-shared`.

The controller owns it, and ends it; workers attach to it. Scenarios that leave one another alone run together, the
others one at a time (see `sloproof.stage`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from rich.console import Console

from sloproof.environment.backends import Wish, find_tools, make_local, note
from sloproof.environment.components import ExtraRules
from sloproof.environment.local import LocalEnvironment
from sloproof.environment.toolchain import Tool
from sloproof.errors import SloproofError
from sloproof.plugin.collect import FeatureFile, ScenarioItem
from sloproof.plugin.definitions import Matcher, template_of, visible_definitions
from sloproof.plugin.options import read_options
from sloproof.plugin.tags import NEEDS, tags_of
from sloproof.prove.local_rules import compressed_objectives, compressed_rules
from sloproof.settings import Settings, load_settings
from sloproof.shareable import is_shareable
from sloproof.slo.documents.folder import documents_folder
from sloproof.stage import SharedStage

# Such scenarios change what others rely on, or need it to be as nobody has changed it.
_ALONE = frozenset({"serial", "slo"})
# What others spend of an error budget stays spent.
_FIRST = "slo"
_STATE = "environment.json"
_HARNESS = "harness"
_ALONE_ITEMS = pytest.StashKey[frozenset[str]]()
_FIRSTS = pytest.StashKey[int]()


class SharedEnvironment:
    """The environment that a controller brings up for its workers.

    Args:
        root: The project's root.
        run_id: Names the run.

    Attributes:
        stage: Folder where the workers meet, once it is up.
        tools: The programs it runs, by name.
        timings: How many seconds its start took, by part.
    """

    def __init__(self, root: Path, run_id: str) -> None:
        self._root = root
        self._run_id = run_id
        self._environment: LocalEnvironment | None = None
        self.stage = Path()
        self.tools: Mapping[str, Tool] = {}
        self.timings: dict[str, float] = {}

    def start(self, settings: Settings, *, mirror: str | None, offline: bool, environ: Mapping[str, str]) -> None:
        """Bring it up, the rules of the SLO documents included: nobody knows yet which scenarios there are.

        Raises:
            EnvironmentStartError: A component did not become ready.
            ToolError: A program of the environment cannot be had.
        """
        wish = Wish(
            root=self._root,
            settings=settings,
            run_id=self._run_id,
            environ=dict(environ),
            tools_mirror=mirror,
            tools_offline=offline,
            rules=_rules(self._root, settings),
        )
        begin = time.monotonic()
        self.tools = find_tools(wish, Console(stderr=True))
        self.timings["programs found"] = time.monotonic() - begin
        begin = time.monotonic()
        environment = self._environment = make_local(wish, self.tools)
        environment.start()
        self.timings["environment start"] = time.monotonic() - begin
        # Within the environment's own folder, which goes with it, however this process ends.
        self.stage = Path(environment.state().run_dir) / "stage"
        note(environment, self.stage / _STATE)

    def stop(self) -> None:
        """End it; safe at any point, and twice."""
        environment = self._environment
        if environment is not None:
            environment.stop()
            self._environment = None


def _rules(root: Path, settings: Settings) -> ExtraRules | None:
    if not documents_folder(root, settings).is_dir():
        return None
    return compressed_rules(compressed_objectives(root, settings), root, settings)


def start_shared(config: pytest.Config, run_id: str) -> SharedEnvironment | None:
    """Return the environment that this controller's workers share, started; None where it was not asked for.

    Raises:
        UsageError: It cannot be had.
    """
    options = read_options(config)
    if not options.shared:
        return None
    shared = SharedEnvironment(config.rootpath, run_id)
    config.add_cleanup(shared.stop)
    try:
        shared.start(
            load_settings(config.rootpath),
            mirror=options.tools_mirror,
            offline=options.tools_offline,
            environ=os.environ,
        )
    except SloproofError as error:
        raise pytest.UsageError(f"--env-shared: {error}") from None
    return shared


def attach(stage: Path, settings: Settings) -> LocalEnvironment:
    """Return the environment of a stage, for a worker: it goes on when the worker ends."""
    return LocalEnvironment.attach(stage / _STATE, settings, as_guest=True)


def turn_of(item: pytest.Item, stage: SharedStage) -> AbstractContextManager[None]:
    """Return what an item holds while it runs: the stage, alone or beside others; a test that uses none, nothing."""
    alone = is_alone(item)
    if not alone and not isinstance(item, ScenarioItem):
        return nullcontext()
    return stage.scenario(item.nodeid, alone=alone, is_first=_is_first(item), firsts=_firsts(item.session))


def _is_first(item: pytest.Item) -> bool:
    return isinstance(item, ScenarioItem) and _FIRST in tags_of(item)


def _firsts(session: pytest.Session) -> int:
    """Return how many there are among what is really going to run: counted late, after whoever leaves some out."""
    stash = session.config.stash
    if _FIRSTS not in stash:
        stash[_FIRSTS] = sum(map(_is_first, session.items))
    return stash[_FIRSTS]


def shareable_first(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Find out which scenarios leave others alone, and put them before those that do not; tests keep their places."""
    session.config.stash[_ALONE_ITEMS] = frozenset(_alone(session, items))
    places = [place for place, item in enumerate(items) if isinstance(item, ScenarioItem)]
    ordered = sorted((items[place] for place in places), key=lambda item: (not _is_first(item), is_alone(item)))
    for place, item in zip(places, ordered, strict=True):
        items[place] = item


def is_alone(item: pytest.Item) -> bool:
    """Return whether a scenario, or a test that uses the harness, must have the environment to itself."""
    return item.nodeid in item.config.stash.get(_ALONE_ITEMS, frozenset())


def _alone(session: pytest.Session, items: Iterable[pytest.Item]) -> Iterable[str]:
    matchers: dict[Path, Matcher] = {}
    for item in items:
        if not isinstance(item, ScenarioItem) or not isinstance(item.parent, FeatureFile):
            # Nobody knows what a test does with it.
            if _HARNESS in getattr(item, "fixturenames", ()) or template_of(item) is not None:
                yield item.nodeid
            continue
        matcher = matchers.get(item.path)
        if matcher is None:
            matcher = matchers[item.path] = Matcher(visible_definitions(session, item.parent))
        tags = tags_of(item)
        harmless = all(
            is_shareable(definition.function)
            for step in item.scenario.steps
            for definition, _ in matcher.all_for(step.name)
            if definition.takes(step.type)
        )
        if not harmless or tags & _ALONE or any(tag.startswith(NEEDS) for tag in tags):
            yield item.nodeid
