"""The programs of the local environment: from PATH, from the cache, as official releases, or built from Go modules."""

from __future__ import annotations

import platform as host
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import platformdirs

from sloproof.environment.lockfile import PLATFORMS, Bundle, Platform, ToolLock
from sloproof.environment.obtaining import NotServedError, Progress
from sloproof.environment.releases import ReleaseHost
from sloproof.environment.supply import Supply, find_pinned
from sloproof.environment.tool_version import accepts, program_version
from sloproof.environment.toolcache import Record, ToolCache
from sloproof.errors import ToolError


@dataclass(frozen=True, slots=True)
class Tool:
    """A program that can be run.

    Attributes:
        name: Its name.
        path: Where it is.
        version: Its version.
        origin: Where this call found it; `release` and `module` mean that it was obtained just now.
        sha256: Of the program; None for one on PATH.
        record: How it came into the cache; None for one on PATH.
        passed_over: What is there and does not serve, with the reason, such as another version on PATH.
    """

    name: str
    path: Path
    version: str
    origin: Literal["path", "cache", "release", "module"]
    sha256: str | None
    record: Record | None = None
    passed_over: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Absence:
    """A tool that neither PATH nor the cache has.

    Attributes:
        name: Its name.
        passed_over: What is there and does not serve, with the reason.
        missing: Where nothing is.
    """

    name: str
    passed_over: tuple[str, ...]
    missing: tuple[str, ...]


def default_cache_dir(environ: Mapping[str, str]) -> Path:
    """Return `$XDG_CACHE_HOME/sloproof`, or the place the operating system has for caches where that is not set."""
    home = Path(environ.get("XDG_CACHE_HOME", ""))
    return home / "sloproof" if home.is_absolute() else Path(platformdirs.user_cache_dir("sloproof"))


def this_platform() -> Platform:
    """Return the platform this process runs on.

    Raises:
        SettingsError: The tools are not made for it.
    """
    return Platform.of(sys.platform, host.machine())


def look_up(names: Sequence[str], *, lock: ToolLock, cache_dir: Path, path: str) -> Mapping[str, Tool | Absence]:
    """Return where tools are now, obtaining none.

    Args:
        names: Names of tools in the lock.
        lock: The pins.
        cache_dir: The cache's folder.
        path: Folders to look in first, as in PATH.

    Raises:
        SettingsError: A name is not in the lock.
    """
    cache, here = ToolCache(cache_dir), this_platform()
    return {name: _look_up(name, lock, cache, path, here) for name in dict.fromkeys(names)}


def resolve(
    names: Sequence[str],
    *,
    lock: ToolLock,
    cache_dir: Path,
    path: str,
    progress: Progress,
    mirror: str | None = None,
    offline: bool = False,
) -> Mapping[str, Tool]:
    """Return tools that can be run, obtaining what is missing: as a release, else built from its Go module.

    Any number of processes may do so at once with one cache: one obtains, the others wait and use it.

    Args:
        names: Names of tools in the lock.
        lock: The pins.
        cache_dir: The cache's folder.
        path: Folders to look in first, as in PATH.
        progress: Told how obtaining goes.
        mirror: Base URL (https, http or file) that stands in for the releases' host.
        offline: Obtain nothing.

    Raises:
        SettingsError: A name is not in the lock, or the mirror is no URL.
        ToolError: No way served, each with its reason; or what came is not what its checksum promises.
    """
    found = look_up(names, lock=lock, cache_dir=cache_dir, path=path)
    absent = {name: each for name, each in found.items() if isinstance(each, Absence)}
    tools = {name: each for name, each in found.items() if isinstance(each, Tool)}
    if absent:
        cache, here = ToolCache(cache_dir), this_platform()
        base = mirror or lock.releases
        releases = ReleaseHost(base=base, platform=here, recorded=lock.sha256, cache=cache, progress=progress)
        supply = Supply(
            lock=lock, cache=cache, path=path, platform=here, releases=releases, offline=offline, progress=progress
        )
        for bundle in lock.bundles:
            wanted = [absent[name] for name in bundle.tools if name in absent]
            if not wanted:
                continue
            for reason in dict.fromkeys(reason for each in wanted for reason in each.passed_over):
                progress.note(bundle.name, f"passed over {reason}")
            reasons = {each.name: (*each.passed_over, *each.missing) for each in wanted}
            origin, records = supply.obtain(bundle, reasons)
            for each in wanted:
                tools[each.name] = _cached(records[each.name], cache, origin or "cache", each.passed_over)
    return {name: tools[name] for name in found}


def release_sums(lock: ToolLock, *, cache_dir: Path, progress: Progress, mirror: str | None = None) -> dict[str, str]:
    """Return the SHA-256 of every bundle's archive on every platform, as the releases' own checksum files say.

    Args:
        lock: The pins.
        cache_dir: The cache's folder; what was verified on this machine before is compared.
        progress: Told how it goes.
        mirror: Base URL that stands in for the releases' host.

    Raises:
        ToolError: A file cannot be had, lacks an archive, or contradicts a sum that is recorded already.
    """
    cache, sums = ToolCache(cache_dir), dict[str, str]()
    base = mirror or lock.releases
    releases = ReleaseHost(base=base, platform=this_platform(), recorded=lock.sha256, cache=cache, progress=progress)
    for bundle in lock.bundles:
        listed = releases.sums(bundle)
        for archive in (bundle.archive(each) for each in PLATFORMS):
            recorded, seen = lock.sha256.get(archive) or cache.recorded_sum(archive), listed.get(Path(archive).name)
            if seen is None or recorded not in {None, seen}:
                raise ToolError(
                    f"expected the checksum file of {bundle.name} {bundle.version} to bear out every archive",
                    archive=archive,
                    recorded=recorded or "no sum yet",
                    listed=seen or "not at all",
                    where=bundle.checksums(),
                    next="find out which is right before anything is recorded",
                )
            sums[archive] = seen
    return sums


def _look_up(name: str, lock: ToolLock, cache: ToolCache, path: str, here: Platform) -> Tool | Absence:
    bundle = lock.bundle_of(name)
    on_path = shutil.which(name, path=path)
    passed_over, missing = list[str](), list[str]()
    if on_path is None:
        missing.append(f"PATH: no {name}")
    else:
        version, objection = _judge(name, Path(on_path), bundle, cache)
        if objection is None:
            return Tool(name, Path(on_path), version, "path", None)
        passed_over.append(f"{on_path}: {objection}")
    record = find_pinned(name, lock, cache, here)
    if record:
        return _cached(record, cache, "cache", passed_over)
    program = cache.program(name, bundle.version)
    if program.exists():
        passed_over.append(f"{program}: changed since it was recorded, or not from what the lock names")
    else:
        missing.append(f"cache: no {program}")
    return Absence(name, tuple(passed_over), tuple(missing))


def _cached(
    record: Record, cache: ToolCache, origin: Literal["cache", "release", "module"], passed_over: Sequence[str]
) -> Tool:
    program = cache.program(record.tool, record.version)
    return Tool(record.tool, program, record.version, origin, record.sha256, record, tuple(passed_over))


def _judge(name: str, program: Path, bundle: Bundle, cache: ToolCache) -> tuple[str, str | None]:
    """Return the version of a program on PATH, and why it does not serve, None if it does."""
    version = cache.answered_version(program)
    if version is None:
        try:
            version = program_version(program, name)
        except NotServedError as error:
            return "", error.headline
        cache.keep_answer(program, version)
    if not version:
        return "", f"tells no version, wanted {bundle.accept}"
    return version, None if accepts(bundle.accept, version) else f"version {version}, wanted {bundle.accept}"
