from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import msgspec
import pytest

from sloproof.report.document import ReportError, decode, encode, schema
from tests.report.examples import HOSTILE, failing_run, finding, green_run, scenario, step

if TYPE_CHECKING:
    from sloproof.report.record import RunRecord

_PUBLISHED = Path(__file__).parents[2] / "docs" / "report.schema.json"
_REFRESH = (
    "docs/report.schema.json is not what the record says; refresh it with\n"
    "  python -c 'import sys, sloproof.report.document as d; sys.stdout.buffer.write(d.schema())'"
    " > docs/report.schema.json\n"
    "and raise SCHEMA_VERSION if a reader of the old format would misunderstand the new one"
)


@pytest.mark.parametrize("record", [green_run(), failing_run()], ids=["green", "failing"])
def test_a_record_survives_the_way_to_disk_and_back(record: RunRecord) -> None:
    assert decode(encode(record)) == record


@pytest.mark.parametrize("record", [green_run(), failing_run()], ids=["green", "failing"])
def test_a_report_is_valid_under_its_own_schema(record: RunRecord) -> None:
    checker = jsonschema.Draft202012Validator(json.loads(schema()))

    assert list(checker.iter_errors(json.loads(encode(record)))) == []


def test_the_schema_refuses_a_report_without_a_verdict() -> None:
    checker = jsonschema.Draft202012Validator(json.loads(schema()))
    document = json.loads(encode(green_run(scenarios=3, seconds=5)))
    del document["verdict"]

    assert [error.message for error in checker.iter_errors(document)] == ["'verdict' is a required property"]


def test_the_published_schema_is_that_of_the_record() -> None:
    assert _PUBLISHED.read_bytes() == schema(), _REFRESH


def test_the_verdict_stands_at_the_top() -> None:
    assert json.loads(encode(failing_run()))["verdict"] == "fail"


def test_half_a_surrogate_pair_does_not_stop_the_report() -> None:
    """A log that was not UTF-8 reaches the record with such halves in it."""
    told = finding("fail", measured="caf\udce9", evidence=(("log", HOSTILE),))
    record = green_run(scenarios=2, seconds=3)
    bad = scenario("users", "S", 1, 1.0, [step("Then", "x", 2, "failed", told)], "fail")

    document = json.loads(encode(msgspec.structs.replace(record, scenarios=(bad,))))

    found = document["scenarios"][0]["steps"][0]["findings"][0]
    assert found["measured"] == "caf\\udce9"
    assert found["evidence"] == [["log", HOSTILE]]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(b"{", "truncated", id="cut short"),
        pytest.param(b"{}", "missing required field `verdict`", id="another document"),
        pytest.param(encode(green_run(2, 3)).replace(b'"schema_version": 3', b'"schema_version": 99'), "version 99",
                     id="another version"),
    ],
)  # fmt: skip
def test_what_is_no_report_is_refused_with_the_reason(content: bytes, told: str) -> None:
    with pytest.raises(ReportError, match=told):
        decode(content)
