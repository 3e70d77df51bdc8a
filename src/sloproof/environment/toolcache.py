"""The cache of tools: whole, recorded and verified programs, shared by every run on the machine.

tools/<tool>/<version>/<tool>          the program
tools/<tool>/<version>/record.json     where it came from, and its SHA-256
sums/                                  SHA-256 of release archives, as first verified
path-versions.json                     what programs on PATH said when asked for their version
scratch/<bundle>/                      work under way; whatever lies there without its lock held is a leftover
locks/  logs/                          one a bundle
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from sloproof.environment.build_process import end_leftovers
from sloproof.environment.obtaining import Obtained, Source
from sloproof.errors import ToolError

_LOCK_POLL_SECONDS = 0.1


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """How a program in the cache came to be there.

    Attributes:
        tool: Its name.
        version: Its version, as pinned.
        origin: The way it came.
        source: The archive's URL, or the module and its version.
        proof: The archive's SHA-256, or the module's checksum.
        sha256: Of the program itself.
        size: In bytes.
        mtime_ns: Modification time; while this and the size hold, the program is taken to be the one recorded.
        obtained: When.
    """

    tool: str
    version: str
    origin: Source
    source: str
    proof: str
    sha256: str
    size: int
    mtime_ns: int
    obtained: datetime


class _Answer(msgspec.Struct, frozen=True):
    """What a program on PATH said of its version, and of which file that holds."""

    size: int
    mtime_ns: int
    version: str


class ToolCache:
    """A cache in `root`, which is made when something is first written."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def program(self, tool: str, version: str) -> Path:
        """Return where a program is, or would be."""
        return self.root / "tools" / tool / version / tool

    def log(self, name: str) -> Path:
        """Return where the output of a build goes; it outlives a failure."""
        folder = self.root / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name}.log"

    def find(self, tool: str, version: str) -> Record | None:
        """Return the record of a program that is here and unchanged.

        Its hash is computed only when size or time differ from the record, as after a copy of the cache.
        """
        program = self.program(tool, version)
        try:
            record = msgspec.json.decode(program.with_name("record.json").read_bytes(), type=Record)
            seen = program.stat()
        except (OSError, msgspec.DecodeError):
            return None
        if (seen.st_size, seen.st_mtime_ns) == (record.size, record.mtime_ns):
            return record
        if seen.st_size != record.size or sha256_of(program) != record.sha256:
            return None
        record = msgspec.structs.replace(record, mtime_ns=seen.st_mtime_ns)
        _write(program.with_name("record.json"), msgspec.json.encode(record))
        return record

    def is_intact(self, record: Record) -> bool:
        """Tell whether a program's whole content is the one recorded."""
        program = self.program(record.tool, record.version)
        return program.is_file() and sha256_of(program) == record.sha256

    def install(self, bundle_version: str, obtained: Obtained, scratch: Path) -> dict[str, Record]:
        """Move the programs of a bundle in, each at once with its record, and return the records.

        The bundle's lock must be held; `scratch` is on the same file system.
        """
        records = {}
        for tool, file in obtained.files.items():
            folder = Path(tempfile.mkdtemp(prefix="install-", dir=scratch))
            folder.chmod(0o755)
            program = file.rename(folder / tool)
            program.chmod(0o755)
            seen = program.stat()
            records[tool] = Record(
                tool=tool,
                version=bundle_version,
                origin=obtained.origin,
                source=obtained.source,
                proof=obtained.proof,
                sha256=sha256_of(program),
                size=seen.st_size,
                mtime_ns=seen.st_mtime_ns,
                obtained=datetime.now(UTC).replace(microsecond=0),
            )
            (folder / "record.json").write_bytes(msgspec.json.encode(records[tool]))
            target = self.program(tool, bundle_version).parent
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                target.rename(Path(tempfile.mkdtemp(prefix="replaced-", dir=scratch)) / tool)
            folder.rename(target)
        return records

    @contextmanager
    def obtaining(self, name: str, on_wait: Callable[[], None]) -> Iterator[Path]:
        """Hold the lock of a bundle and give an empty scratch folder, gone afterwards whatever happens.

        What a killed run left, a build still running included, is ended and removed first. The lock dies with its
        process, so it needs no cleaning.

        Args:
            name: The bundle.
            on_wait: Called once if another process holds the lock.

        Raises:
            ToolError: The cache cannot be written.
        """
        home, locks = self.root / "scratch" / name, self.root / "locks"
        try:
            locks.mkdir(parents=True, exist_ok=True)
            lock = FileLock(locks / f"{name}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                on_wait()
                lock.acquire(poll_interval=_LOCK_POLL_SECONDS)
        except OSError as error:
            raise ToolError(
                f"the cache of tools cannot be written: {error.strerror}",
                where=error.filename or self.root,
                next="set XDG_CACHE_HOME to a folder that can be written",
            ) from error
        try:
            end_leftovers(home)
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir(parents=True, exist_ok=True)
            yield Path(tempfile.mkdtemp(dir=home))
        finally:
            shutil.rmtree(home, ignore_errors=True)
            lock.release()

    def answered_version(self, program: Path) -> str | None:
        """Return what a program outside the cache said of its version, if the file is the same still.

        An empty text is an answer too: it does not tell its version.
        """
        answer = self._answers().get(str(program))
        seen = program.stat()
        if answer and (answer.size, answer.mtime_ns) == (seen.st_size, seen.st_mtime_ns):
            return answer.version
        return None

    def keep_answer(self, program: Path, version: str) -> None:
        """Keep what a program outside the cache said; a cache that cannot be written is no reason to stop."""
        seen = program.stat()
        answers = {**self._answers(), str(program): _Answer(seen.st_size, seen.st_mtime_ns, version)}
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            _write(self.root / "path-versions.json", msgspec.json.encode(answers))
        except OSError:
            return

    def recorded_sum(self, archive: str) -> str | None:
        """Return the SHA-256 under which an archive was first verified on this machine."""
        try:
            return self._sum_file(archive).read_text(encoding="ascii").split()[0]
        except (OSError, IndexError, UnicodeDecodeError):
            return None

    def record_sum(self, archive: str, sum_: str) -> None:
        """Record the SHA-256 under which an archive has been verified."""
        file = self._sum_file(archive)
        file.parent.mkdir(parents=True, exist_ok=True)
        _write(file, f"{sum_}  {archive}\n".encode("ascii"))

    def _sum_file(self, archive: str) -> Path:
        return self.root / "sums" / f"{archive.replace('/', '_')}.sha256"

    def _answers(self) -> dict[str, _Answer]:
        try:
            return msgspec.json.decode((self.root / "path-versions.json").read_bytes(), type=dict[str, _Answer])
        except (OSError, msgspec.DecodeError):
            return {}


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _write(file: Path, content: bytes) -> None:
    """Write a file so that readers see the old or the new, never a part."""
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}-", delete=False) as scratch:
        scratch.write(content)
    Path(scratch.name).replace(file)
