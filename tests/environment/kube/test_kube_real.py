"""The adapter against a real cluster: named by SLOPROOF_TEST_KUBECONFIG and SLOPROOF_TEST_CONTEXT, else skipped.

Pods run the image of the cluster's own DNS server, which every cluster has. Load is driven where
SLOPROOF_TEST_LOAD_IMAGE names an image on the nodes that was built from `write_context`.
"""

from __future__ import annotations

import http.client
import os
import secrets
import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
import yaml

from sloproof.environment.kube.api import KubeApi
from sloproof.environment.kube.cluster import MADE_BY, Cluster, hopeless, pod_text
from sloproof.environment.kube.diagnosis import write_diagnosis
from sloproof.environment.kube.kubectl import Kubectl, ServiceProxy
from sloproof.environment.kube.lease import NamespaceLease
from sloproof.environment.kube.load_pods import LoadPods
from sloproof.environment.kube.objects import Pod
from sloproof.environment.kube.pod_watch import PodWatch
from sloproof.errors import DeadlineError, EnvironmentStartError, QueryError
from sloproof.load.driver import Driver
from sloproof.load.profile import Profile, RequestSpec

KUBECONFIG, CONTEXT, LOAD_IMAGE = (
    os.environ.get(f"SLOPROOF_TEST_{name}", "") for name in ("KUBECONFIG", "CONTEXT", "LOAD_IMAGE")
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (KUBECONFIG and CONTEXT), reason="no cluster is named by SLOPROOF_TEST_KUBECONFIG and SLOPROOF_TEST_CONTEXT"
    ),
]
LIMIT = timedelta(seconds=60)
WEB = {"app": "web"}
COREFILE = ".:1053 {\n  health :8080 {\n    lameduck 0s\n  }\n  whoami\n}\n"
HOLDER = """
import sys
from pathlib import Path
from sloproof.environment.kube.api import KubeApi
from sloproof.environment.kube.lease import NamespaceLease
NamespaceLease(KubeApi(Path(sys.argv[1]), sys.argv[2]), sys.argv[3]).take()
print("taken", flush=True)
sys.stdin.read()
"""


def api() -> KubeApi:
    return KubeApi(Path(KUBECONFIG), CONTEXT)


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    made = Cluster(api())
    yield made
    made.api.close()


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    name = f"try-adapter-{secrets.token_hex(3)}"
    cluster.claim_namespace(name, "r1")
    yield name
    cluster.delete_namespace(name)
    assert cluster.find_namespace(name) is None


@pytest.fixture(scope="module")
def kubectl() -> Kubectl:
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not on PATH")
    return Kubectl(Path(program), Path(KUBECONFIG), CONTEXT, os.environ)


@pytest.fixture(scope="module")
def image(cluster: Cluster) -> str:
    """Return the image of the cluster's DNS server: it is on a node already, and answers HTTP where it is asked to."""
    found = [one.image for pod in cluster.pods("kube-system", "k8s-app=kube-dns") for one in pod.spec.containers]
    if not found:
        pytest.skip("the cluster has no DNS server of the usual name")
    return found[0]


