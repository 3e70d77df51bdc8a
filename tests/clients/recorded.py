"""A transport that gives answers prepared beforehand and keeps what it was asked."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from sloproof.clients._http import Http

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

URL = "http://server.test:9090"


@dataclass(frozen=True)
class Answer:
    """What the server says."""

    body: str | bytes = "{}"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def json_of(document: Any, status: int = 200) -> Answer:
    return Answer(json.dumps(document), status, {"Content-Type": "application/json"})


def data(document: Any, **more: Any) -> Answer:
    """Return the envelope in which Prometheus and Loki put their answers."""
    return json_of({"status": "success", "data": document, **more})


class Transport(BaseAdapter):
    """Answers each request by a function, or raises what the function raises."""

    def __init__(self, answer: Callable[[Asked], Answer]) -> None:
        super().__init__()
        self.answer = answer
        self.asked: list[Asked] = []

    def send(self, request: requests.PreparedRequest, *_: Any, **options: Any) -> requests.Response:
        asked = Asked(request, options)
        self.asked.append(asked)
        answer = self.answer(asked)
        response = requests.Response()
        response.status_code = answer.status
        response.headers.update(answer.headers)
        response.url = request.url or ""
        body = answer.body.encode() if isinstance(answer.body, str) else answer.body
        response.raw = HTTPResponse(io.BytesIO(body), status=answer.status, preload_content=False)
        response.request = request
        return response

    def close(self) -> None:
        """Hold nothing."""


class Asked:
    """One request as it would have been sent."""

    def __init__(self, request: requests.PreparedRequest, options: Mapping[str, Any]) -> None:
        parts = urlsplit(request.url or "")
        self.method = request.method
        self.url = request.url
        self.path = parts.path
        self.headers = request.headers
        self.body = request.body
        self.options = options
        form = request.body if isinstance(request.body, str) else ""
        self.parameters = {**parse_qs(parts.query), **parse_qs(form)}

    def one(self, name: str) -> str:
        """Return the only value of a parameter."""
        (value,) = self.parameters[name]
        return value


def http(answer: Answer | Callable[[Asked], Answer], **options: Any) -> tuple[Http, Transport]:
    """Return an `Http` whose server gives this answer, or what this function answers."""
    transport = Transport(answer if callable(answer) else lambda _: answer)
    session = requests.Session()
    session.mount("http://", transport)
    return Http(options.pop("url", URL), session=session, **options), transport


def always(answer: Answer) -> Http:
    return http(answer)[0]
