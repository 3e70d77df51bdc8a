"""What documents say to people only: it changes no rule and no verdict, and yet it is not lost."""

from __future__ import annotations

from dataclasses import dataclass, field

from sloproof.slo.documents.annotations import PREFIX
from sloproof.slo.documents.openslo import Metadata

Note = tuple[str, str]


def label_text(value: str | list[str]) -> str:
    """Return a label's values joined by commas."""
    return value if isinstance(value, str) else ",".join(value)


@dataclass(slots=True)
class Notes:
    """Gathers the notes of one objective, in the order read."""

    found: list[Note] = field(default_factory=list)

    def add(self, where: str, text: str | None) -> None:
        """Keep what a field says; nothing where it says nothing."""
        if text:
            self.found.append((where, text))

    def metadata(self, owner: str, metadata: Metadata | None, *, named: bool = False) -> None:
        """Keep what the metadata of an object says beside its name; `named` keeps that, too."""
        if metadata is None:
            return
        if named:
            self.add(f"{owner}.metadata.name", metadata.name)
        self.add(f"{owner}.metadata.displayName", metadata.display_name)
        for label, value in (metadata.labels or {}).items():
            self.add(f"{owner}.metadata.labels.{label}", label_text(value))
        self.annotations(owner, metadata)

    def annotations(self, owner: str, metadata: Metadata) -> None:
        """Keep the annotations that are other tools'; ours are read, not noted."""
        for key, text in (metadata.annotations or {}).items():
            if not key.startswith(PREFIX):
                self.add(f"{owner}.metadata.annotations.{key}", text)
