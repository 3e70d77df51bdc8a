from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import yaml

from sloproof.errors import SettingsError
from sloproof.prove.local_rules import compressed_objectives, compressed_rules
from sloproof.settings import ScrapeSettings, Settings, SloSettings, load_settings

ROOT = Path(__file__).resolve().parents[2]


def settings(*, evaluation: str | None, compress: int = 300) -> Settings:
    return msgspec.structs.replace(
        load_settings(ROOT),
        scrape=ScrapeSettings(interval="200ms", evaluation="200ms"),
        slo=SloSettings(evaluation=evaluation, compress=compress),
    )


def intervals(given: Settings) -> set[str]:
    made = compressed_rules(compressed_objectives(ROOT, given), ROOT, given)
    texts = [*made.prometheus.values(), *made.loki.values()]
    return {
        group["interval"]
        for text in texts
        for group in yaml.load(text, yaml.CSafeLoader)["groups"]
        if not group["name"].startswith("slo-period-")
    }


@pytest.mark.parametrize(
    ("evaluation", "told"),
    [(None, "200ms"), ("400ms", "400ms"), ("100ms", "200ms")],
    ids=["unset", "longer", "shorter"],
)
def test_rules_are_evaluated_as_often_as_they_are_asked_to_be(evaluation: str | None, told: str) -> None:
    assert intervals(settings(evaluation=evaluation)) == {told}


def test_a_window_that_holds_one_evaluation_is_refused() -> None:
    with pytest.raises(SettingsError, match="hold 2 evaluations") as caught:
        compressed_objectives(ROOT, settings(evaluation="600ms"))
    assert "slo.evaluation" in caught.value.details["hint"]


def test_a_window_that_holds_few_scrapes_is_refused() -> None:
    with pytest.raises(SettingsError, match="hold 4 scrapes"):
        compressed_objectives(ROOT, settings(evaluation=None, compress=3000))
