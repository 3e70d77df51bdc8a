"""Where a project keeps its SLO documents."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sloproof.settings import Settings, SloSettings, find_root, has_table, load_settings


def documents_folder(root: Path, settings: Settings | None) -> Path:
    """Return the folder of a project's SLO documents; without a table, the one that tables default to."""
    return root / (settings.slo if settings else SloSettings()).documents


def document_paths(given: Sequence[Path], start: Path) -> list[Path]:
    """Return the documents to read: those given, else the folder of the project that `start` lies in.

    Args:
        given: Files or folders, as a user names them.
        start: The current directory; the folder is named from there, as a user would.

    Raises:
        SettingsError: The project has a table that is not valid.
    """
    if given:
        return list(given)
    root = find_root(start)
    folder = documents_folder(root, load_settings(root) if has_table(root) else None)
    return [Path(os.path.relpath(folder, start))]
