"""Which keys of values files do nothing: found by rendering the chart with each of them left out and changed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from sloproof.environment.kube.chart_defaults import ChartDefaults, read_defaults
from sloproof.environment.kube.chart_source import ChartSource
from sloproof.environment.kube.helm import Helm
from sloproof.environment.kube.renders import Mask, Workload, mask_of, workloads
from sloproof.environment.kube.values_tree import (
    Key,
    KeyPath,
    ValuesFile,
    changed,
    dotted,
    merged,
    read_values,
    value_at,
    with_value,
    without,
)
from sloproof.errors import SettingsError, SloproofError, ToolError, UnavailableError

_AT_ONCE = 2
_MOST_NEAR = 3


@dataclass(frozen=True, slots=True)
class DeadKey:
    """A key that changes nothing in the render.

    Attributes:
        key: It.
        why: What is known of the reason.
        near: Keys that are spelt nearly so and would change the render with its value.
    """

    key: Key
    why: str
    near: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it in a line."""
        near = f"; nearest that would: {', '.join(self.near)}" if self.near else ""
        return f"{self.key.file}:{self.key.line}: {self.key} changes nothing: {self.why}{near}"


@dataclass(frozen=True, slots=True)
class ValuesReport:
    """What was found out about values files.

    Attributes:
        dead: Keys that change nothing, and that no remark allows to.
        allowed: Keys that change nothing, as a remark beside them says.
        unneeded: Keys with such a remark that do change something: the remark is not true.
        restating: Keys that say what the chart says by itself; changing them would do something.
        refused: Keys whose change no render survived: something reads them, but what it does was not seen.
        masked: Fields that are another at each render of the same values; what only they would show is not seen.
        workloads: What the values as given render to.
        checked: How many keys were looked at.
        renders: How many renders it took.
    """

    dead: tuple[DeadKey, ...]
    allowed: tuple[DeadKey, ...]
    unneeded: tuple[Key, ...]
    restating: tuple[Key, ...]
    refused: tuple[Key, ...]
    masked: tuple[str, ...]
    workloads: tuple[Workload, ...]
    checked: int
    renders: int

    @property
    def is_clean(self) -> bool:
        """Return whether every key does something, or is rightly said not to."""
        return not self.dead and not self.unneeded


