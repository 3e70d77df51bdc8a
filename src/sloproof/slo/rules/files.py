"""Rule files: the same documents give the same bytes; written whole or not at all; compared without writing.

The writer knows the one shape that rule files have, which makes it an order faster than a general one.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from functools import lru_cache
from pathlib import Path

from sloproof.duration import format_duration
from sloproof.errors import SettingsError
from sloproof.slo.model import Place
from sloproof.slo.rules.values import Alerting, Group, Labels, ObjectiveRules, Recording

HEADER = "# Made by `sloproof rules`; edit the documents instead:"
PROMETHEUS_FOLDER, LOKI_FOLDER = "slo", "loki"
RULE_FOLDERS = (PROMETHEUS_FOLDER, LOKI_FOLDER)
_DIFF_LINES = 40
# Plain text that no YAML reader, of version 1.1 or 1.2, takes for anything but a string.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*(?::[A-Za-z0-9_./-]+)*")
_WORDS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null"])
_ESCAPED = re.compile(r'[^\x20-\x7e]|["\\]')
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|[\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Change:
    """A file that is not what the documents make.

    Attributes:
        path: The file.
        kind: `missing`, `different`, or `left over` where no document makes it any more.
        diff: From what is there to what should be; shortened.
    """

    path: Path
    kind: str
    diff: str = ""


@dataclass(frozen=True, slots=True)
class RuleText:
    """The groups of one objective as they stand in a file of each server; empty where it has none there."""

    id: str
    service: str
    place: Place
    prometheus: str = ""
    loki: str = ""


def rule_text_of(rules: ObjectiveRules) -> RuleText:
    """Return the groups of an objective as text."""
    one = rules.objective
    return RuleText(one.id, one.service, one.place, groups_text(rules.prometheus), groups_text(rules.loki))


def rule_texts(rules: Iterable[ObjectiveRules], root: Path) -> dict[Path, str]:
    """Return the text of each rule file by its path below the rules' folder: one a service, for each of both servers.

    Args:
        rules: Of objectives in any order; files hold them in the order of their ids.
        root: What the documents are named from in the header.
    """
    # Each objective becomes text at once: the values of a thousand of them would be most of the memory.
    return file_texts(map(rule_text_of, rules), root)


def file_texts(texts: Iterable[RuleText], root: Path) -> dict[Path, str]:
    """Return the text of each rule file, as `rule_texts` does, from the texts of objectives."""
    of_file: dict[Path, list[tuple[str, Place, str]]] = {}
    for one in texts:
        for folder, text in ((PROMETHEUS_FOLDER, one.prometheus), (LOKI_FOLDER, one.loki)):
            if text:
                of_file.setdefault(Path(folder) / f"{one.service}.yml", []).append((one.id, one.place, text))
    made: dict[Path, str] = {}
    for path in sorted(of_file):
        parts = sorted(of_file.pop(path), key=lambda part: part[0])
        made[path] = _head((place for _, place, _ in parts), root) + "".join(text for _, _, text in parts)
    return made


def rule_text(groups: Iterable[Group], places: Iterable[Place], root: Path) -> str:
    """Return the text of one rule file.

    Args:
        groups: What it holds, in this order.
        places: Where the documents are that it is made from.
        root: What their paths are given relative to, where they are below it.
    """
    return _head(places, root) + groups_text(groups)


def _head(places: Iterable[Place], root: Path) -> str:
    documents = sorted({_relative(file, root) for file in {place.file for place in places}})
    return "\n".join([HEADER, *(f"#   {name}" for name in documents), "groups:", ""])


def groups_text(groups: Iterable[Group]) -> str:
    """Return groups as they stand in a rule file; empty for none."""
    lines: list[str] = []
    for group in groups:
        lines += [f"- name: {scalar(group.name)}", f"  interval: {format_duration(group.interval)}", "  rules:"]
        lines += [_recording(rule) if isinstance(rule, Recording) else _alerting(rule) for rule in group.rules]
    return "\n".join([*lines, ""]) if lines else ""


def scalar(text: str) -> str:
    """Return a string as a YAML scalar on one line."""
    return text if is_plain(text) else _quoted(text)


def is_plain(text: str) -> bool:
    """Return whether a string is written without quotes."""
    return bool(_PLAIN.fullmatch(text)) and text.lower() not in _WORDS


def fits_quotes(text: str) -> bool:
    """Return whether a string can stand in single quotes, in which nothing but they are escaped."""
    return (text.isascii() and text.isprintable()) or not _UNPRINTABLE.search(text)


def _quoted(text: str) -> str:
    if not fits_quotes(text):
        return '"' + _ESCAPED.sub(lambda found: f"\\U{ord(found[0]):08x}", text) + '"'
    return "'" + text.replace("'", "''") + "'"


def compare(texts: Mapping[Path, str], folder: Path, owned: Sequence[str] = RULE_FOLDERS) -> tuple[Change, ...]:
    """Return where the files below a folder are not what they should be; nothing is written."""
    changes = []
    for path, text in texts.items():
        seen = _read(folder / path)
        if seen is None:
            changes.append(Change(path, "missing"))
        elif seen != text:
            changes.append(Change(path, "different", _short_diff(seen, text, path)))
    changes += [Change(path, "left over") for path in _left_over(texts, folder, owned)]
    return tuple(changes)


def write(texts: Mapping[Path, str], folder: Path, owned: Sequence[str] = RULE_FOLDERS) -> tuple[Path, ...]:
    """Write the files below a folder, remove those that no document makes any more, and return which were touched.

    Files that are as they should be are not touched, nor are those that are not made by sloproof.

    Args:
        texts: By their path below the folder.
        folder: Made where it is not there.
        owned: Patterns of the folders in it whose left-over files go.

    Raises:
        SettingsError: A file that someone else made is in the way.
    """
    touched = []
    for path, text in texts.items():
        target = folder / path
        seen = _read(target)
        if seen == text:
            continue
        if seen and not seen.startswith(HEADER):
            raise SettingsError(
                f"expected to write the rules to {target}, but a file is there that was not made from documents",
                where=target,
                next="move it away, or name another folder with --out",
            )
        _replace(target, text)
        touched.append(path)
    for path in _left_over(texts, folder, owned):
        (folder / path).unlink()
        touched.append(path)
    return tuple(touched)


def _recording(rule: Recording) -> str:
    return f"  - record: {scalar(rule.record)}\n    expr: {_quoted(rule.expr)}{_labels(rule.labels)}"


def _alerting(rule: Alerting) -> str:
    if "\n" in rule.expr:
        expr = "|-\n" + "\n".join(f"      {line}" for line in rule.expr.split("\n"))
    else:
        expr = _quoted(rule.expr)
    held = f"\n    for: {format_duration(rule.hold)}" if rule.hold else ""
    told = "\n    annotations:" + "".join(f"\n      {key}: {_quoted(text)}" for key, text in rule.annotations)
    return f"  - alert: {scalar(rule.alert)}\n    expr: {expr}{held}{_labels(rule.labels)}{told}"


@lru_cache(maxsize=256)
def _labels(pairs: Labels) -> str:
    """Return the labels of a rule; many rules of an objective share theirs."""
    return "\n    labels:" + "".join(f"\n      {_known(key)}: {_known(text)}" for key, text in pairs)


@lru_cache(maxsize=4096)
def _known(text: str) -> str:
    """Return the scalar of a string that comes again and again, as labels do."""
    return scalar(text)


def _relative(file: Path, root: Path) -> str:
    path, base = Path(os.path.abspath(file)), Path(os.path.abspath(root))  # noqa: PTH100 - links stay links
    return (path.relative_to(base) if path.is_relative_to(base) else Path(file.name)).as_posix()


def _left_over(texts: Mapping[Path, str], folder: Path, owned: Sequence[str]) -> list[Path]:
    """Return the files of ours that no document makes any more."""
    found = []
    for part in owned:
        for file in sorted(folder.glob(f"{part}/*.yml")):
            path = file.relative_to(folder)
            if path not in texts and (_read(file) or "").startswith(HEADER):
                found.append(path)
    return found


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _replace(target: Path, text: str) -> None:
    """Put a file in place of another in one step: whoever reads has the one or the other."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=target.parent, delete=False) as file:
        file.write(text)
    made = Path(file.name)
    made.chmod(0o644)
    made.replace(target)


def _short_diff(seen: str, text: str, path: Path) -> str:
    lines = list(
        unified_diff(
            seen.splitlines(), text.splitlines(), f"{path} as written", f"{path} from documents", "", "", 1, ""
        )
    )
    rest = len(lines) - _DIFF_LINES
    return "\n".join(lines[:_DIFF_LINES] + ([f"... and {rest} more lines"] if rest > 0 else []))
