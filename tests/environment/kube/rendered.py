"""Rendering our charts with the real helm."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
CHARTS = ROOT / "platform" / "charts"
NAMESPACE = "space"
Document = dict[str, Any]


class RefusedError(Exception):
    """helm refuses to render; carries what it says."""


def render(helm: Path, chart: str, values: Mapping[str, Any], folder: Path, *options: str) -> list[Document]:
    """Return the objects that a chart makes of values."""
    file = folder / "values.json"
    file.write_text(json.dumps(values), encoding="utf-8")
    command = [
        *(str(helm), "template", "release", str(CHARTS / chart), "-n", NAMESPACE, "-f", str(file)),
        *("--kube-version", "1.33.1", *options),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise RefusedError(done.stderr)
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def lint(helm: Path, chart: str, values: Mapping[str, Any], folder: Path) -> str:
    """Return what a strict lint says; raise where it finds fault."""
    file = folder / "values.json"
    file.write_text(json.dumps(values), encoding="utf-8")
    command = [str(helm), "lint", "--strict", str(CHARTS / chart), "-f", str(file), "--kube-version", "1.33.1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise RefusedError(done.stdout + done.stderr)
    return done.stdout


def kinds(objects: list[Document]) -> Counter[str]:
    """Return how many objects of each kind there are."""
    return Counter(one["kind"] for one in objects)


def named(objects: list[Document], kind: str, name: str) -> Document:
    """Return the one object of that kind and name."""
    (found,) = [one for one in objects if one["kind"] == kind and one["metadata"]["name"] == name]
    return found


def pod_templates(objects: list[Document]) -> Iterator[Document]:
    """Yield the pod template of each workload."""
    for one in objects:
        if one["kind"] in {"Deployment", "DaemonSet", "StatefulSet"}:
            yield one["spec"]["template"]


def requested(objects: list[Document], resource: str) -> int:
    """Return the sum of what all containers request: of memory in MiB, of processor time in thousandths."""
    unit = {"memory": "Mi", "cpu": "m"}[resource]
    asked = [
        container["resources"]["requests"][resource]
        for template in pod_templates(objects)
        for container in template["spec"]["containers"]
    ]
    assert all(text.endswith(unit) for text in asked)
    return sum(int(text.removesuffix(unit)) for text in asked)


def open_maps(schema: object, place: str = "$") -> Iterator[str]:
    """Yield each place of a JSON schema that describes an object and lets keys in that it does not describe."""
    if isinstance(schema, dict):
        if schema.get("type") == "object" and schema.get("additionalProperties", True) is True:
            yield place
        for key, below in schema.items():
            yield from open_maps(below, f"{place}.{key}")
    elif isinstance(schema, list):
        for number, below in enumerate(schema):
            yield from open_maps(below, f"{place}[{number}]")
