"""Locust's side of a load: its statistics and its event, in a process of its own, because Locust patches that."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.load.server import Server

pytestmark = pytest.mark.slow

_SCRIPT = """
import locust, json, sys
import gevent
from sloproof.load.ledger_file import Clock
from sloproof.load.locust_load import Load
from sloproof.load.profile import Profile, RequestSpec
from sloproof.load.wire import Begin

url, ledger, listens = sys.argv[1], sys.argv[2], sys.argv[3] == "listens"
mix = (RequestSpec(path="/ok", endpoint="/fine", weight=3), RequestSpec(path="/nothing", endpoint="/gone"))
job = Begin(
    id=1, name="l", run_id="r", profile=Profile(mix=mix, users=3, requests=90, timeout_seconds=30), process=0,
    ledger=ledger, base_url=url, header="X-Request-ID", id_prefix="r-1-0", clock=Clock.anchored(),
)
load = Load(job)
heard = []
if listens:
    load._environment.events.request.add_listener(lambda **told: heard.append(told))
load.begin()
finished = load.finish()
stats = load._environment.stats
load.close()
json.dump({
    "sent": finished.requests,
    "failed": finished.failures,
    "total": [stats.total.num_requests, stats.total.num_failures, stats.total.total_content_length],
    "entries": {name: [one.num_requests, one.num_failures] for (name, _), one in stats.entries.items()},
    "times": sum(stats.total.response_times.values()),
    "seconds": sum(stats.total.num_reqs_per_sec.values()),
    "bounds": [stats.total.min_response_time > 0, stats.total.max_response_time < 5000],
    "errors": {one.name: one.occurrences for one in stats.errors.values()},
    "heard": len(heard),
    "told": sorted({(one["request_type"], one["name"], one["exception"] is None) for one in heard}),
}, sys.stdout)
"""


@pytest.mark.parametrize("listens", ["listens", "does not"])
def test_statistics_and_event_tell_what_the_ledger_holds(server: Server, tmp_path: Path, listens: str) -> None:
    words = [sys.executable, "-P", "-W", "ignore", "-c", _SCRIPT, server.url, str(tmp_path / "l.jsonl"), listens]
    said = json.loads(subprocess.run(words, check=True, capture_output=True, timeout=60).stdout)
    gone = said["failed"]["reset"]
    assert said["sent"] == 90
    assert 5 <= gone <= 45
    assert said["total"][:2] == [90, gone]
    assert said["total"][2] == 2 * (90 - gone)
    assert said["entries"] == {"/fine": [90 - gone, 0], "/gone": [gone, gone]}
    assert said["times"] == said["seconds"] == 90
    assert said["bounds"] == [True, True]
    assert said["errors"] == {"/gone": gone}
    assert said["heard"] == (90 if listens == "listens" else 0)
    if listens == "listens":
        assert said["told"] == [["GET", "/fine", True], ["GET", "/gone", False]]
