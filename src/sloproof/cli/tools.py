"""`sloproof tools`: where the programs of the local environment come from; fetches what is missing ahead of a run."""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from sloproof.environment.lockfile import ToolLock, load_lock, record_sums
from sloproof.environment.progress_display import showing
from sloproof.environment.toolcache import ToolCache
from sloproof.environment.toolchain import Absence, Tool, default_cache_dir, look_up, release_sums, resolve
from sloproof.errors import SettingsError, ToolError
from sloproof.platform_files import platform_file
from sloproof.settings import find_root, load_settings

_EXIT_MISSING = 1


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "tools",
        help="show where the environment's programs come from, and fetch what is missing",
        description="Show where each program of the local environment comes from, and fetch what is missing: "
        "PATH, the cache, the official release, or a build from its Go module, in this order.",
    )
    parser.add_argument("--list", action="store_true", help="only show; status 1 if a program is missing")
    parser.add_argument("--verify", action="store_true", help="compare each cached program with its recorded SHA-256")
    parser.add_argument("--offline", action="store_true", help="fetch nothing; a missing program is an error")
    parser.add_argument("--mirror", metavar="URL", help="take releases from here: https, http or file")
    parser.add_argument(
        "--record",
        action="store_true",
        help="write the SHA-256 of the releases' archives into the project's tools.lock",
    )
    parser.add_argument("--lock", type=Path, metavar="FILE", help="use these pins instead of the project's")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand and return its exit status: 0 every program is there, 1 `--list` misses one.

    Raises:
        SettingsError: The lock or the mirror's URL is not valid.
        ToolError: A program can be had by no way, or is not what its checksum promises.
    """
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        return _run(args)
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(args: argparse.Namespace) -> int:
    lock = load_lock(args.lock or _lock_path(find_root(Path.cwd())))
    cache_dir, path = default_cache_dir(os.environ), os.environ.get("PATH", os.defpath)
    output, messages = Console(soft_wrap=True, highlight=False, markup=False), Console(stderr=True)
    found: Mapping[str, Tool | Absence]
    with showing(messages) as progress:
        if args.record:
            _require_own(lock)
            sums = release_sums(lock, cache_dir=cache_dir, progress=progress, mirror=args.mirror)
            record_sums(lock, sums)
            lock = load_lock(lock.path)
        if args.list:
            found = look_up(lock.tools(), lock=lock, cache_dir=cache_dir, path=path)
        else:
            found = resolve(
                lock.tools(),
                lock=lock,
                cache_dir=cache_dir,
                path=path,
                progress=progress,
                mirror=args.mirror,
                offline=args.offline,
            )
    for name, each in found.items():
        _show(output, name, each, lock)
    if args.verify:
        _verify([each for each in found.values() if isinstance(each, Tool)], ToolCache(cache_dir), output)
    return _EXIT_MISSING if any(isinstance(each, Absence) for each in found.values()) else 0


def _lock_path(root: Path) -> Path:
    """Return the project's lock, or the one that comes with sloproof where there is no project."""
    if not (root / "pyproject.toml").exists():
        return platform_file(None, "tools.lock")
    folder = load_settings(root).platform_dir
    return platform_file(root / folder if folder else None, "tools.lock")


def _require_own(lock: ToolLock) -> None:
    """Refuse to write into an installed package: the next installation would undo it."""
    if lock.path.is_relative_to(str(files("sloproof"))):
        raise SettingsError(
            "expected a tools.lock of the project to record in, seen the one that comes with sloproof",
            where=lock.path,
            next="copy it into the project's platform folder and set platform_dir in [tool.sloproof]",
        )


def _show(console: Console, name: str, each: Tool | Absence, lock: ToolLock) -> None:
    """Print a tool in two rows: what it is and how it came; where it is and its hash."""
    pinned = lock.bundle_of(name).version
    if isinstance(each, Absence):
        console.print(f"{name:<13} {pinned:<9} missing")
        for reason in (*each.passed_over, *each.missing):
            console.print(f"{'':<13} {reason}")
        return
    size = f"{each.path.stat().st_size / 1e6:.1f} MB"
    other = f" (pinned: {pinned})" if each.version != pinned else ""
    console.print(f"{name:<13} {each.version:<9} {_origin(each)}, {size}{other}")
    console.print(f"{'':<13} {each.path}")
    if each.sha256:
        console.print(f"{'':<13} sha256 {each.sha256}")
    for reason in each.passed_over:
        console.print(f"{'':<13} passed over {reason}")


def _origin(tool: Tool) -> str:
    if tool.record is None:
        return "from PATH"
    way = {"release": "official release", "module": "built from its Go module"}[tool.record.origin]
    place = "from the cache: " if tool.origin == "cache" else "just now: "
    return f"{place}{way} {tool.record.source}, {tool.record.obtained:%Y-%m-%d}"


def _verify(tools: list[Tool], cache: ToolCache, console: Console) -> None:
    changed = [tool for tool in tools if tool.record and not cache.is_intact(tool.record)]
    if changed:
        raise ToolError(
            "a program in the cache is not the one that was recorded",
            seen="\n".join(str(tool.path) for tool in changed),
            next="find out who changed it; `rm -r` its folder and run `sloproof tools` to have it afresh",
        )
    console.print(f"{sum(tool.record is not None for tool in tools)} cached programs are as recorded")


def _leave(number: int, _frame: FrameType | None) -> None:
    """End as Ctrl-C does, so that a build under way is ended and cleaned up."""
    raise SystemExit(128 + number)
