from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def locked() -> dict[str, tuple[str, int]]:
    """Return version and number of sums of each package of the image."""
    text = (ROOT / "service" / "requirements.lock").read_text(encoding="utf-8")
    found = {}
    for block in re.split(r"\n(?=\S)", text):
        pin = re.match(r"([a-z0-9-]+)==(\S+)", block)
        if pin:
            found[pin[1]] = (pin[2], len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", block)))
    return found


def test_lock_satisfies_what_the_service_asks_for() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    packages = locked()

    for text in groups["service"]:
        asked = Requirement(text)
        assert asked.specifier.contains(packages[canonicalize_name(asked.name)][0]), text


def test_every_package_is_vouched_for() -> None:
    packages = locked()

    assert len(packages) == 9
    assert [name for name, (_, sums) in packages.items() if not sums] == []
