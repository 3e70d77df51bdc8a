"""Which requests of the load driver's ledger an objective counts, and which of them are bad."""

from __future__ import annotations

from dataclasses import dataclass

from sloproof.errors import SettingsError
from sloproof.slo.ledger_query import LedgerQuery, Request, parse_ledger_query
from sloproof.slo.model import Objective, Ratio, Source


@dataclass(frozen=True, slots=True)
class LedgerWitness:
    """An objective's two questions to the ledger.

    Attributes:
        valid: The requests that count.
        part: The good or the bad ones of them.
        part_is_good: Which of the two.
    """

    valid: LedgerQuery
    part: LedgerQuery
    part_is_good: bool

    @classmethod
    def of(cls, objective: Objective) -> LedgerWitness:
        """Return the questions of an objective's own source, else those of the truth that stands beside it.

        Raises:
            SettingsError: It has no ledger queries, or one that cannot be read.
        """
        if objective.source is Source.LEDGER and isinstance(objective.indicator, Ratio):
            part = objective.indicator.good or objective.indicator.bad
            assert part is not None
            texts = (objective.indicator.total.query, part.query)
            part_is_good = objective.indicator.good is not None
        elif objective.truth is not None:
            texts = (objective.truth.total, objective.truth.bad)
            part_is_good = False
        else:
            raise SettingsError(
                f"expected {objective.id} to say what the ledger's events of it are, but it does not",
                where=objective.place,
                hint="add the annotations sloproof/truth-bad and sloproof/truth-total",
            )
        valid, part_query = (parse_ledger_query(text, objective.place) for text in texts)
        return cls(valid, part_query, part_is_good)

    def is_bad(self, request: Request) -> bool:
        """Return whether a request that counts is a bad one."""
        return self.part.matches(request) is not self.part_is_good
