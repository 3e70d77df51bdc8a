"""`sloproof report`: what SLO documents promise, judged at an instant by what a server holds."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from sloproof.cli.verdicts import EXIT, style
from sloproof.clients._http import Http
from sloproof.clients.loki import LokiClient
from sloproof.clients.prometheus import PrometheusClient
from sloproof.duration import format_duration, parse_duration
from sloproof.errors import QueryError, SettingsError, UnavailableError
from sloproof.finding import SEVERITY, Verdict, worst
from sloproof.load.ledger import Ledger
from sloproof.report import history
from sloproof.report.document import encode
from sloproof.report.record import RunRecord
from sloproof.report.run_id import new_run_id
from sloproof.report.slo_run import slo_run, write_slo_report
from sloproof.settings import find_root, has_table, load_settings
from sloproof.slo.documents.folder import document_paths
from sloproof.slo.documents.reading import DEFAULT_SCRAPE, read_objectives
from sloproof.slo.judging.asking import Asker
from sloproof.slo.judging.judge import Sources, counter_of, judge, number, percent
from sloproof.slo.judging.loki_counting import LokiAsker
from sloproof.slo.model import Source
from sloproof.slo.verdicts import BurnRate, Judgement
from sloproof.slo_records import Stretch, server_links, slo_record, worst_minutes

# A scrape bears the instant it began at, and is stored when it ends; by then a judgement must not change any more.
_SETTLING = timedelta(minutes=1)
_WIDE = 120
_REPORTS = "reports"  # of a project without a table


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "report",
        help="judge SLOs at an instant",
        description="Judge each objective of OpenSLO documents at an instant, from counters' own samples or log lines: "
        "ratio, budget, burn rates, coverage, confidence, and a verdict with its reason. A report of it goes into a "
        "folder of its own, and into the history that is kept beside.",
        epilog="Exit status: 0 every objective passes, 1 one fails, 2 one is inconclusive or cannot be asked, "
        "3 an error.",
    )
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="files or folders (default: the project's)")
    parser.add_argument("--prometheus", metavar="URL", help="or Thanos, Mimir, VictoriaMetrics")
    parser.add_argument("--loki", metavar="URL")
    parser.add_argument("--ledger", type=Path, metavar="DIR", help="of a load driver, for objectives that it answers")
    parser.add_argument(
        "--at", metavar="INSTANT", help="such as 2026-03-01T00:00:00Z (default: the minute before last)"
    )
    parser.add_argument("--tenant", metavar="NAME", help="sent as X-Scope-OrgID")
    parser.add_argument("--bearer", metavar="FILE", type=Path, help="file with a token, sent as Authorization: Bearer")
    parser.add_argument("--header", metavar="NAME: TEXT", action="append", default=[], help="sent too; may be repeated")
    parser.add_argument("--timeout", metavar="TIME", default="60s", help="for each answer (default: 60s)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write report.json there; - for standard output")
    parser.add_argument("--report-dir", metavar="DIR", type=Path, help="where reports go (default: as for pytest)")
    parser.add_argument("--no-report", action="store_true", help="write no report folder and no history")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand and return its exit status: 0 pass, 1 fail, 2 inconclusive or blocked, 3 error.

    Raises:
        SettingsError: The documents, the instant or a server's address are not valid, or the report cannot be written.
    """
    at, started = _instant(args.at), datetime.now(UTC)
    root = find_root(Path.cwd())
    objectives = read_objectives(document_paths(args.paths, Path.cwd()), scrape_interval=DEFAULT_SCRAPE)
    _require_servers({one.source for one in objectives}, args)
    prometheus = Asker(PrometheusClient(_http(args.prometheus, args))) if args.prometheus else None
    loki = LokiAsker(LokiClient(_http(args.loki, args))) if args.loki else None
    sources = Sources(prometheus, loki, Ledger.open(args.ledger) if args.ledger else None)
    begin = time.monotonic()
    found = sorted((judge(one, sources, at) for one in objectives), key=_urgency)
    links = server_links(prometheus.client if prometheus else None, loki.client if loki else None)
    record = slo_run(
        [slo_record(one, worst=_worst(one, sources), links=links, root=root) for one in found],
        run_id=new_run_id(started),
        started=started,
        duration=timedelta(seconds=time.monotonic() - begin),
    )
    sent = sum(one.sent for one in (prometheus, loki) if one)
    waited = sum(one.seconds for one in (prometheus, loki) if one)
    index = None if args.no_report else _keep(record, args.report_dir or _reports(root))
    if args.json:
        _write(encode(record), args.json)
    if str(args.json) != "-":
        _print(found)
        print(
            f"{len(found)} objectives at {at.isoformat()}: {sent} queries, answered in {waited:.1f} s, "
            f"{time.monotonic() - begin:.1f} s in all"
        )
        if index:
            print(f"report: {index}")
    return EXIT[worst(one.verdict for one in found)]


