"""What a chart renders to: compared, with what changes at every render left out, and counted by workload."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from sloproof.errors import SettingsError

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod"})
_CLAIM = "PersistentVolumeClaim"
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)([A-Za-z]*)")
_SHOWN = 3

Field = tuple[str, str]
"""An object (`Secret/grafana`) and the path of a field in it."""


@dataclass(frozen=True, slots=True)
class Mask:
    """Fields that are another at every render of the same values, such as passwords made up on the way."""

    fields: frozenset[Field] = frozenset()

    def same(self, one: str, other: str) -> bool:
        """Return whether two renders say the same, these fields aside."""
        if one == other:
            return True
        if not self.fields:
            return False
        return self._seen(one) == self._seen(other)

    def texts(self) -> tuple[str, ...]:
        """Return the fields in words, in order."""
        return tuple(f"{thing}: {field}" for thing, field in sorted(self.fields))

    def _seen(self, render: str) -> dict[Field, str]:
        return {field: value for field, value in fields(render).items() if field not in self.fields}


def mask_of(one: str, other: str) -> Mask:
    """Return the mask for two renders of the same values.

    Raises:
        SettingsError: Objects themselves come and go, so that nothing can be compared.
    """
    if one == other:
        return Mask()
    first, second = fields(one), fields(other)
    if {thing for thing, _ in first} != {thing for thing, _ in second}:
        odd = sorted({thing for thing, _ in first} ^ {thing for thing, _ in second})
        raise SettingsError(
            "expected the same objects at each render of the same values, but their names change",
            seen=", ".join(odd[: 2 * _SHOWN]),
            next="give the value that the names are made from, so that it is not made up each time",
        )
    return Mask(frozenset(field for field in first.keys() | second.keys() if first.get(field) != second.get(field)))


def fields(render: str) -> dict[Field, str]:
    """Return every field of every object of a render, and what it holds."""
    found: dict[Field, str] = {}
    for name, thing in objects(render):
        for path, value in _walk(thing, ""):
            found[name, path] = value
    return found


def objects(render: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each object of a render with its name, such as `Secret/grafana`."""
    try:
        documents = list(yaml.load_all(render, _LOADER))
    except yaml.YAMLError as error:
        raise SettingsError("expected the chart to render YAML, it does not", seen=error) from error
    for document in documents:
        if isinstance(document, dict) and "kind" in document:
            metadata = document.get("metadata") or {}
            # Helm's tests and hooks may share a name with what they belong to, in another namespace at most.
            space = metadata.get("namespace")
            yield f"{document['kind']}/{f'{space}/' if space else ''}{metadata.get('name', '')}", document


@dataclass(frozen=True, slots=True)
class Workload:
    """What runs: its containers and what they ask for; or a claim of storage, which has none.

    Attributes:
        name: Kind and name, such as `Deployment/prometheus-server`.
        containers: Names of its containers, those that only begin it included, in order of the names.
        memory: Bytes that its containers request together, for one pod.
        unbound: Those of its containers that request none.
    """

    name: str
    containers: tuple[str, ...] = ()
    memory: int = 0
    unbound: tuple[str, ...] = ()


def workloads(render: str) -> tuple[Workload, ...]:
    """Return the workloads of a render, and its claims of storage, in order of their names."""
    found = []
    for _, thing in objects(render):
        kind, name = thing["kind"], (thing.get("metadata") or {}).get("name", "")
        if kind == _CLAIM:
            found.append(Workload(f"{kind}/{name}"))
        if kind not in _WORKLOADS:
            continue
        pod = _pod(thing)
        running = {each["name"]: _memory(each) for each in pod.get("containers") or ()}
        beginning = [each["name"] for each in pod.get("initContainers") or ()]
        found.append(
            Workload(
                f"{kind}/{name}",
                tuple(sorted([*running, *beginning])),
                sum(running.values()),
                tuple(each for each, memory in sorted(running.items()) if not memory),
            )
        )
        claims = (thing.get("spec") or {}).get("volumeClaimTemplates") or ()
        found += [Workload(f"{_CLAIM}/{each['metadata']['name']} of {kind}/{name}") for each in claims]
    return tuple(sorted(found, key=lambda each: each.name))


def inventory_faults(seen: tuple[Workload, ...], expected: Path) -> tuple[str, ...]:
    """Return in which ways workloads are not the ones of an inventory: a map from workload to its containers.

    Raises:
        SettingsError: The inventory cannot be read.
    """
    try:
        wanted = msgspec.yaml.decode(expected.read_bytes(), type=dict[str, list[str]])
    except (OSError, msgspec.MsgspecError) as error:
        raise SettingsError("the inventory of workloads cannot be read", seen=error, where=expected) from error
    there = {each.name: sorted(each.containers) for each in seen}
    faults = [f"{name}: expected, but not rendered" for name in sorted(wanted.keys() - there.keys())]
    faults += [f"{name}: rendered, but not expected" for name in sorted(there.keys() - wanted.keys())]
    faults += [
        f"{name}: expected the containers {', '.join(sorted(wanted[name]))}, seen {', '.join(there[name])}"
        for name in sorted(wanted.keys() & there.keys())
        if sorted(wanted[name]) != there[name]
    ]
    return tuple(faults)


def _walk(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _walk(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for place, inner in enumerate(value):
            yield from _walk(inner, f"{path}[{place}]")
    else:
        yield path, repr(value)


def _pod(thing: Mapping[str, Any]) -> Mapping[str, Any]:
    spec = thing.get("spec") or {}
    if thing["kind"] == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    return spec if thing["kind"] == "Pod" else (spec.get("template") or {}).get("spec") or {}


def _memory(container: Mapping[str, Any]) -> int:
    asked = ((container.get("resources") or {}).get("requests") or {}).get("memory")
    found = _MEMORY.fullmatch(str(asked))
    return int(float(found[1]) * _UNITS[found[2]]) if found and found[2] in _UNITS else 0