@pytest.fixture(scope="module")
def web(cluster: Cluster, namespace: str, image: str) -> str:
    """Return the name of a Service with one pod behind it that answers `/health`."""
    main = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["-conf", "/etc/web/Corefile"],
        "volumeMounts": [{"name": "config", "mountPath": "/etc/web"}],
        "readinessProbe": {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 1},
    }
    spec = {"containers": [main], "volumes": [{"name": "config", "configMap": {"name": "web"}}]}
    template = {"metadata": {"labels": WEB}, "spec": {**spec, "terminationGracePeriodSeconds": 0}}
    core, apps = f"/api/v1/namespaces/{namespace}", f"/apis/apps/v1/namespaces/{namespace}"
    meta = {"name": "web"}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"Corefile": COREFILE}}
    cluster.api.apply(f"{core}/configmaps/web", config)
    deployment = {"replicas": 1, "selector": {"matchLabels": WEB}, "template": template}
    cluster.api.apply(
        f"{apps}/deployments/web",
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": deployment},
    )
    service = {"selector": WEB, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}
    cluster.apply_service(namespace, {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": service}, "web")
    cluster.await_pods(namespace, "app=web", one_ready, what="web to be ready", timeout=LIMIT)
    return "web"


def one_ready(pods: Sequence[Pod]) -> bool:
    return len(pods) == 1 and pods[0].is_ready


def pod_of(name: str, image: str, **more: Any) -> dict[str, Any]:
    main = {"name": "main", "image": image, "imagePullPolicy": "Never", "args": ["-dns.port", "1053"]}
    meta = {"name": name, "labels": {"app": name}, **more}
    spec = {"containers": [main], "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


# Objects


def test_cluster_says_what_it_is(cluster: Cluster) -> None:
    assert cluster.version().startswith("v1.")
    assert cluster.runtime() in ("containerd", "docker", "cri-o")
    assert all(node.internal_ip for node in cluster.nodes())


def test_namespace_of_somebody_else_is_left_alone(cluster: Cluster) -> None:
    name = f"try-adapter-{secrets.token_hex(3)}"
    path = f"/api/v1/namespaces/{name}"
    cluster.api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    try:
        with pytest.raises(EnvironmentStartError, match="somebody else's"):
            cluster.claim_namespace(name, "r1")
        with pytest.raises(EnvironmentStartError):
            cluster.delete_namespace(name)
        with pytest.raises(QueryError) as caught:
            cluster.api.request("DELETE", path, body={"preconditions": {"uid": "another"}})
        assert caught.value.status == 409
        found = cluster.find_namespace(name)
        assert found is not None
        assert found.metadata.deletion_timestamp is None
    finally:
        cluster.api.delete(path)


def test_namespace_that_something_holds_is_told_and_awaited_by_the_next_claim(cluster: Cluster, image: str) -> None:
    name = f"try-adapter-{secrets.token_hex(3)}"
    pods = f"/api/v1/namespaces/{name}/pods"
    cluster.claim_namespace(name, "r1")
    cluster.api.create(pods, pod_of("held", image, finalizers=["sloproof.test/held"]))
    with pytest.raises(DeadlineError, match="to be gone within 1 s"):
        cluster.delete_namespace(name, timedelta(seconds=1))
    with pytest.raises(DeadlineError):  # on its way out already
        cluster.delete_namespace(name, timedelta(seconds=1))
    before = cluster.find_namespace(name)
    claiming = Thread(target=cluster.claim_namespace, args=(name, "r2"))
    claiming.start()
    cluster.api.patch(f"{pods}/held", {"metadata": {"finalizers": None}})
    claiming.join(60)
    after = cluster.find_namespace(name)
    assert before is not None
    assert after is not None
    assert after.metadata.uid != before.metadata.uid
    assert after.metadata.labels.items() >= {**MADE_BY, "sloproof/run": "r2"}.items()
    cluster.delete_namespace(name)
    assert cluster.find_namespace(name) is None


def test_pod_whose_image_is_nowhere_is_hopeless_soon_and_says_why(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    cluster.api.create(f"/api/v1/namespaces/{namespace}/pods", pod_of("bad", "sloproof.test/nowhere:1"))
    (bad,) = cluster.await_pods(
        namespace, "app=bad", lambda pods: hopeless(pods) is not None, what="no hope", timeout=LIMIT
    )
    assert pod_text(bad).startswith("bad: ErrImageNeverPull: ")
    with pytest.raises(DeadlineError) as caught:
        cluster.await_pods(namespace, "app=bad", one_ready, what="bad", timeout=timedelta(seconds=1))
    assert "ErrImageNeverPull" in caught.value.details["pods"]
    assert "Pod/bad" in caught.value.details["events"]
    assert cluster.pod_log(namespace, "bad") == ()
    write_diagnosis(cluster, namespace, tmp_path)
    assert "ErrImageNeverPull" in (tmp_path / "pods.txt").read_text()
    assert "Pod/bad" in (tmp_path / "events.txt").read_text()
    assert cluster.delete_pod(namespace, "bad", grace=0)
    cluster.await_pods(namespace, "app=bad", lambda pods: not pods, what="none", timeout=LIMIT)
    assert not cluster.delete_pod(namespace, "bad")


def test_service_leads_to_its_ready_pod(cluster: Cluster, namespace: str, web: str) -> None:
    (pod,) = cluster.pods(namespace, "app=web")
    until(lambda: any(one.conditions.ready for one in cluster.endpoints(namespace, web)))
    (endpoint,) = cluster.endpoints(namespace, web)
    assert endpoint.addresses == [pod.status.pod_ip]
    assert endpoint.target_ref is not None
    assert endpoint.target_ref.name == pod.name
    found = cluster.workload(namespace, "Deployment", "web")
    assert found is not None
    assert (found.spec.replicas, found.status.ready_replicas) == (1, 1)
    assert any("CoreDNS" in line for line in cluster.pod_log(namespace, pod.name))


# What is followed


def test_pods_are_followed_while_they_are_replaced(cluster: Cluster, namespace: str, web: str) -> None:
    watch = PodWatch(api(), namespace)
    watch.start()
    try:
        (old,) = (name for name in watch.pods if name.startswith(web))
        cluster.delete_pod(namespace, old, grace=0)
        until(lambda: old not in watch.pods and any(pod.is_ready for pod in watch.pods.values()))
        assert watch.error is None
        assert watch.pods.keys() == {pod.name for pod in cluster.pods(namespace)}
    finally:
        watch.stop()


@dataclass
class Line:
    """A line to the API server that a test can cut and mend."""

    target: tuple[str, int]
    port: int = 0
    _sockets: list[socket.socket] = field(default_factory=list)
    _cut: Event = field(default_factory=Event)
    _thread: Thread | None = None

    def mend(self) -> None:
        self._cut.clear()
        server = socket.create_server(("127.0.0.1", self.port))
        self.port = server.getsockname()[1]
        self._thread = Thread(target=self._serve, args=(server,))
        self._thread.start()

    def cut(self) -> None:
        self._cut.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _serve(self, server: socket.socket) -> None:
        pairs: dict[socket.socket, socket.socket] = {}
        with server:
            while not self._cut.is_set():
                for ready in select.select([server, *pairs], [], [], 0.02)[0]:
                    if ready is server:
                        one, other = server.accept()[0], socket.create_connection(self.target)
                        pairs |= {one: other, other: one}
                    elif ready in pairs:
                        self._pass_on(ready, pairs)
        for each in pairs:
            each.close()

    @staticmethod
    def _pass_on(ready: socket.socket, pairs: dict[socket.socket, socket.socket]) -> None:
        try:
            data = ready.recv(65536)
            pairs[ready].sendall(data)
        except OSError:
            data = b""
        if not data:
            for each in (ready, pairs.pop(ready)):
                pairs.pop(each, None)
                each.close()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[tuple[Line, Path]]:
    """Yield a line to the API server, and a kubeconfig that leads through it."""
    document = yaml.safe_load(Path(KUBECONFIG).read_text(encoding="utf-8"))
    named = next(one["context"]["cluster"] for one in document["contexts"] if one["name"] == CONTEXT)
    entry = next(one["cluster"] for one in document["clusters"] if one["name"] == named)
    server = urlsplit(entry["server"])
    assert server.hostname
    made = Line((server.hostname, server.port or 443))
    made.mend()
    entry["tls-server-name"] = server.hostname
    entry["server"] = f"https://127.0.0.1:{made.port}"
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    yield made, path
    made.cut()


def test_deletion_while_the_api_was_away_is_found(
    cluster: Cluster, namespace: str, image: str, line: tuple[Line, Path]
) -> None:
    way, kubeconfig = line
    through = KubeApi(kubeconfig, CONTEXT)
    cluster.api.create(f"/api/v1/namespaces/{namespace}/pods", pod_of("fleeting", image))
    watch = PodWatch(KubeApi(kubeconfig, CONTEXT), namespace)
    watch.start()
    try:
        until(lambda: "fleeting" in watch.pods and watch.pods["fleeting"].is_ready)
        waited: list[Sequence[Pod]] = []
        gone = Thread(
            target=lambda: waited.append(
                Cluster(through).await_pods(
                    namespace, "app=fleeting", lambda pods: not pods, what="none", timeout=LIMIT
                )
            )
        )
        gone.start()
        way.cut()
        until(lambda: watch.error is not None)
        cluster.delete_pod(namespace, "fleeting", grace=0)
        cluster.await_pods(namespace, "app=fleeting", lambda pods: not pods, what="none", timeout=LIMIT)
        assert "fleeting" in watch.pods  # as last seen, and the error says that nobody can know
        way.mend()
        until(lambda: watch.error is None and "fleeting" not in watch.pods)
        gone.join(30)
        assert waited == [()]
    finally:
        watch.stop()
        through.close()


# One run at a time


def test_lease_is_one_process_s_until_it_dies(namespace: str) -> None:
    command = [sys.executable, "-c", HOLDER, KUBECONFIG, CONTEXT, namespace]
    mine = NamespaceLease(api(), namespace)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == b"taken\n"
            with pytest.raises(EnvironmentStartError, match="another run is using it") as caught:
                mine.take()
            assert f"/{other.pid}/" in caught.value.details["run"]
        finally:
            other.kill()
    mine.take()
    third = NamespaceLease(api(), namespace, holder="elsewhere/1/1")
    with pytest.raises(EnvironmentStartError):
        third.take()
    mine.release()
    third.take()
    third.release()


def test_lease_that_two_want_at_once_is_one_s(namespace: str) -> None:
    wanting = [NamespaceLease(api(), namespace, holder=f"host-{number}/1/1") for number in range(4)]
    results: list[str] = []

    def want(lease: NamespaceLease) -> None:
        try:
            lease.take()
            results.append("taken")
        except EnvironmentStartError:
            results.append("refused")

    threads = [Thread(target=want, args=(lease,)) for lease in wanting]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["refused", "refused", "refused", "taken"]
    for lease in wanting:
        lease.release()


def test_lease_that_is_written_by_one_is_not_written_by_who_saw_it_before(namespace: str) -> None:
    long_ago = NamespaceLease(api(), namespace, holder="dead/1/1", now=lambda: datetime.now(UTC) - timedelta(minutes=1))
    assert long_ago._write("")
    wanting = [NamespaceLease(api(), namespace, holder=f"host-{number}/1/1") for number in range(2)]
    seen = [lease._look() for lease in wanting]
    versions = [one.metadata.resource_version for one in seen if one is not None]
    assert len(versions) == 2
    assert [lease._write(version) for lease, version in zip(wanting, versions, strict=True)] == [True, False]
    wanting[0].take()  # its own
    wanting[0].release()
    assert wanting[1]._look() is None


# The ways in


def ask(url: str) -> tuple[int, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=5)
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_proxy_outlasts_a_replaced_pod_and_its_own_death(
    cluster: Cluster, namespace: str, web: str, kubectl: Kubectl
) -> None:
    proxy = ServiceProxy(kubectl, namespace)
    proxy.start()
    try:
        url = f"{proxy.url(web, 80)}/health"
        until(lambda: ask(url) == (200, b"OK"))
        (old,) = cluster.pods(namespace, "app=web")
        assert ask(f"{proxy.pod_url(old.name, 8080)}/health") == (200, b"OK")
        cluster.delete_pod(namespace, old.name, grace=0)
        cluster.await_pods(
            namespace,
            "app=web",
            lambda pods: one_ready(pods) and pods[0].name != old.name,
            what="another pod",
            timeout=LIMIT,
        )
        until(lambda: ask(url) == (200, b"OK"))
        assert proxy._process is not None
        process = psutil.Process(proxy._process.pid)
        process.kill()
        process.wait(5)
        proxy.check()
        assert ask(url) == (200, b"OK")
    finally:
        proxy.stop()


@pytest.mark.parametrize("path", ["/api/v1/secrets", "/version", "/api/v1/namespaces/kube-system/pods"])
def test_proxy_gives_no_more_of_the_cluster_than_its_servers(kubectl: Kubectl, path: str) -> None:
    proxy = ServiceProxy(kubectl, "kube-system")
    proxy.start()
    try:
        parts = urlsplit(proxy.url("x", 1))
        assert ask(f"http://{parts.netloc}{path}")[0] == 403
    finally:
        proxy.stop()


def test_load_is_driven_from_pods_and_its_ledger_comes_back_whole(
    cluster: Cluster, namespace: str, web: str, kubectl: Kubectl, tmp_path: Path
) -> None:
    if not LOAD_IMAGE:
        pytest.skip("no image of load workers is named by SLOPROOF_TEST_LOAD_IMAGE")
    service = cluster.api.get(f"/api/v1/namespaces/{namespace}/services/{web}", dict)
    base_url = f"http://{service['spec']['clusterIP']}:80"
    workers = LoadPods(cluster, kubectl, namespace, LOAD_IMAGE, 2)
    pods = workers.start(LIMIT)
    assert len(pods) == 2
    assert workers.start(LIMIT) == pods  # the second time changes nothing
    profile = Profile(mix=(RequestSpec(path="/health", endpoint="/health"),), users=4, requests=2000, processes=2)
    with Driver(
        base_url=base_url,
        ledger_dir=tmp_path,
        run_id="r",
        commands=lambda number: workers.command(pods[number], base_url),
    ) as driver:
        result = driver.run(profile, "load")
    assert result.ledger.tally().certain == {("/health", "GET", 200): 2000}
    assert workers.start(LIMIT) == pods
    fewer = LoadPods(cluster, kubectl, namespace, LOAD_IMAGE, 1)
    assert len(fewer.start(LIMIT)) == 1
