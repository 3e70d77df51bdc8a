"""The environment that a run asks for by name, or that is running already; what cannot be had is refused first."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from filelock import BaseFileLock
from rich.console import Console

from sloproof.environment.backends import Wish, find_tools, make_local, state_file
from sloproof.environment.base import Environment
from sloproof.environment.components import ExtraRules
from sloproof.environment.local import LocalEnvironment
from sloproof.errors import EnvironmentStartError, SettingsError, SloproofError
from sloproof.plugin.occupation import occupy
from sloproof.plugin.options import Options
from sloproof.plugin.session import RunSession
from sloproof.plugin.workers import place_of
from sloproof.settings import Settings

OCCUPATION = pytest.StashKey[BaseFileLock]()


def take_running(config: pytest.Config, settings: Settings, options: Options) -> None:
    """Take the running environment for this run where that is asked for, and see that it is there.

    Raises:
        UsageError: Another run has it, there is none, or one would be forgotten.
    """
    if not (options.reuse or options.keep):
        return
    noted = state_file(config.rootpath, os.environ)
    if options.reuse:
        config.stash[OCCUPATION] = occupy(noted)
    try:
        LocalEnvironment.attach(noted, settings).detach()
    except EnvironmentStartError as error:
        if options.reuse:
            config.stash[OCCUPATION].release()
            raise pytest.UsageError(f"--env-reuse: {error}") from None
    else:
        if not options.reuse:
            raise pytest.UsageError(
                "--env-keep: an environment of this project runs already, and would be forgotten; "
                "use it with --env-reuse, or end it: sloproof down"
            )


def prepare(config: pytest.Config, options: Options) -> Environment | None:
    """Return the backend of a name that only others know, not yet started; None for what is made when it is needed.

    Raises:
        UsageError: Nobody knows the name, or who does cannot make it.
    """
    # A worker of xdist has no way to refuse a run; there the first scenario that needs the environment tells.
    if options.reuse or options.environment == "local" or place_of(config) is not None:
        return None
    try:
        made: Environment | None = config.hook.pytest_sloproof_environment(config=config, name=options.environment)
    except SloproofError as error:
        raise pytest.UsageError(f"--env {options.environment}: {error}") from None
    if made is None:
        raise pytest.UsageError(str(_unknown(options.environment)))
    return made


def make_environment(
    config: pytest.Config, run: RunSession, options: Options, rules: Callable[[], ExtraRules | None]
) -> Environment:
    """Return the backend, not yet started.

    Raises:
        SettingsError: Nothing makes a backend of that name.
    """
    if options.reuse:
        return LocalEnvironment.attach(state_file(run.root, os.environ), run.settings)
    made: Environment | None = config.hook.pytest_sloproof_environment(config=config, name=options.environment)
    if made is not None:
        return made
    if options.environment != "local":
        raise _unknown(options.environment)
    wish = Wish(
        root=run.root,
        settings=run.settings,
        run_id=run.run_id,
        environ=dict(os.environ),
        tools_mirror=options.tools_mirror,
        tools_offline=options.tools_offline,
        rules=rules(),
    )
    run.tools = find_tools(wish, Console(stderr=True))
    return make_local(wish, run.tools)


def let_go(config: pytest.Config) -> None:
    """Let others have the running environment, if this run had it."""
    if OCCUPATION in config.stash:
        config.stash[OCCUPATION].release()


def _unknown(name: str) -> SettingsError:
    return SettingsError(
        f"expected an environment that is known, got --env {name}",
        known="local",
        hint="a plugin or a conftest.py adds others by the hook pytest_sloproof_environment; none has this name",
    )
