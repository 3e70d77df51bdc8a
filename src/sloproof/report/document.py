"""report.json: the record of a run as JSON, and its published schema."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

from sloproof.errors import SloproofError
from sloproof.report.record import SCHEMA_VERSION, RunRecord
from sloproof.report.wording import plain

_TITLE = "The report of a sloproof run"


class ReportError(SloproofError):
    """A report cannot be read: damaged, or of another format version."""


def encode(record: RunRecord) -> bytes:
    """Return the record as indented JSON, UTF-8, ending in a newline.

    A text that no UTF-8 can hold (half of a surrogate pair, from a log that was not text) is escaped, not refused.
    """
    try:
        encoded = msgspec.json.encode(record)
    except UnicodeEncodeError:
        encoded = msgspec.json.encode(_encodable(msgspec.to_builtins(record)))
    return msgspec.json.format(encoded, indent=1) + b"\n"


def decode(encoded: bytes) -> RunRecord:
    """Return the record that a report.json holds.

    Raises:
        ReportError: It is no such document, or of another version; it says which field.
    """
    try:
        record = msgspec.json.decode(encoded, type=RunRecord)
    except msgspec.MsgspecError as error:
        raise ReportError(
            f"expected a report of version {SCHEMA_VERSION}, but {error}",
            hint="`$` in the message stands for the whole document",
        ) from error
    if record.schema_version != SCHEMA_VERSION:
        raise ReportError(
            f"expected a report of version {SCHEMA_VERSION}, found version {record.schema_version}",
            hint="read it with the sloproof that wrote it: `environment.sloproof` names its version",
        )
    return record


def schema() -> bytes:
    """Return the JSON schema of report.json, indented, ending in a newline."""
    document: dict[str, Any] = msgspec.json.schema(RunRecord)
    for definition in document["$defs"].values():
        # Pythons differ in whether a docstring keeps its indentation.
        definition["description"] = inspect.cleandoc(definition["description"])
    headed = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": _TITLE, **document}
    return msgspec.json.format(msgspec.json.encode(headed), indent=2) + b"\n"


def _encodable(value: Any) -> Any:
    """Return plain data with every text of it safe to encode."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return plain(value)
        return value
    if isinstance(value, dict):
        return {_encodable(key): _encodable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(each) for each in value]
    return value
