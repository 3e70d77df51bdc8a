"""The promises that the tree of files makes."""

from __future__ import annotations

import ast
import platform
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest

import sloproof

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "sloproof"


def imported(path: Path) -> set[str]:
    """Return every module that a file may mean by its imports from sloproof."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def modules(folder: str) -> list[str]:
    return sorted(path.stem for path in (PACKAGE / folder).glob("*.py") if path.stem != "__init__")


CHECKS = [
    name
    for name in modules("checks")
    if "\nCHECK = " in (PACKAGE / "checks" / f"{name}.py").read_text(encoding="utf-8")
]


def test_platform_is_the_standard_librarys() -> None:
    """The folder platform/ holds files for programs; with Python in it, it would hide the module of that name."""
    assert platform.__file__ is not None
    assert Path(platform.__file__).parent == Path(sysconfig.get_path("stdlib"))
    assert list((ROOT / "platform").rglob("*.py")) == []


@pytest.mark.parametrize("check", CHECKS)
def test_check_is_used_by_a_claim_or_a_step(check: str) -> None:
    users = [*(PACKAGE / "claims").glob("*.py"), *(PACKAGE / "steps").glob("*.py"), PACKAGE / "trial.py"]
    assert any(f"sloproof.checks.{check}" in imported(path) for path in users)


@pytest.mark.parametrize("check", CHECKS)
def test_check_bears_the_name_of_its_module(check: str) -> None:
    text = (PACKAGE / "checks" / f"{check}.py").read_text(encoding="utf-8")
    assert f'\nCHECK = "{check}"\n' in text


@pytest.mark.parametrize("claim", modules("claims"))
def test_claims_have_a_sentence(claim: str) -> None:
    users = [
        path
        for path in (PACKAGE / "steps").glob("*.py")
        if f"sloproof.claims.{claim}" in imported(path) and "@then(" in path.read_text(encoding="utf-8")
    ]
    assert users


def test_all_is_what_is_visible() -> None:
    for name in sloproof.__all__:
        assert getattr(sloproof, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        sloproof.Nothing  # noqa: B018 - asking is what is tested
    given = set(sloproof.__all__)
    visible = given | {
        name for name, value in vars(sloproof).items() if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert given == visible
    assert list(sloproof.__all__) == sorted(sloproof.__all__)
