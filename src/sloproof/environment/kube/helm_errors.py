"""What helm says when it fails, turned into what was expected, what was seen, and what to do next."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sloproof.environment.kube.helm_process import Ended
from sloproof.errors import EnvironmentStartError, SettingsError, SloproofError, ToolError, UnavailableError

_LAST_CHARACTERS = 1500
_NOISE = re.compile(
    r"^(level=|WARNING: Kubernetes configuration file|Use --debug flag|walk\.go|I\d{4} |W\d{4} ).*$", re.MULTILINE
)
_POSITION = re.compile(r"execution error at \(([^)]+)\): (.*)")
_TEMPLATE = re.compile(r"template: ([^\s:]+:\d+(?::\d+)?)")
_PARSE = re.compile(r"(?:error converting YAML to JSON|failed to parse) ?([^\s:]*)")

_NOT_THERE = (
    r"chart .* (version .* )?not found|no chart version found|no cached repo|not a valid chart repository"
    r"|failed to (fetch|download|do request|perform)|could not (find|download)|lookup .*: no such host"
)


def said(ended: Ended) -> str:
    """Return the end of what helm said of a failure, without the lines that say nothing of it."""
    return re.sub(r"\n{2,}", "\n", _NOISE.sub("", ended.errors)).strip()[-_LAST_CHARACTERS:]


def explain(arguments: Sequence[str], ended: Ended, facts: Mapping[str, object]) -> SloproofError:
    """Return the error for a helm command that failed.

    Args:
        arguments: The subcommand and its arguments.
        ended: How it ended.
        facts: What it was about, such as release, chart, namespace, context; shown as rows.
    """
    text, verb = said(ended), arguments[0]
    rows = {name: str(fact) for name, fact in facts.items() if fact}
    if ended.is_late:
        return EnvironmentStartError(
            f"expected helm {verb} to end in time, but it was still at work and has been stopped",
            **rows,
            seen=text,
            next="look at the pods' states below; a release left pending is cleared by the next run",
        )
    for pattern, kind, headline, advice in _KNOWN:
        if re.search(pattern, text, re.IGNORECASE):
            where = _where(text)
            return kind(
                headline.format(verb=verb), **rows, **({"where": where} if where else {}), seen=text, next=advice
            )
    return EnvironmentStartError(
        f"expected helm {verb} to succeed, but it ended with status {ended.status}",
        **rows,
        seen=text or "it said nothing",
        command=" ".join(arguments),
    )


def _where(text: str) -> str:
    for pattern in (_POSITION, _TEMPLATE, _PARSE):
        found = pattern.search(text)
        if found and found[1]:
            return found[1]
    return ""


# Pattern of what helm says, kind of error, headline, what to do next; the first that is found.
_KNOWN: tuple[tuple[str, type[SloproofError], str, str], ...] = (
    (
        r"another operation .* is in progress",
        EnvironmentStartError,
        "expected the release to be at rest, but an operation on it was broken off",
        "the next run clears it; by hand: helm uninstall of that release, in that namespace and context",
    ),
    (
        r"invalid ownership metadata|cannot be imported into the current release",
        EnvironmentStartError,
        "expected to own every object of the release, but one is there already that is not of it",
        "remove that object, or install into another namespace; nothing of others is ever taken over",
    ),
    (
        r"context .* does not exist|invalid configuration: ",
        SettingsError,
        "expected the context to be in the kubeconfig file, it is not",
        "name one that `kubectl config get-contexts` lists",
    ),
    (
        _NOT_THERE,
        ToolError,
        "expected the chart at its source, but it cannot be had",
        "let this machine reach the source, name a folder instead, or choose the stack `light`, which needs none",
    ),
    (
        r"kubernetes cluster unreachable|connection refused|no route to host|i/o timeout|no such host.*6443",
        UnavailableError,
        "expected the cluster to answer helm, but it does not",
        "look whether the cluster runs, and whether the context leads to it",
    ),
    (
        r"context deadline exceeded|timed out waiting|not ready\. status",
        EnvironmentStartError,
        "expected all of the release to be ready in time, but not all of it is",
        "look at the states of its pods and at their last log lines",
    ),
    (
        r"has been cancell?ed|context cancell?ed|release .* failed, and .* due to .*interrupt",
        EnvironmentStartError,
        "expected helm {verb} to end by itself, but it was interrupted",
        "run it again: the release is marked as failed, and taken up from there",
    ),
    (
        r"values don't meet the specifications of the schema",
        SettingsError,
        "expected values that the chart's schema allows, but it refuses some",
        "correct the keys named above; `sloproof values` finds those that no schema names",
    ),
    (
        r"chart requires kubeVersion",
        SettingsError,
        "expected a Kubernetes version that the chart supports, but it is another",
        "render with --kube-version, or take a chart for this cluster's version",
    ),
    (
        r"missing in charts/ directory|missing dependencies|out of sync",
        SettingsError,
        "expected every subchart in the chart's charts folder, but some are not there",
        "bring them with `helm dependency update` in the chart's folder",
    ),
    (
        r"cannot load|error (converting|parsing)|failed to parse|YAML parse error|no such file or directory",
        SettingsError,
        "expected files that helm can read, but one it cannot",
        "correct the file named above",
    ),
    (
        r"execution error at|template: ",
        SettingsError,
        "expected the chart to render with these values, but a template fails",
        "correct the value that the template asks for",
    ),
    (
        r"is forbidden: ",
        EnvironmentStartError,
        "expected the right to do this in the cluster, but it is refused",
        "ask for the right named above, or use another context",
    ),
    (
        r"unable to build kubernetes objects|is invalid: |admission webhook|strict decoding error",
        EnvironmentStartError,
        "expected the cluster to accept every object of the release, but it refuses one",
        "correct the values behind the field named above",
    ),
)
