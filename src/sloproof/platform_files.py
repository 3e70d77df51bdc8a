"""Where the platform's files are: the project's own first, then the ones that come with sloproof."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from sloproof.errors import SettingsError


def platform_file(settings_platform_dir: Path | None, name: str) -> Path:
    """Return the path of a file or folder of the platform, such as `tools.lock` or `local`.

    Args:
        settings_platform_dir: The project's `platform_dir`, resolved against its root; None where it gives none.
        name: Path below the platform folder.

    Raises:
        SettingsError: Neither place has it.
    """
    packaged = Path(str(files("sloproof"))) / "_platform" / name
    own = settings_platform_dir / name if settings_platform_dir else None
    for candidate in (own, packaged):
        if candidate and candidate.exists():
            return candidate
    raise SettingsError(
        f"expected the platform's {name}, found none",
        project=own or "platform_dir is not set in [tool.sloproof]",
        packaged=f"{packaged}: not there",
        next="set platform_dir in [tool.sloproof] to the folder that has it; only an installed wheel brings its own "
        "copy, an editable install does not",
    )
