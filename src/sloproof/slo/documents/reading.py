"""Reads SLOs: OpenSLO v1 documents in, objectives out, with every reference resolved and every default set.

Every field is either part of an objective or refused by name, with its line; every problem is told at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sloproof.errors import SettingsError
from sloproof.slo.documents.library import library_of
from sloproof.slo.documents.locating import documents_of, yaml_files
from sloproof.slo.documents.metrics import source_problem
from sloproof.slo.documents.openslo import DataSource, Slo
from sloproof.slo.documents.problem import Problem, Problems, in_order, refuse
from sloproof.slo.documents.slo_reader import SloReader
from sloproof.slo.documents.sloth import SlothReader, is_sloth
from sloproof.slo.documents.windows import catalogue_of, is_windows
from sloproof.slo.model import Objective

DEFAULT_SCRAPE = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Reading:
    """What documents say, as far as it can be told, and what is wrong with them.

    Attributes:
        objectives: Of the SLOs that are valid, in the order read.
        problems: By file and line; empty where all is well.
        notes: Worth knowing: documents that nothing refers to.
    """

    objectives: tuple[Objective, ...]
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...] = ()


def read_objectives(paths: Sequence[Path], *, scrape_interval: timedelta = DEFAULT_SCRAPE) -> tuple[Objective, ...]:
    """Return the objectives of all documents in files and folders, in the order read.

    Args:
        paths: Files, or folders with all `.yaml` and `.yml` files below them; references lead across all of them.
        scrape_interval: Of what is measured. The default rows of periods below a week never have windows of less than
            four of these; nothing else depends on it.

    Raises:
        SettingsError: A path leads nowhere, no SLO is among the documents, or documents are not valid: every problem of
            every file is told, with its line and what to do.
    """
    reading = examine(paths, scrape_interval=scrape_interval)
    refuse(reading.problems)
    if not reading.objectives:
        raise SettingsError(
            "expected an SLO among the documents, but there is none",
            read=", ".join(map(str, paths)),
            hint="write a document of kind SLO there",
        )
    return reading.objectives


def examine(paths: Sequence[Path], *, scrape_interval: timedelta = DEFAULT_SCRAPE) -> Reading:
    """Return what can be read of the documents, and every problem; arguments as of `read_objectives`.

    Raises:
        SettingsError: A path leads nowhere.
    """
    problems = Problems()
    documents = [one for file in yaml_files(paths) for one in documents_of(file, problems)]
    catalogues = [catalogue_of(one, problems) for one in documents if is_windows(one)]
    library = library_of((one for one in documents if not is_windows(one) and not is_sloth(one)), problems)
    windows = tuple(one for one in catalogues if one is not None)
    reader = SloReader(library, problems, windows, scrape_interval)
    sloth = SlothReader(problems, windows, scrape_interval)
    found = tuple(objective for slo in library.all(Slo).values() for objective in reader.objectives(slo))
    found += tuple(objective for one in documents if is_sloth(one) for objective in sloth.objectives(one))
    for source in library.all(DataSource).values():
        source_problem(source, problems)
    notes = reader.unused()
    ids: dict[str, Objective] = {}
    for objective in found:
        first = ids.setdefault(objective.id, objective)
        if first is not objective:
            problems.add(
                objective.place, "duplicate-id", f"expected one SLO with the id {objective.id}, got another at "
                f"{first.place}", "rename one of them: their series would be the same",
            )  # fmt: skip
    return Reading(found, in_order(problems.found), in_order([*notes, *sloth.notes]))
