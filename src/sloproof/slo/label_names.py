"""Labels of documents as rules can have them: OpenSLO allows more in a label's name than Prometheus does."""

from __future__ import annotations

import re

_NO_LABEL = re.compile(r"[^a-zA-Z0-9_]")


def label_name(name: str) -> str:
    """Return a label's name with an underscore for each character that Prometheus does not allow there."""
    label = _NO_LABEL.sub("_", name)
    return f"_{label}" if label[:1].isdigit() else label
