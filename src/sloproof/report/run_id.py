"""Names runs."""

from __future__ import annotations

import secrets
from datetime import datetime


def new_run_id(now: datetime) -> str:
    """Return an id for a run: sortable by time, sane in a request id, unlikely to be met twice."""
    return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
