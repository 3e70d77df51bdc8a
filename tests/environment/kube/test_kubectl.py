"""kubectl as a program that fails, hangs, dies and comes back."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from sloproof.environment.kube import kubectl as kubectl_module
from sloproof.environment.kube.kubectl import Kubectl, ServiceProxy
from sloproof.environment.leftovers import dying_with_parent
from sloproof.errors import EnvironmentStartError, ToolError, UnavailableError

# Speaks as kubectl does; its verb says how it fares, and `proxy` looks that up in a file beside it. What hangs is a
# shell, which has said what it says long before it is ended, however busy the machine is.
SHELL = """#!/bin/sh
case "$*" in *hang*) echo so far >&2; exec sleep 60;; esac
read -r how < "${{0%/*}}/how"
case "$how $*" in silent*proxy*) echo W0301 a warning >&2; exec sleep 60;; esac
exec {python} -I "$0.py" "$@"
"""
PROGRAM = """
import http.server, os, pathlib, sys
here = pathlib.Path(__file__).parent
words = [word for word in sys.argv[1:] if not word.startswith("-")]
verb = next(word for word in words if word in ("get", "fail", "cat", "proxy"))
if verb == "get":
    sys.exit(print("an answer", os.environ.get("MARK")))
elif verb == "cat":
    sys.exit(print(sys.stdin.read()[::-1], end=""))
elif verb == "fail":
    sys.exit("x" * 2000 + " error: no such thing")
if (here / "how").read_text() == "dies\\n":
    sys.exit("error: no such context")
print("W0301 a warning", file=sys.stderr, flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.path.encode())
    def log_message(self, *_):
        print("x" * 100_000, flush=True)
