"""Tools from their official release archives, or a mirror of them; nothing is taken that no checksum vouches for."""

from __future__ import annotations

import hashlib
import http.client
import re
import shutil
import ssl
import tarfile
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

from sloproof.environment.lockfile import Bundle, Platform
from sloproof.environment.obtaining import NotServedError, Obtained, Progress
from sloproof.environment.toolcache import ToolCache
from sloproof.errors import SettingsError, ToolError

_CONNECT_SECONDS = 3.0
_READ_SECONDS = 30.0
_CHUNK_BYTES = 1 << 18
_SUMS_LIMIT_BYTES = 1 << 20
_SCHEMES = ("https", "http", "file")
_SUM_LINE = re.compile(r"([0-9a-fA-F]{64})\s+\*?(\S+)")
# What a server, a mirror's disk or the network between can do; a program fault is not among them.
_TRANSFER_ERRORS = (OSError, http.client.HTTPException)


class ReleaseHost:
    """The host of the releases, or its mirror. Whether it can be reached is found out once, not once a tool.

    Args:
        base: Its base URL: https, http or file.
        platform: For which programs are wanted.
        recorded: SHA-256 of archives by path below the host, as the lock has them.
        cache: Keeps the sums first seen where the lock has none.
        progress: Told how downloads go.

    Raises:
        SettingsError: The base is no such URL.
    """

    def __init__(
        self, *, base: str, platform: Platform, recorded: Mapping[str, str], cache: ToolCache, progress: Progress
    ) -> None:
        if urlsplit(base).scheme not in _SCHEMES:
            raise SettingsError(
                f"expected the releases' host as an https, http or file URL, seen {base!r}",
                next="for a folder, write file:///path/to/it",
            )
        self.base = base.rstrip("/")
        self._platform = platform
        self._recorded = recorded
        self._cache = cache
        self._progress = progress
        self._opener = _opener(allow_plain=not base.startswith("https:"))
        self._unreachable: str | None = None
        self._probed = base.startswith("file:")

    def fetch(self, bundle: Bundle, scratch: Path) -> Obtained:
        """Download a bundle's archive into `scratch`, verify it, and take the programs out.

        Raises:
            NotServedError: It cannot be had from here: out of reach, not there, cut off, no checksum, or without
                the program.
            ToolError: What came is not what the checksum promises, or is made to write elsewhere.
        """
        archive = bundle.archive(self._platform)
        self._require_reachable()
        expected, vouched_by = self._expected_sum(bundle, archive)
        file = scratch / PurePosixPath(archive).name
        seen = self._download(bundle, archive, file)
        if seen != expected:
            raise ToolError(
                f"the release archive of {bundle.name} {bundle.version} is not the one its checksum promises",
                expected=f"sha256 {expected}, by {vouched_by}",
                seen=f"sha256 {seen}, {file.stat().st_size} bytes",
                where=self._url(archive),
                next="do not use that archive: find out who changed it; if the release was replaced rightfully, "
                "correct the recorded sum (docs/tools.md)",
            )
        self._cache.record_sum(archive, expected)
        members = {tool: bundle.member(tool, self._platform) for tool in bundle.tools}
        files = _take_out(file, members, scratch)
        file.unlink()
        return Obtained(files=files, origin="release", source=self._url(archive), proof=seen)

    def sums(self, bundle: Bundle) -> Mapping[str, str]:
        """Return what the release's own list says: SHA-256 by the archives' base name.

        Raises:
            NotServedError: The list cannot be had from here.
        """
        self._require_reachable()
        url = self._url(bundle.checksums())
        try:
            with self._opener.open(url, timeout=_READ_SECONDS) as answer:
                text = answer.read(_SUMS_LIMIT_BYTES).decode("utf-8", "replace")
        except _TRANSFER_ERRORS as error:
            raise NotServedError(f"its checksums cannot be had: {_reason(error)}", where=url) from error
        return {PurePosixPath(name).name: sum_.lower() for sum_, name in _SUM_LINE.findall(text)}

    def _url(self, below: str) -> str:
        return f"{self.base}/{below}"

    def _expected_sum(self, bundle: Bundle, archive: str) -> tuple[str, str]:
        """Return the sum an archive must have, and who says so."""
        if archive in self._recorded:
            return self._recorded[archive], "tools.lock"
        kept = self._cache.recorded_sum(archive)
        if kept:
            return kept, f"the first download on this machine ({self._cache.root / 'sums'})"
        sums, name = self.sums(bundle), PurePosixPath(archive).name
        if name not in sums:
            raise NotServedError(f"its checksum file does not list {name}", where=self._url(bundle.checksums()))
        return sums[name], self._url(bundle.checksums())

    def _require_reachable(self) -> None:
        """Raise at once if the host was found out of reach, asking it if nobody has.

        A name server that does not answer cannot be given a time limit, so the question is asked from a thread that
        is left behind when its time is over.
        """
        if not self._probed:
            answers: list[str | None] = []
            probe = threading.Thread(target=lambda: answers.append(self._probe()), daemon=True)
            probe.start()
            probe.join(_CONNECT_SECONDS)
            self._unreachable = answers[0] if answers else f"no answer within {_CONNECT_SECONDS:g} s"
            self._probed = True
        if self._unreachable:
            raise NotServedError(f"{self.base} is out of reach: {self._unreachable}")

    def _probe(self) -> str | None:
        """Return why the host cannot be reached, None if it can; an error status is an answer too."""
        try:
            with self._opener.open(Request(f"{self.base}/", method="HEAD"), timeout=_CONNECT_SECONDS):  # noqa: S310 - the scheme was checked
                return None
        except HTTPError:
            return None
        except _TRANSFER_ERRORS as error:
            return _reason(error)

    def _download(self, bundle: Bundle, archive: str, file: Path) -> str:
        """Write an archive to `file` and return its SHA-256."""
        url = self._url(archive)
        what = f"{bundle.name} {bundle.version}"
        self._progress.start(bundle.name, f"downloading {what} from {self.base}")
        outcome = f"downloading {what} did not complete"
        try:
            with self._opener.open(url, timeout=_READ_SECONDS) as answer, file.open("wb") as target:
                promised = answer.headers.get("Content-Length")
                total = int(promised) if promised else None
                digest, done = hashlib.sha256(), 0
                while chunk := answer.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    target.write(chunk)
                    done += len(chunk)
                    self._progress.advance(bundle.name, done, total)
            if total is not None and done != total:
                raise NotServedError(f"the transfer broke off after {done} of {total} bytes", where=url)
            outcome = f"downloaded {what}, {done / 1e6:.1f} MB"
        except _TRANSFER_ERRORS as error:
            raise NotServedError(_reason(error), where=url) from error
        finally:
            self._progress.finish(bundle.name, outcome)
        return digest.hexdigest()