def find_dead_values(
    helm: Helm,
    chart: ChartSource,
    values_files: Sequence[Path],
    *,
    release: str,
    namespace: str,
    kube_version: str = "",
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> ValuesReport:
    """Find the keys of values files that change nothing in what a chart renders to.

    A key is dead if the render is the same with it left out, and with another value of its kind in its place. Leaving
    it out alone would condemn every key that says what the chart says anyway. A key whose change breaks the render is
    read by something, so it lives; the chart's schema is not asked then, because it may name what no template reads.

    Args:
        helm: What renders.
        chart: The chart.
        values_files: Later ones win.
        release: Name of the release; the names of objects are made from it.
        namespace: Where it would be installed.
        kube_version: Of the cluster that it is rendered for; empty for helm's own idea of it.
        on_progress: Told how many keys of how many are done.

    Raises:
        SloproofError: The chart cannot be had, or does not render with the values as they are.
    """
    files = tuple(read_values(path) for path in values_files)
    with tempfile.TemporaryDirectory(prefix="sloproof-chart-") as scratch:
        folder = helm.pull(chart, Path(scratch))
        local = ChartSource(chart.name, folder=folder)
        check = _Check(helm, local, files, _Rendering(helm, local, release, namespace, kube_version), folder)
        return check.run(values_files, on_progress)


class _Rendering:
    """Renders one chart for one release, and counts how often."""

    def __init__(self, helm: Helm, chart: ChartSource, release: str, namespace: str, kube_version: str) -> None:
        self._helm = helm
        self._chart = chart
        self._release = release
        self._namespace = namespace
        self._kube_version = kube_version
        self._lock = Lock()
        self.count = 0

    def files(self, paths: Sequence[Path]) -> str:
        """Return the render of values files as helm reads them."""
        return self._render(values_files=paths)

    def values(self, values: Mapping[str, Any]) -> str | None:
        """Return the render of values, None where there is none: a template, or an object's own form, refuses them."""
        try:
            return self._render(values=json.dumps(values).encode(), with_schema=False)
        except (ToolError, UnavailableError):
            raise
        except SloproofError:
            return None

    def _render(self, **given: Any) -> str:
        with self._lock:
            self.count += 1
        return self._helm.template(
            self._release, self._chart, self._namespace, kube_version=self._kube_version, **given
        )


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What is known of one key: it lives, or why not."""

    key: Key
    kind: str
    dead: DeadKey | None = None


class _Check:
    """One check of some files against one chart."""

    def __init__(
        self, helm: Helm, chart: ChartSource, files: tuple[ValuesFile, ...], rendering: _Rendering, folder: Path
    ) -> None:
        self._helm = helm
        self._chart = chart
        self._files = files
        self._rendering = rendering
        self._defaults: ChartDefaults = read_defaults(folder)
        self._base = ""
        self._mask = Mask()

    def run(self, paths: Sequence[Path], on_progress: Callable[[int, int], None]) -> ValuesReport:
        given = self._rendering.files(paths)
        base = self._rendering.values(merged([each.content for each in self._files]))
        again = self._rendering.files(paths)
        self._mask = mask_of(given, again)
        if base is None or not self._mask.same(given, base):
            raise SettingsError(
                "expected to read the values as helm does, but they render to something else",
                files="\n".join(map(str, paths)),
                next="put texts that look like numbers, dates or switches in quotes",
            )
        self._base = base
        keys = [(number, key) for number, each in enumerate(self._files) for key in each.keys]
        done = 0
        verdicts = []
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for verdict in pool.map(lambda one: self._judge(*one), keys):
                verdicts.append(verdict)
                done += 1
                on_progress(done, len(keys))
        return self._report(verdicts)

    def _report(self, verdicts: Sequence[_Verdict]) -> ValuesReport:
        dead = [each.dead for each in verdicts if each.dead]
        alive = [each.key for each in verdicts if not each.dead]
        return ValuesReport(
            dead=tuple(each for each in dead if not each.key.allowance),
            allowed=tuple(each for each in dead if each.key.allowance),
            unneeded=tuple(key for key in alive if key.allowance is not None),
            restating=tuple(each.key for each in verdicts if each.kind == "restating"),
            refused=tuple(each.key for each in verdicts if each.kind == "refused"),
            masked=self._mask.texts(),
            workloads=workloads(self._base),
            checked=len(verdicts),
            renders=self._rendering.count,
        )

    def _judge(self, number: int, key: Key) -> _Verdict:
        left_out = self._render_with(number, without(self._files[number].content, key.path))
        if left_out is None or not self._mask.same(self._base, left_out):
            return _Verdict(key, "alive")
        other = self._render_with(number, with_value(self._files[number].content, key.path, changed(key.value)))
        if other is None:
            return _Verdict(key, "refused")
        if not self._mask.same(self._base, other):
            return _Verdict(key, "restating")
        return _Verdict(key, "dead", self._explained(number, key))

    def _render_with(self, number: int, content: Mapping[str, Any]) -> str | None:
        contents = [each.content for each in self._files]
        return self._rendering.values(merged([*contents[:number], content, *contents[number + 1 :]]))

    # Why it is dead

    def _explained(self, number: int, key: Key) -> DeadKey:
        later = [each for each in self._files[number + 1 :] if _has(each.content, key.path)]
        if later:
            return DeadKey(key, f"{later[-1].path} says otherwise, and wins")
        switch = self._switch_that_is_off(key)
        if switch:
            return DeadKey(key, f"it would, but {switch} switches off what reads it")
        near = tuple(self._near(key))
        unknown = self._defaults.unknown_from(key.path)
        if unknown is not None:
            return DeadKey(key, f"the chart knows no {dotted(unknown)}", near)
        if self._mask.fields:
            return DeadKey(key, "at least nothing beside the fields that change at each render", near)
        if self._defaults.is_open(key.path):
            return DeadKey(key, "the chart lets anything stand there, but no template reads this", near)
        return DeadKey(key, "the chart's values have it, but no template reads it with these values", near)

    def _switch_that_is_off(self, key: Key) -> str:
        """Return the switch that makes the key dead: with it on, the key changes the render."""
        given = merged([each.content for each in self._files])
        effective = merged([self._defaults.values, given])
        for switch, value in self._defaults.switches(key.path, effective):
            on = with_value(given, switch, value)
            seen = [
                self._rendering.values(each)
                for each in (on, without(on, key.path), with_value(on, key.path, changed(key.value)))
            ]
            if seen[0] is not None and not all(other is not None and self._mask.same(seen[0], other) for other in seen):
                return f"{dotted(switch)}: {json.dumps(value_at(effective, switch))}"
        return ""

    def _near(self, key: Key) -> Iterable[str]:
        """Return keys spelt nearly so under which the value would change the render; else those where another would."""
        given = without(merged([each.content for each in self._files]), key.path)
        groups = [[path for path in group if path != key.path] for group in self._defaults.near(key.path)]
        for value in (key.value, changed(key.value)):
            for group in groups:
                found = [path for path in group if self._would_change(given, path, value)]
                if found:
                    return [dotted(path) for path in found[:_MOST_NEAR]]
        return []

    def _would_change(self, given: Mapping[str, Any], path: KeyPath, value: Any) -> bool:
        try:
            render = self._rendering.values(with_value(given, path, value))
        except (LookupError, TypeError):
            return False
        return render is not None and not self._mask.same(self._base, render)


def _has(content: Mapping[str, Any], path: KeyPath) -> bool:
    """Return whether values say something at a path, or on the way to it something that is no map: that wins whole."""
    here: Any = content
    for part in path:
        if not isinstance(here, dict):
            return True
        if part not in here:
            return False
        here = here[part]
    return True
