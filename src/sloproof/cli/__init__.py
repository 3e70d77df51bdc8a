"""The `sloproof` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from sloproof.errors import SloproofError

EXIT_ERROR = 3
# Each a module of this package with `add_parser`; in the order of the help.
COMMANDS = ("tools", "up", "status", "down", "steps", "lint", "rules", "values", "prove", "report")


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        # To know it, all that is installed is looked through: not for every command.
        from importlib.metadata import version  # noqa: PLC0415 - see above

        print(f"sloproof {version('sloproof')}")
        parser.exit()


def parser(names: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    """Return what reads the command line.

    Args:
        names: The subcommands that it knows.
    """
    made = argparse.ArgumentParser(prog="sloproof", description="Prove that a service's monitoring tells the truth.")
    made.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in names:
        import_module(f"sloproof.cli.{name}").add_parser(commands)
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand and return its exit status: 0 well, 1 a claim fails, 2 inconclusive, 3 an error."""
    given = sys.argv[1:] if argv is None else list(argv)
    # What one subcommand needs takes a while to import, and the others' as much again.
    known = [name for name in COMMANDS if given[:1] == [name]]
    arguments = parser(known or COMMANDS).parse_args(given)
    try:
        return int(arguments.run(arguments))
    except SloproofError as error:
        print(f"sloproof: {error}", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        return 130
