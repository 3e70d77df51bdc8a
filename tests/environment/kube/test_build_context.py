from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sloproof.environment.kube.build_context import content_tag, context_files
from sloproof.errors import SettingsError

ROOT = Path(__file__).parents[3]


@pytest.fixture
def context(tmp_path: Path) -> Path:
    for name in ("Dockerfile", "service/app.py", "service/__pycache__/app.pyc", "notes.md", "docs/a.md"):
        path = tmp_path / "context" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    return tmp_path / "context"


def tag(context: Path, **arguments: str) -> str:
    return content_tag(context, context / "Dockerfile", arguments)


def names(context: Path, ignored: str) -> list[str]:
    (context / ".dockerignore").write_text(ignored, encoding="utf-8")
    return [path.relative_to(context).as_posix() for path in context_files(context, context / "Dockerfile")]


CHANGES: dict[str, Callable[[Path], object]] = {
    "bytes": lambda context: (context / "service/app.py").write_text("changed"),
    "name": lambda context: (context / "service/app.py").rename(context / "service/main.py"),
    "mode": lambda context: (context / "service/app.py").chmod(0o755),
    "new file": lambda context: (context / "service/new.py").touch(),
    "new folder": lambda context: (context / "service/new").mkdir(),
    "link": lambda context: (context / "service/link").symlink_to("app.py"),
    "file gone": lambda context: (context / "service/app.py").unlink(),
    "Dockerfile": lambda context: (context / "Dockerfile").write_text("FROM another"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_tag_changes_with_what_is_built_from(context: Path, change: str) -> None:
    before = tag(context)
    CHANGES[change](context)
    assert tag(context) != before


def test_tag_stays_while_that_does(context: Path) -> None:
    (context / ".dockerignore").write_text("docs\n**/__pycache__\n", encoding="utf-8")
    before = tag(context)
    os.utime(context / "service" / "app.py", (1, 1))
    (context / "docs" / "b.md").touch()
    (context / "service" / "__pycache__" / "b.pyc").touch()
    assert tag(context) == before


def test_tag_changes_with_the_arguments_and_not_with_their_order(context: Path) -> None:
    assert tag(context, a="1", b="2") == tag(context, b="2", a="1") != tag(context, a="1", b="3")
    # Told one after the other without their lengths, these would read alike.
    assert tag(context, a="1b", c="") != tag(context, a="1", bc="")


def test_tag_is_one_for_images_and_a_text_for_yaml(context: Path) -> None:
    assert tag(context).startswith("src-")
    assert len(tag(context)) == 20


def test_link_is_told_by_where_it_leads_and_not_followed(context: Path) -> None:
    (context / "service" / "loop").symlink_to("..")
    first = tag(context)
    (context / "service" / "loop").unlink()
    (context / "service" / "loop").symlink_to("nowhere")
    assert tag(context) != first


# What Docker takes for a pattern, and which files it then leaves out.
PATTERNS = [
    ("", ["Dockerfile", "docs", "docs/a.md", "notes.md", "service", "service/__pycache__", "service/__pycache__/app.pyc", "service/app.py"]),
    ("# all\n*\n!service\n**/__pycache__\n", ["service", "service/app.py"]),
    ("*\n!service/app.py\n", ["service/app.py"]),
    ("*\n!**/*.md\n", ["docs/a.md", "notes.md"]),
    ("/docs/\nservice", ["Dockerfile", "notes.md"]),
    ("**/*.pyc\n*.md\nDockerfile", ["docs", "docs/a.md", "service", "service/__pycache__", "service/app.py"]),
    ("doc?\nservice\n[no]otes.md\n./Dockerfile", []),
    ("service\n!service\nservice/**/app.pyc\ndocs\nnotes.*", ["Dockerfile", "service", "service/__pycache__", "service/app.py"]),
]  # fmt: skip


@pytest.mark.parametrize(("ignored", "left"), PATTERNS)
def test_ignored_files_are_left_out_as_docker_does(context: Path, ignored: str, left: list[str]) -> None:
    assert [name for name in names(context, ignored) if name != ".dockerignore"] == left


def test_dockerfiles_own_ignore_file_goes_first(context: Path) -> None:
    (context / "Dockerfile.dockerignore").write_text("*\n!docs\n", encoding="utf-8")
    assert names(context, "docs") == ["docs", "docs/a.md"]


def test_line_that_is_no_pattern_is_named(context: Path) -> None:
    with pytest.raises(SettingsError, match="expected a pattern") as caught:
        names(context, "docs\n[abc\n")
    assert caught.value.details["where"] == f"{context / '.dockerignore'}:2"


def test_missing_dockerfile_is_named(context: Path) -> None:
    with pytest.raises(SettingsError, match="expected to read what the image is built from") as caught:
        content_tag(context, context / "Nofile", {})
    assert caught.value.details["where"] == str(context / "Nofile")


def test_services_image_is_built_from_the_service_alone() -> None:
    files = [path.relative_to(ROOT).as_posix() for path in context_files(ROOT, ROOT / "Dockerfile")]

    assert {"service/__main__.py", "service/requirements.lock"} <= set(files)
    assert {name.partition("/")[0] for name in files} == {"service"}
    assert not [name for name in files if "__pycache__" in name or name.endswith(("dashboards.py", ".pyc"))]
