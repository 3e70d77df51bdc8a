"""What can be asked for of environments elsewhere, on the command line; variables give what a machine always needs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

import pytest

from sloproof.environment.attached import Credentials
from sloproof.environment.kube.wish import ClusterWish

_SERVERS = ("service", "prometheus", "loki", "alertmanager")
# Option, variable that gives its default, metavar, help.
_COMMANDS = (
    ("--minikube", "SLOPROOF_MINIKUBE", "the command that is Minikube (default: minikube)"),
    ("--minikube-args", "SLOPROOF_MINIKUBE_ARGS", "further arguments of `minikube start`; they win over our own"),
    (
        "--image-build",
        "SLOPROOF_IMAGE_BUILD",
        "command that builds an image: {tag}, {dockerfile}, {context} (default: docker build)",
    ),
    (
        "--image-load",
        "SLOPROOF_IMAGE_LOAD",
        "brings an image to the nodes: {archive}, {tag} (default: none, nodes pull it; Minikube loads by itself)",
    ),
    ("--base-image", "SLOPROOF_BASE_IMAGE", "base of the images that are built (default: the Dockerfile's own)"),
    (
        "--tool-images",
        "SLOPROOF_TOOL_IMAGES",
        "published (the default), or tools: pack the programs of the tool cache, where no registry can be reached",
    ),
)


def add_cluster_options(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("sloproof-cluster", "sloproof on Kubernetes (--env kube, --env minikube)")
    group.addoption("--kubeconfig", metavar="FILE", type=Path, help="file that describes the cluster")
    group.addoption("--kube-context", metavar="NAME", help="the context to use; the current one is never taken")
    group.addoption(
        "--kube-node-host", metavar="HOST", default="", help="host by which NodePorts are reached from here"
    )
    group.addoption(
        "--minikube-profile", metavar="NAME", default="sloproof", help="profile to make and use (default: sloproof)"
    )
    group.addoption(
        "--kube-stack", metavar="NAME", default="", help="monitoring stack, in the place of tool.sloproof.kube.stack"
    )
    for option, variable, text in _COMMANDS:
        group.addoption(option, metavar="TEXT", help=f"{text}; ${variable} gives the default")
    group.addoption(
        "--load-workers",
        metavar="COUNT",
        type=int,
        default=0,
        help="drive the load from so many pods in the cluster (default: 0, from here)",
    )


def add_attached_options(parser: pytest.Parser) -> None:
    """Declare the options of a system that runs already."""
    group = parser.getgroup("sloproof-attached", "sloproof on a system that runs already (--env attached)")
    for name in _SERVERS:
        group.addoption(f"--attach-{name}", metavar="URL", help=f"base URL of {name}")
    group.addoption(
        "--attach-instance",
        metavar="HOST:PORT",
        action="append",
        default=[],
        help="an instance of the service, as its `instance` label names it; for each",
    )
    group.addoption("--attach-tenant", metavar="NAME", default="", help="sent to the monitoring as X-Scope-OrgID")
    group.addoption("--attach-bearer", metavar="FILE", type=Path, help="file with a token for the monitoring's servers")


def read_attached_options(config: pytest.Config) -> tuple[Mapping[str, str], Credentials]:
    """Return the addresses by component, and how the monitoring is asked.

    Raises:
        UsageError: An address is missing, or the token's file cannot be read.
    """
    given = {name: config.getoption(f"--attach-{name}") for name in _SERVERS}
    missing = [f"--attach-{name} URL" for name, url in given.items() if not url and name != "alertmanager"]
    if missing:
        raise pytest.UsageError(f"--env attached: expected {', '.join(missing)}")
    path: Path | None = config.getoption("--attach-bearer")
    try:
        token = (config.invocation_params.dir / path).read_text(encoding="utf-8").strip() if path else ""
    except OSError as error:
        raise pytest.UsageError(f"--attach-bearer: expected a file with a token, but {error}") from None
    credentials = Credentials(bearer_token=token, tenant=config.getoption("--attach-tenant"))
    return {name: url for name, url in given.items() if url}, credentials


def read_cluster_options(
    config: pytest.Config, *, keep: bool, reuse: bool, environ: Mapping[str, str] = os.environ
) -> ClusterWish:
    """Return what was asked for.

    Raises:
        UsageError: An option has no meaning.
    """
    texts = {option: config.getoption(option) or environ.get(variable, "") for option, variable, _ in _COMMANDS}
    tool_images = texts["--tool-images"] or "published"
    if tool_images not in ("published", "tools"):
        raise pytest.UsageError(f"--tool-images: expected published or tools, got {tool_images!r}")
    workers: int = config.getoption("--load-workers")
    if workers < 0:
        raise pytest.UsageError(f"--load-workers: expected 0 or more, got {workers}")
    kubeconfig: Path | None = config.getoption("--kubeconfig")
    return ClusterWish(
        kubeconfig=None if kubeconfig is None else config.invocation_params.dir / kubeconfig,
        context=config.getoption("--kube-context"),
        node_host=config.getoption("--kube-node-host"),
        profile=config.getoption("--minikube-profile"),
        minikube=tuple(_words("--minikube", texts)) or ("minikube",),
        minikube_args=tuple(_words("--minikube-args", texts)),
        image_build=tuple(_words("--image-build", texts)),
        image_load=tuple(_words("--image-load", texts)),
        base_image=texts["--base-image"],
        tool_images="tools" if tool_images == "tools" else "published",
        load_workers=workers,
        stack=config.getoption("--kube-stack"),
        keep=keep,
        reuse=reuse,
    )


def _words(option: str, texts: Mapping[str, str]) -> list[str]:
    try:
        return shlex.split(texts[option])
    except ValueError as error:
        raise pytest.UsageError(f"{option}: expected words as a shell would read them, but {error}") from None
