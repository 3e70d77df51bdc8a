"""Which cluster a run may use: one that was named, and that does not look like production."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
import yaml

from sloproof.errors import SettingsError

# Whole words only: `reproduction` and `delivery` are no production, `shop-prod-eu1` is.
_PRODUCTION = re.compile(r"(?<![a-z])(prod|production|prd|live)(?![a-z])", re.IGNORECASE)


class _Cluster(msgspec.Struct, frozen=True):
    server: str = ""


class _NamedCluster(msgspec.Struct, frozen=True):
    name: str
    cluster: _Cluster = _Cluster()


class _Context(msgspec.Struct, frozen=True):
    cluster: str = ""
    user: str = ""
    namespace: str = ""


class _NamedContext(msgspec.Struct, frozen=True):
    name: str
    context: _Context = _Context()


class _Kubeconfig(msgspec.Struct, frozen=True):
    contexts: list[_NamedContext] | None = None
    clusters: list[_NamedCluster] | None = None


def allowed_context(name: str | None, kubeconfig: Path | None, environ: Mapping[str, str]) -> tuple[Path, str]:
    """Return the kubeconfig file and the context that a run may use.

    The kubeconfig's current context is never taken: it is what somebody else happened to work with last.

    Args:
        name: The context that the command line names.
        kubeconfig: The file that it names; None for the usual places.
        environ: The caller's environment variables.

    Raises:
        SettingsError: No context is named, none of that name is known, or it looks like production.
    """
    paths = _files(kubeconfig, environ)
    known = {one.name: (path, file) for path in paths for file in (_read(path),) for one in file.contexts or ()}
    listed = ", ".join(sorted(known)) or "none"
    looked = ", ".join(map(str, paths)) or "no kubeconfig file"
    if not name:
        raise SettingsError(
            "expected the context of a cluster to be named, got none; the current one is never taken",
            known=listed,
            looked_at=looked,
            hint="pytest features/ --env kube --kube-context NAME",
        )
    if name not in known:
        raise SettingsError(f"expected a context that is known, got {name!r}", known=listed, looked_at=looked)
    path, file = known[name]
    context = next(one.context for one in file.contexts or () if one.name == name)
    server = next((one.cluster.server for one in file.clusters or () if one.name == context.cluster), "")
    told = {"context": name, "cluster": context.cluster, "namespace": context.namespace, "server": server}
    suspicious = {what: text for what, text in told.items() if _PRODUCTION.search(text)}
    if suspicious:
        raise SettingsError(
            "expected a cluster to try things on, but this one looks like production",
            **suspicious,
            hint="to judge monitoring that is there already, without touching the cluster: --env attached",
        )
    return path, name


def _files(kubeconfig: Path | None, environ: Mapping[str, str]) -> list[Path]:
    if kubeconfig is not None:
        if not kubeconfig.is_file():
            raise SettingsError("expected a kubeconfig file, found none", where=kubeconfig)
        return [kubeconfig]
    given = [Path(one) for one in environ.get("KUBECONFIG", "").split(":") if one]
    usual = given or [Path(environ.get("HOME", "/")) / ".kube" / "config"]
    return [path for path in usual if path.is_file()]


def _read(path: Path) -> _Kubeconfig:
    try:
        return msgspec.convert(yaml.safe_load(path.read_bytes()) or {}, _Kubeconfig)
    except (OSError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise SettingsError(f"expected a kubeconfig file, but {error}", where=path) from error
