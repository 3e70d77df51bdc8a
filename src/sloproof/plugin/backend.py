"""The environment that a run asks for by name, or that is running already; what cannot be had is refused first."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from types import ModuleType
from typing import cast

import pytest
from filelock import BaseFileLock
from rich.console import Console

from sloproof.environment.attached import AttachedEnvironment
from sloproof.environment.backends import CAPABILITIES_OF, Wish, find_tools, make_local, state_file
from sloproof.environment.base import Environment
from sloproof.environment.components import ExtraRules
from sloproof.environment.kube.context_guard import allowed_context
from sloproof.environment.kube.wish import HeldProfile
from sloproof.environment.local import LocalEnvironment
from sloproof.errors import EnvironmentStartError, SettingsError, SloproofError
from sloproof.plugin.elsewhere_options import read_attached_options, read_cluster_options
from sloproof.plugin.occupation import occupy
from sloproof.plugin.options import Options
from sloproof.plugin.session import RunSession
from sloproof.plugin.sharing import attach
from sloproof.plugin.workers import place_of
from sloproof.settings import Settings

OCCUPATION = pytest.StashKey[BaseFileLock]()


def take_running(config: pytest.Config, settings: Settings, options: Options) -> None:
    """Take the running environment for this run where that is asked for, and see that it is there.

    Raises:
        UsageError: Another run has it, there is none, or one would be forgotten.
    """
    if options.environment != "local" or not (options.reuse or options.keep):
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
        UsageError: Nobody knows the name, or who does cannot make it; or what it needs was not said.
    """
    # A worker of xdist has no way to refuse a run; there the first scenario that needs the environment tells.
    if options.environment == "local" or place_of(config) is not None:
        return None
    try:
        if options.environment in _OWN:
            _OWN[options.environment](config, options)
            return None
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
    place = place_of(config)
    if place is not None and place.stage is not None:
        return attach(place.stage, run.settings)
    if options.environment == "local" and options.reuse:
        return LocalEnvironment.attach(state_file(run.root, os.environ), run.settings)
    made: Environment | None = config.hook.pytest_sloproof_environment(config=config, name=options.environment)
    if made is not None:
        return made
    if options.environment == "attached":
        return _attached(config, run)
    if options.environment not in CAPABILITIES_OF:
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
    if options.environment == "local":
        run.tools = find_tools(wish, Console(stderr=True))
        return make_local(wish, run.tools)
    cluster_wish = read_cluster_options(config, keep=options.keep, reuse=options.reuse)
    if place is not None and place.node_ip:
        cluster_wish = replace(cluster_wish, held=HeldProfile(place.node_ip))
    made = cluster_backends().make(options.environment, wish, cluster_wish, run.evidence / "cluster")
    return cast("Environment", made)


def _attached(config: pytest.Config, run: RunSession) -> AttachedEnvironment:
    addresses, credentials = read_attached_options(config)
    return AttachedEnvironment(
        addresses,
        run_id=run.run_id,
        readiness=run.settings.service.readiness,
        instances=tuple(config.getoption("--attach-instance")),
        credentials=credentials,
    )


def _check_cluster(config: pytest.Config, options: Options) -> None:
    """Refuse a cluster that was not named, or that must not be used, before anything is done."""
    wish = read_cluster_options(config, keep=options.keep, reuse=options.reuse)
    cluster_backends()
    if options.environment == "kube":
        allowed_context(wish.context, wish.kubeconfig, os.environ)


def _check_attached(config: pytest.Config, options: Options) -> None:
    if options.reuse or options.keep:
        raise pytest.UsageError("--env attached: nothing is started, so there is nothing to keep or to use again")
    read_attached_options(config)


def cluster_backends() -> ModuleType:
    """Return what makes environments in clusters; it takes packages that only those need."""
    try:
        return import_module("sloproof.environment.kube.backends")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "sloproof":
            raise
        raise SettingsError(
            f"expected the Python package {error.name} for environments in clusters, but it is not installed",
            hint="pip install 'sloproof[kubernetes]'",
        ) from error


# What is ours and not local, and what is looked at before a run on it begins.
_OWN: Mapping[str, Callable[[pytest.Config, Options], None]] = {
    "kube": _check_cluster,
    "minikube": _check_cluster,
    "attached": _check_attached,
}


def let_go(config: pytest.Config) -> None:
    """Let others have the running environment, if this run had it."""
    if OCCUPATION in config.stash:
        config.stash[OCCUPATION].release()


def _unknown(name: str) -> SettingsError:
    return SettingsError(
        f"expected an environment that is known, got --env {name}",
        known=", ".join(CAPABILITIES_OF),
        hint="a plugin or a conftest.py adds others by the hook pytest_sloproof_environment; none has this name",
    )
