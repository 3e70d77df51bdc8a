"""Load from inside the cluster: pods that hold the load's child program, each reached by `kubectl exec`."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib import metadata, resources
from pathlib import Path

from sloproof.environment.kube.cluster import Cluster, hopeless, pod_text
from sloproof.environment.kube.kubectl import Kubectl
from sloproof.environment.kube.objects import Pod
from sloproof.errors import EnvironmentStartError

NAME = "sloproof-load"
_LABELS = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/managed-by": "sloproof"}
_FOLDER = "/ledger"
# What the child program imports; the pods get the very versions that run here.
_PACKAGES = ("locust", "gevent", "geventhttpclient", "msgspec")
_CHILD = "python3 -P -W ignore -m sloproof.load.child"
_DOCKERFILE = """\
ARG BASE_IMAGE=python:3.12-slim
FROM ${BASE_IMAGE}
COPY requirements.txt /app/
RUN python3 -m venv /app/venv && /app/venv/bin/pip install --no-cache-dir --no-compile -r /app/requirements.txt
COPY sloproof /app/sloproof
ENV PATH=/app/venv/bin:$PATH PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
CMD ["sleep", "infinity"]
"""


def write_context(folder: Path) -> Path:
    """Write a folder that the load workers' image is built from: this sloproof, and the packages as they are here.

    Returns:
        Its Dockerfile.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pinned = [f"{name}=={metadata.version(name)}" for name in _PACKAGES]
    (folder / ".dockerignore").write_text("**/__pycache__\n", encoding="utf-8")
    (folder / "requirements.txt").write_text("\n".join(pinned) + "\n", encoding="utf-8")
    source = Path(str(resources.files("sloproof")))
    # Begun anew: a module that there is no more would make the image another one.
    shutil.rmtree(folder / "sloproof", ignore_errors=True)
    shutil.copytree(source, folder / "sloproof", ignore=shutil.ignore_patterns("__pycache__", "_platform"))
    dockerfile = folder / "Dockerfile"
    dockerfile.write_text(_DOCKERFILE, encoding="utf-8")
    return dockerfile


@dataclass(frozen=True, slots=True)
class LoadPods:
    """Pods that drive load.

    Attributes:
        cluster: Where they run.
        kubectl: The way into them.
        namespace: Theirs.
        image: Of the load workers.
        count: How many.
    """

    cluster: Cluster
    kubectl: Kubectl
    namespace: str
    image: str
    count: int

    def start(self, timeout: timedelta) -> tuple[str, ...]:
        """Bring the pods up and return their names.

        Raises:
            EnvironmentStartError: One cannot get ready.
            DeadlineError: They are not ready in time.
        """
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{NAME}"
        self.cluster.api.apply(path, self._manifest())

        def check(pods: Sequence[Pod]) -> None:
            # Pods of another image are of an earlier time, and on their way out.
            if (bad := hopeless([pod for pod in pods if _image(pod) == self.image])) is not None:
                raise EnvironmentStartError(f"expected a load worker to get ready, but {pod_text(bad)}")

        selector = ",".join(f"{key}={text}" for key, text in _LABELS.items())
        pods = self.cluster.await_pods(
            self.namespace,
            selector,
            lambda pods: sum(pod.is_ready and _image(pod) == self.image for pod in pods) == self.count == len(pods),
            what=f"{self.count} load workers",
            timeout=timeout,
            check=check,
        )
        return tuple(pod.name for pod in pods)

    def command(self, pod: str, base_url: str) -> tuple[str, ...]:
        """Return the command that is a load's child program in a pod.

        Args:
            pod: Which.
            base_url: Where requests go, as seen from it.
        """
        # -i keeps the way in open: the child ends when it closes, however this side ends.
        reach = self.kubectl.argv("exec", "-i", "-n", self.namespace, pod, "--")
        return (
            sys.executable, "-P", "-W", "ignore", "-m", "sloproof.load.relay",
            "--reach", shlex.join(reach), "--child", _CHILD, "--folder", _FOLDER, "--base-url", base_url,
        )  # fmt: skip

    def _manifest(self) -> dict[str, object]:
        container = {
            "name": NAME,
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "volumeMounts": [{"name": "ledger", "mountPath": _FOLDER}, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
        }
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": NAME, "labels": _LABELS},
            "spec": {
                "replicas": self.count,
                "selector": {"matchLabels": _LABELS},
                "strategy": {"type": "Recreate"},
                "template": {
                    "metadata": {"labels": _LABELS},
                    "spec": {
                        "automountServiceAccountToken": False,
                        "terminationGracePeriodSeconds": 1,
                        "containers": [container],
                        "volumes": [{"name": name, "emptyDir": {}} for name in ("ledger", "tmp")],
                    },
                },
            },
        }


def _image(pod: Pod) -> str:
    return next((one.image for one in pod.spec.containers if one.name == NAME), "")
