"""The `[tool.sloproof]` table of a project's pyproject.toml: how its service is started, probed, scraped and logged."""

from __future__ import annotations

import ast
import math
import re
import sys
import tomllib
from pathlib import Path
from typing import Literal

import msgspec

from sloproof.duration import parse_duration
from sloproof.errors import SettingsError


class ServiceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the service is run and reached.

    Attributes:
        name: Its name; the `app`, `job` and `container` labels of what it emits.
        command: Program and arguments for the local environment. `{port}`, `{run_dir}` and `{python}` (the
            interpreter that runs sloproof) are filled in.
        env: Environment variables for it, with the same placeholders.
        namespace: The `namespace` label.
        readiness: Path that answers 200 exactly while it may get traffic.
        liveness: Path that answers 200 exactly while it need not be restarted.
        metrics: Path of its Prometheus exposition.
        index: A cheap GET that is logged as an ordinary request; the barrier's sentinel line goes through it.
        faults: Path of its fault switch, if it has one (PUT a JSON object, DELETE ends all faults).
        faults_token: Bearer token for it, with the same placeholders; it is set up for the run only.
        request_id_header: Header in which it takes and returns a request id.
        start_seconds: How long it may take to become ready.
        stop_seconds: How long it may take to drain after SIGTERM before it is killed.
    """

    name: str
    command: list[str]
    env: dict[str, str] = {}
    namespace: str = "sloproof"
    readiness: str = "/health/readiness"
    liveness: str = "/health/liveness"
    metrics: str = "/metrics"
    index: str = "/"
    faults: str | None = None
    faults_token: str = ""
    request_id_header: str = "X-Request-ID"
    start_seconds: float = 20.0
    stop_seconds: float = 10.0


class RequestCounterSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The counter of requests, by its name on the wire, and which labels hold what."""

    name: str
    endpoint: str = "endpoint"
    method: str = "method"
    status: str = "status"


class LatencySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The latency histogram, by its base name (without `_bucket`), in seconds."""

    name: str
    endpoint: str = "endpoint"
    method: str = "method"


class ErrorCounterSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The counter of errors, by its name on the wire, and which labels hold what."""

    name: str
    type: str = "error_type"
    endpoint: str = "endpoint"


class MetricSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the service's metrics are called. What it has not is None, and claims on it are refused by name."""

    requests: RequestCounterSettings
    latency: LatencySettings | None = None
    errors: ErrorCounterSettings | None = None
    in_flight: str | None = None


class LogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a line of the service's log is read.

    Attributes:
        format: `text` lines are read by `pattern` and `request`, `json` lines by `fields`.
        pattern: Regular expression for every line of a text log, with groups `level`, `message` and `request_id`.
        request: Regular expression for the message of a request's line, with groups `method`, `endpoint`, `status`
            and `duration_seconds`.
        fields: For json: where `level`, `message`, `request_id`, `method`, `endpoint`, `status` and
            `duration_seconds` stand; dots lead into nested objects. A line with a method, an endpoint and a status
            is a request's line.
        error_levels: Levels that count as an error, compared without regard to case.
        ship_seconds: Bound from a line being written to Loki answering with it.
    """

    format: Literal["text", "json"] = "text"
    pattern: str = ""
    request: str = ""
    fields: dict[str, str] = {}
    error_levels: tuple[str, ...] = ("ERROR", "CRITICAL", "FATAL")
    ship_seconds: float = 5.0


class EndpointSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which `endpoint` label value a path is counted under, where that is not the path itself.

    Attributes:
        path: Regular expression for the whole path, without the query string.
        endpoint: The label value.
    """

    path: str
    endpoint: str


class ScrapeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How often Prometheus reads and evaluates on the local environment, as Prometheus durations."""

    interval: str = "250ms"
    evaluation: str = "250ms"


class MixSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One kind of request of the usual mix."""

    path: str
    method: str = "GET"
    weight: float = 1.0
    body: str | None = None
    headers: dict[str, str] = {}


class LoadSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What "the usual mix" means, and the seed from which all its chance is drawn.

    Attributes:
        mix: Kinds of request and their shares.
        locustfile: Instead of a mix, a locustfile whose users say what is sent, relative to the project's root.
        seed: The same seed is the same load, as far as the schedule and the mix go.
        timeout_seconds: How long a request may take.
    """

    mix: list[MixSettings] = []
    locustfile: str | None = None
    seed: int = 1
    timeout_seconds: float = 10.0


class SloSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Service level objectives, and how their rules run on the local environment.

    Attributes:
        documents: Folder of the OpenSLO documents.
        compress: What every time in the generated rules is divided by there, so that a period of months passes in
            minutes: 300 makes 1 s of a window of 5 minutes.
        evaluation: How often these rules are evaluated there, as a Prometheus duration: at least as long as
            `scrape.evaluation`, which it is where it is not given. They cost more than all else that Prometheus does.
        rate: Requests a second of the usual mix under which the rules are proven.
    """

    documents: str = "slo"
    compress: int = 300
    evaluation: str | None = None
    rate: float = 30.0


class KubeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the service and its monitoring run in a cluster.

    Attributes:
        stack: The monitoring stack, one of those in `helm/stacks.yaml` of the platform folder.
        chart: The service's Helm chart, a folder below the platform folder.
        values: Values files for that chart, relative to the project's root; later ones win.
        image: A published image of the service; empty to build one from the project.
        dockerfile: What it is built by, relative to the project's root, which is the build's context.
        build_args: Build arguments.
        port: The port that the service listens on in its pod.
        start_seconds: How long everything may take to be ready once it is installed.
        ship_seconds: Bound from a line being written to Loki answering with it, there: a shipper that is new on its
            node looks for files first.
    """

    stack: str = "light"
    chart: str = "charts/service"
    values: list[str] = []
    image: str = ""
    dockerfile: str = "Dockerfile"
    build_args: dict[str, str] = {}
    port: int = 8000
    start_seconds: float = 180.0
    ship_seconds: float = 10.0


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole table. Folders are relative to the project's root.

    Attributes:
        platform_dir: Tool pins, monitoring configuration, rules and dashboards; where it lacks a file, or is not
            given, the ones that come with sloproof are used.
        features_dir: The .feature files, for the step catalogue.
        reports_dir: Where reports go.
    """

    service: ServiceSettings
    metrics: MetricSettings
    logs: LogSettings
    endpoints: list[EndpointSettings] = []
    scrape: ScrapeSettings = ScrapeSettings()
    load: LoadSettings = LoadSettings()
    slo: SloSettings = SloSettings()
    kube: KubeSettings = KubeSettings()
    platform_dir: str | None = None
    features_dir: str = "features"
    reports_dir: str = "reports"

    def in_cluster(self, worker: str = "") -> Settings:
        """Return the settings as they are for an environment in a cluster.

        Args:
            worker: Whose it is, where several workers have one each: in a namespace of that name beside the others'.
        """
        ship = max(self.logs.ship_seconds, self.kube.ship_seconds)
        namespace = "-".join(filter(None, (self.service.namespace, worker)))
        return msgspec.structs.replace(
            self,
            logs=msgspec.structs.replace(self.logs, ship_seconds=ship),
            service=msgspec.structs.replace(self.service, namespace=namespace),
        )

    def endpoint_of(self, path: str) -> str:
        """Return the `endpoint` label value under which a request to this path is counted."""
        bare = path.partition("?")[0].partition("#")[0]
        for rule in self.endpoints:
            if re.fullmatch(rule.path, bare):
                return rule.endpoint
        return bare


def find_root(start: Path) -> Path:
    """Return the nearest folder, from `start` upwards, whose pyproject.toml has the table; `start` where none has."""
    return next((folder for folder in (start, *start.parents) if has_table(folder)), start)


def has_table(root: Path) -> bool:
    """Return whether the pyproject.toml in `root` has a `[tool.sloproof]` table, or cannot be read to tell."""
    try:
        document = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except (OSError, tomllib.TOMLDecodeError):
        return True
    return "sloproof" in document.get("tool", {})