def _take_out(archive: Path, members: Mapping[str, str], scratch: Path) -> dict[str, Path]:
    """Copy the wanted programs, and nothing else, out of a verified archive.

    No path of the archive is ever used as a path on this machine.
    """
    programs = scratch / "programs"
    programs.mkdir()
    files = {tool: programs / tool for tool in members}
    try:
        if archive.name.endswith(".zip"):
            with zipfile.ZipFile(archive) as zipped:
                names = zipped.namelist()
                _refuse_escapes(names, archive)
                for tool, member in members.items():
                    _copy(zipped.open(member) if member in names else None, files[tool], member)
        else:
            with tarfile.open(archive) as tarred:
                _refuse_escapes(tarred.getnames(), archive)
                for tool, member in members.items():
                    entry = tarred.getmember(member) if member in tarred.getnames() else None
                    _copy(tarred.extractfile(entry) if entry and entry.isfile() else None, files[tool], member)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise NotServedError(f"the archive cannot be read: {error}", where=archive.name) from error
    return files


def _copy(source: IO[bytes] | None, target: Path, member: str) -> None:
    if source is None:
        raise NotServedError(f"the archive has no program {member}")
    with source, target.open("wb") as stream:
        shutil.copyfileobj(source, stream, _CHUNK_BYTES)


def _refuse_escapes(names: list[str], archive: Path) -> None:
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise ToolError(
                f"expected {archive.name} to hold paths below its own folder, seen {name!r}",
                next="do not use that archive: no genuine release is made so",
            )


class _HttpConnection(http.client.HTTPConnection):
    """Gives up connecting soon, and waits longer for a server that has accepted."""

    def connect(self) -> None:
        self.timeout = _CONNECT_SECONDS
        super().connect()
        self.sock.settimeout(_READ_SECONDS)


class _HttpsConnection(http.client.HTTPSConnection):
    """Gives up connecting soon, and waits longer for a server that has accepted."""

    def connect(self) -> None:
        self.timeout = _CONNECT_SECONDS
        super().connect()
        self.sock.settimeout(_READ_SECONDS)


class _HttpHandler(HTTPHandler):
    def http_open(self, req: Request) -> http.client.HTTPResponse:
        return self.do_open(_HttpConnection, req)


class _HttpsHandler(HTTPSHandler):
    def https_open(self, req: Request) -> http.client.HTTPResponse:
        return self.do_open(_HttpsConnection, req, context=ssl.create_default_context())


class _SafeRedirects(HTTPRedirectHandler):
    """Refuses to be led from https to anything else."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> Request | None:
        if not newurl.startswith("https:"):
            raise URLError(f"redirected from {req.full_url} to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(*, allow_plain: bool) -> OpenerDirector:
    redirects = HTTPRedirectHandler if allow_plain else _SafeRedirects
    return build_opener(_HttpHandler, _HttpsHandler, redirects)


def _reason(error: BaseException) -> str:
    """Return what a transfer failed of, in a line."""
    if isinstance(error, HTTPError):
        return f"HTTP status {error.code}"
    if isinstance(error, URLError):
        error = error.reason if isinstance(error.reason, BaseException) else error
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