def _worst(one: Judgement, sources: Sources) -> tuple[Stretch, ...] | None:
    """Return the worst minutes of what is in danger; of the rest, moments are enough, and cost no question."""
    if one.verdict is Verdict.PASS and not any(rate.is_burning for rate in one.burn_rates):
        return None
    counter = counter_of(one.objective, sources)
    try:
        return None if counter is None else worst_minutes(one, counter)
    except (UnavailableError, QueryError):
        return None


def _reports(root: Path) -> Path:
    return root / (load_settings(root).reports_dir if has_table(root) else _REPORTS)


def _keep(record: RunRecord, reports: Path) -> Path:
    """Write the report of a run and return where its page is, as it is shortest to type."""
    folder = reports / record.run_id
    try:
        written = write_slo_report(record, folder, history=reports / history.FILE)
    except OSError as error:
        raise SettingsError(
            f"expected to write a report, but {error}",
            hint="--report-dir names another place; or --no-report",
        ) from None
    if written.history is not None and written.history.problem:
        print(f"history: {written.history.problem}", file=sys.stderr)
    return Path(os.path.relpath(folder / "index.html"))


def _require_servers(wanted: set[Source], args: argparse.Namespace) -> None:
    given = {Source.PROMETHEUS: args.prometheus, Source.LOKI: args.loki, Source.LEDGER: args.ledger}
    if not any(given[one] for one in wanted):
        names = ", ".join(f"--{one.value}" for one in sorted(wanted))
        raise SettingsError("expected an address to ask at, got none", hint=f"give {names}")


def _instant(text: str | None) -> datetime:
    now = datetime.now(UTC)
    if text is None:
        return (now - _SETTLING).replace(second=0, microsecond=0)
    try:
        at = now if text == "now" else datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(
            f"expected an instant, got {text!r}", hint="write it as 2026-03-01T00:00:00Z, or as now"
        ) from None
    if at.tzinfo is None:
        raise SettingsError(f"expected an instant with a time zone, got {text!r}", hint="add Z for UTC")
    if at > now:
        raise SettingsError(
            f"expected an instant that is over, got {text!r}", hint="what is yet to come would change the answer"
        )
    return at.astimezone(UTC)


def _http(url: str, args: argparse.Namespace) -> Http:
    headers = {}
    for text in args.header:
        name, colon, value = text.partition(":")
        if not colon or not name.strip():
            raise SettingsError("expected --header as 'NAME: TEXT', got one without a colon", hint="X-Team: shop")
        headers[name.strip()] = value.strip()
    try:
        token = args.bearer.read_text().strip() if args.bearer else None
    except OSError as error:
        raise SettingsError(f"expected a file with a token, but {error}") from None
    return Http(
        url, timeout=parse_duration(args.timeout), bearer_token=token, tenant=args.tenant, headers=headers or None
    )


def _urgency(one: Judgement) -> tuple[int, float, str]:
    return -SEVERITY.index(one.verdict), -float(one.consumed or 0), one.objective.id


def _write(text: bytes, path: Path) -> None:
    if str(path) == "-":
        print(text.decode())
        return
    try:
        path.write_bytes(text)
    except OSError as error:
        raise SettingsError(f"expected to write {path}, but {error}") from None


def _print(found: Sequence[Judgement]) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(_WIDE, console.width))
    table = Table(box=None, pad_edge=False)
    for name in ("objective", "verdict", "SLI", "target", "budget left", "events", "covered", "burning"):
        is_text = name in {"objective", "verdict", "burning"}
        # A list of rows may take several lines; all else would be cut off for it.
        table.add_column(name, justify="left" if is_text else "right", no_wrap=name != "burning")
    for one in found:
        left = one.remaining
        table.add_row(
            one.objective.id,
            f"[bold {style(one.verdict)}]{one.verdict.value}[/]",
            percent(one.sli) if one.sli is not None else "-",
            percent(one.objective.target),
            percent(left) if left is not None else "-",
            number(one.count.valid),
            percent(one.count.coverage),
            ", ".join(_burning(rate) for rate in one.burn_rates if rate.is_burning) or "-",
        )
    console.print(table)
    for one in found:
        text = f"{one.verdict.value.upper()} {one.objective.id}: {one.reason}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def _burning(rate: BurnRate) -> str:
    assert rate.long is not None
    return f"{rate.row.name} {float(rate.long):.3g}x in {format_duration(rate.row.long)}"
