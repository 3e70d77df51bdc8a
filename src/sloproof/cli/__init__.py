"""The `sloproof` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version

from sloproof.cli import down, lint, rules, status, steps, tools, up
from sloproof.errors import SloproofError

EXIT_ERROR = 3


_COMMANDS = (tools, up, status, down, steps, lint, rules)


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    made = argparse.ArgumentParser(prog="sloproof", description="Prove that a service's monitoring tells the truth.")
    made.add_argument("--version", action="version", version=f"sloproof {version('sloproof')}")
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in _COMMANDS:
        module.add_parser(commands)
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand and return its exit status: 0 well, 1 a claim fails, 2 inconclusive, 3 an error."""
    arguments = parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except SloproofError as error:
        print(f"sloproof: {error}", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        return 130
