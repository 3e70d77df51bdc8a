"""`sloproof prove`: shows that every generated alert fires when it should, is silent when it should, clears in time."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from sloproof.cli.verdicts import EXIT, style
from sloproof.environment.backends import Wish, find_tools
from sloproof.finding import Verdict, worst
from sloproof.prove.gate import drills_of
from sloproof.prove.ledger_events import events_from
from sloproof.prove.live import prove_live
from sloproof.prove.local_rules import compressed_objectives, compressed_rules
from sloproof.prove.proof import Tier, live_tier, prove_months, prove_rules
from sloproof.prove.scratch_server import Programs
from sloproof.prove.standing import standing
from sloproof.report.run_id import new_run_id
from sloproof.report.slo_run import slo_run, write_slo_report
from sloproof.settings import Settings, find_root, load_settings
from sloproof.slo.documents.folder import document_paths
from sloproof.slo.documents.reading import read_objectives
from sloproof.slo.model import Source
from sloproof.slo.rules.values import Timing
from sloproof.slo_records import server_links, slo_record


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "prove",
        help="prove the alerts of the SLO documents: fire, silence, clearing",
        description="Prove the rules that the documents make, in tiers: `rules` in promtool's engine, `history` on "
        "months of data in a real Prometheus, `live` on a running environment under a real fault and compressed time.",
    )
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="files or folders; default: the project's")
    parser.add_argument("--tier", action="append", choices=_NAMES, help="only this tier; may be given again")
    parser.add_argument("--report-dir", type=Path, metavar="DIR", help="where the report of the live tier goes")
    parser.add_argument("--no-report", action="store_true", help="write none")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand and return its exit status: 0 all proven, 1 something false, 2 inconclusive, 3 an error.

    Raises:
        SettingsError: The documents or the project's table are not valid.
        ToolError: A program cannot be had.
    """
    root = find_root(Path.cwd())
    settings = load_settings(root)
    paths = document_paths(args.paths, Path.cwd())
    console = Console(soft_wrap=True, highlight=False)
    reports = None if args.no_report else args.report_dir or root / settings.reports_dir
    tiers = []
    for name in args.tier or _NAMES:
        if name == _LIVE:
            tier = _live(root, settings, paths, console, reports)
        else:
            tier = _TIERS[name](root, settings, paths, console)
        _show(tier, console)
        tiers.append(tier)
    verdict = worst(tier.verdict for tier in tiers)
    total, names = sum(len(tier.proven) for tier in tiers), ", ".join(tier.name for tier in tiers)
    console.print(f"[{style(verdict)}]{verdict.value.upper()}[/]  {total} claims in {names}")
    return EXIT[verdict]


def _wish(root: Path, settings: Settings, **more: Any) -> Wish:
    run_id = f"prove-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    return Wish(root=root, settings=settings, run_id=run_id, environ=dict(os.environ), **more)


def _rules(root: Path, settings: Settings, paths: Sequence[Path], console: Console) -> Tier:
    objectives = [one for one in read_objectives(paths) if one.source is not Source.LEDGER]
    promtool = find_tools(_wish(root, settings), console, ["promtool"])["promtool"].path
    return prove_rules(objectives, Timing(log_delay=timedelta(seconds=settings.logs.ship_seconds)), root, promtool)


def _live(root: Path, settings: Settings, paths: Sequence[Path], console: Console, reports: Path | None) -> Tier:
    begin, started = time.monotonic(), datetime.now(UTC)
    objectives = [one for one in compressed_objectives(root, settings, paths) if one.source is not Source.LEDGER]
    rules = compressed_rules(objectives, root, settings)
    with standing(_wish(root, settings, rules=rules), console) as harness:
        loaded = datetime.now(UTC)
        rows = prove_live(
            harness,
            objectives,
            events_from(harness),
            tell=lambda text: console.print(f"{time.monotonic() - begin:6.1f} s  {escape(text)}", style="dim"),
        )
        drills = drills_of(harness, rows, loaded)
        links = server_links(harness.clients.prometheus, harness.clients.loki)
        slos = [slo_record(one, links=links, root=root) for one in drills]
    spent = time.monotonic() - begin
    if reports is not None:
        record = slo_run(
            slos,
            run_id=new_run_id(started),
            started=started,
            duration=timedelta(seconds=spent),
            service=settings.service.name,
        )
        # A proof is no night of the service, so the history does not have it.
        write_slo_report(record, reports / record.run_id)
        index = os.path.relpath(reports / record.run_id / "index.html")
        console.print(f"report: {escape(index)}")
    return live_tier(rows, spent)


def _history(root: Path, settings: Settings, _paths: Sequence[Path], console: Console) -> Tier:
    tools = find_tools(_wish(root, settings), console, ["prometheus", "promtool"])
    return prove_months(Programs(tools["prometheus"].path, tools["promtool"].path))


_TIERS: dict[str, Callable[[Path, Settings, Sequence[Path], Console], Tier]] = {
    "rules": _rules,
    "history": _history,
}
_LIVE = "live"
_NAMES = (*_TIERS, _LIVE)


def _show(tier: Tier, console: Console) -> None:
    good = sum(one.verdict is Verdict.PASS for one in tier.proven)
    console.print(f"[bold]{tier.name}[/]: {good} of {len(tier.proven)} proven in {tier.seconds:.1f} s")
    for one in tier.proven:
        console.print(f"  [{style(one.verdict)}]{one.verdict.value:<12}[/] {escape(one.what)}")
        for line in one.text.splitlines():
            console.print(f"               {escape(line)}", style="dim" if one.verdict is Verdict.PASS else None)
