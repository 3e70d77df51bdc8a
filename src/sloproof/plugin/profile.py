"""A Minikube profile for all workers of a run (pytest-xdist): the controller keeps it, each has a namespace in it."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from sloproof.environment.backends import CAPABILITIES_OF, Wish
from sloproof.errors import SloproofError
from sloproof.plugin.backend import cluster_backends, prepare
from sloproof.plugin.elsewhere_options import read_cluster_options
from sloproof.plugin.options import read_options
from sloproof.plugin.workers import KeptProfile
from sloproof.settings import load_settings

_MINIKUBE = "minikube"


def keep_profile(config: pytest.Config, run_id: str, reports: Path) -> KeptProfile | None:
    """Return the profile that this controller keeps for its workers, up; None where they are to run elsewhere.

    Args:
        config: The controller's.
        run_id: Names the run.
        reports: Folder of the report folders; what a failed start leaves goes into this run's.

    Raises:
        UsageError: The cluster must not be used, or the profile cannot be had.
    """
    options = read_options(config)
    if "kubernetes" not in CAPABILITIES_OF.get(options.environment, ()) or config.option.collectonly:
        return None
    # A worker's refusal would be taken for its crash.
    prepare(config, options)
    if options.environment != _MINIKUBE:
        return None
    settings = load_settings(config.rootpath)
    wish = Wish(root=config.rootpath, settings=settings, run_id=run_id, environ=dict(os.environ))
    cluster = read_cluster_options(config, keep=options.keep, reuse=options.reuse)
    begin = time.monotonic()
    host = cluster_backends().MinikubeHost(wish, cluster, reports / run_id / "evidence" / "cluster" / "minikube.log")
    config.add_cleanup(lambda: host.close(options.keep or options.reuse))
    count = config.getoption("numprocesses", 0)
    workers = [f"gw{number}" for number in range(count if isinstance(count, int) else 0)]
    try:
        held = host.open([settings.in_cluster(worker).service.namespace for worker in workers])
    except SloproofError as error:
        raise pytest.UsageError(f"--env {_MINIKUBE}: {error}") from None
    return KeptProfile(held.node_ip, timedelta(seconds=time.monotonic() - begin))
