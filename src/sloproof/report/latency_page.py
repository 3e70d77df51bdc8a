"""What clients felt beside what the service can see of it, load by load: values of the page's section on latency."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from sloproof.report.wording import bracket_text, count_text, number_text, seconds_text, tick_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sloproof.report.record import EndpointRecord, LoadRecord, QuantileRecord

MOST_LOADS = 40
_WIDTH, _HEIGHT, _EDGE = 200, 18, 10
_WIRE_SECONDS = 0.02  # connecting, the wire and the client's own waking up are within this, and are no queue
_WORTH_A_WORD = 0.1  # share of a latency from which the wait before the send is said in the heading


@dataclass(frozen=True, slots=True)
class QuantileRow:
    """One quantile of one endpoint, in words, and drawn."""

    name: str
    intended: str
    sent: str
    told: str
    waited: str
    unseen: str
    is_hidden: bool
    strip: Markup


@dataclass(frozen=True, slots=True)
class EndpointView:
    """One endpoint: how many requests both sides timed, and its quantiles."""

    endpoint: str
    counts: str
    rows: tuple[QuantileRow, ...]


@dataclass(frozen=True, slots=True)
class LatencyView:
    """One load, or several that ran between the same anchors.

    Attributes:
        name: What it is called.
        scenario: Who drove it.
        headline: The most that the service does not see, in one sentence.
        is_hidden: Whether clients wait longer than the service's edges allow, or shorter, by more than the wire takes.
        axis: Durations along the drawings' axis, as text, and their places in percent.
        endpoints: Each of them.
    """

    name: str
    scenario: str
    headline: str
    is_hidden: bool
    axis: tuple[tuple[str, float], ...]
    endpoints: tuple[EndpointView, ...]


def latency_views(loads: Iterable[LoadRecord]) -> tuple[LatencyView, ...]:
    """Return the loads that have both sides, those first of which the service sees least.

    Loads that ran between the same anchors are one: nobody can tell their requests apart in a histogram.
    """
    together: dict[tuple[EndpointRecord, ...], list[LoadRecord]] = {}
    for load in loads:
        if load.endpoints:
            together.setdefault(load.endpoints, []).append(load)
    ordered = sorted(together.items(), key=lambda item: -_worst(item[0])[0])
    return tuple(_view(endpoints, group) for endpoints, group in ordered)


def unseen(row: QuantileRecord) -> tuple[float, float] | None:
    """Return the least and the most of a client's latency that the service does not see, in seconds; None: not told.

    From the send, by the edges of its bucket; a service cannot take longer than its client waits, so that what is
    below 0 is either the bucket's width or a lie. Without an upper edge the least is unknown, and 0.
    """
    if row.told_above_seconds is None:
        return None
    least = 0.0 if row.told_up_to_seconds is None else row.sent_seconds - row.told_up_to_seconds
    return least, row.sent_seconds - row.told_above_seconds


def unseen_text(row: QuantileRecord) -> str:
    """Return what the service does not see, in words."""
    found = unseen(row)
    if found is None:
        return seconds_text(None)
    least, most = found
    if most < 0:
        return f"the service tells at least {seconds_text(-most)} more than its clients waited"
    return f"{seconds_text(least)} to {seconds_text(most)}" if least > 0 else f"at most {seconds_text(most)}"


def _worst(endpoints: Sequence[EndpointRecord]) -> tuple[float, EndpointRecord, QuantileRecord]:
    """Return the row in which the two sides certainly differ most, and by how much."""
    every = [(_hidden(row), one, row) for one in endpoints for row in one.quantiles]
    return max(every, key=lambda item: item[0])


def _hidden(row: QuantileRecord) -> float:
    least, most = unseen(row) or (0.0, 0.0)
    return max(least, -most, 0.0) + max(row.intended_seconds - row.sent_seconds, 0.0)


def _view(endpoints: tuple[EndpointRecord, ...], loads: Sequence[LoadRecord]) -> LatencyView:
    rows = [row for one in endpoints for row in one.quantiles]
    axis = _Axis(rows)
    _, endpoint, row = _worst(endpoints)
    return LatencyView(
        name=" and ".join(load.name for load in loads),
        scenario=loads[0].scenario,
        headline=_headline(endpoint, row),
        is_hidden=any(_is_hidden(one) for one in rows),
        axis=axis.labels,
        endpoints=tuple(_endpoint(one, axis) for one in endpoints),
    )


def _headline(endpoint: EndpointRecord, row: QuantileRecord) -> str:
    name = f"{_quantile_name(row.quantile)} of {endpoint.endpoint}"
    found = unseen(row)
    told = "nothing" if row.told_above_seconds is None else bracket_text(row.told_above_seconds, row.told_up_to_seconds)
    parts = []
    if found is not None and found[1] < -_WIRE_SECONDS:
        parts.append(f"{name}: clients waited {seconds_text(row.sent_seconds)}, the service tells of {told}")
    elif found is not None and found[0] > _WIRE_SECONDS:
        parts.append(
            f"{name}: clients waited {seconds_text(row.sent_seconds)}, the service tells of {told}, "
            f"so {seconds_text(found[0])} or more are hidden from it"
        )
    intended, sent = row.intended_seconds, row.sent_seconds
    if intended - sent > max(_WORTH_A_WORD * intended, _WIRE_SECONDS):
        late = f"{seconds_text(intended)} from the intended start, {seconds_text(sent)} from the send"
        parts.append(late if parts else f"{name}: {late}")
    if not parts:
        return "both sides agree, as far as bucket edges can tell" if found else "the service tells nothing of it"
    return "; ".join(parts)


def _endpoint(one: EndpointRecord, axis: _Axis) -> EndpointView:
    counts = f"{count_text(one.timed, 'request')} timed by clients"
    if one.told is None:
        counts += ", none known of the service"
    elif one.told != one.timed:
        counts += f", {number_text(one.told)} by the service"
    return EndpointView(one.endpoint, counts, tuple(_row(row, axis) for row in one.quantiles))


def _row(row: QuantileRecord, axis: _Axis) -> QuantileRow:
    above, up_to = row.told_above_seconds, row.told_up_to_seconds
    return QuantileRow(
        name=_quantile_name(row.quantile),
        intended=seconds_text(row.intended_seconds),
        sent=seconds_text(row.sent_seconds),
        told=seconds_text(None) if above is None else bracket_text(above, up_to),
        waited=seconds_text(row.waited_seconds),
        unseen=unseen_text(row),
        is_hidden=_is_hidden(row),
        strip=axis.strip(row),
    )


def _is_hidden(row: QuantileRecord) -> bool:
    found = unseen(row)
    return found is not None and (found[0] > _WIRE_SECONDS or found[1] < -_WIRE_SECONDS)


def _quantile_name(quantile: float) -> str:
    return f"p{quantile * 100:g}"


class _Axis:
    """A logarithmic axis of durations that all rows of a load share, from a power of ten to another."""

    def __init__(self, rows: Sequence[QuantileRecord]) -> None:
        every = [
            value
            for row in rows
            for value in (row.intended_seconds, row.sent_seconds, row.told_above_seconds, row.told_up_to_seconds)
            if value
        ]
        self._low = math.floor(math.log10(min(every, default=0.001)))
        self._high = max(math.ceil(math.log10(max(every, default=1.0))), self._low + 1)

    @property
    def labels(self) -> tuple[tuple[str, float], ...]:
        powers = range(self._low, self._high + 1)
        return tuple((tick_text(10.0**power), round(self._x(10.0**power) / _WIDTH * 100, 1)) for power in powers)

    def _x(self, seconds: float) -> float:
        share = (math.log10(seconds) - self._low) / (self._high - self._low) if seconds > 0 else 0.0
        return _EDGE + min(max(share, 0.0), 1.0) * (_WIDTH - 2 * _EDGE)

    def strip(self, row: QuantileRecord) -> Markup:
        """Return a bucket as a bar, the latency from the send as a dot, from the intended start as a ring."""
        middle = _HEIGHT / 2
        parts = [
            f'<path class="tick" d="{"".join(f"M{self._x(10.0**power):.1f} 0V{_HEIGHT}" for power in range(self._low, self._high + 1))}"/>'  # noqa: E501 - one element
        ]
        if row.told_above_seconds is not None:
            left = self._x(row.told_above_seconds) if row.told_above_seconds else 0.0
            right = _WIDTH if row.told_up_to_seconds is None else self._x(row.told_up_to_seconds)
            ends = "".join(
                f"M{x:.1f} 2V{_HEIGHT - 2}"
                for x, is_bound in ((left, bool(row.told_above_seconds)), (right, row.told_up_to_seconds is not None))
                if is_bound
            )
            parts.append(
                f'<g class="band-told"><rect class="within" x="{left:.1f}" y="3" width="{right - left:.1f}" height="{_HEIGHT - 6}"/>'  # noqa: E501 - as above
                f'<path class="bound" d="{ends}"/></g>'
            )
        sent, intended = self._x(row.sent_seconds), self._x(row.intended_seconds)
        parts.append(f'<path class="wait" d="M{sent:.1f} {middle}H{intended:.1f}"/>')
        parts.append(f'<circle class="intended" cx="{intended:.1f}" cy="{middle}" r="5.2"/>')
        parts.append(f'<circle class="sent" cx="{sent:.1f}" cy="{middle}" r="3"/>')
        svg = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-hidden="true">{"".join(parts)}</svg>'
        return Markup(svg)  # noqa: S704 - numbers alone
