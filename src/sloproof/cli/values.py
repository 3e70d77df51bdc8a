"""`sloproof values`: names every key of a Helm values file that does nothing."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from sloproof.environment.kube.chart_source import ChartSource
from sloproof.environment.kube.dead_values import ValuesReport, find_dead_values
from sloproof.environment.kube.helm import Helm
from sloproof.environment.kube.helm_program import find_helm
from sloproof.environment.kube.renders import inventory_faults
from sloproof.environment.progress_display import showing
from sloproof.errors import SettingsError
from sloproof.settings import find_root, has_table, load_settings

_EXIT_DEAD = 1
_MEBI = 2**20
_SHOWN = 8


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "values",
        help="name every key of a Helm values file that does nothing",
        description="Render a chart with each key of the values files left out, and with another value in its place. "
        "A key that changes nothing either way is dead, and named. Status 1 if there is one.",
    )
    parser.add_argument("chart", metavar="CHART", help="a folder, an archive, oci://..., or a name in --repo")
    parser.add_argument("-f", "--values", type=Path, metavar="FILE", action="append", default=[], required=True)
    parser.add_argument("--version", metavar="VERSION", default="", help="the chart's version, exactly")
    parser.add_argument("--repo", metavar="URL", default="", help="the chart's repository")
    parser.add_argument("--release", metavar="NAME", help="name of the release; default: the chart's")
    parser.add_argument("-n", "--namespace", metavar="NAME", default="default", help="where it would be installed")
    parser.add_argument("--kube-version", metavar="VERSION", default="", help="of the cluster that it is rendered for")
    parser.add_argument(
        "--expect-inventory",
        type=Path,
        metavar="FILE",
        help="map of workloads to their containers; status 1 where the render has others",
    )
    parser.add_argument("--offline", action="store_true", help="fetch no helm; a missing one is an error")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand and return its exit status: 0 every key does something, 1 one does not.

    Raises:
        SloproofError: The chart or helm cannot be had, or the values as they are do not render.
    """
    chart = chart_source(args.chart, args.repo, args.version)
    output, messages = Console(soft_wrap=True, highlight=False, markup=False), Console(stderr=True)
    with showing(messages) as progress:
        program = find_helm(_platform_dir(), environ=os.environ, progress=progress, offline=args.offline)
    helm = Helm(program, kubeconfig=None, context=None, environ=os.environ)
    begin = time.monotonic()
    with Progress(console=messages, transient=True, disable=not messages.is_terminal) as bar:
        task = bar.add_task("rendering", total=None)
        report = find_dead_values(
            helm,
            chart,
            args.values,
            release=args.release or chart.name,
            namespace=args.namespace,
            kube_version=args.kube_version,
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    _show(output, report)
    faults = inventory_faults(report.workloads, args.expect_inventory) if args.expect_inventory else ()
    for fault in faults:
        output.print(f"{args.expect_inventory}: {fault}")
    seconds = time.monotonic() - begin
    dead = len(report.dead)
    verdict = "every key does something" if report.is_clean else f"{dead} of them change{'s' * (dead == 1)} nothing"
    if not dead and report.unneeded:
        verdict = f"{len(report.unneeded)} remark{'s' * (len(report.unneeded) > 1)} not true"
    output.print(
        f"{report.checked} keys: {verdict}; {report.renders} renders by helm {helm.version} in {seconds:.0f} s"
    )
    return 0 if report.is_clean and not faults else _EXIT_DEAD


def chart_source(chart: str, repository: str, version: str) -> ChartSource:
    """Return the chart that the command line names.

    Raises:
        SettingsError: It names none.
    """
    path = Path(chart)
    if repository or chart.startswith("oci://"):
        if not version:
            raise SettingsError(f"expected --version for the chart {chart}, seen none", next="name one exact version")
        base, _, name = chart.rpartition("/") if chart.startswith("oci://") else (repository, "", chart)
        return ChartSource(name, version, base)
    if not path.exists():
        raise SettingsError(
            f"expected a chart, seen {chart!r}",
            next="name a folder, oci://..., or a chart and its --repo and --version",
        )
    name = path.resolve().name if path.is_dir() else path.name.rpartition("-")[0]
    return ChartSource(name, folder=path.resolve())


def _platform_dir() -> Path | None:
    root = find_root(Path.cwd())
    folder = load_settings(root).platform_dir if has_table(root) else None
    return root / folder if folder else None


def _show(console: Console, report: ValuesReport) -> None:
    for each in report.dead:
        console.print(str(each))
    for key in report.unneeded:
        console.print(f"{key.file}:{key.line}: {key} does something, and the remark beside it says that it does not")
    for each in report.allowed:
        console.print(f"{each.key.file}:{each.key.line}: {each.key} changes nothing, as said: {each.key.allowance}")
    if report.restating:
        console.print(f"say what the chart says anyway: {_some([str(key) for key in report.restating])}")
    if report.refused:
        console.print(f"are read, but no other value was accepted: {_some([str(key) for key in report.refused])}")
    if report.masked:
        console.print("another at each render, and so not compared:")
        for text in report.masked:
            console.print(f"  {text}")
    console.print("the chart renders to:")
    for workload in report.workloads:
        asked = f", {workload.memory / _MEBI:.0f} Mi requested" if workload.memory else ", no memory requested"
        unbound = f", none by {', '.join(workload.unbound)}" if workload.memory and workload.unbound else ""
        inside = f": {', '.join(workload.containers)}{asked}{unbound}" if workload.containers else ""
        console.print(f"  {workload.name}{inside}")
    if not report.workloads:
        console.print("  no workload")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
