"""Rule texts of many objectives: those of one sort differ in names and queries only, so one text is a mould for all.

A mould is the text of an objective whose names and queries are stand-ins. It is used only after it gave, byte for byte,
the text that was made the long way; whatever would have to be written in another style goes the long way each time.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from sloproof.slo.model import Objective, Ratio, Source
from sloproof.slo.rules.alert_text import title_of
from sloproof.slo.rules.expressions import WindowCounts, counts_of
from sloproof.slo.rules.files import RuleText, fits_quotes, groups_text, is_plain, rule_text_of
from sloproof.slo.rules.groups import rules_of
from sloproof.slo.rules.series import Names
from sloproof.slo.rules.values import Timing

_SERVICE, _SLO, _TITLE = "qzServiceqz", "qzSloqz", "qzTitleqz"
_COUNT = re.compile(r"qz(Valid|Bad|Good)(\w+?)qz")
# A selector is made of these only if nothing in it has to be escaped.
_SIMPLE = re.compile(r"[A-Za-z][A-Za-z0-9_-]*", re.ASCII)


def objective_texts(objectives: Iterable[Objective], timing: Timing) -> Iterator[RuleText]:
    """Yield the rule texts of objectives, in their order; none for one that the load driver's ledger answers for.

    Raises:
        SettingsError: A query cannot be used; see `expressions.counts_of`.
    """
    moulds = _Moulds(timing)
    for one in objectives:
        yield moulds.text(one)


@dataclass(frozen=True, slots=True)
class _Mould:
    """A text in pieces.

    Attributes:
        pieces: Its parts; those at places that a slot has are filled.
        slots: For each thing that is filled in, by its sort and window, where it goes.
    """

    pieces: list[str]
    slots: dict[tuple[str, str], list[int]]

    def filled(self, objective: Objective, counts: WindowCounts) -> str:
        parts = self.pieces.copy()
        names = Names.of(objective)
        texts = {
            "ids": names.ids, "id": objective.id, "service": objective.service, "slo": objective.slo,
            "title": _quotable(title_of(objective)), "Valid": _quotable(counts.valid), "Bad": _quotable(counts.bad),
            "Good": _quotable(counts.good),
        }  # fmt: skip
        for (sort, window), places in self.slots.items():
            text = texts[sort].replace("{{.window}}", window) if window else texts[sort]
            for place in places:
                parts[place] = text
        return "".join(parts)


@dataclass(slots=True)
class _Moulds:
    """Moulds by the sort of objective they are for; None where there is none that gives the right text."""

    timing: Timing
    seen: set[Hashable] = field(default_factory=set)
    made: dict[Hashable, _Mould | None] = field(default_factory=dict)

    def text(self, objective: Objective) -> RuleText:
        if not (objective.source is Source.PROMETHEUS and isinstance(objective.indicator, Ratio)):
            return rule_text_of(rules_of(objective, self.timing))
        counts = counts_of(objective, self.timing.interval, self.timing.log_delay)
        if not isinstance(counts, WindowCounts) or not _is_simple(objective, counts):
            return rule_text_of(rules_of(objective, self.timing, counts))
        sort = _sort_of(objective, counts)
        mould = self.made.get(sort)
        if mould is not None:
            return RuleText(objective.id, objective.service, objective.place, mould.filled(objective, counts))
        text = rule_text_of(rules_of(objective, self.timing, counts))
        if sort not in self.seen:
            # Most documents are the only one of their sort: a mould is worth its making from the second one on.
            self.seen.add(sort)
        elif sort not in self.made:
            mould = self._mould(objective, counts)
            self.made[sort] = mould if mould.filled(objective, counts) == text.prometheus else None
        return text

    def _mould(self, objective: Objective, counts: WindowCounts) -> _Mould:
        like = replace(objective, service=_SERVICE, slo=_SLO, title=_TITLE)
        asked = WindowCounts(
            "qzValid{{.window}}qz", "qzBad{{.window}}qz" * bool(counts.bad), "qzGood{{.window}}qz" * bool(counts.good)
        )
        return _split(groups_text(rules_of(like, self.timing, asked).prometheus), like)


def _split(text: str, like: Objective) -> _Mould:
    known = {Names.of(like).ids: "ids", like.id: "id", _SERVICE: "service", _SLO: "slo", _TITLE: "title"}
    pieces: list[str] = []
    slots: dict[tuple[str, str], list[int]] = {}
    end = 0
    # Alternatives are tried in this order: the longest first.
    for found in re.finditer("|".join([*map(re.escape, known), _COUNT.pattern]), text):
        slot = (known[found[0]], "") if found[0] in known else (found[1], found[2])
        slots.setdefault(slot, []).append(len(pieces) + 1)
        pieces += [text[end : found.start()], ""]
        end = found.end()
    return _Mould([*pieces, text[end:]], slots)


def _sort_of(objective: Objective, counts: WindowCounts) -> Hashable:
    """Return all that a text depends on besides what is filled in."""
    return (
        objective.rows, objective.target, objective.period, objective.budgeting, objective.slice_length,
        objective.slice_target, objective.min_events, objective.no_data, objective.missing_after, objective.labels,
        bool(counts.bad), bool(counts.good), counts.samples,
    )  # fmt: skip


def _is_simple(objective: Objective, counts: WindowCounts) -> bool:
    """Return whether all that is filled in is written in the style that the stand-ins are."""
    names = (objective.id, objective.service, objective.slo)
    return (
        not counts.samples
        and all(_SIMPLE.fullmatch(one) and is_plain(one) for one in names)
        and all(map(fits_quotes, (objective.title, counts.valid, counts.bad, counts.good)))
    )


def _quotable(text: str) -> str:
    return text.replace("'", "''")
