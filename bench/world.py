"""What the benchmarks share: a running world, the machine it runs on, and how a figure is held against its goal."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec
from rich.console import Console

from sloproof.environment.backends import Wish, find_tools
from sloproof.harness import Harness
from sloproof.prove.standing import standing
from sloproof.report.run_id import new_run_id
from sloproof.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def platform_with_rules(rules: str) -> Iterator[Path]:
    """Yield a copy of the project's platform folder whose only rule file has this text."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "platform"
        shutil.copytree(ROOT / "platform", copy)
        shutil.rmtree(copy / "rules")
        (copy / "rules").mkdir()
        (copy / "rules" / "bench.yml").write_text(rules)
        yield copy


def project_settings(service_env: Mapping[str, str] | None = None, platform_dir: Path | None = None) -> Settings:
    """Return the project's settings, with some of the service's variables and the platform folder replaced."""
    settings = load_settings(ROOT)
    service = msgspec.structs.replace(settings.service, env={**settings.service.env, **(service_env or {})})
    return msgspec.structs.replace(
        settings, service=service, platform_dir=str(platform_dir) if platform_dir else settings.platform_dir
    )


@contextmanager
def world(settings: Settings) -> Iterator[Harness]:
    """Bring the local environment up, yield a harness that has seen its first metric and log line, and end it all."""
    run_id = new_run_id(datetime.now(UTC))
    wish = Wish(root=ROOT, settings=settings, run_id=run_id, environ=os.environ)
    with standing(wish, Console(stderr=True)) as harness:
        harness.anchor()
        yield harness


def describe_machine(tools: Sequence[str] = ("prometheus", "loki", "promtail", "alertmanager")) -> None:
    """Print the versions that the figures hold for, and how noisy the machine is now."""
    settings = load_settings(ROOT)
    wish = Wish(root=ROOT, settings=settings, run_id="bench", environ=os.environ, tools_offline=True)
    found = find_tools(wish, Console(stderr=True))
    versions = ", ".join(f"{name} {found[name].version}" for name in tools)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    print(f"sloproof {version('sloproof')} {commit}, Locust {version('locust')}, {versions}")
    print(
        f"Python {sys.version.split()[0]}, {platform.system()} {platform.release()}, {os.cpu_count()} cores; "
        f"{machine_noise()}",
        flush=True,
    )


def machine_noise() -> str:
    """Return how busy the machine is, and by how much a sleep of 5 ms overshoots: no wait can be better."""
    overshoots = []
    for _ in range(100):
        begin = time.perf_counter()
        time.sleep(0.005)
        overshoots.append((time.perf_counter() - begin - 0.005) * 1000)
    load = os.getloadavg()[0]
    return f"load average {load:.1f}, a sleep of 5 ms overshoots by {quantile(overshoots, 0.95):.1f} ms (p95)"


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that a share of the values does not exceed, by nearest rank."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def goal(text: str, figure: str, *, is_met: bool) -> int:
    """Print a goal with the figure and whether it is met, and return the exit status that says so."""
    print(f"goal: {text}: {figure} {'met' if is_met else 'missed'}", flush=True)
    return 0 if is_met else 1
