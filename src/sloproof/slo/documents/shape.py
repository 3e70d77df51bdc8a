"""Fits a YAML node into a struct, and tells everything that does not fit: unknown fields, wrong types, missing ones."""

from __future__ import annotations

import builtins
import difflib
import types
import typing
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_origin

import msgspec
import yaml

from sloproof.errors import SettingsError
from sloproof.slo.documents.locating import described, is_null, number_of, plain, text_of, truth_of
from sloproof.slo.documents.openslo import Part, Where
from sloproof.slo.documents.problem import Problems
from sloproof.slo.model import Place

P = TypeVar("P", bound=Part)
_SIMPLE = {str: ("text", text_of), bool: ("true or false", truth_of), Fraction: ("a number", number_of)}


class _Misfit:
    """Stands for a value that did not fit; its problem is told."""


_MISFIT = _Misfit()


def fit(
    node: yaml.Node, struct: type[P], file: Path, problems: Problems, path: str = "", *, snake: bool = False
) -> P | None:
    """Return the struct that a node of fields is; None, with problems added, where it is not.

    Every problem below the node is added, not only the first one.

    Args:
        node: Of a mapping; anything else is a problem.
        struct: What it should be.
        file: Where the node is from.
        problems: Takes what does not fit.
        path: What leads to the node in its document, for messages.
        snake: Whether it is a document of Sloth: its fields have underscores, and any scalar is a text.
    """
    found = _Fitter(file, problems, snake=snake).value(node, _form(struct), path)
    return None if found is _MISFIT else cast("P", found)


def nearest_text(wanted: str, options: Collection[str]) -> str:
    """Return what to say of a name that there is not: the one that is spelt nearly so, or all there are."""
    by_lower = {one.lower(): one for one in sorted(options, reverse=True)}
    close = difflib.get_close_matches(wanted.lower(), by_lower, n=1, cutoff=0.5)
    if close:
        return f"did you mean {by_lower[close[0]]}"
    return f"there is: {', '.join(sorted(options))}" if options else "there is none"


@dataclass(frozen=True, slots=True)
class _Form:
    """A type as it is looked at, worked out once.

    Attributes:
        sort: `simple`, `struct`, `list`, `map`, `one of`, `choice` or `free`.
        kind: The type itself.
        inner: Those it is made of: of a list its items, of a map its values, of `one of` all but None.
    """

    sort: str
    kind: Any
    inner: tuple[_Form, ...] = ()


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    form: _Form
    is_required: bool


@cache
def _form(kind: Any) -> _Form:
    match get_origin(kind) or kind:
        case typing.Any:
            return _Form("free", kind)
        case typing.Union | types.UnionType:
            inner = tuple(_form(one) for one in get_args(kind) if one is not type(None))
            return inner[0] if len(inner) == 1 else _Form("one of", kind, inner)
        case typing.Literal:
            return _Form("choice", get_args(kind))
        case builtins.list:
            return _Form("list", kind, (_form(get_args(kind)[0]),))
        case builtins.dict:
            return _Form("map", kind, (_form(get_args(kind)[1]),))
    return _Form("simple" if kind in _SIMPLE else "struct", kind)


@cache  # a struct's annotations are evaluated anew each time that msgspec is asked
def _fields(struct: type[Part], snake: bool) -> Mapping[str, _Field]:  # noqa: FBT001 - cached by place
    known = [one for one in msgspec.structs.fields(struct) if one.name != "where"]
    return {one.name if snake else one.encode_name: _Field(one.name, _form(one.type), one.required) for one in known}


