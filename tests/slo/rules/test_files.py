from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sloproof.duration import format_duration
from sloproof.errors import SettingsError
from sloproof.slo.model import Objective, Rolling, Source
from sloproof.slo.rules.files import HEADER, compare, rule_texts, scalar, write
from sloproof.slo.rules.groups import rules_of
from sloproof.slo.rules.values import Alerting, Timing
from tests.slo.objectives import objective, ratio, raw, sliced, threshold

LOG = ratio("sum(count_over_time({a='b'}[{{.window}}]))", bad="sum(x[{{.window}}])", source=Source.LOKI)
RULES = Path("slo/shop.yml")


def texts(*objectives: Objective) -> dict[Path, str]:
    return rule_texts((rules_of(one, Timing()) for one in objectives), Path())


@given(st.text())
def test_scalar_is_read_as_the_same_string(text: str) -> None:
    made = scalar(text)
    assert "\n" not in made
    assert yaml.safe_load(f"a: {made}") == {"a": text}
    assert yaml.safe_load(f"{made}: 1") == {text: 1}


@pytest.mark.parametrize(
    "text",
    ["no", "On", "null", "~", "1e3", "0x1f", "12:30", "1_000", "5m", "a: b", "a #b", "- a", "'", "", " a", "=", ".nan", "2026-01-01",
     "y", "a\u2028b", "\x85", "\ufeff", "!x", "&x", "*x", "%x", "@x", "`x`", "{{x}}", "slo:x:y", "a:"],
)  # fmt: skip
def test_scalar_never_becomes_something_else(text: str) -> None:
    assert yaml.safe_load(scalar(text)) == text


def test_rule_text_holds_exactly_the_rules() -> None:
    one = objective(title='It\'s: "so"\n', min_events=10)
    document = yaml.safe_load(texts(one)[RULES])
    groups = rules_of(one, Timing()).prometheus
    assert [group["name"] for group in document["groups"]] == [group.name for group in groups]
    for written, group in zip(document["groups"], groups, strict=True):
        assert written["interval"] == format_duration(group.interval)
        for found, rule in zip(written["rules"], group.rules, strict=True):
            assert found["expr"] == rule.expr
            assert found["labels"] == dict(rule.labels)
            if isinstance(rule, Alerting):
                assert found["annotations"] == dict(rule.annotations)
                assert found.get("for", "0s") == format_duration(rule.hold)


def test_rule_texts_are_the_same_in_any_order_and_name_their_documents() -> None:
    one, other = objective(), objective(slo="latency", place=replace(objective().place, file=Path("slo/a.yaml")))
    assert texts(one, other) == texts(other, one)
    assert texts(one, other)[RULES].splitlines()[:3] == [HEADER, "#   slo/a.yaml", "#   slo/checkout.yaml"]


def test_rule_texts_do_not_say_where_the_project_lies(tmp_path: Path) -> None:
    inside = objective(place=replace(objective().place, file=tmp_path / "slo" / "a.yaml"))
    made = rule_texts([rules_of(inside, Timing())], tmp_path)
    assert str(tmp_path) not in made[RULES]
    assert "#   slo/a.yaml" in made[RULES]


def test_rule_texts_are_one_file_a_service_for_each_server() -> None:
    assert set(texts(objective(), objective(service="api"), objective(slo="logs", indicator=LOG))) == {
        RULES, Path("slo/api.yml"), Path("loki/shop.yml"),
    }  # fmt: skip


def test_write_is_idempotent_and_removes_only_what_it_made(tmp_path: Path) -> None:
    both = texts(objective(), objective(service="api"))
    assert set(write(both, tmp_path)) == set(both)
    (tmp_path / "slo" / "own.yml").write_text("groups: []\n")
    before = (tmp_path / RULES).stat().st_mtime_ns
    assert write(both, tmp_path) == ()
    assert (tmp_path / RULES).stat().st_mtime_ns == before
    assert write(texts(objective()), tmp_path) == (Path("slo/api.yml"),)
    assert sorted(path.name for path in (tmp_path / "slo").iterdir()) == ["own.yml", "shop.yml"]


def test_write_refuses_to_replace_what_someone_else_made(tmp_path: Path) -> None:
    (tmp_path / "slo").mkdir()
    (tmp_path / RULES).write_text("groups: []\n")
    with pytest.raises(SettingsError, match="was not made from documents"):
        write(texts(objective()), tmp_path)
    assert (tmp_path / RULES).read_text() == "groups: []\n"


def test_compare_says_what_is_missing_different_and_left_over(tmp_path: Path) -> None:
    made = texts(objective(), objective(service="api"))
    write(made, tmp_path)
    assert compare(made, tmp_path) == ()
    changed = texts(objective(target=Fraction("0.99")), objective(service="web"))
    changes = {str(one.path): one for one in compare(changed, tmp_path)}
    assert {path: one.kind for path, one in changes.items()} == {
        "slo/shop.yml": "different", "slo/web.yml": "missing", "slo/api.yml": "left over",
    }  # fmt: skip
    diff = changes["slo/shop.yml"].diff
    assert "-" in diff
    assert "0.144" in diff
    assert len(diff.splitlines()) <= 41
    assert "more lines" in diff


@pytest.mark.slow
def test_promtool_accepts_all_of_it(tmp_path: Path, tool_path: Callable[[str], Path]) -> None:
    periods = [timedelta(hours=1), timedelta(days=1), timedelta(days=7), timedelta(days=28), timedelta(days=90)]
    some = [objective(slo=f"p{number}", period=Rolling(period)) for number, period in enumerate(periods)]
    some += [
        objective(slo="good", indicator=ratio("a_total", good="b_total"), min_events=100, title='{{ odd `text` }} "x"'),
        objective(slo="threshold", indicator=threshold("x", ">", "1")),
        objective(slo="raw", indicator=raw("x")),
        objective(slo="logs", indicator=LOG),
        sliced(slo="slices"),
        objective(slo="tight", target=Fraction("0.99999")),
        objective(slo="loose", target=Fraction("0.5")),
    ]
    write(texts(*some), tmp_path)
    done = subprocess.run(
        [tool_path("promtool"), "check", "rules", tmp_path / RULES], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "rules found" in done.stdout
