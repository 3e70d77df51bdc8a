"""What the pages say must be so: links lead somewhere, commands and settings exist, each check and page is listed."""

from __future__ import annotations

import argparse
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from sloproof.cli import parser
from sloproof.settings import Settings

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")


def prose(text: str) -> str:
    return FENCE.sub("", text)


@pytest.mark.parametrize("page", TEXTS)
def test_links_lead_somewhere(page: str) -> None:
    for link in LINK.findall(prose(TEXTS[page])):
        path, _, anchor = link.partition("#")
        if "://" in path:
            continue
        target = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}
            assert anchor in slugs, link


def test_every_page_can_be_reached_from_the_index() -> None:
    seen: set[Path] = set()
    todo = [ROOT / "docs/index.md"]
    while todo:
        page = todo.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        links = (link.partition("#")[0] for link in LINK.findall(prose(page.read_text(encoding="utf-8"))))
        for link in (one for one in links if one and "://" not in one):
            target = (page.parent / link).resolve()
            todo += sorted(target.glob("*.md")) if target.is_dir() else [target]
    assert {page.relative_to(ROOT).as_posix() for page in PAGES if "docs/" in str(page)} <= {
        page.relative_to(ROOT).as_posix() for page in seen if page.is_relative_to(ROOT)
    }


def test_every_check_has_its_page() -> None:
    modules = {path.stem for path in (ROOT / "src/sloproof/checks").glob("*.py") if "CHECK = " in path.read_text()}
    assert modules
    assert modules <= {path.stem for path in (ROOT / "docs/checks").glob("*.md")}


def commands() -> Iterator[tuple[str, list[str]]]:
    """Each `sloproof` command in a block of commands, with the page it is on."""
    for page, text in TEXTS.items():
        for language, block in FENCE.findall(text):
            if language not in {"console", "sh", "bash", "shell"}:
                continue
            for line in block.replace("\\\n", " ").splitlines():
                bare = line.removeprefix("$ ").partition("  #")[0]
                for part in re.split(r"&&|\|\||;|\|", bare):
                    if part.split()[:1] and part.split()[0].rpartition("/")[2] == "sloproof":
                        yield page, shlex.split(part)[1:]


def test_commands_of_the_pages_are_understood(capsys: pytest.CaptureFixture[str]) -> None:
    for page, words in commands():
        try:
            parser().parse_args(words)
        except SystemExit as end:
            if end.code:
                pytest.fail(f"{page}: sloproof {' '.join(words)}: {capsys.readouterr().err}")


def test_every_command_is_in_the_readme() -> None:
    (actions,) = (one for one in parser()._actions if isinstance(one, argparse._SubParsersAction))
    names = re.findall(r"`(?:sloproof )?([a-z]+)", TEXTS["README.md"])
    assert set(actions.choices) <= set(names)


def test_settings_of_the_pages_are_valid() -> None:
    """A block of TOML that has the whole table is read as the program reads it."""
    whole = 0
    for page, text in TEXTS.items():
        for language, block in FENCE.findall(text):
            if language != "toml":
                continue
            table = tomllib.loads(block).get("tool", {}).get("sloproof")
            if table and {"service", "metrics", "logs"} <= table.keys():
                whole += 1
                try:
                    msgspec.convert(table, Settings)
                except msgspec.ValidationError as error:
                    pytest.fail(f"{page}: {error}")
    assert whole
