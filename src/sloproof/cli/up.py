"""`sloproof up`: start the environment and leave it running."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from rich.console import Console

from sloproof.environment.backends import Wish, find_tools, make_local, note, state_file
from sloproof.environment.local import LocalEnvironment
from sloproof.errors import EnvironmentStartError, SettingsError
from sloproof.settings import Settings, find_root, load_settings


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "up",
        help="start the local environment and leave it running",
        description="Start the service and its monitoring, print their addresses and leave them running. "
        "`pytest features/ --env-reuse` uses them, `sloproof down` ends them.",
    )
    parser.add_argument("--mirror", metavar="URL", help="take releases of missing programs from here")
    parser.add_argument("--offline", action="store_true", help="fetch no program over the network")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand and return its exit status.

    Raises:
        SettingsError: One is running already, or is being started.
        EnvironmentStartError: A component did not become ready.
    """
    root = find_root(Path.cwd())
    settings = load_settings(root)
    noted = state_file(root, os.environ)
    with _alone(noted):
        return _start(root, settings, noted, args)


def _start(root: Path, settings: Settings, noted: Path, args: argparse.Namespace) -> int:
    if _is_running(noted, settings):
        raise SettingsError(
            "expected no running environment of this project, but there is one",
            see="sloproof status",
            hint="end it: sloproof down",
        )
    wish = Wish(
        root=root,
        settings=settings,
        run_id=f"up-{datetime.now(UTC):%Y%m%d-%H%M%S}",
        environ=dict(os.environ),
        tools_mirror=args.mirror,
        tools_offline=args.offline,
    )
    environment = make_local(wish, find_tools(wish, Console(stderr=True)))
    environment.start()
    try:
        note(environment, noted)
        environment.detach()
    except BaseException:
        environment.stop()
        noted.unlink(missing_ok=True)
        raise
    show_addresses(environment)
    print("\nuse it:  pytest features/ --env-reuse\nend it:  sloproof down")
    return 0


def show_addresses(environment: LocalEnvironment) -> None:
    """Print each component's address."""
    for name, address in environment.addresses.items():
        print(f"{name:<13} {address}")


@contextmanager
def _alone(noted: Path) -> Iterator[None]:
    """Keep others of this command out from the check to the note: of two, one environment would be forgotten."""
    noted.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(noted.with_suffix(".up.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise SettingsError(
            "expected no other `sloproof up` of this project, but one is starting an environment",
            see=lock.lock_file,
            hint="wait for it to end, then: sloproof status",
        ) from None
    try:
        yield
    finally:
        lock.release()


def _is_running(noted: Path, settings: Settings) -> bool:
    try:
        LocalEnvironment.attach(noted, settings)
    except EnvironmentStartError:
        return False
    return True
