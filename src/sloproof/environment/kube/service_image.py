"""Images that are built here, under a tag that stands for their sources, so that a stale one is never run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from sloproof.environment.kube.build_context import content_tag
from sloproof.environment.kube.helm_process import Ended, run, silent
from sloproof.environment.kube.image_archive import LocalImage, full_name
from sloproof.errors import EnvironmentStartError, SettingsError

__all__ = ["BUILD_COMMAND", "build_image", "content_tag"]

BUILD_COMMAND = ("docker", "build", "-t", "{tag}", "-f", "{dockerfile}", "{context}")
_PLACES = ("{tag}", "{dockerfile}", "{context}")
_BUILD_SECONDS = 900.0
_LAST_LINES = 30
_LAST_FIELDS = 2


def build_image(
    name: str,
    *,
    context: Path,
    dockerfile: Path,
    build_args: Mapping[str, str],
    folder: Path,
    environ: Mapping[str, str],
    command: Sequence[str] = (),
    seconds: float = _BUILD_SECONDS,
    on_progress: Callable[[timedelta], None] = silent,
) -> LocalImage:
    """Build an image and return it with an archive of it.

    Args:
        name: The image's name, without a tag.
        context: The folder that is built from.
        dockerfile: What it is built by.
        build_args: Build arguments; each is put before the context as `--build-arg NAME=TEXT`.
        folder: Where the archive is kept, if the command does not say that it has made one itself.
        environ: Environment variables of the command.
        command: Program and arguments, with the places `{tag}` (name and tag), `{dockerfile}` and `{context}`; empty
            for Docker. Where the last line that it prints is `NAME:TAG ARCHIVE`, that is the image's archive; else its
            program is asked for one, by `save -o ARCHIVE NAME:TAG`.
        seconds: How long the build may take.
        on_progress: Called several times a second with how long it has taken so far; what it raises ends the build.

    Raises:
        SettingsError: The command lacks a place, its program is not there, or a file cannot be read.
        EnvironmentStartError: The build failed or took too long; it carries the build's last lines.
    """
    command = command or BUILD_COMMAND
    missing = [place for place in _PLACES if not any(place in word for word in command)]
    if missing:
        raise SettingsError(
            f"expected the command that builds images to have a place for {', '.join(missing)}", seen=" ".join(command)
        )
    reference = f"{name}:{content_tag(context, dockerfile, build_args)}"
    values = {"tag": reference, "dockerfile": str(dockerfile), "context": str(context)}
    words: list[str] = []
    for word in command:
        if "{context}" in word:
            # Not every builder takes an option after the folder.
            words += [part for key, text in sorted(build_args.items()) for part in ("--build-arg", f"{key}={text}")]
        words.append(_filled(word, values))
    ended = _run(words, environ, seconds, on_progress)
    archive = _told_archive(ended.output, reference)
    if archive is None:
        folder.mkdir(parents=True, exist_ok=True)
        archive = folder / f"{reference.replace('/', '_').replace(':', '_')}.tar"
        scratch = archive.with_suffix(".part")
        _run([words[0], "save", "-o", str(scratch), reference], environ, seconds, on_progress)
        scratch.replace(archive)
    return LocalImage(reference, archive)


def _filled(word: str, values: Mapping[str, str]) -> str:
    for name, text in values.items():
        word = word.replace(f"{{{name}}}", text)
    return word


def _told_archive(output: str, reference: str) -> Path | None:
    """Return the archive that a build's last line names, if it does."""
    words = (output.splitlines() or [""])[-1].split(maxsplit=1)
    if len(words) != _LAST_FIELDS or full_name(words[0]) != full_name(reference):
        return None
    archive = Path(words[1])
    if not archive.is_file():
        raise EnvironmentStartError("expected the archive that the build's last line names, found none", where=archive)
    return archive


def _run(
    command: Sequence[str], environ: Mapping[str, str], seconds: float, on_progress: Callable[[timedelta], None]
) -> Ended:
    if shutil.which(command[0], path=environ.get("PATH", os.defpath)) is None:
        raise SettingsError(
            f"expected a program that builds images, found no {command[0]}",
            command=" ".join(command),
            next="install it, name another by --image-build, or a published image by `image` in [tool.sloproof.kube]",
        )
    ended = run(command, environ=environ, seconds=seconds, on_progress=on_progress)
    if ended.is_late or ended.status != 0:
        how = f"it did not end within {seconds:g} s" if ended.is_late else f"it ended with status {ended.status}"
        raise EnvironmentStartError(
            f"expected the image to be built, but {how}",
            command=" ".join(command),
            last_lines="\n".join([*ended.output.splitlines(), *ended.errors.splitlines()][-_LAST_LINES:]),
        )
    return ended
