"""The service exposes what it declares: names, types, buckets, children; and nothing twice."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from sloproof.checks.evidence import Basis, selector_text
from sloproof.checks.wording import count_of, listing, nearest, number, table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from prometheus_client import Metric

    from sloproof.finding import Finding
    from sloproof.model import Labels

CHECK = "exposition"

_CLAIM = "the service exposes the metrics it declares, each series once"
# Labels that the format adds by itself.
_OWN_LABELS = frozenset({"le", "quantile"})


@dataclass(frozen=True, slots=True)
class Declared:
    """A metric as it should be.

    Attributes:
        name: On the wire: a counter's with `_total`, a histogram's base name.
        kind: `counter`, `gauge`, `histogram`, `summary`.
        labels: Its label names, without `le`.
        buckets: Upper edges of a histogram in its unit, +Inf left out; empty to accept any.
        children: Label sets that must exist before anything happened, at 0 if `is_fresh`.
    """

    name: str
    kind: str
    labels: Collection[str] = ()
    buckets: Sequence[float] = ()
    children: Sequence[Labels] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class ExpositionEvidence:
    """One answer of the metrics path.

    Attributes:
        text: The body.
        content_type: The header; it says which of the two formats the body is in.
        declared: What should be in it.
        is_fresh: Whether the service has just started, so that declared children are at 0.
    """

    text: str
    content_type: str
    declared: Sequence[Declared]
    is_fresh: bool = False


def judge(evidence: ExpositionEvidence, basis: Basis) -> Finding:
    """Return whether the exposition can be read and holds what is declared."""
    expected = f"{count_of(len(evidence.declared), 'declared metric')}, no series twice"
    if not evidence.text.strip() or not evidence.declared:
        return basis.inconclusive(
            CHECK, _CLAIM, expected=expected, hint="is tool.sloproof.service.metrics the right path?",
            measured="nothing is declared" if evidence.text.strip() else "the exposition is empty",
        )  # fmt: skip
    try:
        families = _parse(evidence)
    except (ValueError, KeyError, IndexError) as error:
        return basis.judged(
            CHECK, _CLAIM, holds=False, expected=expected, measured=f"it cannot be read: {error}",
            hint="Prometheus drops the whole scrape for one bad line",
            evidence=(("content type", evidence.content_type),),
        )  # fmt: skip
    rows = [*_doubled(families, evidence.text)]
    for declared in evidence.declared:
        rows += [(declared.name, problem) for problem in _problems(declared, families, is_fresh=evidence.is_fresh)]
    rows += [
        (family.name, f"a counter sample is called {sample.name}, not ..._total")
        for family in families
        if family.type == "counter"
        for sample in family.samples
        if not sample.name.endswith(("_total", "_created"))
    ]
    samples = sum(len(family.samples) for family in families)
    return basis.judged(
        CHECK,
        _CLAIM,
        holds=not rows,
        expected=expected,
        measured=f"{count_of(len(rows), 'problem')} in {count_of(len(families), 'metric')}, {samples} samples",
        hint="rules, panels and SLOs ask for these names: they see nothing where one is missing",
        evidence=(
            ("problems", table(("metric", "problem"), rows)),
            ("content type", evidence.content_type),
        ),
    )


def _parse(evidence: ExpositionEvidence) -> list[Metric]:
    if "openmetrics" in evidence.content_type:
        return list(parse_openmetrics(evidence.text))  # type: ignore[no-untyped-call]
    return list(parse_text(evidence.text))


def _doubled(families: Sequence[Metric], text: str) -> list[tuple[str, str]]:
    """Return series that stand twice, and metrics whose type is said twice."""
    series = Counter(
        (sample.name, tuple(sorted(sample.labels.items()))) for family in families for sample in family.samples
    )
    rows = [(name, f"{selector_text({**dict(labels), '__name__': name})} stands {count} times")
            for (name, labels), count in series.items() if count > 1]  # fmt: skip
    typed = Counter(re.findall(r"^# TYPE (\S+) ", text, flags=re.MULTILINE))
    return rows + [(name, f"its type is said {count} times") for name, count in typed.items() if count > 1]


def _problems(declared: Declared, families: Sequence[Metric], *, is_fresh: bool) -> Iterable[str]:
    """Give what is wrong with one declared metric."""
    if declared.kind == "counter" and not declared.name.endswith("_total"):
        yield "declared as a counter without _total: that is not its name on the wire"
    wire = {"histogram": f"{declared.name}_count", "summary": f"{declared.name}_count"}.get(
        declared.kind, declared.name
    )
    family_name = declared.name.removesuffix("_total") if declared.kind == "counter" else declared.name
    family = next((one for one in families if one.name in (family_name, declared.name)), None)
    if family is None:
        yield f"it is not there; {nearest(declared.name, _names(families))}"
        return
    if family.type != declared.kind:
        yield f"it is a {family.type}, not a {declared.kind}"
        return
    own = [sample for sample in family.samples if sample.name == wire]
    if family.samples and not own:
        yield f"it has no sample {wire}; {nearest(wire, {sample.name for sample in family.samples})}"
    for labels in {tuple(sorted(set(sample.labels) - _OWN_LABELS)) for sample in own}:
        if set(labels) != set(declared.labels):
            yield f"its labels are {listing(labels) or 'none'}, not {listing(sorted(declared.labels)) or 'none'}"
    if declared.kind == "histogram":
        yield from _bucket_problems(declared, family)
    yield from _child_problems(declared, [(sample.labels, sample.value) for sample in own], is_fresh=is_fresh)


def _names(families: Iterable[Metric]) -> set[str]:
    return {sample.name for family in families for sample in family.samples} | {family.name for family in families}


def _bucket_problems(declared: Declared, family: Metric) -> Iterable[str]:
    edges: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
    for sample in family.samples:
        if sample.name == f"{declared.name}_bucket":
            child = tuple(sorted((name, value) for name, value in sample.labels.items() if name != "le"))
            edges.setdefault(child, []).append((float(sample.labels.get("le", "nan")), sample.value))
    wanted = [*map(float, declared.buckets), math.inf]
    for child, buckets in edges.items():
        found = [edge for edge, _ in sorted(buckets)]
        where = selector_text({**dict(child), "__name__": declared.name})
        if declared.buckets and found != sorted(wanted):
            yield f"{where} has buckets {listing(map(number, found), 20)}, not {listing(map(number, wanted), 20)}"
        elif math.inf not in found:
            yield f"{where} has no +Inf bucket"
        counts = [count for _, count in sorted(buckets)]
        if counts != sorted(counts):
            yield f"{where} has buckets that are not cumulative"


def _child_problems(
    declared: Declared, own: Sequence[tuple[Mapping[str, str], float]], *, is_fresh: bool
) -> Iterable[str]:
    for child in declared.children:
        found = [value for labels, value in own if labels == child]
        where = selector_text({**child, "__name__": declared.name})
        if not found:
            yield f"{where} does not exist before its first event, so its first rise is lost"
        elif is_fresh and found[0] != 0:
            yield f"{where} starts at {number(found[0])}, not 0"
