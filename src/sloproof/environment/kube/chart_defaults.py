"""A chart's own values, its subcharts' among them: what it knows, and what is spelt nearly so."""

from __future__ import annotations

import difflib
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from sloproof.environment.kube.values_tree import KeyPath, merged, value_at
from sloproof.errors import SettingsError

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SWITCHES = ("enabled", "create", "install", "deploy", "replicas", "replicaCount")
_MOST_NEAR = 24
_LIKE = 0.6
_DEPTH_COST = 0.05
_AS_GOOD = 0.04


@dataclass(frozen=True, slots=True)
class ChartDefaults:
    """What a chart's values are unless told otherwise.

    Attributes:
        values: They, with each subchart's below its name or alias.
        conditions: Subchart's name or alias to the paths that switch it.
    """

    values: Mapping[str, Any]
    conditions: Mapping[str, tuple[KeyPath, ...]]

    def unknown_from(self, path: KeyPath) -> KeyPath | None:
        """Return the part of a path up to the first key that the chart does not know, None if it knows all.

        Below an empty map, or where it says nothing, anything may stand.
        """
        here: Any = self.values
        for depth, part in enumerate(path):
            if here is None or here in ({}, []) or isinstance(here, list) or path[0] == "global":
                return None
            if not isinstance(here, Mapping) or part not in here:
                return path[: depth + 1]
            here = here[part]
        return None

    def is_open(self, path: KeyPath) -> bool:
        """Return whether a path leads into an empty map of the chart, where it names no key itself."""
        for depth in range(len(path)):
            try:
                here = value_at(self.values, path[:depth])
            except (LookupError, TypeError):
                return False
            if here in ({}, None):
                return True
        return False

    def near(self, path: KeyPath) -> tuple[tuple[KeyPath, ...], ...]:
        """Return paths that the chart knows and that are spelt nearly so: those equally likely together, best first."""
        wanted = [str(part) for part in path if isinstance(part, str)]
        scored = []
        for known in self.paths:
            score = _likeness(wanted, [str(part) for part in known])
            if score >= _LIKE:
                scored.append((-score, len(known), known))
        groups: list[list[KeyPath]] = []
        best = 0.0
        for score, _, known in sorted(scored)[:_MOST_NEAR]:
            if not groups or score > best + _AS_GOOD:
                groups.append([])
                best = score
            groups[-1].append(known)
        return tuple(map(tuple, groups))

    @property
    def paths(self) -> tuple[KeyPath, ...]:
        """Return the paths of all that the chart knows, maps included."""
        return tuple(_paths(self.values, ()))

    def switches(self, path: KeyPath, effective: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Any]]:
        """Yield the switches that are off on the way to a key, and a value that would switch them on; nearest first.

        Args:
            path: The key's.
            effective: The values that hold, the chart's own among them.
        """
        candidates: list[KeyPath] = []
        for depth in range(len(path) - 1, -1, -1):
            candidates += [(*path[:depth], name) for name in _SWITCHES]
        candidates += self.conditions.get(str(path[0]), ())
        for candidate in dict.fromkeys(candidates):
            try:
                value = value_at(effective, candidate)
            except (LookupError, TypeError):
                continue
            if candidate != path and value in (False, 0) and value is not None:
                yield candidate, value is False or 1


def read_defaults(folder: Path) -> ChartDefaults:
    """Return the values of a chart in a folder.

    Raises:
        SettingsError: It is no chart, or a file of it cannot be read.
    """
    if not (folder / "Chart.yaml").is_file():
        raise SettingsError("expected the folder of a chart, seen none with a Chart.yaml", where=folder)
    return _defaults(_FolderFiles(folder))


class _FolderFiles:
    """The files of a chart in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> Mapping[str, Any]:
        file = self._folder / name
        return _map(file.read_bytes(), file) if file.is_file() else {}

    def subcharts(self) -> Iterator[_FolderFiles | _PackedFiles]:
        charts = self._folder / "charts"
        for each in sorted(charts.iterdir()) if charts.is_dir() else ():
            if (each / "Chart.yaml").is_file():
                yield _FolderFiles(each)
            elif each.suffix == ".tgz":
                yield _PackedFiles(_unpacked(each), PurePosixPath())


class _PackedFiles:
    """The files of a chart in an archive."""

    def __init__(self, files: Mapping[PurePosixPath, bytes], root: PurePosixPath) -> None:
        self._files = files
        top = {path.parts[0] for path in files if path.parts}
        self._root = root if root.parts else PurePosixPath(*sorted(top)[:1])

    def read(self, name: str) -> Mapping[str, Any]:
        path = self._root / name
        return _map(self._files[path], path) if path in self._files else {}

    def subcharts(self) -> Iterator[_PackedFiles]:
        for path in sorted(self._files):
            if path.name == "Chart.yaml" and path.parent.parent == self._root / "charts":
                yield _PackedFiles(self._files, path.parent)


def _defaults(files: _FolderFiles | _PackedFiles) -> ChartDefaults:
    chart = files.read("Chart.yaml")
    wanted = [*(chart.get("dependencies") or ()), *(files.read("requirements.yaml").get("dependencies") or ())]
    below: dict[str, Any] = {}
    conditions: dict[str, tuple[KeyPath, ...]] = {}
    for subchart in files.subcharts():
        name = str(subchart.read("Chart.yaml").get("name", ""))
        entries = [each for each in wanted if each.get("name") == name] or [{}]
        inner = _defaults(subchart)
        for entry in entries:
            title = str(entry.get("alias") or name)
            below[title] = inner.values
            conditions[title] = tuple(
                tuple(text.strip().split(".")) for text in str(entry.get("condition") or "").split(",") if text.strip()
            )
    return ChartDefaults(merged([below, files.read("values.yaml")]), conditions)


def _map(content: bytes, where: Path | PurePosixPath) -> Mapping[str, Any]:
    try:
        read = yaml.load(content, _LOADER)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError("a file of the chart cannot be read", seen=error, where=where) from error
    return read if isinstance(read, dict) else {}


def _unpacked(archive: Path) -> dict[PurePosixPath, bytes]:
    wanted = {"Chart.yaml", "values.yaml", "requirements.yaml"}
    found: dict[PurePosixPath, bytes] = {}
    with tarfile.open(archive) as packed:
        for member in packed:
            path = PurePosixPath(member.name)
            stream = packed.extractfile(member) if member.isfile() and path.name in wanted else None
            if stream is not None:
                found[path] = stream.read()
    return found


def _paths(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    if path:
        yield path
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _paths(inner, (*path, str(key)))


def _likeness(wanted: Sequence[str], known: Sequence[str]) -> float:
    """Return how alike two paths are, from 0 to 1: the last key must be, the ones before it may differ."""
    last = _word_likeness(wanted[-1], known[-1]) if wanted else 0.0
    if last < _LIKE:
        return 0.0
    before = difflib.SequenceMatcher(None, _bare("".join(wanted[:-1])), _bare("".join(known[:-1])), autojunk=False)
    inside = 0.0
    if len(wanted) > 1 and len(known) > 1:
        inside = max(_word_likeness(one, other) for one in wanted[:-1] for other in known[:-1])
    depth = abs(len(wanted) - len(known))
    return last * 0.5 + max(before.ratio(), inside) * 0.5 - depth * _DEPTH_COST


def _word_likeness(one: str, other: str) -> float:
    one, other = _bare(one), _bare(other)
    if one == other:
        return 1.0
    if one and other and (one in other or other in one):
        return 0.9
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()


def _bare(word: str) -> str:
    return word.lower().replace("-", "").replace("_", "")
