"""Claims about the observers: that Prometheus, Loki and the shipper lost nothing and tell the same time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sloproof.checks import observers_alive
from sloproof.checks.evidence import Basis, Bounds, total
from sloproof.counters import increase_between
from sloproof.finding import Finding, Query, Verdict
from sloproof.harness import Harness
from sloproof.model import Labels, Window
from sloproof.observation import Observation

# Counters by which an observer admits a loss: observer, counter, and what selects its series beyond the observer's own.
_LOSSES = (
    ("prometheus", "prometheus_target_scrapes_exceeded_sample_limit_total", ""),
    ("prometheus", "prometheus_target_scrapes_sample_duplicate_timestamp_total", ""),
    ("prometheus", "prometheus_target_scrapes_sample_out_of_order_total", ""),
    ("prometheus", "prometheus_notifications_dropped_total", ""),
    ("promtail", "promtail_dropped_entries_total", ""),
)
# There are none of these where no rules are loaded.
_RULE_LOSSES = (
    ("prometheus", "prometheus_rule_evaluation_failures_total", ""),
    ("prometheus", "prometheus_rule_group_iterations_missed_total", ""),
)
# There is no series for these until the first loss, so that their absence is good news as long as a witness, another
# counter of the same observer, is there. A stage that drops by a rule was asked to; one that drops by a rate was not.
_LATE_LOSSES = (
    ("loki", "loki_discarded_samples_total", "", "loki_distributor_lines_received_total"),
    ("promtail", "logentry_dropped_lines_total", ', reason="ratelimit_drop_stage"', "promtail_sent_entries_total"),
)
_REACH = timedelta(seconds=30)


def nothing_lost(harness: Harness, seen: Observation) -> tuple[Finding, ...]:
    """Judge what the observers say of themselves between the anchors.

    Their own counters are scraped too, so the judgement waits for one more scrape of every observer, and includes it.
    """
    window = Window(seen.window.start, harness.anchor_observers(seen.after))
    prometheus = harness.clients.prometheus
    reach = Window(window.start - _REACH, window.end)
    up = prometheus.samples("up", reach).series
    meters, queries = [], []

    def risen(selector: str) -> Bounds | None:
        queries.append(Query("prometheus", selector, prometheus.query_url(selector, window.end)))
        deltas = increase_between(prometheus.samples(selector, reach).series, window.start, window.end, targets_up=up)
        return total(Bounds(delta.low, delta.high) for delta in deltas) if deltas else None

    losses = _LOSSES + (_RULE_LOSSES if prometheus.rule_groups() else ())
    for observer, name, matchers in losses:
        selector = f'{name}{{job="{observer}"{matchers}}}'
        meters.append(observers_alive.SelfMetric(observer, selector, risen(selector)))
    for observer, name, matchers, witness in _LATE_LOSSES:
        selector = f'{name}{{job="{observer}"{matchers}}}'
        increase = risen(selector)
        if increase is None and risen(f'{witness}{{job="{observer}"}}') is not None:
            increase = Bounds(0, 0)
        meters.append(observers_alive.SelfMetric(observer, selector, increase))
    # A pod that was gone before the window is no target that was missed in it.
    targets = prometheus.targets()
    current = {_key(target.labels) for target in targets}
    evidence = observers_alive.ObserverEvidence(
        meters=meters,
        up=[one for one in up if any(sample.time in window for sample in one.samples) or _key(one.labels) in current],
        interval=harness.scrape_interval,
        window=window,
        slower={target.job: target.scrape_interval for target in targets},
    )
    basis = Basis(at=seen.at, window=window, queries=tuple(queries))
    # One machine carries everything on the local environment, so a scrape may be late; a missed one leaves two.
    return observers_alive.judge(evidence, basis, gap_factor=1.95)


def _key(labels: Labels) -> tuple[str, str]:
    return labels.get("job", ""), labels.get("instance", "")


def clocks_agree(harness: Harness, bound: timedelta) -> Finding:
    """Judge how far the clock of Prometheus is from the driver's."""
    before = datetime.now(UTC)
    found = harness.clients.prometheus.query("time()", None)
    after = datetime.now(UTC)
    middle, spread = before + (after - before) / 2, (after - before) / 2
    theirs = datetime.fromtimestamp(found.series[0].samples[-1].value, UTC)
    ahead = theirs - middle
    # An answer that took long leaves open when within it the clock was read.
    verdict = Verdict.FAIL if abs(ahead) - spread > bound else Verdict.PASS
    if verdict is Verdict.PASS and abs(ahead) + spread > bound:
        verdict = Verdict.INCONCLUSIVE
    return Finding(
        check=observers_alive.CHECK,
        verdict=verdict,
        claim=f"the clocks of driver and Prometheus agree within {bound.total_seconds():g} s",
        expected=f"at most {bound.total_seconds():g} s apart",
        measured=f"Prometheus is {ahead.total_seconds() * 1000:+.1f} ms ahead, give or take "
        f"{spread.total_seconds() * 1000:.1f} ms",
        at=after,
        queries=(Query("prometheus", "time()"),),
    )
