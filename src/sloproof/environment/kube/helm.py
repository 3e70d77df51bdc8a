"""The helm command, bound to one context: what the user has set up for helm is neither used nor changed."""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from sloproof.environment.kube.chart_source import ChartSource
from sloproof.environment.kube.helm_errors import explain, said
from sloproof.environment.kube.helm_process import Ended, run, silent
from sloproof.environment.toolchain import default_cache_dir
from sloproof.errors import SettingsError, ToolError

# Every release that sloproof installs carries it; no other is ever uninstalled to recover.
_MARK = "made-by=sloproof"
_BROKEN_OFF = frozenset({"pending-install", "pending-upgrade", "pending-rollback", "uninstalling"})
_RENDER_SECONDS = 60.0
_FETCH_SECONDS = 180.0
_ASK_SECONDS = 30.0
_GRACE_SECONDS = 15.0
_HISTORY = "3"


class HelmVersion(NamedTuple):
    """Version of a helm command; compares as versions do."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        """Return it with dots."""
        return f"{self.major}.{self.minor}.{self.patch}"


# Labels on releases came with 3.13, rendering without a schema with 3.16.
OLDEST = HelmVersion(3, 16, 0)
_NEWEST_MAJOR = 4


class Released(msgspec.Struct, frozen=True, kw_only=True):
    """A release as the cluster has it.

    Attributes:
        name: Its name.
        namespace: Where it is recorded.
        status: In helm's words: `deployed`, `failed`, `pending-install`, ...
        revision: Counts its upgrades, from 1.
        chart: Chart and version, such as `loki-18.11.0`; empty where helm does not tell.
        description: What helm says of its last operation; empty where it does not.
    """

    name: str
    namespace: str
    status: str
    revision: int
    chart: str = ""
    description: str = ""

    @property
    def is_broken_off(self) -> bool:
        """Return whether an operation on it never came to its end; helm then refuses every other but uninstalling."""
        return self.status in _BROKEN_OFF


class Helm:
    """The helm command; both majors, 3 and 4.

    Args:
        program: Path of helm.
        kubeconfig: File that describes the cluster; None for the usual places.
        context: The context in it; the file's current one is never used. None where no cluster is asked.
        environ: Environment variables; helm's own (`HELM_...`) are left out, and its folders lie in sloproof's cache.
    """

    def __init__(
        self, program: Path, *, kubeconfig: Path | None, context: str | None, environ: Mapping[str, str]
    ) -> None:
        self.program = program
        self.kubeconfig = kubeconfig
        self.context = context
        home = default_cache_dir(environ) / "helm"
        kept = {name: text for name, text in environ.items() if not name.startswith("HELM_")}
        if "HELM_REGISTRY_CONFIG" in environ:  # how the user has logged in to a registry is read, never written
            kept["HELM_REGISTRY_CONFIG"] = environ["HELM_REGISTRY_CONFIG"]
        self._environ = {
            **kept,
            "HELM_CACHE_HOME": str(home / "cache"),
            "HELM_CONFIG_HOME": str(home / "config"),
            "HELM_DATA_HOME": str(home / "data"),
        }

    @cached_property
    def version(self) -> HelmVersion:
        """Return its version, asked once.

        Raises:
            ToolError: It does not run, tells no version, or is one that cannot be used.
        """
        try:
            ended = self._run(("version", "--template={{.Version}}"), seconds=_ASK_SECONDS)
        except OSError as error:
            raise ToolError(f"helm does not run here: {error.strerror}", where=self.program) from error
        found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", ended.output.strip())
        if ended.status or not found:
            raise ToolError("expected helm to tell its version", where=self.program, seen=ended.output + said(ended))
        version = HelmVersion(*map(int, found.groups()))
        if not OLDEST <= version < HelmVersion(_NEWEST_MAJOR + 1, 0, 0):
            raise ToolError(
                f"expected helm {OLDEST} or newer of the majors 3 and {_NEWEST_MAJOR}, seen {version}",
                where=self.program,
                next="put another one on PATH, or let sloproof have its own: take this one from PATH",
            )
        return version

    # Without a cluster

    def template(
        self,
        release: str,
        chart: ChartSource,
        namespace: str,
        *,
        values_files: Sequence[Path] = (),
        values: bytes | None = None,
        kube_version: str = "",
        with_schema: bool = True,
    ) -> str:
        """Return what a chart renders to, custom resource definitions included; asks no cluster.

        Args:
            release: The release's name.
            chart: The chart.
            namespace: Where it would be installed.
            values_files: Later ones win.
            values: More values, as YAML or JSON; they win over the files.
            kube_version: Of the cluster that it is rendered for; empty for helm's own idea of it.
            with_schema: Refuse values that the chart's schema does not allow.

        Raises:
            SloproofError: It does not render, or the chart cannot be had.
        """
        arguments = [
            *("template", release, *chart.arguments, "--namespace", namespace, "--include-crds"),
            *(("--kube-version", kube_version) if kube_version else ()),
            *(() if with_schema else ("--skip-schema-validation",)),
            *_files(values_files),
            *(() if values is None else ("--values", "-")),
        ]
        return self._done(arguments, seconds=_RENDER_SECONDS, data=values, chart=chart, values=_named(values_files))

    def lint(self, folder: Path, *, values_files: Sequence[Path] = (), kube_version: str = "") -> str:
        """Return what helm says of a chart's folder.

        Raises:
            SloproofError: It finds a fault, or something it warns of.
        """
        arguments = [
            *("lint", str(folder), "--strict", *_files(values_files)),
            *(("--kube-version", kube_version) if kube_version else ()),
        ]
        ended = self._run(arguments, seconds=_RENDER_SECONDS)
        if ended.status:
            raise SettingsError("expected helm lint to find nothing", where=folder, seen=ended.output + said(ended))
        return ended.output

    def dependency(self, folder: Path) -> None:
        """Bring the subcharts that a chart's folder asks for into it.

        Raises:
            SloproofError: One cannot be had.
        """
        self._done(["dependency", "update", str(folder)], seconds=_FETCH_SECONDS, chart=folder)

    def pull(self, chart: ChartSource, into: Path) -> Path:
        """Bring a chart from its source, unpacked, and return its folder; one in a folder stays where it is.

        Raises:
            SloproofError: It cannot be had.
        """
        if chart.folder is not None and chart.folder.is_dir():
            return chart.folder
        if chart.folder is not None:
            with tarfile.open(chart.folder) as packed:
                packed.extractall(into, filter="data")
        else:
            self._done(
                ["pull", *chart.arguments, "--untar", "--untardir", str(into)], seconds=_FETCH_SECONDS, chart=chart
            )
        return into / chart.name

    # With a cluster

    def upgrade_install(
        self,
        release: str,
        chart: ChartSource,
        namespace: str,
        *,
        values_files: Sequence[Path] = (),
        values: bytes | None = None,
        timeout: timedelta,
        wait: bool = True,
        on_progress: Callable[[timedelta], None] = silent,
    ) -> Released:
        """Install a release, or bring it up to date, and return what it then is.

        Args:
            release: Its name.
            chart: What it installs.
            namespace: Where; made if it is not there.
            values_files: Later ones win.
            values: More values, as YAML or JSON; they win over the files.
            timeout: For all of it to be ready.
            wait: Whether to wait for that at all.
            on_progress: Called several times a second with the time since the start. What it raises, such as that a
                pod can never become ready, stops helm and goes on to the caller.

        Raises:
            EnvironmentStartError: It is not ready in time, an earlier operation was broken off, or the cluster
                refuses an object.
            SettingsError: The values are not valid for the chart.
            ToolError: The chart cannot be had.
            UnavailableError: The cluster does not answer.
        """
        seconds = timeout.total_seconds()
        arguments = [
            *("upgrade", release, *chart.arguments, "--install", "--namespace", namespace, "--create-namespace"),
            *("--history-max", _HISTORY, "--labels", _MARK, "--timeout", f"{seconds:.0f}s"),
            *(("--wait",) if wait else ()),
            *_files(values_files),
            *(() if values is None else ("--values", "-")),
            *("--output", "json"),
        ]
        facts = {"release": release, "chart": chart, "namespace": namespace, "values": _named(values_files)}
        printed = self._asked(
            arguments, seconds=seconds + _GRACE_SECONDS, data=values, on_progress=on_progress, **facts
        )
        return _released(_json(printed))

    def uninstall(self, release: str, namespace: str, *, timeout: timedelta = timedelta(seconds=60)) -> bool:
        """Take a release away with all its objects, and wait until they are gone; return whether there was one.

        Raises:
            SloproofError: It cannot be taken away.
        """
        seconds = timeout.total_seconds()
        arguments = ["uninstall", release, "--namespace", namespace, "--wait", "--timeout", f"{seconds:.0f}s"]
        ended = self._run_in_cluster(arguments, seconds=seconds + _GRACE_SECONDS)
        if ended.status and "not found" in ended.errors:
            return False
        self._in_cluster(arguments, ended, release=release, namespace=namespace)
        return True

    def status(self, release: str, namespace: str) -> Released | None:
        """Return a release as the cluster has it, None if it has none.

        Raises:
            SloproofError: The cluster does not answer.
        """
        arguments = ["status", release, "--namespace", namespace, "--output", "json"]
        ended = self._run_in_cluster(arguments, seconds=_ASK_SECONDS)
        if ended.status and "release: not found" in ended.errors:
            return None
        self._in_cluster(arguments, ended, release=release, namespace=namespace)
        return _released(_json(ended.output))

    def list_releases(self, namespace: str, *, only_ours: bool = False) -> tuple[Released, ...]:
        """Return all releases of a namespace, whatever their state.

        Args:
            namespace: Where.
            only_ours: Only those that sloproof has installed.

        Raises:
            SloproofError: The cluster does not answer.
        """
        arguments = [
            *("list", "--namespace", namespace, "--output", "json"),
            # Helm 4 lists all states without being asked, and does not know the flag.
            *(("--all",) if self.version.major == OLDEST.major else ()),
            *(("--selector", _MARK) if only_ours else ()),
        ]
        printed = self._asked(arguments, seconds=_ASK_SECONDS, namespace=namespace)
        return tuple(
            Released(
                name=each["name"],
                namespace=each["namespace"],
                status=each["status"],
                revision=int(each["revision"]),
                chart=each.get("chart", ""),
            )
            for each in _json(printed)
        )

    def recover(self, namespace: str, wanted: Collection[str] | None = None) -> tuple[Released, ...]:
        """Take away the releases of ours that are in the way, and return them.

        Those are the ones whose last operation was broken off: helm refuses every other operation on such a release.

        Args:
            namespace: Where.
            wanted: Those that are going to be there; others of ours are taken away, too. None leaves them.

        Raises:
            SloproofError: One cannot be taken away.
        """
        found = self.list_releases(namespace, only_ours=True)
        gone = tuple(each for each in found if each.is_broken_off or not (wanted is None or each.name in wanted))
        for each in gone:
            self.uninstall(each.name, namespace)
        return gone

    # Running it

    def _asked(
        self,
        arguments: Sequence[str],
        *,
        seconds: float,
        data: bytes | None = None,
        on_progress: Callable[[timedelta], None] = silent,
        **facts: object,
    ) -> str:
        ended = self._run_in_cluster(arguments, seconds=seconds, data=data, on_progress=on_progress)
        return self._in_cluster(arguments, ended, **facts)

    def _done(self, arguments: Sequence[str], *, seconds: float, data: bytes | None = None, **facts: object) -> str:
        return self._require(arguments, self._run(arguments, seconds=seconds, data=data), **facts)

    def _in_cluster(self, arguments: Sequence[str], ended: Ended, **facts: object) -> str:
        return self._require(arguments, ended, **facts, context=self.context, kubeconfig=self.kubeconfig)

    @staticmethod
    def _require(arguments: Sequence[str], ended: Ended, **facts: object) -> str:
        if ended.status or ended.is_late:
            raise explain(arguments, ended, facts)
        return ended.output

    def _run_in_cluster(
        self,
        arguments: Sequence[str],
        *,
        seconds: float,
        data: bytes | None = None,
        on_progress: Callable[[timedelta], None] = silent,
    ) -> Ended:
        if not self.context:
            raise SettingsError(
                f"expected a named context for helm {arguments[0]}, seen none",
                next="name one: the kubeconfig file's current context is never used",
            )
        where = ["--kube-context", self.context]
        if self.kubeconfig is not None:
            where += ["--kubeconfig", str(self.kubeconfig)]
        self.version  # noqa: B018 - refuses a helm that would misunderstand
        command = [str(self.program), *arguments, *where]
        return run(command, environ=self._environ, seconds=seconds, data=data, on_progress=on_progress)

    def _run(self, arguments: Sequence[str], *, seconds: float, data: bytes | None = None) -> Ended:
        """Run it so that it can reach no cluster."""
        environ = {**self._environ, "KUBECONFIG": os.devnull}
        return run([str(self.program), *arguments], environ=environ, seconds=seconds, data=data)


def _files(values_files: Sequence[Path]) -> list[str]:
    return [word for file in values_files for word in ("--values", str(file))]


def _named(values_files: Sequence[Path]) -> str:
    return "\n".join(map(str, values_files))


def _json(printed: str) -> Any:
    try:
        return msgspec.json.decode(printed)
    except msgspec.DecodeError as error:
        raise ToolError("expected helm to answer in JSON, it does not", seen=printed[:300]) from error


def _released(answer: Mapping[str, Any]) -> Released:
    info, metadata = answer.get("info") or {}, (answer.get("chart") or {}).get("metadata") or {}
    chart = f"{metadata['name']}-{metadata['version']}" if metadata else ""
    return Released(
        name=answer["name"],
        namespace=answer["namespace"],
        status=info.get("status", "unknown"),
        revision=int(answer["version"]),
        chart=chart,
        description=info.get("description", ""),
    )
