"""The few template functions that alert texts use, as Prometheus computes them: what a reader will see."""

from __future__ import annotations

import re

# Only what `alert_text` writes; anything else is left as it is, so that a comparison fails and tells.
_SPENT = re.compile(r"\{\{ printf `(\S+) \* %v` \$value \| query \| first \| value \| humanizePercentage \}\}")
_UNKNOWN = re.compile(
    r"\{\{ with (?:query|printf) `[^`]*`(?: \$value \| query)? \}\}.*?\{\{ else \}\}(.*?)\{\{ end \}\}"
)
_VALUE = "{{ $value | humanizePercentage }}"
_BRACES = '{{ "{{" }}'


def fill(template: str, value: float) -> str:
    """Return a text with an alert's value filled in, where no series of the period is there yet."""
    text = template.replace(_VALUE, humanized_percentage(value))
    text = _SPENT.sub(lambda found: humanized_percentage(float(found[1]) * value), text)
    text = _UNKNOWN.sub(lambda found: found[1], text)
    return text.replace(_BRACES, "{{")


def humanized_percentage(ratio: float) -> str:
    """Return a ratio as Prometheus' humanizePercentage writes it: four significant digits."""
    return f"{ratio * 100:.4g}%"
