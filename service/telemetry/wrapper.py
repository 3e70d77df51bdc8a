"""The layer around an application: every request passes here, and none leaves unaccounted for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .counts import KNOWN_METHODS, OTHER, UNMATCHED
from .exchange import Exchange, RequestIds
from .lines import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from .counts import RequestMetrics
    from .exchange import StartResponse, WsgiApp
    from .lines import RequestLog

# Where Flask, by way of Werkzeug, leaves its request, which knows the rule that matched.
_FLASK_KEY = "werkzeug.request"
_MAX_ENDPOINT = 100


def flask_rules(url_map: Any) -> Callable[[dict[str, Any]], str | None]:
    """Return what finds the URL rule of a request to a Flask application, without hooking into Flask.

    While Flask answers, its request knows the rule. It forgets it where a handler crashes; then the map is asked again.

    Args:
        url_map: The application's.
    """

    def rule_of(environ: dict[str, Any]) -> str | None:
        request = environ.get(_FLASK_KEY)
        if request is not None:
            return None if request.url_rule is None else str(request.url_rule.rule)
        try:
            rule, _ = url_map.bind_to_environ(environ).match(return_rule=True)
        except Exception:  # noqa: BLE001 - no such path, another method, a redirect, a host that is none
            return None
        return str(rule.rule)

    return rule_of


class Telemetry:
    """Counts, times and logs what an application answers.

    The number of errors it counts is the number of answers with a status of 400 or more, by construction: both are
    taken from the same status at the same place.

    Args:
        app: The application.
        metrics: Where to count.
        log: Where to tell.
        untold: Fixed paths whose requests are no traffic: probes, the exposition.
        rule_of: Returns the rule that the application found for a request, from its environ and when its answer begins
            or when it failed to answer; never its path, of which there are as many as clients can think of.
        max_endpoints: How many rules are told apart; those beyond are counted as unmatched.
    """

    def __init__(
        self, app: WsgiApp, metrics: RequestMetrics, log: RequestLog, *, untold: Collection[str] = (),
        rule_of: Callable[[dict[str, Any]], str | None], max_endpoints: int = 200,
    ) -> None:  # fmt: skip
        self._app = app
        self._metrics = metrics
        self._log = log
        self._untold = frozenset(untold)
        self._rule_of = rule_of
        self._max_endpoints = max_endpoints
        self._ids = RequestIds()
        self._endpoints: dict[str | None, str] = {None: UNMATCHED}

    def __call__(self, environ: dict[str, Any], respond: StartResponse) -> Iterable[bytes]:
        """Answer one request; its account is given when its body ends."""
        if environ.get("PATH_INFO") in self._untold:
            return self._app(environ, respond)
        method = environ.get("REQUEST_METHOD", "")
        if method not in KNOWN_METHODS:
            method = OTHER
        request_id = self._ids.of(environ.get("HTTP_X_REQUEST_ID"))
        exchange = Exchange(self._metrics, self._log, "", method, request_id, self.endpoint)
        return exchange.run(self._app, environ, respond)

    def endpoint(self, environ: dict[str, Any]) -> str:
        """Return the label of the rule that an answered request matched."""
        rule = self._rule_of(environ)
        known = self._endpoints.get(rule)
        if known is None:
            is_new = rule is not None and len(self._endpoints) <= self._max_endpoints
            known = one_line(rule, _MAX_ENDPOINT) if rule and is_new else UNMATCHED
            if is_new:
                self._endpoints[rule] = known
        return known
