"""The project's objectives and their rules as they run here: with time compressed, at the intervals used here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from sloproof.duration import parse_duration
from sloproof.environment.components import ExtraRules
from sloproof.errors import SettingsError
from sloproof.settings import Settings
from sloproof.slo.compress import compress
from sloproof.slo.documents.folder import documents_folder
from sloproof.slo.documents.reading import read_objectives
from sloproof.slo.model import Objective, Source
from sloproof.slo.rows import MIN_SCRAPES
from sloproof.slo.rules.files import LOKI_FOLDER, rule_texts
from sloproof.slo.rules.groups import rules_of
from sloproof.slo.rules.values import Timing

# A window's rate is then seen at least once while it is what it was.
_MIN_EVALUATIONS = 2


def compressed_objectives(root: Path, settings: Settings, paths: Sequence[Path] = ()) -> tuple[Objective, ...]:
    """Return the objectives of the project's documents, every time divided by the factor of the settings.

    Args:
        root: The project's root.
        settings: The project's.
        paths: Documents or folders; the project's own where none is given.

    Raises:
        SettingsError: There are no documents, they are not valid, or the factor leaves a window less than four scrapes.
    """
    interval = _interval(settings)
    read = read_objectives(list(paths) or [documents_folder(root, settings)], scrape_interval=interval)
    made = tuple(compress(one, settings.slo.compress) for one in read)
    shortest = min((row.short for one in made for row in one.rows), default=None)
    if shortest is not None and shortest < MIN_SCRAPES * interval:
        raise SettingsError(
            f"expected every compressed window to hold {MIN_SCRAPES} scrapes, but one is "
            f"{shortest.total_seconds():g} s long, at an interval of {interval.total_seconds():g} s",
            hint=f"tool.sloproof.slo.compress is {settings.slo.compress}: make it smaller, or scrape more often",
        )
    evaluation = _evaluation(settings)
    if shortest is not None and shortest < _MIN_EVALUATIONS * evaluation:
        raise SettingsError(
            f"expected every compressed window to hold {_MIN_EVALUATIONS} evaluations, but one is "
            f"{shortest.total_seconds():g} s long, and rules are evaluated every {evaluation.total_seconds():g} s",
            hint="make tool.sloproof.slo.evaluation shorter",
        )
    return made


def compressed_rules(objectives: Sequence[Objective], root: Path, settings: Settings) -> ExtraRules:
    """Return the rule files of compressed objectives, for the local environment to load.

    Raises:
        SettingsError: A query cannot be used.
    """
    timing = Timing(_evaluation(settings), timedelta(seconds=settings.logs.ship_seconds))
    texts = rule_texts((rules_of(one, timing) for one in objectives if one.source is not Source.LEDGER), root)
    prometheus: dict[str, str] = {}
    loki: dict[str, str] = {}
    for path, text in texts.items():
        (loki if path.parts[0] == LOKI_FOLDER else prometheus)[f"slo-{path.name}"] = text
    return ExtraRules(prometheus, loki)


def _evaluation(settings: Settings) -> timedelta:
    return max(_interval(settings), parse_duration(settings.slo.evaluation or settings.scrape.evaluation))


def _interval(settings: Settings) -> timedelta:
    return max(parse_duration(settings.scrape.interval), parse_duration(settings.scrape.evaluation))
