"""YAML that knows its lines: files become documents of nodes, and every node has its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from sloproof.errors import SettingsError
from sloproof.slo.documents.problem import Problems
from sloproof.slo.model import Place

_TAG = "tag:yaml.org,2002:"
# YAML 1.1 reads yes, no, on, off as truth values, 1.2 does not: they are text here, and so is a date.
_TRUTH = {"true": True, "false": False}
# At most three digits of exponent: nobody's objective needs more, and a larger one is a number too long to write.
_NUMBER = re.compile(r"[-+]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][-+]?\d{1,3})?", re.ASCII)
_MAX_NODES = 10_000
_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVER: Any = yaml.SafeLoader("")


@lru_cache(maxsize=4096)
def _tag_of(text: str) -> str:
    """Return the tag of a scalar without quotes; keys and short values come again and again."""
    return str(_RESOLVER.resolve(yaml.ScalarNode, text, (True, False)))


class _Loader(_BASE):  # type: ignore[misc]  # which of the two it is, is known when it runs
    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode:
            return _tag_of(value) if implicit[0] else f"{_TAG}str"
        return super().resolve(kind, value, implicit)


@dataclass(frozen=True, slots=True)
class Located:
    """One document of a file, or one item of a document that is a list."""

    file: Path
    root: yaml.MappingNode

    def place(self, *path: str | int) -> Place:
        """Return where a path such as `("spec", "objectives", 0, "target")` stands.

        A field's place is its key's. Of a path that leads nowhere, it is the place of the last part that is there.
        """
        node: yaml.Node = self.root
        line = node.start_mark.line
        for step in path:
            if isinstance(node, yaml.MappingNode):
                found = next(((key, value) for key, value in node.value if key.value == step), None)
                if found is None:
                    break
                line, node = found[0].start_mark.line, found[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                line = node.start_mark.line
            else:
                break
        return Place(self.file, line + 1)

    def text(self, *path: str) -> str | None:
        """Return the text that a path of fields leads to; None where there is no such text."""
        node: yaml.Node | None = self.root
        for step in path:
            if not isinstance(node, yaml.MappingNode):
                return None
            node = next((value for key, value in node.value if key.value == step), None)
        return text_of(node) if node is not None else None


def yaml_files(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Return the YAML files that paths name, each once: a folder stands for all below it, in the order of their names.

    Raises:
        SettingsError: A path does not exist, or a folder has no such file.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = sorted(one for one in path.rglob("*") if one.suffix in {".yaml", ".yml"} and one.is_file())
            if not below:
                raise SettingsError(
                    f"expected SLO documents in {path}, but it has no .yaml or .yml file",
                    hint="name the folder or the files that hold the OpenSLO documents",
                )
            files += below
        elif path.is_file():
            files.append(path)
        else:
            raise SettingsError(
                f"expected SLO documents at {path}, but there is nothing",
                hint="name the folder or the files that hold the OpenSLO documents",
            )
    return tuple(dict.fromkeys(files))


def documents_of(file: Path, problems: Problems) -> tuple[Located, ...]:
    """Return the documents of a file; an item of a list at the top counts as one. Empty documents are left out."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problems.add(Place(file, 1), "unreadable", f"expected text in UTF-8, got {error}", "mend the file")
        return ()
    found: list[Located] = []
    try:
        for root in yaml.compose_all(text, Loader=_Loader):
            found += _located(file, root, problems)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or str(error).splitlines()[0]
        place = Place(file, mark.line + 1 if mark else 1)
        problems.add(place, "yaml", f"expected YAML, got {what}", "mend the indentation, quotes or brackets there")
    return tuple(found)


def _located(file: Path, root: yaml.Node | None, problems: Problems) -> Iterator[Located]:
    nodes = root.value if isinstance(root, yaml.SequenceNode) else [root]
    for node in nodes:
        if isinstance(node, yaml.MappingNode):
            yield Located(file, node)
        elif node is not None and not is_null(node):
            place = Place(file, node.start_mark.line + 1)
            problems.add(
                place,
                "document",
                f"expected a document with fields, got {described(node)}",
                "begin it with apiVersion: openslo/v1",
            )


def is_null(node: yaml.Node) -> bool:
    """Return whether a node is nothing: `null`, `~` or left empty."""
    return isinstance(node, yaml.ScalarNode) and node.tag == f"{_TAG}null"


def text_of(node: yaml.Node) -> str | None:
    """Return the text of a node; None where it is a number, a truth value, nothing, or no scalar."""
    if not isinstance(node, yaml.ScalarNode):
        return None
    tag = node.tag.removeprefix(_TAG)
    if tag in {"str", "timestamp"} or (tag == "bool" and node.value.lower() not in _TRUTH):
        return str(node.value)
    return None


def truth_of(node: yaml.Node) -> bool | None:
    """Return the truth value of a node, `true` or `false`; None where it is none."""
    if isinstance(node, yaml.ScalarNode) and node.tag == f"{_TAG}bool":
        return _TRUTH.get(node.value.lower())
    return None


def number_of(node: yaml.Node) -> Fraction | None:
    """Return the number of a node, exactly as its decimal text says; None where it is none, or a text in quotes."""
    if not isinstance(node, yaml.ScalarNode) or node.style or not _NUMBER.fullmatch(node.value):
        return None
    return Fraction(node.value)


def plain(node: yaml.Node) -> Any:
    """Return a node as texts, fractions, truth values, None, lists and dicts.

    Raises:
        SettingsError: It has more than 10,000 parts, as aliases of aliases have.
    """
    left = [_MAX_NODES]

    def convert(one: yaml.Node) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise SettingsError(f"expected at most {_MAX_NODES} parts below one field", hint="write aliases out")
        if isinstance(one, yaml.MappingNode):
            return {str(key.value): convert(value) for key, value in one.value}
        if isinstance(one, yaml.SequenceNode):
            return [convert(item) for item in one.value]
        if is_null(one):
            return None
        truth, number = truth_of(one), number_of(one)
        if truth is not None:
            return truth
        return number if number is not None else str(one.value)

    try:
        return convert(node)
    except RecursionError:
        raise SettingsError("expected values, got an alias of itself", hint="write the value out") from None


def described(node: yaml.Node) -> str:
    """Return in words what a node is."""
    if isinstance(node, yaml.MappingNode):
        return "fields"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if is_null(node):
        return "nothing"
    if truth_of(node) is not None:
        return f"the truth value {node.value}"
    if (
        isinstance(node, yaml.ScalarNode)
        and not node.style
        and (number_of(node) is not None or node.tag in {f"{_TAG}int", f"{_TAG}float"})
    ):
        return f"the number {node.value}"
    shown = str(node.value)
    return f"the text {shown[:60]!r}" + ("..." if len(shown) > 60 else "")  # noqa: PLR2004 - as much as a line takes
