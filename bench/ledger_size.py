"""Ten million requests in the ledgers of four processes: merged, counted by endpoint, status and second, exactly.

Beside it pandas does the same with a CSV file of the same requests, such as a listener of Locust's event writes (Locust
itself keeps no requests, only rounded histograms). Both are programs of their own, so that memory and time are theirs;
the counts of both are held against those of whoever made the requests up.

    python bench/ledger_size.py [--requests 10000000] [--processes 4]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from load_world import conditions, goal
from platformdirs import user_cache_path

from sloproof.load.ledger import Ledger, LedgerWriter

GOAL_MB, GOAL_SECONDS = 500, 30
_PANDAS = "pandas==2.3.3"
_BEGIN = 1_790_000_000
_CHUNK = 50_000
_ENDPOINTS = ("/", "/api/users", "/api/users/<id>", "/api/orders", "/api/error")
_STATUSES = (200, 200, 200, 200, 200, 200, 201, 404, 500, 503)
_QUERY_PANDAS = """
import json, sys, pandas
frame = pandas.concat(pandas.read_csv(path) for path in sys.argv[1:])
counts = frame.groupby([frame.start_ns // 10**9, "endpoint", "method", "status"]).size()
p99 = int(frame.duration_ns.quantile(0.99, interpolation="higher"))
print(json.dumps([[list(key), int(count)] for key, count in counts.items()]), p99)
"""


def make(folder: Path, process: int, count: int) -> Counter[tuple[int, str, str, int]]:
    """Write one process's requests, as a ledger file and as CSV; return how many there are of each."""
    draw = random.Random(process)
    truth: Counter[tuple[int, str, str, int]] = Counter()
    at = _BEGIN * 10**9 + process
    with (
        LedgerWriter(folder / f"load-00001-{process}.jsonl", run_id="20261123-110138-4dac", process=process) as writer,
        (folder / f"{process}.csv").open("w", encoding="ascii") as csv,
    ):
        csv.write("start_ns,duration_ns,method,endpoint,status,bytes,request_id\n")
        for begin in range(0, count, _CHUNK):
            rows = []
            for number in range(begin, min(begin + _CHUNK, count)):
                at += 400_000  # 2,500 a second and process
                endpoint, status = draw.choice(_ENDPOINTS), draw.choice(_STATUSES)
                duration = round(draw.lognormvariate(15, 1))
                request_id = f"20261123-110138-4dac-1-{process}-{number}"
                rows.append((at, at, duration, "GET", endpoint, endpoint, status, "", request_id, 25))
                csv.write(f"{at},{duration},GET,{endpoint},{status},25,{request_id}\n")
            writer.write_rows(rows)
            truth.update((row[1] // 10**9, row[5], "GET", row[6]) for row in rows)
    return truth


def query(folder: Path) -> None:
    """Ask the ledger, and print what it says."""
    ledger = Ledger.open(folder)
    counts = ledger.counts()
    p99 = ledger.quantile(0.99)
    assert p99 is not None
    print(json.dumps([[list(cell), count] for cell, count in counts.items()]), round(p99.total_seconds() * 1e6))


def measure(command: list[str | Path], truth: Counter[tuple[int, str, str, int]]) -> tuple[float, float, int]:
    """Run a query; return its seconds and its memory at the peak in MB, and its p99 in whole microseconds."""
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    spent = time.monotonic() - begin
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with {process.returncode}")
    text, _, p99 = output.rpartition(" ")
    if {tuple(key): count for key, count in json.loads(text)} != truth:
        raise SystemExit(f"{command[0]}: the counts are wrong")
    return spent, usage.ru_maxrss / 1024, int(p99)


def pandas_python() -> Path | None:
    """Return the interpreter of an environment with pandas, made first if there is none."""
    folder = user_cache_path("sloproof") / "bench" / _PANDAS.replace("==", "-")
    python = folder / "bin" / "python"
    if not (folder / "whole").exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        install: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", _PANDAS]
        if subprocess.run(install, check=False, timeout=600).returncode:
            return None
        (folder / "whole").touch()
    return python


def main() -> None:
    """Make the requests, ask both, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=10_000_000)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--query", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.query is not None:
        query(options.query)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        part = options.requests // options.processes
        with ProcessPoolExecutor(min(options.processes, os.cpu_count() or 1)) as pool:
            jobs = [pool.submit(make, folder, process, part) for process in range(options.processes)]
            truth: Counter[tuple[int, str, str, int]] = Counter()
            for job in jobs:
                truth.update(job.result())
        size = sum(file.stat().st_size for file in folder.glob("*.jsonl")) / 2**20
        print(f"{truth.total()} requests of {options.processes} processes, {len(truth)} cells, {size:.0f} MB of ledger")
        print(conditions({}), flush=True)
        spent, memory, p99 = measure([sys.executable, __file__, "--query", folder], truth)
        print(f"ledger: {spent:.1f} s, {memory:.0f} MB, p99 {p99} us", flush=True)
        python = pandas_python()
        if python is None:
            print(f"pandas: {_PANDAS} cannot be had; its row is left out")
        else:
            files: list[str | Path] = sorted(folder.glob("*.csv"))
            other, others, p99_ns = measure([python, "-c", _QUERY_PANDAS, *files], truth)
            print(f"{_PANDAS} on CSV: {other:.1f} s, {others:.0f} MB, p99 {p99_ns / 1000:.0f} us")
    text = f"{options.requests} requests merged, counted and exact, under {GOAL_MB} MB and {GOAL_SECONDS} s"
    is_met = spent < GOAL_SECONDS and memory < GOAL_MB
    raise SystemExit(not goal(text, f"{memory:.0f} MB, {spent:.1f} s", is_met=is_met))


if __name__ == "__main__":
    main()
