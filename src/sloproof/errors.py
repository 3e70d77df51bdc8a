"""Every error sloproof raises, split by what the caller does next.

SloproofError
├── SettingsError            fix the configuration or the command line
├── FeatureError             fix the .feature file or the step
├── ToolError                make the tool available
├── EnvironmentStartError    look at the component's log
├── ComponentExitedError     a program of the environment ended by itself: look at its last lines
├── UnavailableError         a server did not answer: retry
├── QueryError               a server refused the question: fix the query
├── LoadError                the load driver could not do what was asked
├── LedgerError              the record of the load is damaged
├── CapabilityError          the environment has not what the scenario needs: run it on another
├── DeadlineError            evidence did not arrive in time
└── ExpectationError         the claim is false (also an AssertionError)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class SloproofError(Exception):
    """Base of all errors: a headline and rows of details.

    The headline is one line, lower case, without a full stop: what was expected and what was seen. The details
    say where it was looked for, how long, and what to look at next, in that order.

    Args:
        headline: What was expected and what was seen instead.
        details: Row name to text; printed in the order given, empty texts left out.
    """

    def __init__(self, headline: str, **details: object) -> None:
        self.headline = headline
        self.details: Mapping[str, str] = {name: str(text) for name, text in details.items() if str(text)}
        super().__init__(headline)

    def __str__(self) -> str:
        """Return the headline and the details, one aligned row each."""
        width = max((len(name) for name in self.details), default=0) + 1
        rows = [self.headline]
        for name, text in self.details.items():
            first, *rest = text.splitlines() or [""]
            label = f"{name}:".replace("_", " ")
            rows.append(f"  {label:<{width}} {first}")
            rows += [f"  {'':<{width}} {line}" for line in rest]
        return "\n".join(rows)


class SettingsError(SloproofError):
    """The configuration or the command line asks for something that cannot be."""


class FeatureError(SloproofError):
    """A .feature file or a step definition would not do what it says."""


class ToolError(SloproofError):
    """A program of the environment can be had by none of the ways allowed."""


class CapabilityError(SloproofError):
    """The environment has not what a scenario needs; the scenario is skipped, with that reason."""


class EnvironmentStartError(SloproofError):
    """A component did not become ready."""


class ComponentExitedError(SloproofError):
    """A component ended without being asked to.

    Args:
        component: Its name in the environment.
        exit_status: As the operating system gives it; negative is the number of the signal.
        last_lines: The end of its log, oldest first.
    """

    def __init__(self, component: str, exit_status: int | None, last_lines: tuple[str, ...], **details: object) -> None:
        self.component = component
        self.exit_status = exit_status
        self.last_lines = last_lines
        how = "with unknown status" if exit_status is None else f"with status {exit_status}"
        if exit_status is not None and exit_status < 0:
            how = f"killed by signal {-exit_status}"
        super().__init__(
            f"component {component} was expected to run, but it ended {how}",
            **details,
            last_lines="\n".join(last_lines),
        )


class UnavailableError(SloproofError):
    """A server did not answer, or not in time, or with a server error: asking again may help.

    Args:
        headline: What was expected and what was seen instead.
        kind: `refused`, `timeout`, `reset`, `connect` (no way to it: name, route, TLS), `status` (429 or a server
            error), `protocol` (an answer that is not this API's, or only a part); empty where nothing was asked.
        status: HTTP status, where one came.
        url: What was asked, without credentials.
    """

    def __init__(
        self, headline: str, *, kind: str = "", status: int | None = None, url: str = "", **details: object
    ) -> None:
        self.kind = kind
        self.status = status
        self.url = url
        super().__init__(headline, url=url, **details)


class QueryError(SloproofError):
    """A server understood and refused the question: asking again will not help.

    Args:
        headline: What was expected and what was seen instead.
        status: HTTP status, where one came.
        url: What was asked, without credentials.
    """

    def __init__(self, headline: str, *, status: int | None = None, url: str = "", **details: object) -> None:
        self.status = status
        self.url = url
        super().__init__(headline, url=url, **details)


class LoadError(SloproofError):
    """The load driver could not start, died, or could not do what the profile asks."""


class LedgerError(SloproofError):
    """The record of the load cannot be read: damaged, or of another format version."""


class DeadlineError(SloproofError):
    """Evidence that was waited for did not arrive within its bound."""


class ExpectationError(SloproofError, AssertionError):
    """A claim was judged and does not hold."""
