"""`sloproof lint`: mistakes in SLO documents that nobody notices until the alert does not come."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from sloproof.clients.loki import LokiClient
from sloproof.clients.prometheus import PrometheusClient
from sloproof.duration import format_duration, parse_duration
from sloproof.slo.documents.folder import document_paths
from sloproof.slo.documents.problem import Problem
from sloproof.slo.documents.reading import DEFAULT_SCRAPE
from sloproof.slo.lint.live import live_scrape_interval
from sloproof.slo.lint.static import lint

_EXIT_FINDINGS = 1


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "lint",
        help="find mistakes in SLO documents",
        description="Find mistakes in OpenSLO documents: what is not valid, and what is valid and yet would never "
        "alert or always count wrong. With --prometheus and --loki, what queries select is looked for there, too.",
        epilog="Exit status: 0 nothing found (notes may be), 1 something to mend, 3 it could not be looked at.",
    )
    parser.add_argument(
        "paths", nargs="*", type=Path, metavar="PATH", help="files or folders of documents (default: the project's)"
    )
    parser.add_argument("--prometheus", metavar="URL", help="compare with what this server holds")
    parser.add_argument("--loki", metavar="URL", help="the same for LogQL")
    parser.add_argument(
        "--scrape-interval",
        metavar="DURATION",
        help=f"of what is measured (default: the server's longest, or {format_duration(DEFAULT_SCRAPE)})",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand and return its exit status: 0 nothing to mend, 1 something is.

    Raises:
        SettingsError: A path leads nowhere, or the interval is none.
        UnavailableError: A server does not answer.
    """
    client = PrometheusClient(args.prometheus) if args.prometheus else None
    interval = parse_duration(args.scrape_interval) if args.scrape_interval else None
    if interval is None and client is not None:
        interval = live_scrape_interval(client)
    found = lint(
        document_paths(args.paths, Path.cwd()),
        scrape_interval=interval or DEFAULT_SCRAPE,
        prometheus=client,
        loki=LokiClient(args.loki) if args.loki else None,
        at=datetime.now(UTC),
    )
    if args.json:
        print(msgspec.json.format(msgspec.json.encode([_row(one) for one in found])).decode())
    else:
        _print(found)
    return _EXIT_FINDINGS if any(not one.is_note for one in found) else 0


def _print(found: Sequence[Problem]) -> None:
    for one in found:
        print(one)
    findings = sum(not one.is_note for one in found)
    print(f"{findings} to mend, {len(found) - findings} to know")


def _row(one: Problem) -> dict[str, object]:
    return {
        "file": str(one.place.file),
        "line": one.place.line,
        "rule": one.rule,
        "kind": "note" if one.is_note else "finding",
        "what": one.what,
        "hint": one.hint,
    }
