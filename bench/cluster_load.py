"""A big load from pods in a cluster, and what the whole stack takes meanwhile.

    python bench/cluster_load.py --kube-context NAME [--requests 200000] [--workers 4]

Each worker writes its part of the ledger; brought home and merged, it must hold what the request counter and the log
hold, row by row. The variables of `pytest --env kube` say how images get to the cluster (docs/kubernetes.md). Memory is
the peak of each pod's cgroup, beside its limit.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from world import ROOT, describe_machine, goal, project_settings

from sloproof.claims.requests import counts_agree
from sloproof.environment.backends import Wish
from sloproof.environment.kube.backends import make
from sloproof.environment.kube.environment import KubeEnvironment
from sloproof.environment.kube.wish import ClusterWish
from sloproof.finding import Verdict
from sloproof.load.profile import Profile
from sloproof.prove.standing import standing_on
from sloproof.report.run_id import new_run_id


def cluster_wish(options: argparse.Namespace) -> ClusterWish:
    """Return what is asked of the cluster, from the command line and the variables of `pytest --env kube`."""
    words = {
        name: tuple(shlex.split(os.environ.get(name, ""))) for name in ("SLOPROOF_IMAGE_BUILD", "SLOPROOF_IMAGE_LOAD")
    }
    return ClusterWish(
        context=options.kube_context,
        image_build=words["SLOPROOF_IMAGE_BUILD"],
        image_load=words["SLOPROOF_IMAGE_LOAD"],
        base_image=os.environ.get("SLOPROOF_BASE_IMAGE", ""),
        tool_images="tools" if os.environ.get("SLOPROOF_TOOL_IMAGES") == "tools" else "published",
        load_workers=options.workers,
    )


def print_memory(environment: KubeEnvironment) -> None:
    """Print each container's peak memory, as the kubelet has it: with the page cache, as limits count it."""
    peaks: dict[str, float] = {}
    for node in environment.cluster.nodes():
        path = f"/api/v1/nodes/{node.metadata.name}/proxy/metrics/cadvisor"
        text = environment.cluster.api.request("GET", path).decode()
        for family in text_string_to_metric_families(text):
            if family.name == "container_memory_max_usage_bytes":
                for sample in family.samples:
                    name = sample.labels.get("container", "")
                    if name and sample.labels.get("namespace") == environment.namespace:
                        key = f"{sample.labels['pod']}"
                        peaks[key] = max(peaks.get(key, 0.0), sample.value)
    for name, value in sorted(peaks.items()):
        print(f"peak memory {value / 1e6:6.0f} MB  {name}")
    print(f"peak memory {sum(peaks.values()) / 1e6:6.0f} MB  in all")


def main() -> int:
    """Drive, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kube-context", required=True)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    describe_machine()
    settings = project_settings().in_cluster()
    wish = Wish(root=ROOT, settings=settings, run_id=new_run_id(datetime.now(UTC)), environ=os.environ)
    with tempfile.TemporaryDirectory(prefix="sloproof-bench-") as evidence:
        environment = make("kube", wish, cluster_wish(options), Path(evidence))
        with standing_on(environment, wish) as harness:
            profile = Profile(
                mix=(harness.request("/"),),
                users=4 * options.workers,
                requests=options.requests,
                processes=options.workers,
                duration_seconds=max(options.requests / 50, 30),
            )
            before = harness.baseline()
            load = harness.driver.run(profile, "from the cluster", check_alive=environment.check_alive)
            print(
                f"load: {load.requests} requests in {load.window.duration.total_seconds():.1f} s from "
                f"{options.workers} pods, {load.failures} failures",
                flush=True,
            )
            begin = time.monotonic()
            finding = counts_agree(harness.observe(before))
            print(f"count: {finding.verdict.value}: {finding.measured}; judged in {time.monotonic() - begin:.1f} s")
            if finding.verdict is not Verdict.PASS:
                print(finding.text())
            print_memory(environment)
    return goal(
        f"three-way count exact over {options.requests} requests from {options.workers} workers in the cluster",
        f"{finding.measured}",
        is_met=finding.verdict is Verdict.PASS and load.requests == options.requests,
    )


if __name__ == "__main__":
    sys.exit(main())
