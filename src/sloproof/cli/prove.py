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
from sloproof.prove.ledger_events import events_from
from sloproof.prove.live import prove_live
from sloproof.prove.local_rules import compressed_objectives, compressed_rules
from sloproof.prove.proof import Tier, live_tier, prove_months, prove_rules
from sloproof.prove.scratch_server import Programs
from sloproof.prove.standing import standing
from sloproof.settings import Settings, find_root, load_settings
from sloproof.slo.documents.reading import read_objectives
from sloproof.slo.model import Source
from sloproof.slo.rules.values import Timing


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "prove",
        help="prove the alerts of the SLO documents: fire, silence, clearing",
        description="Prove the rules that the documents make, in tiers: `rules` in promtool's engine, `history` on "
        "months of data in a real Prometheus, `live` on a running environment under a real fault and compressed time.",
    )
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="documents or folders; default: slo/")
    parser.add_argument("--tier", action="append", choices=list(_TIERS), help="only this tier; may be given again")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand and return its exit status: 0 all proven, 1 something false, 2 inconclusive, 3 an error.

    Raises:
        SettingsError: The documents or the project's table are not valid.
        ToolError: A program cannot be had.
    """
    root = find_root(Path.cwd())
    settings = load_settings(root)
    paths = args.paths or [root / settings.slo.documents]
    console = Console(soft_wrap=True, highlight=False)
    tiers = []
    for name in args.tier or _TIERS:
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


def _live(root: Path, settings: Settings, paths: Sequence[Path], console: Console) -> Tier:
    begin = time.monotonic()
    objectives = [one for one in compressed_objectives(root, settings, paths) if one.source is not Source.LEDGER]
    rules = compressed_rules(objectives, root, settings)
    with standing(_wish(root, settings, rules=rules), console) as harness:
        rows = prove_live(
            harness,
            objectives,
            events_from(harness),
            tell=lambda text: console.print(f"{time.monotonic() - begin:6.1f} s  {escape(text)}", style="dim"),
        )
    return live_tier(rows, time.monotonic() - begin)


def _history(root: Path, settings: Settings, _paths: Sequence[Path], console: Console) -> Tier:
    tools = find_tools(_wish(root, settings), console, ["prometheus", "promtool"])
    return prove_months(Programs(tools["prometheus"].path, tools["promtool"].path))


_TIERS: dict[str, Callable[[Path, Settings, Sequence[Path], Console], Tier]] = {
    "rules": _rules,
    "history": _history,
    "live": _live,
}


def _show(tier: Tier, console: Console) -> None:
    good = sum(one.verdict is Verdict.PASS for one in tier.proven)
    console.print(f"[bold]{tier.name}[/]: {good} of {len(tier.proven)} proven in {tier.seconds:.1f} s")
    for one in tier.proven:
        console.print(f"  [{style(one.verdict)}]{one.verdict.value:<12}[/] {escape(one.what)}")
        for line in one.text.splitlines():
            console.print(f"               {escape(line)}", style="dim" if one.verdict is Verdict.PASS else None)
