"""Tags: which there are, and what a scenario needs by its tags."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

import pytest

from sloproof.environment.base import CAPABILITIES

NEEDS = "needs_"

# What was declared before the first feature file was read.
_KNOWN = pytest.StashKey[frozenset[str]]()

_OWN = {
    "slow": "takes more than a few seconds",
    "serial": "must not share the environment with another scenario while it runs",
    "slo": "needs the rules of the project's SLO documents, with time compressed",
    "nightly": "too long for every change",
}
# Marks that say nothing without arguments, and a tag cannot have any.
_NOT_TAGS = frozenset({"filterwarnings", "parametrize", "skipif", "usefixtures", "tryfirst", "trylast"})


def register_tags(config: pytest.Config) -> None:
    """Declare the tags that every project has, so that strict markers know them."""
    own = _OWN | {NEEDS + name: f"needs {what}" for name, what in CAPABILITIES.items()}
    known = _names(config)
    for name, meaning in own.items():
        if name not in known:
            config.addinivalue_line("markers", f"{name}: {meaning}")


def known_tags(config: pytest.Config) -> frozenset[str]:
    """Return every tag a feature may use: sloproof's own, and what the project declares under `markers`."""
    if _KNOWN not in config.stash:
        config.stash[_KNOWN] = frozenset(_names(config)) - _NOT_TAGS
    return config.stash[_KNOWN]


def register_unknown(config: pytest.Config, names: Iterable[str]) -> None:
    """Let pytest pass tags that nobody declared, so that preflight can refuse all of them with a better message."""
    known_tags(config)
    for name in sorted(set(names) - _names(config)):
        config.addinivalue_line("markers", f"{name}: declared by nobody")


def explain_unknown(tag: str, known: Collection[str]) -> tuple[str, str]:
    """Return what is wrong with a tag that nobody declared, and what to do about it."""
    close = difflib.get_close_matches(tag, sorted(known), n=1)
    if tag.startswith(NEEDS):
        capabilities = sorted(name.removeprefix(NEEDS) for name in known if name.startswith(NEEDS))
        message = f"unknown capability {tag.removeprefix(NEEDS)} in tag @{tag}"
        hint = f"known capabilities: {', '.join(capabilities)}"
    else:
        message = f"unknown tag @{tag}"
        hint = 'declare it in pyproject.toml, [tool.pytest] markers = ["' + tag + ': what it means"]'
    if close:
        hint = f"did you mean @{close[0]}? else {hint}"
    return message, hint


def tags_of(item: pytest.Item) -> frozenset[str]:
    """Return the tags of a scenario: its own, its feature's, its rule's, and those of its Examples table."""
    return frozenset(mark.name for mark in item.iter_markers()) - _NOT_TAGS


def missing_capabilities(item_tags: Iterable[str], capabilities: Collection[str]) -> tuple[str, ...]:
    """Return the capabilities that tags ask for and an environment has not, sorted; empty when it may run."""
    needed = {tag.removeprefix(NEEDS) for tag in item_tags if tag.startswith(NEEDS)}
    return tuple(sorted(needed - set(capabilities)))


def _names(config: pytest.Config) -> set[str]:
    lines: list[str] = config.getini("markers")
    return {line.split(":")[0].split("(")[0].strip() for line in lines}
