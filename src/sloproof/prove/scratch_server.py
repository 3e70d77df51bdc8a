"""A Prometheus of its own on made-up samples: written as blocks, served on loopback, ended with its context."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sloproof.clients.prometheus import PrometheusClient
from sloproof.environment.components import free_ports
from sloproof.environment.leftovers import dying_with_parent
from sloproof.errors import ComponentExitedError, ToolError
from sloproof.polling import wait_until

_NAME = "prometheus"
_READY = timedelta(seconds=30)
_LOOK = timedelta(milliseconds=10)
_STOP_SECONDS = 5.0
_WRITE_SECONDS = 600
# Promtool reads everything anew for each block that it writes, each two hours by default. It takes the longest of
# 2 h * 3^n that is not above this, and lays blocks at its multiples: with years, months are one block, rarely two.
_BLOCK = "--max-block-duration=39366h"
_SHOWN_LINES = 20


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the programs are that a history is served by."""

    prometheus: Path
    promtool: Path


@dataclass(frozen=True, slots=True)
class Points:
    """A series to be written: its selector in full, and its samples, oldest first, times in Unix milliseconds."""

    series: str
    times: tuple[int, ...] | range
    values: Sequence[float]


@contextmanager
def scratch_prometheus(programs: Programs, points: Iterable[Points], rules: str = "") -> Iterator[PrometheusClient]:
    """Write samples, serve them, and yield a client; the server and its files are gone afterwards, however it ends.

    Args:
        programs: To write and to serve with.
        points: The samples; series of one metric follow each other.
        rules: A rule file to load; empty for none.

    Raises:
        ToolError: A program cannot be started, or refuses the samples.
        ComponentExitedError: The server ended by itself.
        DeadlineError: It was not ready in time.
    """
    with tempfile.TemporaryDirectory(prefix="sloproof-history-") as name:
        folder = Path(name)
        _write_blocks(programs.promtool, points, folder)
        (folder / "prometheus.yml").write_text("rule_files: [rules.yml]\n" if rules else "{}\n")
        (folder / "rules.yml").write_text(rules)
        with (folder / "prometheus.log").open("wb") as log:
            address = f"127.0.0.1:{free_ports([_NAME])[_NAME]}"
            process = _start(programs.prometheus, folder, address, log.fileno())
            try:
                client = PrometheusClient(f"http://{address}")

                def check_alive() -> None:
                    status = process.poll()
                    if status is not None:
                        lines = (folder / "prometheus.log").read_text(errors="replace").splitlines()
                        raise ComponentExitedError(_NAME, status, tuple(lines[-_SHOWN_LINES:]))

                wait_until(
                    client.is_ready, bool, what="prometheus is ready on the history", timeout=_READY, interval=_LOOK,
                    check_alive=check_alive,
                )  # fmt: skip
                yield client
            finally:
                _end(process)


def series_text(name: str, labels: dict[str, str]) -> str:
    """Return a series as its selector in full."""
    inside = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{name}{{{inside}}}"


def _write_blocks(promtool: Path, points: Iterable[Points], folder: Path) -> None:
    text = folder / "history.om"
    ends: dict[tuple[int, ...] | range, list[str]] = {}
    with text.open("w") as file:
        for one in points:
            if one.times not in ends:
                # Series are mostly scraped together.
                ends = {one.times: [f" {time / 1000 if time % 1000 else time // 1000}\n" for time in one.times]}
            head = one.series + " "
            lines = [f"{head}{value}{end}" for value, end in zip(one.values, ends[one.times], strict=True)]
            file.write("".join(lines))
        file.write("# EOF\n")
    words = [str(promtool), "tsdb", "create-blocks-from", "openmetrics", "--quiet", _BLOCK, str(text)]
    words.append(str(folder / "data"))
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_WRITE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"expected promtool to write a history, but {error}", program=promtool) from error
    if done.returncode:
        raise ToolError(
            "expected promtool to write a history, but it refused", program=promtool, answer=done.stderr[-2000:]
        )
    text.unlink()


def _start(prometheus: Path, folder: Path, address: str, log: int) -> subprocess.Popen[bytes]:
    words = [
        str(prometheus),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    try:
        return subprocess.Popen(
            [*dying_with_parent(), *words], stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )
    except OSError as error:
        raise ToolError(f"expected prometheus to start, but {error}", program=prometheus) from error


def _end(process: subprocess.Popen[bytes]) -> None:
    # Nothing of it is kept, so it need not write anything down.
    process.kill()
    process.wait(_STOP_SECONDS)
