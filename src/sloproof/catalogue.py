"""The catalogue of steps: every sentence that a scenario can be written with."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import msgspec


class StepEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One sentence.

    Attributes:
        kind: `given`, `when`, `then`, or `step` for all three.
        pattern: The sentence, its values in braces.
        doc: The first line of its function's docstring.
        module: Where it is defined, as imported.
        file: Where it is defined, relative to the project's root where it lies in it.
        line: Likewise.
        uses: How often the features say it, counting each line of a feature file once.
        example: The first line that says it, without its keyword; empty when none does.
        example_file: Where that stands.
        example_line: Likewise; 0 when none does.
    """

    kind: str
    pattern: str
    doc: str
    module: str
    file: str
    line: int
    uses: int
    example: str = ""
    example_file: str = ""
    example_line: int = 0


def select(entries: Iterable[StepEntry], *, text: str = "", unused: bool = False) -> tuple[StepEntry, ...]:
    """Return the entries that mention a text (pattern, doc or module, in any case), only unused ones if asked."""
    wanted = text.casefold()
    return tuple(
        entry
        for entry in entries
        if wanted in f"{entry.kind} {entry.pattern}\n{entry.doc}\n{entry.module}".casefold()
        and not (unused and entry.uses)
    )


def catalogue_text(entries: Sequence[StepEntry]) -> str:
    """Return the catalogue as it is read in a terminal: grouped by module, each sentence with what it does."""
    lines: list[str] = []
    for module, group in itertools.groupby(entries, key=lambda entry: entry.module):
        lines += [module, ""]
        for entry in group:
            uses = "unused" if entry.uses == 0 else "used once" if entry.uses == 1 else f"used {entry.uses} times"
            lines.append(f"  {entry.kind.capitalize()} {entry.pattern}")
            lines.append(f"    {entry.doc or '(its function has no docstring)'}")
            if entry.example and entry.example != entry.pattern:
                lines.append(f"    such as: {entry.example}  ({entry.example_file}:{entry.example_line})")
            lines += [f"    {entry.file}:{entry.line}, {uses}", ""]
    unused = sum(entry.uses == 0 for entry in entries)
    count = "1 step" if len(entries) == 1 else f"{len(entries)} steps"
    lines.append(f"{count}, {unused} unused")
    return "\n".join(lines)