def load_settings(root: Path) -> Settings:
    """Read the `[tool.sloproof]` table of the pyproject.toml in `root`.

    Raises:
        SettingsError: No file, no table, or a key that is unknown, missing or of the wrong kind; it names the key.
    """
    path = root / "pyproject.toml"
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            "expected a pyproject.toml with a [tool.sloproof] table, found no such file",
            where=path,
            hint="run from the project's root, or pass --rootdir; docs/adopting.md shows a table",
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"expected TOML, but {error}", where=path) from error
    table = document.get("tool", {}).get("sloproof")
    if table is None:
        raise SettingsError(
            "expected a [tool.sloproof] table, found none", where=path, hint="docs/adopting.md shows a table"
        )
    try:
        settings = msgspec.convert(table, Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(
            f"the [tool.sloproof] table is not valid: {error}",
            where=path,
            hint="`$` in the message stands for tool.sloproof",
        ) from error
    _check(settings, path)
    return settings


def _check(settings: Settings, path: Path) -> None:
    """Refuse what is well-typed and still cannot be."""
    logs = settings.logs
    if logs.format == "text":
        wanted = {
            "pattern": ("level", "message", "request_id"),
            "request": ("method", "endpoint", "status", "duration_seconds"),
        }
        for key, groups in wanted.items():
            _check_pattern(f"logs.{key}", getattr(logs, key), groups, path)
    else:
        missing = {"request_id", "method", "endpoint", "status"} - logs.fields.keys()
        if missing:
            raise SettingsError(f"expected tool.sloproof.logs.fields to name {', '.join(sorted(missing))}", where=path)
    for rule in settings.endpoints:
        _check_pattern("endpoints.path", rule.path, (), path)
    _check_duration("scrape.interval", settings.scrape.interval, path)
    _check_duration("scrape.evaluation", settings.scrape.evaluation, path)
    if settings.slo.evaluation is not None:
        _check_duration("slo.evaluation", settings.slo.evaluation, path)
    _check_numbers(settings, path)
    if settings.load.locustfile is not None:
        _check_locustfile(settings.load, path)


def _check_duration(key: str, text: str, path: Path) -> None:
    try:
        length = parse_duration(text)
    except SettingsError as error:
        raise SettingsError(f"tool.sloproof.{key}: {error.headline}", where=path, **error.details) from error
    if not length:
        raise SettingsError(f"expected tool.sloproof.{key} to be longer than nothing, got {text!r}", where=path)


def _check_locustfile(load: LoadSettings, path: Path) -> None:
    """Refuse a locustfile that cannot be one, as far as can be seen without running it: it is read, not imported."""
    named = f"tool.sloproof.load.locustfile = {load.locustfile!r}"
    if load.mix:
        raise SettingsError(
            "expected tool.sloproof.load.mix or tool.sloproof.load.locustfile, got both", where=path,
            hint="the locustfile says itself what is sent; take one of them out",
        )  # fmt: skip
    place = path.parent / str(load.locustfile)
    try:
        tree = ast.parse(place.read_bytes(), str(place))
    except OSError as error:
        raise SettingsError(
            f"expected a locustfile, but {error.strerror}", where=place, named_by=f"{path}: {named}"
        ) from None
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise SettingsError(
            f"expected a locustfile, but it is no Python: {error}", where=f"{place}:{line}", named_by=f"{path}: {named}"
        ) from None
    if not any(map(_may_make_users, ast.walk(tree))):
        raise SettingsError(
            "expected a locustfile with a user class, found none",
            where=place,
            named_by=f"{path}: {named}",
            hint="write a class of HttpUser or FastHttpUser with a task, or import one",
        )


def _may_make_users(node: ast.AST) -> bool:
    """Return whether a statement may leave a user class behind: all that Locust itself has to import are bases."""
    if isinstance(node, ast.ClassDef):
        return bool(node.bases)
    if isinstance(node, ast.ImportFrom):
        return node.level > 0 or (node.module or "").partition(".")[0] not in {"locust", *sys.stdlib_module_names}
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "type"


def _check_numbers(settings: Settings, path: Path) -> None:
    """Refuse numbers that no run could do anything with; TOML has nan and inf too."""
    above_zero: dict[str, float] = {
        "service.start_seconds": settings.service.start_seconds,
        "service.stop_seconds": settings.service.stop_seconds,
        "load.timeout_seconds": settings.load.timeout_seconds,
        "slo.compress": settings.slo.compress,
        "slo.rate": settings.slo.rate,
        "kube.port": settings.kube.port,
        "kube.start_seconds": settings.kube.start_seconds,
        "kube.ship_seconds": settings.kube.ship_seconds,
        **{f"load.mix[{place}].weight": one.weight for place, one in enumerate(settings.load.mix)},
    }
    for key, number in above_zero.items():
        if not 0 < number < math.inf:
            raise SettingsError(f"expected tool.sloproof.{key} to be above 0, got {number}", where=path)
    number = settings.logs.ship_seconds
    if not 0 <= number < math.inf:
        raise SettingsError(f"expected tool.sloproof.logs.ship_seconds to be 0 or more, got {number}", where=path)


def _check_pattern(key: str, pattern: str, groups: tuple[str, ...], path: Path) -> None:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise SettingsError(f"tool.sloproof.{key} is no regular expression: {error}", where=path) from error
    missing = [name for name in groups if name not in compiled.groupindex]
    if missing:
        raise SettingsError(
            f"expected tool.sloproof.{key} to have the groups {', '.join(groups)}; missing: {', '.join(missing)}",
            where=path,
            seen=pattern,
        )