port = int(next(word for word in sys.argv if word.startswith("--port=")).partition("=")[2])
with http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
    print(f"Starting to serve on 127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()
"""
STARTER = """
import os, sys, time
from pathlib import Path
from sloproof.environment.kube.kubectl import Kubectl, ServiceProxy
proxy = ServiceProxy(Kubectl(Path(sys.argv[1]), None, "dev", os.environ), "ns")
proxy.start()
print(proxy.url("loki", 3100), flush=True)
time.sleep(60)
"""


@pytest.fixture
def kubectl(tmp_path: Path) -> Kubectl:
    program = tmp_path / "kubectl"
    program.write_text(SHELL.format(python=sys.executable))
    program.chmod(0o755)
    (tmp_path / "kubectl.py").write_text(PROGRAM)
    (tmp_path / "how").write_text("serves\n")
    return Kubectl(program, tmp_path / "config", "dev", {"PATH": "/usr/bin:/bin", "MARK": "inherited"})


@pytest.fixture
def proxy(kubectl: Kubectl) -> Iterator[ServiceProxy]:
    made = ServiceProxy(kubectl, "ns")
    yield made
    made.stop()


def ask(url: str) -> str:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=5)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 8
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def process_of(proxy: ServiceProxy) -> psutil.Process:
    assert proxy._process is not None
    return psutil.Process(proxy._process.pid)


# Single commands


def test_command_names_file_and_context(kubectl: Kubectl) -> None:
    assert kubectl.argv("get", "pods")[1:] == [
        "--kubeconfig",
        str(kubectl.kubeconfig),
        "--context",
        "dev",
        "get",
        "pods",
    ]
    usual = Kubectl(kubectl.program, None, "dev", {})
    assert usual.argv("get")[1:] == ["--context", "dev", "get"]


def test_run_gives_what_is_printed_in_the_environment_given(kubectl: Kubectl) -> None:
    assert kubectl.run("get") == b"an answer inherited\n"


def test_run_passes_data_in(kubectl: Kubectl) -> None:
    assert kubectl.run("cat", data=b"abc") == b"cba"
    assert kubectl.run("cat") == b""  # never this process's own input


def test_run_that_fails_carries_its_last_words(kubectl: Kubectl) -> None:
    with pytest.raises(UnavailableError, match="kubectl fail to succeed, but it ended with status 1") as caught:
        kubectl.run("fail", "-n", "ns")
    assert caught.value.details["command"] == "fail -n ns"
    assert caught.value.details["said"].endswith("xxx error: no such thing\n")
    assert len(caught.value.details["said"]) <= 1500


def test_run_that_takes_too_long_is_ended_and_carries_what_it_said(kubectl: Kubectl) -> None:
    begin = time.monotonic()
    with pytest.raises(UnavailableError, match=r"to end within 0\.5 s") as caught:
        kubectl.run("hang", seconds=0.5)
    assert caught.value.kind == "timeout"
    assert caught.value.details["said"] == "so far\n"
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize(
    "make", [lambda _: None, lambda path: path.write_text("no program")], ids=["missing", "no program"]
)
def test_program_that_cannot_be_run_is_named(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "kubectl")
    with pytest.raises(ToolError, match="expected to run kubectl, but") as caught:
        Kubectl(tmp_path / "kubectl", None, "dev", {}).run("get")
    assert caught.value.details["program"] == str(tmp_path / "kubectl")


# The proxy


def test_proxy_leads_to_services_and_pods(proxy: ServiceProxy) -> None:
    proxy.start()
    assert ask(f"{proxy.url('loki', 3100)}/ready") == "/api/v1/namespaces/ns/services/loki:3100/proxy/ready"
    assert ask(proxy.url("loki", 80, "other")) == "/api/v1/namespaces/other/services/loki:80/proxy"
    assert ask(f"{proxy.pod_url('web-1', 8000)}/x") == "/api/v1/namespaces/ns/pods/web-1:8000/proxy/x"


def test_proxy_lets_through_what_it_is_for_and_no_more(proxy: ServiceProxy) -> None:
    proxy.start()
    given = next(word for word in process_of(proxy).cmdline() if word.startswith("--accept-paths="))
    assert "," not in given  # kubectl takes it for the end of a pattern
    assert "--address=127.0.0.1" in process_of(proxy).cmdline()


def test_proxy_that_says_much_is_not_held_up(proxy: ServiceProxy) -> None:
    proxy.start()
    for _ in range(5):
        ask(proxy.url("loki", 3100))


def test_proxy_that_dies_at_once_tells_what_it_said(proxy: ServiceProxy, kubectl: Kubectl) -> None:
    (kubectl.program.parent / "how").write_text("dies\n")
    with pytest.raises(EnvironmentStartError, match="kubectl proxy to serve") as caught:
        proxy.start()
    assert caught.value.details["said"] == "error: no such context\n"
    assert caught.value.details["context"] == "dev"


def test_proxy_that_never_serves_is_ended(
    proxy: ServiceProxy, kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubectl_module, "_START_SECONDS", 0.5)
    (kubectl.program.parent / "how").write_text("silent\n")
    with pytest.raises(EnvironmentStartError, match=r"within 0\.5 s") as caught:
        proxy.start()
    assert caught.value.details["said"] == "W0301 a warning\n"
    assert proxy._process is not None
    assert proxy._process.returncode is not None


def test_proxy_without_a_program_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubectl_module, "dying_with_parent", list)
    proxy = ServiceProxy(Kubectl(tmp_path / "kubectl", None, "dev", {}), "ns")
    with pytest.raises(ToolError):
        proxy.start()
    proxy.stop()


def test_proxy_that_lives_is_left_alone(proxy: ServiceProxy) -> None:
    proxy.check()  # not started: nothing to bring back
    proxy.start()
    pid = process_of(proxy).pid
    proxy.check()
    assert process_of(proxy).pid == pid


def test_proxy_that_died_comes_back_on_its_port(proxy: ServiceProxy) -> None:
    proxy.start()
    url = proxy.url("loki", 3100)
    for _ in range(3):
        ask(url)
        gone = process_of(proxy)
        gone.kill()
        gone.wait(5)
        with pytest.raises(OSError, match="refused"):
            ask(url)
        proxy.check()
        assert proxy.url("loki", 3100) == url
        assert ask(url)


def test_proxy_whose_port_another_took_says_so(proxy: ServiceProxy) -> None:
    proxy.start()
    port = urlsplit(proxy.url("loki", 1)).port
    gone = process_of(proxy)
    gone.kill()
    gone.wait(5)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(EnvironmentStartError) as caught:
            proxy.check()
    assert "already in use" in caught.value.details["said"]
    proxy.check()
    assert ask(proxy.url("loki", 1))


def test_proxy_is_ended_by_stop_and_twice_is_fine(proxy: ServiceProxy) -> None:
    proxy.start()
    process = process_of(proxy)
    proxy.stop()
    proxy.stop()
    assert not process.is_running()
    proxy.check()  # stopped on purpose: it does not come back
    assert proxy._process is None


def test_proxy_that_does_not_listen_to_stop_is_killed(proxy: ServiceProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubectl_module, "_STOP_SECONDS", 0.2)
    proxy.start()
    process = process_of(proxy)
    process.suspend()
    proxy.stop()
    assert not process.is_running()


@pytest.mark.skipif(not dying_with_parent(), reason="this machine has no setpriv")
def test_proxy_ends_with_a_killed_parent(kubectl: Kubectl) -> None:
    command = [sys.executable, "-c", STARTER, str(kubectl.program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ)) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().decode().strip()
        assert ask(url)
        (child,) = psutil.Process(parent.pid).children()
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
    with pytest.raises(OSError, match="refused"):
        ask(url)
