"""The stacks of `helm/stacks.yaml`: which Helm releases make the monitoring in a cluster, in which order."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import yaml

from sloproof.environment.kube.chart_source import ChartSource
from sloproof.errors import SettingsError
from sloproof.platform_files import platform_file

T = TypeVar("T", bound=msgspec.Struct)
FILE = "helm/stacks.yaml"
_FORMAT = 1
_EXACT = re.compile(r"v?\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,51}[a-z0-9])?")
_UNKNOWN = re.compile(r"unknown field `([^`]*)`")


class Address(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """By which Service a component answers.

    Attributes:
        service: The Service's name.
        port: The Service's port.
    """

    service: str
    port: int


class _Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A release as it is written."""

    name: str
    chart: str
    version: str = ""
    repository: str = ""
    folder: str = ""
    values: list[str] = []
    namespace: Literal["environment", "own"] = "environment"
    addresses: dict[str, Address] = {}
    inventory: str = ""


class _Stack(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A stack as it is written."""

    releases: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Release:
    """One release of a stack.

    Attributes:
        name: Its name; fixed, so that the names of its Services are.
        chart: What it installs.
        values_files: Later ones win.
        namespace_policy: `environment`: the environment's namespace; `own`: one of its own beside that.
        addresses: Component to the Service that it answers by.
        inventory: File with the workloads that it renders to; None where it is not pinned down.
    """

    name: str
    chart: ChartSource
    values_files: tuple[Path, ...]
    namespace_policy: Literal["environment", "own"]
    addresses: Mapping[str, Address]
    inventory: Path | None

    def namespace(self, environment: str) -> str:
        """Return the namespace that it is installed in, given the environment's."""
        return environment if self.namespace_policy == "environment" else f"{environment}-{self.name}"


@dataclass(frozen=True, slots=True)
class Stack:
    """Releases that make a monitoring, in the order of their installation."""

    name: str
    releases: tuple[Release, ...]

    def release_of(self, component: str) -> Release:
        """Return the release that a component answers from.

        Raises:
            SettingsError: None does.
        """
        for release in self.releases:
            if component in release.addresses:
                return release
        there = sorted(name for release in self.releases for name in release.addresses)
        raise SettingsError(
            f"expected the stack {self.name} to say where {component} answers, it does not",
            there=", ".join(there) or "none",
            next=f"add it to `addresses` of its release in {FILE}",
        )

    def url_host(self, component: str, environment: str) -> str:
        """Return `service.namespace:port` of a component, as pods of any namespace reach it."""
        release = self.release_of(component)
        address = release.addresses[component]
        return f"{address.service}.{release.namespace(environment)}:{address.port}"


def load_stack(platform_dir: Path | None, name: str) -> Stack:
    """Return a stack of the platform's `helm/stacks.yaml`.

    Args:
        platform_dir: The project's platform folder; None for the one that comes with sloproof.
        name: The stack's name.

    Raises:
        SettingsError: There is no such stack, the file is not valid, or a file that it names is not there; says
            which file and key.
    """
    path = platform_file(platform_dir, FILE)
    stacks = _stacks(path)
    if name not in stacks:
        raise SettingsError(
            f"expected the name of a monitoring stack, seen {name!r}{_nearest(name, stacks)}",
            known=", ".join(stacks) or "none",
            where=path,
            next="correct `stack` in [tool.sloproof.kube]",
        )
    where = f"stacks.{name}"
    written = _convert(stacks[name], _Stack, path, where)
    releases = tuple(
        _release(one, platform_dir, path, f"{where}.releases[{number}]") for number, one in enumerate(written.releases)
    )
    if not releases:
        raise _fault(path, f"{where}.releases", "expected at least one release, seen none")
    for what, names in (
        ("release", [release.name for release in releases]),
        ("component", [component for release in releases for component in release.addresses]),
    ):
        twice = sorted({one for one in names if names.count(one) > 1})
        if twice:
            raise _fault(path, where, f"expected each {what} once, seen twice: {', '.join(twice)}")
    return Stack(name, releases)


def _stacks(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError("the monitoring stacks cannot be read", seen=error, where=path) from error
    if not isinstance(document, dict) or not isinstance(document.get("stacks"), dict):
        raise _fault(path, "stacks", "expected a map of stacks, seen none")
    if document.get("format") != _FORMAT:
        raise _fault(path, "format", f"expected {_FORMAT}, seen {document.get('format')}")
    top = [str(key) for key in document if not str(key).startswith(".") and key not in {"format", "stacks"}]
    if top:
        raise _fault(path, top[0], f"unknown key{_nearest(top[0], ('format', 'stacks'))}")
    return {str(name): stack for name, stack in document["stacks"].items()}


def _release(written: object, platform_dir: Path | None, path: Path, where: str) -> Release:
    release = _convert(written, _Release, path, where)
    where = f"{where} ({release.name})"
    sources = [key for key in ("repository", "folder") if getattr(release, key)]
    if len(sources) != 1:
        raise _fault(path, where, f"expected `repository` or `folder`, seen {' and '.join(sources) or 'neither'}")
    if release.repository and not re.match(r"(https?|oci|file)://", release.repository):
        raise _fault(path, f"{where}.repository", f"expected https:// or oci://, seen {release.repository!r}")
    if release.repository and not _EXACT.fullmatch(release.version):
        raise _fault(path, f"{where}.version", f"expected one exact version, such as 1.2.3, seen {release.version!r}")
    if release.folder and release.version:
        raise _fault(path, f"{where}.version", "expected none beside `folder`: its Chart.yaml says it")
    if not _NAME.fullmatch(release.name):
        raise _fault(path, f"{where}.name", f"expected a name as Helm takes it, seen {release.name!r}")
    try:
        folder = platform_file(platform_dir, release.folder) if release.folder else None
        files = tuple(platform_file(platform_dir, name) for name in release.values)
        inventory = platform_file(platform_dir, release.inventory) if release.inventory else None
    except SettingsError as error:
        raise SettingsError(error.headline, **error.details, named_by=f"{path}: {where}") from error
    chart = ChartSource(release.chart, release.version, release.repository, folder)
    return Release(release.name, chart, files, release.namespace, release.addresses, inventory)


def _convert(written: object, kind: type[T], path: Path, where: str) -> T:
    try:
        return msgspec.convert(written, kind)
    except msgspec.ValidationError as error:
        said = str(error)
        inner = re.search(r" - at `\$\.?(.*)`$", said)
        key = f"{where}.{inner[1]}" if inner else where
        unknown = _UNKNOWN.search(said)
        fields = [*kind.__struct_fields__, *Address.__struct_fields__]
        near = _nearest(unknown[1], fields) if unknown else ""
        raise _fault(path, key, f"{said.partition(' - at')[0]}{near}") from error


def _nearest(seen: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(seen, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def _fault(path: Path, key: str, text: str) -> SettingsError:
    return SettingsError(
        f"the monitoring stacks are not valid: {text}", where=f"{path}: {key}", next="see docs/helm.md"
    )
