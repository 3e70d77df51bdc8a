"""Decides whether bytes are JSON as RFC 8259 has it, without giving them another meaning on the way."""

from __future__ import annotations

import json
from typing import Any

_DEPTH_LIMIT = "nested too deeply"


class MalformedJsonError(Exception):
    """Bytes that are no JSON; its text says why and where."""


def parse(body: bytes) -> None:
    """Return if the bytes are one JSON text in UTF-8.

    Numbers of any size, duplicate keys and escapes of lone surrogates are JSON; NaN, Infinity and a byte order mark
    are not.

    Raises:
        MalformedJsonError: They are not, or they are nested too deeply to tell.
    """
    try:
        _decoder().decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise MalformedJsonError(f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise MalformedJsonError(f"{error.msg} at line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise MalformedJsonError(_DEPTH_LIMIT) from None


def _decoder() -> json.JSONDecoder:
    # Numbers stay unread: reading them refuses long ones and cannot hold large ones, and nobody asks for their value.
    return json.JSONDecoder(parse_int=len, parse_float=len, parse_constant=_refuse)


def _refuse(name: str) -> Any:
    raise MalformedJsonError(f"{name} is no JSON number")
