"""What goes into an image's build: the files of its context that `.dockerignore` lets through, and a tag for them."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sloproof.errors import SettingsError

# A letter first: a tag of digits alone is a number to YAML.
_PREFIX = "src-"
_CHARACTERS = 16


def content_tag(context: Path, dockerfile: Path, build_args: Mapping[str, str]) -> str:
    """Return a tag that stands for everything that is built from.

    It changes with any file that goes into the build, its name, its mode or its bytes, with the Dockerfile and with
    the build arguments; a file that `.dockerignore` keeps out changes nothing. What a name such as a base image's
    leads to is not looked at.

    Args:
        context: The folder that is built from.
        dockerfile: What it is built by.
        build_args: Build arguments.

    Raises:
        SettingsError: A file cannot be read, or a line of `.dockerignore` is no pattern.
    """
    digest = hashlib.sha256()

    def add(*facts: str | bytes) -> None:
        # Each with its length, so that no two lists of facts read alike.
        for fact in facts:
            data = fact.encode() if isinstance(fact, str) else fact
            digest.update(len(data).to_bytes(8, "big") + data)

    try:
        add("dockerfile", dockerfile.read_bytes())
        for name, text in sorted(build_args.items()):
            add("argument", name, text)
        for path in context_files(context, dockerfile):
            status = path.lstat()
            add(path.relative_to(context).as_posix(), oct(status.st_mode))
            if stat.S_ISLNK(status.st_mode):
                add(str(path.readlink()))
            elif stat.S_ISREG(status.st_mode):
                with path.open("rb") as file:
                    add(hashlib.file_digest(file, "sha256").digest())
    except OSError as error:
        raise SettingsError(
            f"expected to read what the image is built from, but {error.strerror}", where=error.filename or context
        ) from error
    return f"{_PREFIX}{digest.hexdigest()[:_CHARACTERS]}"


def context_files(context: Path, dockerfile: Path) -> Iterator[Path]:
    """Yield every file, folder and link of the context that goes into the build, each folder before what is in it.

    Raises:
        SettingsError: A line of the ignore file is no pattern.
        OSError: A folder cannot be read.
    """
    patterns = _patterns(context, dockerfile)

    def visit(folder: Path) -> Iterator[Path]:
        for entry in sorted(folder.iterdir()):
            inside = entry.relative_to(context).as_posix()
            is_out = _is_ignored(inside, patterns)
            if not is_out:
                yield entry
            # What is kept out may hold what a later line lets in again.
            is_looked_into = not is_out or any(one.may_match_below(inside) for one in patterns)
            if is_looked_into and entry.is_dir() and not entry.is_symlink():
                yield from visit(entry)

    yield from visit(context)


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A line of an ignore file."""

    text: str
    lets_in: bool
    regex: re.Pattern[str]

    def may_match_below(self, folder: str) -> bool:
        """Return whether it could let in something that is in a folder."""
        if not self.lets_in:
            return False
        own, others = self.text.split("/"), folder.split("/")
        return any("*" in one or "?" in one or "[" in one for one in own) or own[: len(others)] == others


def _is_ignored(inside: str, patterns: tuple[_Pattern, ...]) -> bool:
    """Return whether a path is kept out: the last line that matches it, or a folder it is in, decides."""
    parts = inside.split("/")
    paths = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    is_ignored = False
    for pattern in patterns:
        if any(pattern.regex.fullmatch(path) for path in paths):
            is_ignored = not pattern.lets_in
    return is_ignored


def _patterns(context: Path, dockerfile: Path) -> tuple[_Pattern, ...]:
    # An ignore file of the Dockerfile's own goes before the context's.
    places = (dockerfile.with_name(f"{dockerfile.name}.dockerignore"), context / ".dockerignore")
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return ()
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        text = line.strip()
        if not text or line.startswith("#"):
            continue
        lets_in = text.startswith("!")
        clean = os.path.normpath(text.removeprefix("!").strip()).strip("/")
        if clean == ".":
            continue
        try:
            found.append(_Pattern(clean, lets_in, re.compile(_regex(clean), re.DOTALL)))
        except re.error as error:
            raise SettingsError("expected a pattern", seen=text, where=f"{path}:{number}", said=error) from error
    return tuple(found)


def _regex(pattern: str) -> str:
    """Return a pattern of an ignore file as a regular expression."""
    out, place = "", 0
    while place < len(pattern):
        rest = pattern[place:]
        if rest.startswith("**/"):
            out, place = f"{out}(?:.*/)?", place + 3
        elif rest.startswith("**"):
            out, place = f"{out}.*", place + 2
        elif rest[0] == "*":
            out, place = f"{out}[^/]*", place + 1
        elif rest[0] == "?":
            out, place = f"{out}[^/]", place + 1
        elif rest[0] == "[":
            end = rest.find("]", 1)
            if end < 0:
                raise re.error("a [ without its ]")
            out, place = f"{out}{rest[: end + 1]}", place + end + 1
        elif rest[0] == "\\" and len(rest) > 1:
            out, place = f"{out}{re.escape(rest[1])}", place + 2
        else:
            out, place = f"{out}{re.escape(rest[0])}", place + 1
    return out
