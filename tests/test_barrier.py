from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from sloproof.barrier import LOGS, METRICS, Barrier, Sentinel
from sloproof.model import Sample, Series, Window
from sloproof.settings import load_settings

ROOT = Path(__file__).resolve().parents[1]

INTERVAL = timedelta(milliseconds=50)


@dataclass
class YoungPrometheus:
    """A Prometheus that has no target for its first few answers, and scrapes well from then on."""

    empty_answers: int
    asked: int = 0
    jobs: list[str] = field(default_factory=lambda: ["users-api"])

    def targets(self) -> list[Any]:
        self.asked += 1
        if self.asked <= self.empty_answers:
            return []
        return [_Target(job) for job in self.jobs]

    def samples(self, _selector: str, window: Window) -> Any:
        return _Answer((Series({"instance": "a"}, (Sample(window.end, 1.0),)),))


@dataclass
class _Target:
    job: str
    instance: str = "a"
    scrape_interval: timedelta = INTERVAL
    scrape_timeout: timedelta = INTERVAL
    last_scrape: datetime | None = None
    last_scrape_duration: timedelta = timedelta(0)
    last_error: str = ""


@dataclass
class _Answer:
    series: tuple[Series, ...]


class _IdleService:
    def gauge_value(self, _name: str) -> float:
        return 0.0


def barrier(prometheus: YoungPrometheus, grace: timedelta) -> Barrier:
    now = datetime.now(UTC)
    settings = load_settings(ROOT)
    return Barrier(
        settings=settings,
        prometheus=cast("Any", prometheus),
        loki=cast("Any", None),
        service=cast("Any", _IdleService()),
        send_sentinel=lambda: Sentinel("run-sentinel-1", now, now),
        check_alive=lambda: None,
        down=lambda: {"promtail": "stopped"},
        grace=grace,
    )


def test_anchor_waits_for_a_prometheus_that_is_ready_before_it_has_targets() -> None:
    """Else a run may begin with dead metrics, and what happens until the next anchor is seen by nobody."""
    anchor = barrier(YoungPrometheus(empty_answers=3), timedelta(seconds=60)).anchor()

    assert METRICS not in anchor.dead
    assert LOGS in anchor.dead


def test_anchor_calls_metrics_dead_when_the_service_is_no_target() -> None:
    prometheus = YoungPrometheus(empty_answers=0, jobs=["prometheus"])

    anchor = barrier(prometheus, timedelta(milliseconds=150)).anchor()

    assert "has no such target" in anchor.dead[METRICS]
    assert prometheus.asked > 1
