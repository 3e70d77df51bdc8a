"""What a cluster says of a namespace, written down for whoever has to understand a failure once it is gone."""

from __future__ import annotations

import contextlib
from pathlib import Path

from sloproof.environment.kube.cluster import Cluster, event_text, pod_text
from sloproof.errors import SloproofError

_LINES = 1000


def write_diagnosis(cluster: Cluster, namespace: str, folder: Path) -> None:
    """Write `pods.txt`, `events.txt` and each container's last lines, those of its life before this one included.

    Raises:
        SloproofError: The cluster does not answer.
        OSError: A file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pods = cluster.pods(namespace)
    _write(folder / "pods.txt", [pod_text(pod) for pod in pods])
    _write(folder / "events.txt", [event_text(event) for event in cluster.events(namespace)])
    for pod in pods:
        for container in (*pod.status.init_container_statuses, *pod.status.container_statuses):
            for previous in (False, True):
                if previous and not container.restart_count:
                    continue
                with contextlib.suppress(SloproofError):  # one log that cannot be had is no reason to lose the others
                    lines = cluster.pod_log(namespace, pod.name, container.name, lines=_LINES, previous=previous)
                    mark = ".previous" if previous else ""
                    _write(folder / f"{pod.name}.{container.name}{mark}.log", list(lines))


def _write(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
