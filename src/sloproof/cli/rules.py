"""`sloproof rules`: writes the rules that the SLO documents make, or says where the written ones differ."""

from __future__ import annotations

import argparse
import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

from sloproof.duration import format_duration, parse_duration
from sloproof.errors import SettingsError
from sloproof.settings import Settings, find_root, has_table, load_settings
from sloproof.slo.compress import compress
from sloproof.slo.documents.folder import document_paths
from sloproof.slo.documents.reading import read_objectives
from sloproof.slo.model import Objective, Source
from sloproof.slo.rules.files import compare, file_texts, write
from sloproof.slo.rules.moulds import objective_texts
from sloproof.slo.rules.values import Timing

_EXIT_DIFFERENT = 1
_RULES = Path("rules")


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "rules",
        help="write the rules that the SLO documents make",
        description="Write Prometheus rule groups and Loki ruler groups from OpenSLO documents, a file a service: "
        "DIR/slo/SERVICE.yml and DIR/loki/SERVICE.yml. The same documents give the same bytes.",
    )
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="files or folders; default: the project's")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: rules/ in the platform's folder")
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 where the written rules differ")
    parser.add_argument("--interval", metavar="TIME", default="30s", help="between evaluations; default: 30s")
    parser.add_argument("--log-delay", metavar="TIME", help="how long a log line may take to arrive in Loki")
    parser.add_argument("--windows", type=Path, metavar="FILE", help="alert windows in Sloth's form, AlertWindows")
    parser.add_argument("--compress", type=_factor, default=Fraction(1), metavar="N", help="divide every time by N")
    parser.add_argument("--tests", type=Path, metavar="DIR", help="write promtool tests of each row there too")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand and return its exit status: 0 written, or as they should be; 1 different.

    Raises:
        SettingsError: The documents are not valid, or a file that someone else made is in the way.
    """
    with _uncollected():
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    root = find_root(Path.cwd())
    settings = load_settings(root) if has_table(root) else None
    timing = _timing(args, settings)
    paths = document_paths(args.paths, Path.cwd())
    read = read_objectives([*paths, *([args.windows] if args.windows else [])], scrape_interval=timing.interval)
    objectives = [compress(one, args.compress) for one in read]
    texts = file_texts(objective_texts(objectives, timing), root)
    out = args.out or root / ((settings and settings.platform_dir) or "platform") / _RULES
    _say_what_has_none(objectives)
    if args.check:
        return _check(texts, out)
    touched = write(texts, out)
    print(f"{len(texts)} rule files for {len(objectives)} objectives in {out}; {len(touched)} changed")
    if args.tests:
        from sloproof.slo.rules.promtool_tests import rule_test_texts  # noqa: PLC0415 - few ask for them

        made = rule_test_texts(objectives, timing, root)
        write(made, args.tests, owned=("*",))
        print(f"{len(made)} test files in {args.tests}; run each with promtool test rules")
    return 0


@contextmanager
def _uncollected() -> Iterator[None]:
    """Hold the garbage collector off: all that is made is needed to the end, and looking for more doubles reading."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _timing(args: argparse.Namespace, settings: Settings | None) -> Timing:
    interval = parse_duration(args.interval)
    if not interval:
        raise SettingsError(f"expected an interval above 0, got {args.interval!r}", next="try --interval 30s")
    if args.log_delay:
        return Timing(interval, parse_duration(args.log_delay))
    return Timing(interval, timedelta(seconds=settings.logs.ship_seconds)) if settings else Timing(interval)


def _factor(text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f"expected a number such as 300, got {text!r}") from None


def _check(texts: dict[Path, str], out: Path) -> int:
    changes = compare(texts, out)
    for one in changes:
        print(f"{out / one.path}: {one.kind}")
        if one.diff:
            print(one.diff)
    if changes:
        print(f"{len(changes)} of the rule files are not what the documents make; run: sloproof rules")
        return _EXIT_DIFFERENT
    print(f"{len(texts)} rule files are what the documents make")
    return 0


def _say_what_has_none(objectives: Sequence[Objective]) -> None:
    for one in objectives:
        if one.source is Source.LEDGER:
            print(f"{one.id}: no rules: the load driver's ledger answers for it, see sloproof report ({one.place})")
        elif not one.rows:
            length = format_duration(one.missing_after) if one.missing_after else "never"
            print(f"{one.id}: no burn alerts: no row can hold for its budget; missing data is told after {length}")