class _Fitter:
    def __init__(self, file: Path, problems: Problems, *, snake: bool) -> None:
        self._file = file
        self._snake = snake
        self._problems = problems
        self._places: dict[int, Place] = {}

    def value(self, node: yaml.Node, form: _Form, path: str, place: Place | None = None) -> Any:
        match form.sort:
            case "simple":
                found = self._simple(node, form.kind, path)
            case "struct":
                found = self._struct(node, form.kind, path, place or self._place(node))
            case "list":
                found = self._list(node, form.inner[0], path)
            case "map":
                found = self._map(node, form.inner[0], path)
            case "one of":
                found = self._one_of(node, form.inner, path)
            case "choice":
                found = self._choice(node, form.kind, path)
            case _:
                found = self._free(node, path)
        return found

    def _struct(self, node: yaml.Node, struct: type[Part], path: str, own: Place) -> Any:
        if not isinstance(node, yaml.MappingNode):
            return self._wrong(node, "fields", path)
        fields = _fields(struct, self._snake)
        values: dict[str, Any] = {}
        places: dict[str, Place] = {}
        whole = self._has_own_keys(node, path)
        for key, value in node.value:
            name = str(key.value)
            if name not in fields:
                whole = self._unknown(key, path, fields)
                continue
            places[name] = self._place(key)
            if isinstance(value, yaml.MappingNode):
                places |= {f"{name}.{below.value}": self._place(below) for below, _ in value.value}
            if is_null(value):
                continue  # as if it were not there
            field = fields[name]
            values[field.name] = self.value(value, field.form, f"{path}.{name}" if path else name, places[name])
        for name, one in fields.items():
            if one.is_required and one.name not in values:
                place = places.get(name, own)
                self._problems.add(
                    place, "missing-field", f"expected {_joined(path, name)}, got nothing", f"add {name}"
                )
                whole = False
        if not whole or any(one is _MISFIT for one in values.values()):
            return _MISFIT
        return struct(where=Where(place=own, fields=places), **values)

    def _has_own_keys(self, node: yaml.MappingNode, path: str) -> bool:
        seen: set[str] = set()
        whole = True
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._problems.add(
                    self._place(key),
                    "wrong-type",
                    f"expected names as keys{_in(path)}, got {described(key)}",
                    "write a name",
                )
                whole = False
            elif key.value in seen:
                self._problems.add(
                    self._place(key), "twice", f"expected {_joined(path, key.value)} once, got it again",
                    "remove one of them: YAML would keep the last in silence",
                )  # fmt: skip
                whole = False
            seen.add(str(key.value))
        return whole

    def _unknown(self, key: yaml.Node, path: str, fields: Collection[str]) -> bool:
        if key.value == "<<":
            what, hint = "expected fields, got a YAML merge key", "write the merged fields out"
        else:
            what = f"expected a field that is known{_in(path)}, got {key.value}"
            hint = f"{nearest_text(str(key.value), fields)}; otherwise remove it" if fields else "remove it"
        self._problems.add(self._place(key), "unknown-field", what, hint)
        return False

    def _one_of(self, node: yaml.Node, forms: Sequence[_Form], path: str) -> Any:
        for form in forms:
            if form.sort == "simple" and (found := _SIMPLE[form.kind][1](node)) is not None:
                return found
            if form.sort == "list" and isinstance(node, yaml.SequenceNode):
                return self.value(node, form, path)
        names = " or ".join(_SIMPLE[one.kind][0] if one.sort == "simple" else "a list of texts" for one in forms)
        return self._wrong(node, names, path)

    def _choice(self, node: yaml.Node, choices: tuple[str, ...], path: str) -> Any:
        text = text_of(node)
        if text in choices:
            return text
        expected = " or ".join(filter(None, (", ".join(choices[:-1]), choices[-1])))
        self._problems.add(
            self._place(node), "wrong-value", f"expected {expected} as {path}, got {described(node)}",
            nearest_text(text or "", choices),
        )  # fmt: skip
        return _MISFIT

    def _list(self, node: yaml.Node, form: _Form, path: str) -> Any:
        if not isinstance(node, yaml.SequenceNode):
            return self._wrong(node, "a list", path)
        items = [self.value(item, form, f"{path}[{index}]") for index, item in enumerate(node.value)]
        return _MISFIT if any(item is _MISFIT for item in items) else items

    def _map(self, node: yaml.Node, form: _Form, path: str) -> Any:
        if not isinstance(node, yaml.MappingNode):
            return self._wrong(node, "fields", path)
        whole = self._has_own_keys(node, path)
        found = {str(key.value): self.value(value, form, _joined(path, str(key.value))) for key, value in node.value}
        return found if whole and not any(item is _MISFIT for item in found.values()) else _MISFIT

    def _simple(self, node: yaml.Node, kind: type, path: str) -> Any:
        name, read = _SIMPLE[kind]
        found = read(node)
        if kind is str and self._snake and isinstance(node, yaml.ScalarNode) and not is_null(node):
            found = str(node.value)  # as Sloth's own reader takes any scalar for a text
        return found if found is not None else self._wrong(node, name, path)

    def _free(self, node: yaml.Node, path: str) -> Any:
        try:
            return plain(node)
        except SettingsError as error:
            self._problems.add(self._place(node), "wrong-value", f"{error.headline}{_in(path)}", error.details["hint"])
            return _MISFIT

    def _wrong(self, node: yaml.Node, expected: str, path: str) -> _Misfit:
        hint = f"write {expected}"
        if expected == "text" and isinstance(node, yaml.ScalarNode) and not is_null(node):
            hint = f'put it in quotes: "{node.value}"'
        elif expected == "a number" and isinstance(node, yaml.ScalarNode) and node.style:
            hint = "write it without quotes"
        what = f"expected {expected} as {path or 'the document'}, got {described(node)}"
        self._problems.add(self._place(node), "wrong-type", what, hint)
        return _MISFIT

    def _place(self, node: yaml.Node) -> Place:
        line = node.start_mark.line + 1
        place = self._places.get(line)
        if place is None:
            place = self._places[line] = Place(self._file, line)
        return place


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _in(path: str) -> str:
    return f" in {path}" if path else ""
