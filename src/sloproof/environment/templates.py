"""Fills the `${NAMES}` in the platform's configuration files."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from pathlib import Path

from sloproof.errors import SettingsError

# Upper-case names only: `$1` and `${1}` belong to relabelling, `$__range` to dashboards.
_NAME = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")
# A name that has a line for itself is found with its indentation.
_PLACE = re.compile(r"^(?P<indent> *)\$\{(?P<block>[A-Z][A-Z0-9_]*)\}$|" + _NAME.pattern, re.MULTILINE)


def fill(path: Path, values: Mapping[str, str]) -> str:
    """Return a file's text with every `${NAME}` replaced by its value.

    Where a name has a line for itself, every line of the value gets the name's indentation.

    Raises:
        SettingsError: The file asks for a name that there is no value for.
    """
    text = path.read_text(encoding="utf-8")
    unknown = sorted({name for name in _NAME.findall(text) if name not in values})
    if unknown:
        raise SettingsError(
            f"expected known names in ${{...}}, found {', '.join(unknown)}",
            where=path,
            known=", ".join(sorted(values)),
            hint="a name in braces and capitals is filled in by the environment",
        )

    def value(found: re.Match[str]) -> str:
        if found["block"] is None:
            return values[found[3]]
        return textwrap.indent(values[found["block"]], found["indent"])

    return _PLACE.sub(value, text)
