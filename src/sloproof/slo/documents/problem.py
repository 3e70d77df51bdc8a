"""What is wrong with documents: gathered from all of them, told together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sloproof.errors import SettingsError
from sloproof.slo.model import Place


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong, or worth knowing, at one place of the documents.

    Attributes:
        rule: Short id of the kind of problem, such as `unknown-field`.
        what: What was expected and what is there.
        hint: What to do.
        is_note: Whether it is only worth knowing: nothing need be changed.
    """

    place: Place
    rule: str
    what: str
    hint: str
    is_note: bool = False

    def __str__(self) -> str:
        """Return it as compilers do, on one line: `file:line: [rule] what; hint`."""
        return f"{self.place}: [{self.rule}] {'note: ' if self.is_note else ''}{self.what}; {self.hint}"

    @property
    def sort_key(self) -> tuple[str, int, str, str]:
        """Return what orders problems as people go through files."""
        return (str(self.place.file), self.place.line, self.rule, self.what)


@dataclass(slots=True)
class Problems:
    """Gathers problems, so that one reading tells them all."""

    found: list[Problem] = field(default_factory=list)

    def add(self, place: Place, rule: str, what: str, hint: str) -> None:
        """Keep one more."""
        self.found.append(Problem(place, rule, what, hint))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.found)


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return problems by file and line, each once."""
    return tuple(sorted(dict.fromkeys(problems), key=lambda one: one.sort_key))


def refuse(problems: Iterable[Problem], *, what: str = "the SLO documents") -> None:
    """Raise one SettingsError that tells all of the problems; do nothing where there are none.

    Raises:
        SettingsError: There is a problem.
    """
    found = in_order(problems)
    if found:
        many = "1 problem" if len(found) == 1 else f"{len(found)} problems"
        raise SettingsError(
            f"expected {what} to be valid, but there {'is' if len(found) == 1 else 'are'} {many}",
            problems="\n".join(map(str, found)),
        )
