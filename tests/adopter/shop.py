"""A small shop on aiohttp: another framework, other metric names, JSON logs. It knows nothing of sloproof."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest

REQUESTS = Counter("shop_http_requests", "Requests answered.", ["route", "verb", "code"])
SECONDS = Histogram("shop_http_seconds", "Seconds per request.", ["route", "verb"], buckets=(0.005, 0.05, 0.5))
FAILURES = Counter("shop_failures", "Requests that failed.", ["kind", "route"])
IN_FLIGHT = Gauge("shop_http_in_flight", "Requests being handled.")
QUIET = {"/ready", "/alive", "/prometheus"}

for _kind in ("refused", "broken"):
    for _route in ("/", "/cart", "/checkout", "/broken", "unknown"):
        FAILURES.labels(_kind, _route)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count, time and log each request once."""
    route = request.match_info.route.resource.canonical if request.match_info.route.resource else "unknown"
    if route in QUIET:
        return await handler(request)
    trace = request.headers.get("X-Trace") or uuid.uuid4().hex
    IN_FLIGHT.inc()
    begin = time.perf_counter()
    level, code = "info", 500
    try:
        response = await handler(request)
        code = response.status
    except web.HTTPException as refusal:
        response, code = refusal, refusal.status
    except Exception as error:  # noqa: BLE001 - whatever broke, the request is answered and told of
        level = "error"
        response = web.json_response({"error": type(error).__name__}, status=500)
    finally:
        seconds = time.perf_counter() - begin
    if code >= 400:
        FAILURES.labels("broken" if code >= 500 else "refused", route).inc()
    REQUESTS.labels(route, request.method, str(code)).inc()
    SECONDS.labels(route, request.method).observe(seconds)
    print(
        json.dumps(
            {
                "sev": level,
                "msg": "handled",
                "trace": trace,
                "http": {"route": route, "verb": request.method, "code": code},
                "seconds": seconds,
            }
        ),
        flush=True,
    )
    IN_FLIGHT.dec()
    response.headers["X-Trace"] = trace
    return response


async def index(_: web.Request) -> web.Response:
    """Say who answers."""
    return web.json_response({"shop": "open"})


async def cart(_: web.Request) -> web.Response:
    """Answer after a moment."""
    await asyncio.sleep(0.01)
    return web.json_response({"items": []})


async def checkout(_: web.Request) -> web.Response:
    """Refuse: nobody has money."""
    raise web.HTTPPaymentRequired(text="no money")


async def broken(_: web.Request) -> web.Response:
    """Break for real."""
    raise ZeroDivisionError


async def healthy(_: web.Request) -> web.Response:
    """Answer a probe."""
    return web.Response(text="ok")


async def metrics(_: web.Request) -> web.Response:
    """Answer with the exposition."""
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def main(port: int) -> None:
    """Serve until told to end."""
    app = web.Application(middlewares=[observe])
    app.add_routes(
        [
            web.get("/", index),
            web.get("/cart", cart),
            web.post("/checkout", checkout),
            web.get("/broken", broken),
            web.get("/ready", healthy),
            web.get("/alive", healthy),
            web.get("/prometheus", metrics),
        ]
    )
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
