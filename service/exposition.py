"""The text of an exposition, of which only the numbers change: the metrics client writes it once, with gaps."""

from __future__ import annotations

import itertools
import json
import operator
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

# This part of the client has no types.
_number: Any = floatToGoString
# Each variant that clients ask for is kept as a text of its own, but not as many as they can think of.
_MOST_FORMATS = 8


class Exposition(NamedTuple):
    """The body and the content type of an answer to a scrape."""

    body: bytes
    content_type: str


class SeriesKey(NamedTuple):
    """What a value belongs to: the kind of its metric, and the key that the metrics client keeps it under."""

    kind: str
    key: str


class _Text:
    """A text in which only numbers change. Of most series the number is the same as last time, and so is its text.

    Args:
        text: The text; each line that is no comment ends in the place of its number.
    """

    def __init__(self, text: str) -> None:
        # By turns what stands before a number, and the number.
        self._parts: list[str] = []
        places = []
        before = ""
        # Not `splitlines`: a label's value may hold what that takes for the end of a line.
        for line in text.removesuffix("\n").split("\n"):
            if line.startswith("#"):
                before += f"{line}\n"
            elif line:
                series, _, place = line.rpartition(" ")
                self._parts += (f"{before}{series} ", "")
                places.append(int(float(place)))
                before = "\n"
        self._end = before
        # With one place alone, or none, it would not return a tuple.
        self._pick: Callable[[Sequence[float]], tuple[float, ...]] = (
            operator.itemgetter(*places) if len(places) > 1 else lambda values: tuple(values[place] for place in places)
        )
        self._known: tuple[float | None, ...] = (None,) * len(places)

    def fill(self, values: Sequence[float]) -> str:
        """Return the text with these numbers in their places; no number is a negative 0, as no sum from 0 is."""
        numbers = self._pick(values)
        parts = self._parts
        for at in itertools.compress(itertools.count(), map(operator.ne, numbers, self._known)):
            parts[2 * at + 1] = _number(numbers[at])
        self._known = numbers
        return "".join(parts) + self._end


class Layout(Collector):
    """The series of an exposition, in their order, without their values.

    A histogram's values come per bucket, and are exposed added up, with their count.

    Args:
        keys: Every series once.
    """

    def __init__(self, keys: Sequence[SeriesKey]) -> None:
        self.slots = {key: slot for slot, key in enumerate(keys)}
        self._metrics: dict[str, Metric] = {}
        # Per child of a histogram: the places of its buckets, lowest bound first, and at last that of its count.
        self._ladders: list[list[int]] = []
        self._size = len(keys)
        self._texts: dict[str, _Text] = {}
        self._place(keys)

    def collect(self) -> Iterable[Metric]:
        """Return every metric; in place of a value there is its place."""
        return self._metrics.values()

    def expose(self, sums: list[float], accept: str) -> Exposition:
        """Return the exposition in the format that an Accept header asks for.

        Args:
            sums: The value of each key; it is changed.
            accept: The header, or an empty text.
        """
        encode, content_type = choose_encoder(accept)
        text = self._texts.get(content_type)
        if text is None:
            if len(self._texts) >= _MOST_FORMATS:
                self._texts.clear()
            text = self._texts[content_type] = _Text(encode(self).decode())
        sums.extend([0.0] * (self._size - len(sums)))
        for *ladder, count in self._ladders:
            total = 0.0
            for place in ladder:
                total += sums[place]
                sums[place] = total
            sums[count] = total
        return Exposition(text.fill(sums).encode(), content_type)

    def _place(self, keys: Sequence[SeriesKey]) -> None:
        buckets: dict[tuple[str, str], list[tuple[float, int]]] = defaultdict(list)
        sums: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
        for slot, (kind, key) in enumerate(keys):
            metric_name, name, labels, about = json.loads(key)
            metric = self._metrics.get(metric_name)
            if metric is None:
                metric = self._metrics[metric_name] = Metric(metric_name, about, kind)
            if kind != "histogram":
                metric.add_sample(name, labels, float(slot))
                continue
            bound = labels.pop("le", None)
            child = (metric_name, json.dumps(labels))
            if bound is None:
                sums[child].append((name, slot))
            else:
                buckets[child].append((float(bound), slot))
        for (metric_name, text), found in buckets.items():
            metric, labels = self._metrics[metric_name], json.loads(text)
            found.sort()
            for upper, slot in found:
                bounds = {**labels, "le": _number(upper)}
                metric.add_sample(f"{metric_name}_bucket", bounds, float(slot))
            metric.add_sample(f"{metric_name}_count", labels, float(self._size))
            for name, slot in sums[metric_name, text]:
                metric.add_sample(name, labels, float(slot))
            self._ladders.append([*(slot for _, slot in found), self._size])
            self._size += 1
