"""Versions of programs: how they compare, and what a program says of its own."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from sloproof.environment.obtaining import NotServedError

_COMPARISON = re.compile(r"(>=|<=|==|<|>)\s*(\d+(?:\.\d+)*)")
_VERSION = re.compile(r"(\d+(?:\.\d+)*)(-[0-9A-Za-z.]+)?")
_WIDTH = 4
_ANSWER_SECONDS = 10.0


def version_key(version: str) -> tuple[int, ...]:
    """Return what versions are ordered by; a pre-release comes before its release.

    Raises:
        ValueError: It does not begin with numbers separated by dots.
    """
    found = _VERSION.match(version.removeprefix("v"))
    if not found:
        raise ValueError(f"no version: {version!r}")
    numbers = [int(part) for part in found[1].split(".")][:_WIDTH]
    return (*numbers, *[0] * (_WIDTH - len(numbers)), 0 if found[2] else 1)


def accepts(accept: str, version: str) -> bool:
    """Tell whether a version satisfies every comparison of `accept`, such as `>=3.5, <4`.

    Raises:
        ValueError: One of them cannot be read.
    """
    verdicts = []
    for part in filter(None, (part.strip() for part in accept.split(","))):
        found = _COMPARISON.fullmatch(part)
        if not found:
            raise ValueError(f"no comparison with a version: {part!r}")
        seen, bound = version_key(version), version_key(found[2])
        verdicts.append(
            {
                ">=": seen >= bound,
                "<=": seen <= bound,
                "==": seen == bound,
                ">": seen > bound,
                # 4.0.0-rc.1 is no 3: a bound from above keeps out its own pre-releases too.
                "<": seen[:-1] < bound[:-1],
            }[found[1]]
        )
    return all(verdicts)


def program_version(program: Path, name: str) -> str:
    """Return the version a program prints under its name when asked with `--version`; empty if it tells none.

    Raises:
        NotServedError: It does not run.
    """
    try:
        answer = subprocess.run(
            [program, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=_ANSWER_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NotServedError(f"{name} does not run here: {error}", where=program) from error
    text = (answer.stdout + b"\n" + answer.stderr).decode("utf-8", "replace")
    found = re.search(rf"^{re.escape(name)}, version v?(\d[^\s()]*)", text, re.MULTILINE)
    return found[1] if found else ""
