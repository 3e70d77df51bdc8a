"""The service in this process: asked through WSGI, observed through its own lines and numbers."""

from __future__ import annotations

import os
import re
import tempfile
from typing import TYPE_CHECKING, Any, Self

from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import Client, EnvironBuilder, TestResponse, run_wsgi_app

from service import create_app
from service.logs import LineWriter, ServiceLog
from service.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

# What [tool.sloproof.logs] needs to know of the service's text lines.
LINE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[(?P<level>[A-Z]+)\] (?P<message>.*)"
    r" - request_id=(?P<request_id>-|[A-Za-z0-9][A-Za-z0-9._-]{0,127})",
    re.DOTALL,
)
REQUEST = re.compile(
    r"(?P<method>[A-Z]+) (?P<endpoint>/\S*|unmatched) (?P<status>\d{3}) (?P<duration_seconds>\d+\.\d{6})s"
)
TOKEN = "right"

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def fast(**settings: Any) -> Settings:
    """Return settings of a service whose database takes no time and does not fail by itself."""
    values: dict[str, Any] = {"users_latency_median_seconds": 0.0, "users_error_ratio": 0.0, "faults_token": TOKEN}
    return Settings(**{**values, **settings})


def samples_of(text: str) -> Samples:
    """Return every sample of an exposition."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def total(samples: Samples, name: str, **labels: str) -> float:
    """Return the sum of the samples of that name with these labels."""
    return sum(
        value for (known, given), value in samples.items() if known == name and labels.items() <= dict(given).items()
    )


def label_values(samples: Samples) -> dict[tuple[str, str], set[str]]:
    """Return which values each label of each metric has, bucket bounds aside."""
    found: dict[tuple[str, str], set[str]] = {}
    for name, labels in samples:
        for label, value in labels:
            if label != "le":
                found.setdefault((name, label), set()).add(value)
    return found


class Observed:
    """The application, and what an observer sees of it.

    Args:
        settings: How it behaves; `fast` ones by default.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or fast()
        self.app = create_app(self.settings)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        writer = LineWriter(self._file.fileno(), lambda: self.app.faults.current.log_silence)
        self.log = ServiceLog(self.settings, writer)
        self.app.instrumentation._log = self.log
        self.client = Client(self.app)

    def __enter__(self) -> Self:
        """Return this."""
        return self

    def __exit__(self, *_: object) -> None:
        """Forget the lines."""
        self._file.close()

    def send(self, method: str, path: str, **given: Any) -> TestResponse:
        """Return the whole answer to a request whose response was read to its end and closed."""
        return self.client.open(path, method=method, buffered=True, **given)

    def call(self, environ: Mapping[str, Any]) -> tuple[str, bytes, Mapping[str, str]]:
        """Return status, body and headers of the answer to a request that is given as it would reach WSGI."""
        base = EnvironBuilder(path="/").get_environ()
        body, status, headers = run_wsgi_app(self.app, {**base, **environ}, buffered=True)
        return status, b"".join(body), dict(headers)

    def faults(self, **faults: object) -> None:
        """Plant faults through the switch."""
        answer = self.send("PUT", "/faults", json=faults, headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200, answer.data

    @property
    def lines(self) -> list[str]:
        """Every line written so far."""
        size = os.fstat(self._file.fileno()).st_size
        text = os.pread(self._file.fileno(), size, 0).decode()
        assert not text or text.endswith("\n")
        return text.split("\n")[:-1]

    @property
    def events(self) -> list[tuple[str, str, str]]:
        """Level, message and request id of every line."""
        found = [LINE.fullmatch(line) for line in self.lines]
        assert all(found), [line for line, match in zip(self.lines, found, strict=True) if not match]
        return [(match["level"], match["message"], match["request_id"]) for match in found if match]

    @property
    def requests(self) -> list[dict[str, str]]:
        """The parts of every request's line."""
        return [
            {**match.groupdict(), "request_id": request_id, "level": level}
            for level, message, request_id in self.events
            if (match := REQUEST.fullmatch(message))
        ]

    @property
    def samples(self) -> Samples:
        """Every number the service exposes now."""
        return samples_of(self.send("GET", "/metrics").get_data(as_text=True))

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of that name with these labels, now."""
        return total(self.samples, name, **labels)
