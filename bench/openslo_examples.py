"""Prints, for folders of foreign SLO documents, what is made of each file or why it is refused, as a Markdown table.

    python bench/openslo_examples.py OpenSLO/examples sloth/examples > table.md

Each file is read by itself, so that a reference to another file of its folder counts as unknown.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sloproof.duration import format_duration
from sloproof.slo.calendar import nominal_length
from sloproof.slo.documents.locating import yaml_files
from sloproof.slo.documents.problem import Problem
from sloproof.slo.documents.reading import DEFAULT_SCRAPE, examine
from sloproof.slo.documents.targets import decimal_text
from sloproof.slo.documents.windows import KIND, read_windows
from sloproof.slo.lint.static import objective_problems
from sloproof.slo.model import Objective, Rolling


def main(folders: list[Path]) -> int:
    """Print the table of all files of the folders."""
    print("| file | read | what is made of it, or the reason |")
    print("|---|---|---|")
    for folder in folders:
        for file in yaml_files([folder]):
            verdict, text = judged(file)
            print(f"| `{file.relative_to(folder)}` | {verdict} | {text} |")
    return 0


def judged(file: Path) -> tuple[str, str]:
    """Return whether a file is accepted, and what is made of it or what is wrong."""
    if f"kind: {KIND}" in file.read_text(encoding="utf-8"):
        (catalogue,) = read_windows(file)
        rows = (f"{row.name} {decimal_text(row.factor)}" for row in catalogue.rows())
        return "accepted", f"rows for periods of {format_duration(catalogue.period)}: {', '.join(rows)}"
    reading = examine([file])
    if reading.problems:
        return "refused", "<br>".join(dict.fromkeys(escaped(one) for one in reading.problems))
    made = [described(one) for one in reading.objectives]
    made += [escaped(one) for one in reading.notes]
    return "accepted", "<br>".join(made) or "documents that an SLO may refer to"


def described(objective: Objective) -> str:
    """Return in a few words what an objective is."""
    period = objective.period
    length = format_duration(nominal_length(period))
    window = f"{length} rolling" if isinstance(period, Rolling) else f"{length} by the calendar of {period.zone.key}"
    parts = [
        f"`{objective.id}`: {decimal_text(objective.target)} over {window}",
        f"{objective.budgeting.value} of {type(objective.indicator).__name__.lower()}",
        f"{len(objective.rows)} rows",
    ]
    findings = objective_problems(objective, DEFAULT_SCRAPE)
    return ", ".join(parts) + "".join(f"; lint: {escaped(one)}" for one in findings)


def escaped(problem: Problem) -> str:
    """Return a problem as it may stand in a table's cell."""
    text = f"line {problem.place.line}: [{problem.rule}] {problem.what}; {problem.hint}"
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    sys.exit(main([Path(one) for one in sys.argv[1:]]))
