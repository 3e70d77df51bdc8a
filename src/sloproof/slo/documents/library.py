"""All documents that were read, by kind and name: what references lead to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from sloproof.slo.documents.locating import Located
from sloproof.slo.documents.openslo import API_VERSION, KINDS, Document, Metadata
from sloproof.slo.documents.problem import Problems
from sloproof.slo.documents.shape import fit, nearest_text
from sloproof.slo.model import Place

D = TypeVar("D", bound=Document)
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)


@dataclass(slots=True)
class Library:
    """Documents by kind and name, and which of them something has referred to.

    Attributes:
        known: Places of the names that a broken document has, so that references to it are not called unknown.
    """

    documents: dict[type[Document], dict[str, Document]] = field(default_factory=dict)
    known: dict[type[Document], set[str]] = field(default_factory=dict)
    used: set[tuple[type[Document], str]] = field(default_factory=set)

    def all(self, kind: type[D]) -> Mapping[str, D]:
        """Return the documents of a kind by name."""
        return {name: one for name, one in self.documents.get(kind, {}).items() if isinstance(one, kind)}

    def find(self, kind: type[D], name: str, place: Place, problems: Problems) -> D | None:
        """Return the document that a reference names; None, with a problem added, where there is none."""
        found = self.documents.get(kind, {}).get(name)
        if isinstance(found, kind):
            self.used.add((kind, name))
            return found
        names = self.known.get(kind, set())
        if name not in names:
            word = next(word for word, one in KINDS.items() if one is kind)
            what = f"expected a reference to a document of kind {word}, got {name}, which was not read"
            problems.add(place, "unknown-reference", what, f"{nearest_text(name, names)}; or read its file, too")
        return None

    def unused(self) -> Iterator[tuple[str, Document]]:
        """Yield the documents that nothing refers to, with their kind; SLOs are there for themselves."""
        for word, kind in KINDS.items():
            for name, one in self.documents.get(kind, {}).items():
                if word not in {"SLO", "Service"} and (kind, name) not in self.used:
                    yield word, one


def library_of(documents: Iterable[Located], problems: Problems) -> Library:
    """Return the OpenSLO documents among those given; what is not one, or not a valid one, goes to the problems."""
    library = Library()
    for located in documents:
        kind = _kind(located, problems)
        if kind is None:
            continue
        _add(library, kind, located, problems)
    return library


def _add(library: Library, kind: type[Document], located: Located, problems: Problems) -> None:
    document = fit(located.root, kind, located.file, problems)
    names = library.known.setdefault(kind, set())
    if document is None:
        broken = located.text("metadata", "name")
        if broken:
            names.add(broken)
        return
    name = document.metadata.name
    check_name(document.metadata, problems)
    same = library.documents.setdefault(kind, {})
    if name in same:
        problems.add(
            document.metadata.at("name"), "duplicate-id",
            f"expected one {document.kind} named {name}, got another at {same[name].metadata.at('name')}",
            "rename one of them",
        )  # fmt: skip
        return
    same[name] = document
    names.add(name)


def check_name(metadata: Metadata, problems: Problems) -> None:
    """Add a problem where a name is none that OpenSLO allows."""
    if not _NAME.fullmatch(metadata.name):
        problems.add(
            metadata.at("name"), "name",
            f"expected a name of lower-case letters, digits and dashes, up to 63 characters, got {metadata.name}",
            "rename it, and what refers to it; displayName takes any text",
        )  # fmt: skip


def _kind(located: Located, problems: Problems) -> type[Document] | None:
    version, kind = located.text("apiVersion"), located.text("kind")
    if version != API_VERSION:
        problems.add(located.place("apiVersion"), "api-version", *_foreign(version))
        return None
    if kind not in KINDS:
        problems.add(
            located.place("kind"), "wrong-value", f"expected a kind of OpenSLO v1, got {kind or 'none'}",
            nearest_text(kind or "", KINDS),
        )  # fmt: skip
        return None
    return KINDS[kind]


def _foreign(version: str | None) -> tuple[str, str]:
    """Return what is read instead of OpenSLO v1, and what to do about it."""
    if version and version.startswith("openslo"):
        seen = f"expected apiVersion {API_VERSION}, got {version}"
        hint = {
            "openslo/v1alpha": "move it to v1: objectives[].ratioMetrics becomes indicator.spec.ratioMetric, "
            "timeWindows becomes timeWindow, and a query stands in metricSource.spec.query",
            "openslo.com/v2alpha": "v2alpha is not final and not read; write it as openslo/v1",
        }.get(version, f"write it as {API_VERSION}")
        return seen, hint
    if version and version.startswith("monitoring.coreos.com"):
        return f"expected apiVersion {API_VERSION}, got {version}", "keep rules out of the folder of the SLOs"
    return (
        f"expected apiVersion {API_VERSION}, got {version or 'none'}",
        "only OpenSLO v1 documents belong there: move the file elsewhere",
    )
