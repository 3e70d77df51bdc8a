"""Where a Helm chart comes from: a repository, an OCI registry, or a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ChartSource:
    """A chart, in one of three ways.

    Attributes:
        name: The chart's name.
        version: Exactly which one; empty for a folder, whose Chart.yaml says so.
        repository: URL of a chart repository (https://...), or of a registry's folder (oci://...).
        folder: Its folder on this machine, or its packed archive.
    """

    name: str
    version: str = ""
    repository: str = ""
    folder: Path | None = None

    @property
    def arguments(self) -> tuple[str, ...]:
        """Return the words by which helm finds it; no repository has to be known to helm beforehand."""
        version = ("--version", self.version) if self.version else ()
        if self.folder is not None:
            return (str(self.folder),)
        if self.repository.startswith("oci://"):
            return (f"{self.repository.rstrip('/')}/{self.name}", *version)
        return (self.name, "--repo", self.repository, *version)

    def __str__(self) -> str:
        """Return it in words."""
        where = self.folder or self.repository
        return f"{self.name} {self.version} of {where}" if self.version else f"{self.name} in {where}"
