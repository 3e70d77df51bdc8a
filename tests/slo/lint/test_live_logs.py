"""The part of the lint that only a Loki can answer, against a real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sloproof.cli import main
from sloproof.clients.loki import LokiClient
from sloproof.model import LogEntry, Stream, ns_from_instant
from sloproof.polling import wait_until
from tests.loki_server import loki_server
from tests.slo.written_documents import GOOD, written

pytestmark = pytest.mark.slow  # a real process and real time

BAD = 'sum(count_over_time({app="shop"} |= " 500" [{{.window}}]))'
TOTAL = 'sum(count_over_time({app="shop"} |= "GET" [{{.window}}]))'
SECOND = timedelta(seconds=1)


@pytest.fixture(scope="module")
def server(tool_path: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with loki_server(tool_path("loki"), tmp_path_factory.mktemp("loki")) as address:
        client, now = LokiClient(address), datetime.now(UTC) - SECOND
        client.push([Stream({"app": "shop", "stream": "out"}, (LogEntry(ns_from_instant(now), "GET /x 200"),))])
        wait_until(
            lambda: client.query('count_over_time({app="shop"}[1m])', datetime.now(UTC)),
            bool, what="the line is there", timeout=20 * SECOND, interval=SECOND / 20,
        )  # fmt: skip
        yield address


def document(bad: str = BAD, total: str = TOTAL) -> str:
    text = GOOD.replace("type: Prometheus", "type: Loki")
    text = text.replace('sum(requests_total{job="shop", code=~"5.."})', repr(bad))
    return text.replace('sum(requests_total{job="shop"})', repr(total))


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        (document(), 0, ["0 to mend, 0 to know"]),
        (document(TOTAL.replace("count_over", "cuont_over")), 1, ["[logql]", "expected LogQL that counts"]),
        (document(BAD.replace("shop", "shob"), TOTAL.replace("shop", "shob")), 1,
         ["[no-match]", 'no stream has app="shob"; did you mean shop']),
        (document(BAD.replace("app=", "ap="), TOTAL.replace("app=", "ap=")), 1,
         ["[no-match]", "no stream has a label ap; did you mean app"]),
        (document(BAD, TOTAL.replace("GET", "PUT")), 0, ["[no-match] note:", "the query counts none of them"]),
    ],
    ids=["fits", "no LogQL", "no such value", "no such label", "a filter that no line passes"],
)  # fmt: skip
def test_lint_compares_with_a_real_loki(
    server: str, tmp_path: Path, text: str, status: int, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    found = main(["lint", "--loki", server, str(written(tmp_path / "slo.yaml", text))])
    out = capsys.readouterr().out
    assert (found, [word in out for word in words]) == (status, [True] * len(words)), out


def test_a_loki_that_is_not_there_is_an_error_and_no_clean_bill(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lint", "--loki", "http://127.0.0.1:9", str(written(tmp_path / "slo.yaml", document()))]) == 3
    assert "0 to mend" not in capsys.readouterr().out
