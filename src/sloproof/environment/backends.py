"""Makes the backend that was asked for by name."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console

from sloproof.environment.attached import AttachedEnvironment
from sloproof.environment.components import TOOLS, ExtraRules
from sloproof.environment.kube.wish import CAPABILITIES as CLUSTER_CAPABILITIES
from sloproof.environment.local import LocalEnvironment
from sloproof.environment.lockfile import load_lock
from sloproof.environment.progress_display import showing
from sloproof.environment.toolchain import Tool, default_cache_dir, resolve
from sloproof.platform_files import platform_file
from sloproof.settings import Settings

# What each backend can do, known before anything is started.
CAPABILITIES_OF: Mapping[str, frozenset[str]] = {
    "local": LocalEnvironment.capabilities,
    "minikube": CLUSTER_CAPABILITIES,
    "kube": CLUSTER_CAPABILITIES,
    "attached": AttachedEnvironment.capabilities,
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a backend.

    Attributes:
        root: The project's root.
        settings: The project's settings.
        run_id: Names the run.
        environ: Environment variables of the caller.
        tools_mirror: Where release archives come from instead of from their projects; None for their own.
        tools_offline: Get nothing over the network.
        rules: Rules besides those of the platform folder.
    """

    root: Path
    settings: Settings
    run_id: str
    environ: Mapping[str, str]
    tools_mirror: str | None = None
    tools_offline: bool = False
    rules: ExtraRules | None = None


def find_tools(wish: Wish, console: Console, names: Sequence[str] = TOOLS) -> Mapping[str, Tool]:
    """Return programs, those of the local environment by default, obtaining what is missing and saying so.

    Raises:
        ToolError: One can be had by no way.
    """
    platform_dir = wish.root / wish.settings.platform_dir if wish.settings.platform_dir else None
    lock = load_lock(platform_file(platform_dir, "tools.lock"))
    with showing(console) as progress:
        return resolve(
            names,
            lock=lock,
            cache_dir=default_cache_dir(wish.environ),
            path=wish.environ.get("PATH", ""),
            progress=progress,
            mirror=wish.tools_mirror,
            offline=wish.tools_offline,
        )


def make_local(wish: Wish, tools: Mapping[str, Tool]) -> LocalEnvironment:
    """Return a local environment that is not started yet."""
    return LocalEnvironment(
        wish.settings,
        wish.root,
        {name: tool.path for name, tool in tools.items()},
        run_id=wish.run_id,
        environ=wish.environ,
        faults_token=secrets.token_urlsafe(24) if wish.settings.service.faults else "",
        rules=wish.rules,
    )


def note(environment: LocalEnvironment, path: Path) -> None:
    """Write down a running environment, whole or not at all, so that others of this user can attach to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.touch(mode=0o600)
    fresh.write_bytes(msgspec.json.encode(environment.state()))
    fresh.replace(path)


def state_file(root: Path, environ: Mapping[str, str]) -> Path:
    """Return where `sloproof up` notes the environment of a project, for others to attach to."""
    base = environ.get("XDG_STATE_HOME") or str(Path(environ.get("HOME", "/")) / ".local" / "state")
    digest = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:12]
    return Path(base) / "sloproof" / f"{root.resolve().name}-{digest}.json"
