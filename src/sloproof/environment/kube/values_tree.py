"""Helm values files, key by key: where each stands, and what a file is with one of them left out or changed."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sloproof.errors import SettingsError

KeyPath = tuple[str | int, ...]

SENTINEL = "sloproof-sentinel"
_STEP = 7
_QUANTITY = re.compile(r"(-?\d+(?:\.\d+)?)([A-Za-zµ%]{0,3})")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ALLOWANCE = re.compile(r"#\s*sloproof: unused\b[\s,:-]*(.*)")


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a values file that holds a value, not further keys.

    Attributes:
        path: Map keys and places in lists, from the top.
        value: What it says; an empty map or list counts as a value.
        file: Where it is written.
        line: Where in the file, from 1.
        allowance: Why it may change nothing, by the remark beside it; None where there is no remark.
    """

    path: KeyPath
    value: Any
    file: Path
    line: int
    allowance: str | None

    def __str__(self) -> str:
        """Return the path with dots."""
        return dotted(self.path)


@dataclass(frozen=True, slots=True)
class ValuesFile:
    """A values file: its content as helm reads it, and its keys."""

    path: Path
    content: Mapping[str, Any]
    keys: tuple[Key, ...]


_TRUE = ("y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE")
_FALSE = ("n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE")


class _HelmLoader(yaml.SafeLoader):
    """Reads what helm's YAML reads: `y` is a switch, `017` a number; `2024-04-01` and `1:30` are texts."""


def _switch(_loader: yaml.SafeLoader, node: yaml.ScalarNode) -> bool:
    return node.value in _TRUE


_HelmLoader.yaml_implicit_resolvers = {}
_HelmLoader.add_constructor("tag:yaml.org,2002:bool", _switch)
for _tag, _pattern, _first in (
    ("bool", "|".join((*_TRUE, *_FALSE)), "yYoOtTnNfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9_]*|0[0-7_]+|0o[0-7]+|0x[0-9a-fA-F_]+|0b[01_]+)", "-+0123456789"),
    ("float", r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?", "-+0123456789."),
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("merge", r"<<", "<"),
):
    _HelmLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), [*_first, *([""] if _tag == "null" else [])]
    )


def read_values(path: Path) -> ValuesFile:
    """Read a values file.

    Raises:
        SettingsError: It is not there, not YAML, or holds no map.
    """
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, _HelmLoader)
        content = yaml.load(text, _HelmLoader)  # noqa: S506 - a SafeLoader with fewer types
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError("the values file cannot be read", seen=error, where=path) from error
    if content is None:
        return ValuesFile(path, {}, ())
    if not isinstance(content, dict):
        raise SettingsError(f"expected a map of values, seen a {type(content).__name__}", where=path)
    content = _with_text_keys(content)
    lines = text.splitlines()
    keys = tuple(
        Key(place, value_at(content, place), path, line, _allowance(lines, line))
        for place, line in _places(node, (), 1)
    )
    return ValuesFile(path, content, keys)


def dotted(path: KeyPath) -> str:
    """Return a path as people write it: `server.resources`, `configs[0].from`, `serverFiles."alerting_rules.yml"`."""
    words = ""
    for part in path:
        if isinstance(part, int):
            words += f"[{part}]"
        else:
            quoted = part if _PLAIN_KEY.fullmatch(part) else f'"{part}"'
            words += f".{quoted}" if words else quoted
    return words


def value_at(content: Any, path: KeyPath) -> Any:
    """Return what stands at a path.

    Raises:
        LookupError: Nothing does.
        TypeError: Something on the way holds no keys.
    """
    for part in path:
        content = content[part]
    return content


def without(content: Mapping[str, Any], path: KeyPath) -> dict[str, Any]:
    """Return the values with a key left out, and the maps that are empty without it, too."""
    made = copy.deepcopy(dict(content))
    holder = value_at(made, path[:-1])
    del holder[path[-1]]
    for depth in range(len(path) - 1, 0, -1):
        parent = value_at(made, path[: depth - 1])
        # In a list the places of the others count, so an emptied map stays there.
        if parent[path[depth - 1]] == {} and isinstance(parent, dict):
            del parent[path[depth - 1]]
        else:
            break
    return made


def with_value(content: Mapping[str, Any], path: KeyPath, value: Any) -> dict[str, Any]:
    """Return the values with another one at a path; maps are made on the way, and replace what holds no keys."""
    made = copy.deepcopy(dict(content))
    holder: Any = made
    for part in path[:-1]:
        if isinstance(holder, dict) and not isinstance(holder.get(part), dict | list):
            holder[part] = {}
        holder = holder[part]
    holder[path[-1]] = value
    return made


def merged(contents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return values laid over each other as helm does it: maps are merged, all else is replaced by the later one."""
    result: dict[str, Any] = {}
    for content in contents:
        for key, value in content.items():
            below = result.get(key)
            if isinstance(value, dict) and isinstance(below, dict):
                result[key] = merged([below, value])
            else:
                result[key] = copy.deepcopy(value)
    return result


def changed(value: Any) -> Any:
    """Return another value of the same kind: a switch flipped, a quantity of the same unit, a longer text."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + _STEP
    if isinstance(value, str):
        return _changed_text(value)
    made: dict[type, Any] = {dict: {SENTINEL: SENTINEL}, list: [SENTINEL]}
    return made.get(type(value), SENTINEL)


def _changed_text(text: str) -> str:
    quantity = _QUANTITY.fullmatch(text)
    if quantity:
        number = float(quantity[1]) if "." in quantity[1] else int(quantity[1])
        return f"{number + _STEP}{quantity[2]}"
    if "\n" in text:
        return f"{text}\n{SENTINEL}\n"
    return f"{text}-{SENTINEL}" if text else SENTINEL


def _places(node: yaml.Node | None, path: KeyPath, line: int) -> Iterator[tuple[KeyPath, int]]:
    """Yield the path and the line of every key that holds a value."""
    if isinstance(node, yaml.MappingNode) and node.value:
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge":  # what it brings in has its own lines, and is judged there
                continue
            yield from _places(value, (*path, _key_text(key)), key.start_mark.line + 1)
    elif isinstance(node, yaml.SequenceNode) and node.value:
        for place, value in enumerate(node.value):
            yield from _places(value, (*path, place), value.start_mark.line + 1)
    else:
        yield path, line


def _with_text_keys(value: Any) -> Any:
    """Return a value with every key as the text that helm makes of it."""
    if isinstance(value, dict):
        return {_text(key): _with_text_keys(inner) for key, inner in value.items()}
    return [_with_text_keys(inner) for inner in value] if isinstance(value, list) else value


def _key_text(node: yaml.Node) -> str:
    return _text(yaml.load(yaml.serialize(node), _HelmLoader))  # noqa: S506 - a SafeLoader with other types


def _text(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return "null" if key is None else str(key)


def _allowance(lines: Sequence[str], line: int) -> str | None:
    """Return the reason in a remark at the end of a key's line, or alone on the line above it."""
    above = lines[line - 2].strip() if line > 1 else ""
    for text in (lines[line - 1], above if above.startswith("#") else ""):
        found = _ALLOWANCE.search(text)
        if found:
            return found[1].strip()
    return None
