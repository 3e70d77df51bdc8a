"""Lines that the parser takes for prose although someone meant a step or a section.

Gherkin makes every line that it does not understand before a scenario's first step part of its description: `Givn a
thing` is never run, and the scenario passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from gherkin.dialect import Dialect

from sloproof.plugin.document import FeatureDocument, Problem, Prose

# English words that differ from a keyword by a letter or two; a line that begins with one is a step only if the rest
# of it is a sentence that some step understands.
_ORDINARY = frozenset(
    """
    ad add aid an ant any band bat bet bit bud bug bus butt buy cut dive diver dives driven end even ever five
    gave give gives giver gut hand have hen her hey hut land live lived liver lives nut out oven put river rut
    sand seven than the them there these they thin went what wheat whey who
    """.split()  # noqa: SIM905 - a list of one word a line would be a page
)

_REWORD = "if it is prose, begin the line with another word"


def step_words(dialect: Dialect) -> tuple[str, ...]:
    """Return the keywords of steps, without the star."""
    groups = (
        dialect.given_keywords,
        dialect.when_keywords,
        dialect.then_keywords,
        dialect.and_keywords,
        dialect.but_keywords,
    )
    return tuple(dict.fromkeys(word.strip() for group in groups for word in group if word.strip() != "*"))


def section_words(dialect: Dialect) -> tuple[str, ...]:
    """Return the keywords of sections."""
    groups = (
        dialect.feature_keywords,
        dialect.rule_keywords,
        dialect.background_keywords,
        dialect.scenario_keywords,
        dialect.scenario_outline_keywords,
        dialect.examples_keywords,
    )
    return tuple(dict.fromkeys(word.strip() for group in groups for word in group))


def stray_lines(document: FeatureDocument, is_step: Callable[[str], bool]) -> Iterator[Problem]:
    """Yield a problem for every line of prose that looks like a step or a section.

    Args:
        document: The file.
        is_step: Whether any step understands a sentence, given without its keyword.
    """
    for line in document.prose():
        meant = _meant(line, document.dialect, is_step)
        if meant is not None:
            yield Problem(
                document.path,
                line.line,
                f"read as prose about the {line.within}, and not run: {line.text}",
                f"did you mean: {meant}\n{_REWORD}",
            )


def syntax_problems(document: FeatureDocument) -> Iterator[Problem]:
    """Yield the problems that kept the parser from reading a file, each with what was probably meant."""
    for problem in document.problems:
        line = document.lines[problem.line - 1].strip() if problem.line <= len(document.lines) else ""
        word, rest = _split(line)
        near = nearest(word, step_words(document.dialect))
        meant = _section(line, document.dialect) or (f"{near} {rest}" if near else line)
        yield problem if meant == line else replace(problem, hint=f"did you mean: {meant}")


def _meant(line: Prose, dialect: Dialect, is_step: Callable[[str], bool]) -> str | None:
    section = _section(line.text, dialect)
    if section is not None:
        return section
    words = step_words(dialect)
    word, rest = _split(line.text)
    same = next((each for each in words if each.casefold() == word.casefold()), None)
    near = same or nearest(word, words)
    if is_step(line.text):
        return f"{words[0]} {line.text}"
    if is_step(rest):
        return f"{near or words[0]} {rest}"
    if line.in_scenario:
        certain = same is not None or (near is not None and word.casefold() not in _ORDINARY)
    else:
        # Prose wraps, so a line about a feature may begin with "and"; one that begins with "Given" has lost its title.
        starts = (*dialect.given_keywords, *dialect.when_keywords, *dialect.then_keywords)
        certain = any(line.text.startswith(each) for each in starts if each.strip() != "*")
    return f"{near} {rest}" if certain else None


def _split(text: str) -> tuple[str, str]:
    word, _, rest = text.partition(" ")
    return word.rstrip(":.,;-"), rest.strip()


def _section(text: str, dialect: Dialect) -> str | None:
    """Return the section that a line such as `Scenaro: title` was meant to open, if any."""
    title, colon, rest = text.partition(":")
    if not colon:
        return None
    words = section_words(dialect)
    same = next((each for each in words if each.casefold() == title.strip().casefold()), None)
    near = same or nearest(title.strip(), words)
    return None if near is None else f"{near}:{rest}"


def nearest(word: str, keywords: tuple[str, ...]) -> str | None:
    """Return the keyword a word was probably meant to be: one slip away, or two if it has five letters or more."""
    folded = word.casefold()
    found = [
        (distance, index)
        for index, keyword in enumerate(keywords)
        if (distance := edit_distance(folded, keyword.casefold())) <= (1 if len(keyword) < 5 else 2)  # noqa: PLR2004
        and len(folded) > 1
    ]
    return keywords[min(found)[1]] if found else None


def edit_distance(first: str, second: str) -> int:
    """Return how many slips (a letter too much, missing, wrong, or two swapped) turn one word into the other."""
    before: list[int] = []
    row = list(range(len(second) + 1))
    for i, letter in enumerate(first, 1):
        before, last, row = row, before, [i]
        for j, other in enumerate(second, 1):
            cost = min(row[j - 1] + 1, before[j] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == second[j - 2] and first[i - 2] == other:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]
