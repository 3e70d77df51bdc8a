"""What the load benchmarks stand on: a server to send to, other load sources, and ratios that are paired in a round."""

from __future__ import annotations

import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from platformdirs import user_cache_path

_HERE = Path(__file__).parent
_MODULES = {"vegeta": "github.com/tsenart/vegeta/v12@v12.13.0", "k6": "go.k6.io/k6@v1.8.1"}
_BUILD_SECONDS = 900
_START_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Target:
    """The running server."""

    url: str
    name: str

    def count(self) -> int:
        """Return how many requests it has seen."""
        return int(self._ask("/count"))

    def control(self, **milliseconds: int) -> int:
        """Set its delay and its stall; return when the stall begins, Unix time in nanoseconds."""
        return int(self._ask("/control?" + "&".join(f"{name}_ms={value}" for name, value in milliseconds.items())))

    def _ask(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return bytes(answer.read())


@contextmanager
def serving(folder: Path) -> Iterator[Target]:
    """Build and run the target."""
    if shutil.which("go") is None:
        raise SystemExit("expected the Go toolchain, which the target is built with, found none")
    program = folder / "target"
    subprocess.run(
        ["go", "build", "-o", program, _HERE / "load_target.go"], check=True, timeout=_BUILD_SECONDS,
        env={**os.environ, "CGO_ENABLED": "0"},
    )  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    with subprocess.Popen([program, address], env={**os.environ, "GOMAXPROCS": "1"}) as server:
        try:
            await_listening(address, server)
            yield Target(f"http://{address}", "a Go net/http server on one scheduler thread")
        finally:
            server.terminate()


def await_listening(address: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until a server accepts connections."""
    host, _, port = address.partition(":")
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise SystemExit(f"expected the target to listen on {address} within {_START_SECONDS} s, but it does not")


def tools(folder: Path | None, wanted: Sequence[str]) -> dict[str, Path]:
    """Return the other load sources that can be had: from a folder, from PATH, or built from their Go modules."""
    cache = user_cache_path("sloproof") / "bench" / "go"
    places = os.pathsep.join(str(one) for one in (folder, cache, os.environ.get("PATH", "")) if one)
    found = {}
    for name in wanted:
        path = shutil.which(name, path=places)
        if path is None and name in _MODULES and shutil.which("go"):
            print(f"building {name} from {_MODULES[name]}", flush=True)
            done = subprocess.run(
                ["go", "install", _MODULES[name]], env={**os.environ, "GOBIN": str(cache)}, check=False,
                timeout=_BUILD_SECONDS, capture_output=True, text=True,
            )  # fmt: skip
            path = shutil.which(name, path=str(cache))
            if path is None:
                print(f"{name}: cannot be had: {done.stderr.strip().splitlines()[-1:]}")
        elif path is None:
            print(f"{name}: not installed; its row is left out")
        if path is not None:
            found[name] = Path(path)
    return found


def run_for_cpu(command: Sequence[str | Path], **settings: object) -> tuple[float, str]:
    """Run a program to its end; return the CPU seconds it took, of all its threads, and its standard output."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, **settings  # type: ignore[call-overload]
    )  # fmt: skip
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with {process.returncode}: {output[-500:]}")
    return usage.ru_utime + usage.ru_stime, output


def paired(over: Sequence[float], under: Sequence[float]) -> tuple[float, str]:
    """Return the median of the ratios within each round, and it with its spread as text."""
    ratios = [a / b for a, b in zip(over, under, strict=True)]
    middle = statistics.median(ratios)
    return middle, f"{middle:.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def conditions(found: Mapping[str, Path]) -> str:
    """Return the versions and the machine's state, in one line."""
    versions = [f"Locust {version('locust')}", f"Python {sys.version.split()[0]}"]
    for name, path in found.items():
        command: list[str | Path] = (
            ["go", "version", "-m", path] if name in _MODULES and shutil.which("go") else [path, "-v"]
        )
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
        number = re.search(r"\bmod\s+\S+\s+v(\S+)", done.stdout) or re.search(r"(\d+\.\d+[.\d]*)", done.stdout)
        versions.append(f"{name} {number[1] if number else 'of a version it does not tell'}")
    return f"{'; '.join(versions)}; {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}"


def goal(text: str, figure: str, *, is_met: bool) -> bool:
    """Print a goal's line; return whether it is met."""
    print(f"goal: {text}: {figure} {'met' if is_met else 'missed'}", flush=True)
    return is_met
