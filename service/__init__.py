"""The system under test: a small users API, instrumented so that its monitoring can be held to the truth.

It knows nothing of sloproof; the two meet over HTTP only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.application import Service
    from service.settings import Settings

__all__ = ["create_app"]


def create_app(settings: Settings) -> Service:
    """Return the service as a WSGI application, ready to be served.

    Args:
        settings: How it behaves; `Settings.from_environment` reads them.
    """
    # Late, because the metrics client decides on import whether it counts for one process or for several.
    from service.application import build  # noqa: PLC0415 - see above

    service = build(settings)
    service.lifecycle.begin()
    return service
