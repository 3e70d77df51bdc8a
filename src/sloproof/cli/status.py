"""`sloproof status`: how the environment that `sloproof up` started is doing."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import msgspec

from sloproof.environment.backends import state_file
from sloproof.environment.local import LocalEnvironment
from sloproof.errors import EnvironmentStartError
from sloproof.settings import find_root, load_settings

_EXIT_DOWN = 1


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("status", help="show how the running environment is doing")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand and return its exit status: 0 all components run, 1 not."""
    root = find_root(Path.cwd())
    try:
        environment = LocalEnvironment.attach(state_file(root, os.environ), load_settings(root))
    except EnvironmentStartError as error:
        print(error)
        return _EXIT_DOWN
    statuses = environment.status()
    if args.json:
        rows = [{**msgspec.to_builtins(one), "address": environment.addresses.get(one.name, "")} for one in statuses]
        print(msgspec.json.format(msgspec.json.encode(rows)).decode())
    else:
        for one in statuses:
            pid = f"pid {one.pid}" if one.pid else f"status {one.exit_status}"
            print(f"{one.name:<13} {one.state:<8} {pid:<12} {environment.addresses.get(one.name, '')}")
    return 0 if all(one.state == "running" for one in statuses) else _EXIT_DOWN
