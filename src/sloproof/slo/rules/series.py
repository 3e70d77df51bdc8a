"""What recorded series are called, and the labels that say whose they are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from sloproof.duration import format_duration
from sloproof.slo.model import Objective

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Names:
    """The identity of one objective's series.

    Labels of the document are not among it: a series must not change its identity when one of them is edited, or both
    would be there, and every sum over a window that holds the edit would count two.

    Attributes:
        identity: Sloth's three labels and their values.
        ids: The same as a selector's braces.
    """

    identity: Labels
    ids: str

    @classmethod
    def of(cls, objective: Objective) -> Names:
        """Return the names of an objective's series."""
        identity = (("sloth_id", objective.id), ("sloth_service", objective.service), ("sloth_slo", objective.slo))
        selector = ", ".join(f"{name}={json.dumps(text, ensure_ascii=False)}" for name, text in identity)
        return cls(identity, f"{{{selector}}}")

    def labels(self, window: str = "") -> Labels:
        """Return the labels of a series, with its window where it has one."""
        return (*self.identity, ("sloth_window", window)) if window else self.identity


@lru_cache(maxsize=1024)
def window_text(window: timedelta) -> str:
    """Return a window as its series are named: `5m`. A thousand objectives share a handful of windows."""
    return format_duration(window)
