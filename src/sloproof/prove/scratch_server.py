"""A Prometheus of its own on made-up samples: written as blocks, served on loopback, ended with its context."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
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
_WRITERS = 2


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
    """Write samples as blocks, series about, by two promtools side by side.

    A promtool keeps one core busy. The blocks overlap in time, which a server takes as it takes any others.
    """
    texts = [folder / f"history-{number}.om" for number in range(_WRITERS)]
    _write_texts(texts, points)
    words = [str(promtool), "tsdb", "create-blocks-from", "openmetrics", "--quiet", _BLOCK]
    started: list[subprocess.Popen[str]] = []
    until = time.monotonic() + _WRITE_SECONDS
    try:
        started.extend(
            subprocess.Popen(
                [*dying_with_parent(), *words, str(text), str(folder / "data")],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )
            for text in texts
        )  # fmt: skip
        for one in started:
            said, _ = one.communicate(timeout=max(0.0, until - time.monotonic()))
            if one.returncode:
                raise ToolError(
                    "expected promtool to write a history, but it refused", program=promtool, answer=said[-2000:]
                )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"expected promtool to write a history, but {error}", program=promtool) from error
    finally:
        for one in started:
            if one.poll() is None:
                one.kill()
                one.wait()
            if one.stdout is not None:
                one.stdout.close()
    for text in texts:
        text.unlink()


def _write_texts(texts: Sequence[Path], points: Iterable[Points]) -> None:
    """Write every other series into each text, as OpenMetrics; those of one metric stay together."""
    ends: tuple[tuple[int, ...] | range, list[str]] = ((), [])
    with ExitStack() as stack:
        files = [stack.enter_context(text.open("w")) for text in texts]
        for number, one in enumerate(points):
            if one.times != ends[0]:
                # Series are mostly scraped together.
                ends = (one.times, [f" {at / 1000 if at % 1000 else at // 1000}\n" for at in one.times])
            head = one.series + " "
            lines = [f"{head}{value}{end}" for value, end in zip(one.values, ends[1], strict=True)]
            files[number % len(files)].write("".join(lines))
        for file in files:
            file.write("# EOF\n")


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
