from __future__ import annotations

import os
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sloproof.environment.kube.build_context import content_tag
from sloproof.environment.kube.image_archive import LocalImage
from sloproof.environment.kube.service_image import build_image
from sloproof.errors import EnvironmentStartError, SettingsError

# Notes what it is asked, and does as it is told by its environment.
BUILDER = """\
#!/bin/sh
echo "$@" >>"$NOTES"
if [ "$1" = save ]; then echo image >"$3"; exit 0; fi
i=1; while [ $i -le "${LINES_SAID:-0}" ]; do echo "step $i"; i=$((i + 1)); done
[ -z "$SLOW" ] || sleep 30
[ -z "$SAYS" ] || eval "echo \\"$SAYS\\""
[ -z "$FAILS" ] || echo "no such base" >&2
exit ${FAILS:-0}
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    return folder


@pytest.fixture
def builder(tmp_path: Path) -> Path:
    path = tmp_path / "builder"
    path.write_text(BUILDER, encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def build(context: Path, builder: Path, *, seconds: float = 60.0, **environ: str) -> LocalImage:
    return build_image(
        "shop",
        context=context,
        dockerfile=context / "Dockerfile",
        build_args={"BASE_IMAGE": "a:1", "A": "x y"},
        folder=context.parent / "images",
        environ={**os.environ, "NOTES": str(context.parent / "notes"), **environ},
        command=(str(builder), "build", "-t", "{tag}", "-f", "{dockerfile}", "{context}"),
        seconds=seconds,
    )


def asked(context: Path) -> list[str]:
    return (context.parent / "notes").read_text().splitlines()


def expected_tag(context: Path) -> str:
    return f"shop:{content_tag(context, context / 'Dockerfile', {'BASE_IMAGE': 'a:1', 'A': 'x y'})}"


def test_build_names_the_tag_the_file_the_arguments_and_last_the_folder(context: Path, builder: Path) -> None:
    image = build(context, builder)

    tag = expected_tag(context)
    assert image.reference == tag
    assert asked(context)[0] == (
        f"build -t {tag} -f {context}/Dockerfile --build-arg A=x y --build-arg BASE_IMAGE=a:1 {context}"
    )


def test_archive_is_asked_for_where_the_build_does_not_name_one(context: Path, builder: Path) -> None:
    image = build(context, builder)

    assert image.archive.read_text() == "image\n"
    assert asked(context)[1].startswith("save -o ")
    assert asked(context)[1].endswith(expected_tag(context))
    assert [path.name for path in image.archive.parent.iterdir()] == [image.archive.name]


def test_archive_that_the_builds_last_line_names_is_taken(context: Path, builder: Path) -> None:
    made = context.parent / "made by the builder.tar"
    made.touch()
    image = build(context, builder, SAYS=f"docker.io/library/$3 {made}")

    assert image.archive == made
    assert len(asked(context)) == 1


def test_line_about_another_image_names_no_archive(context: Path, builder: Path) -> None:
    image = build(context, builder, SAYS=f"docker.io/library/another-$3 {builder}")

    assert image.archive.read_text() == "image\n"


def test_named_archive_that_is_not_there_is_an_error(context: Path, builder: Path) -> None:
    with pytest.raises(EnvironmentStartError, match="expected the archive that the build's last line names"):
        build(context, builder, SAYS="$3 /nowhere.tar")


def test_changed_source_is_never_tested_under_the_old_tag(context: Path, builder: Path) -> None:
    first = build(context, builder)
    (context / "app.py").touch()
    second = build(context, builder)

    assert first.reference != second.reference
    assert first.archive != second.archive


def test_failed_build_tells_its_last_lines(context: Path, builder: Path) -> None:
    with pytest.raises(
        EnvironmentStartError, match="expected the image to be built, but it ended with status 3"
    ) as caught:
        build(context, builder, FAILS="3", LINES_SAID="100")

    lines = caught.value.details["last_lines"].splitlines()
    assert lines[-2:] == ["step 100", "no such base"]
    assert len(lines) == 30
    assert str(builder) in caught.value.details["command"]


def test_build_that_takes_too_long_is_ended(context: Path, builder: Path) -> None:
    with pytest.raises(EnvironmentStartError, match=r"it did not end within 0\.3 s"):
        build(context, builder, seconds=0.3, SLOW="1")


def test_progress_that_raises_ends_the_build(context: Path, builder: Path) -> None:
    def interrupt(_: timedelta) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_image(
            "shop", context=context, dockerfile=context / "Dockerfile", build_args={}, folder=context.parent,
            environ={**os.environ, "NOTES": os.devnull, "SLOW": "1"}, on_progress=interrupt,
            command=(str(builder), "{tag}", "{dockerfile}", "{context}"),
        )  # fmt: skip


@pytest.mark.parametrize("place", ["{tag}", "{dockerfile}", "{context}"])
def test_command_without_a_place_is_refused(context: Path, place: str) -> None:
    command = [word for word in ("make", "{tag}", "{dockerfile}", "{context}") if word != place]
    kept: dict[str, Any] = {"build_args": {}, "folder": context, "environ": {}}

    with pytest.raises(SettingsError, match=f"to have a place for {place}"):
        build_image("a", context=context, dockerfile=context / "Dockerfile", command=command, **kept)


def test_missing_builder_says_what_to_do(context: Path) -> None:
    with pytest.raises(SettingsError, match="expected a program that builds images, found no") as caught:
        build(context, context / "docker")
    assert "--image-build" in caught.value.details["next"]
