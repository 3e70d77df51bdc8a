"""The kubectl program: the way to servers inside a cluster, and into its pods."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from sloproof.environment.leftovers import dying_with_parent
from sloproof.errors import EnvironmentStartError, ToolError, UnavailableError

_SERVING = re.compile(rb"Starting to serve on [^ ]*:(\d+)")
_START_SECONDS = 10.0
_STOP_SECONDS = 2.0
_RESTART_PAUSE = 0.1
# All that it is for; whoever else is on this machine gets no more of the cluster through it.
_PATHS = "^/api/v1/namespaces/[^/]+/(services|pods)/[^/]+/proxy(/|$)"


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl, bound to one context of one kubeconfig file.

    Attributes:
        program: Path of kubectl.
        kubeconfig: File that describes the cluster; None for kubectl's usual places.
        context: The context in it; the file's current one is never used.
        environ: Environment variables that it inherits.
    """

    program: Path
    kubeconfig: Path | None
    context: str
    environ: Mapping[str, str]

    def argv(self, *arguments: str) -> list[str]:
        """Return a whole command line."""
        where = ["--kubeconfig", str(self.kubeconfig)] if self.kubeconfig else []
        return [str(self.program), *where, "--context", self.context, *arguments]

    def run(self, *arguments: str, data: bytes | None = None, seconds: float = 60.0) -> bytes:
        """Return what kubectl prints.

        Raises:
            UnavailableError: It fails or takes too long; carries its last words.
            ToolError: There is no such program.
        """
        try:
            done = subprocess.run(
                self.argv(*arguments),
                input=data,
                stdin=subprocess.DEVNULL if data is None else None,
                capture_output=True,
                timeout=seconds,
                env=dict(self.environ),
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(
                f"expected kubectl {arguments[0]} to end within {seconds:g} s, but it did not",
                kind="timeout",
                command=" ".join(arguments),
                said=(error.stderr or b"").decode(errors="replace")[-1500:],
            ) from error
        except OSError as error:
            raise _not_to_be_run(self.program, error) from error
        if done.returncode:
            raise UnavailableError(
                f"expected kubectl {arguments[0]} to succeed, but it ended with status {done.returncode}",
                kind="status",
                command=" ".join(arguments),
                said=done.stderr.decode(errors="replace")[-1500:],
            )
        return done.stdout


class ServiceProxy:
    """A way to every Service of a cluster through its API: one loopback address, supervised.

    Each request is taken to a pod that lives then, so it outlasts pods that are replaced, unlike a forwarded port. It
    is for questions to the monitoring; load never goes through it, because its faults would be counted as the
    service's.

    Args:
        kubectl: What serves it.
        namespace: Whose Services `url` names.
    """

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self._kubectl = kubectl
        self._namespace = namespace
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def start(self) -> None:
        """Begin to serve.

        Raises:
            EnvironmentStartError: kubectl does not come up.
        """
        self._spawn()

    def url(self, service: str, port: int, namespace: str | None = None) -> str:
        """Return the base URL of a Service's port."""
        return self._url(namespace or self._namespace, f"services/{service}:{port}")

    def pod_url(self, pod: str, port: int) -> str:
        """Return the base URL of one pod's port, ready or not."""
        return self._url(self._namespace, f"pods/{pod}:{port}")

    def _url(self, namespace: str, what: str) -> str:
        return f"http://127.0.0.1:{self._port}/api/v1/namespaces/{namespace}/{what}/proxy"

    def check(self) -> None:
        """Start it again, on the same port, if it has ended.

        Raises:
            EnvironmentStartError: It does not come up again.
        """
        if self._process is not None and self._process.poll() is not None:
            time.sleep(_RESTART_PAUSE)
            self._spawn()

    def stop(self) -> None:
        """End it; safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _spawn(self) -> None:
        where = [f"--port={self._port}", "--address=127.0.0.1", f"--accept-paths={_PATHS}"]
        try:
            process = self._process = subprocess.Popen(
                [*dying_with_parent(), *self._kubectl.argv("proxy", *where)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=dict(self._kubectl.environ),
                start_new_session=True,
            )
        except OSError as error:
            raise _not_to_be_run(self._kubectl.program, error) from error
        # kubectl says one line once it serves; a thread reads on, so that it never waits for a reader.
        said: list[bytes] = []
        reader = Thread(target=_collect, args=(process, said), name="what kubectl proxy says", daemon=True)
        reader.start()
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end and process.poll() is None:
            found = next((match for line in list(said) if (match := _SERVING.search(line))), None)
            if found:
                self._port = int(found[1])
                return
            time.sleep(0.01)
        process.kill()
        process.wait()
        reader.join(_STOP_SECONDS)
        raise EnvironmentStartError(
            f"expected kubectl proxy to serve within {_START_SECONDS:g} s, but it does not",
            context=self._kubectl.context,
            status=process.returncode,
            said=b"".join(said).decode(errors="replace"),
        )


def _collect(process: subprocess.Popen[bytes], said: list[bytes]) -> None:
    """Keep what a program says until it ends."""
    assert process.stdout is not None
    with process.stdout as lines:
        said.extend(lines)


def _not_to_be_run(program: Path, error: OSError) -> ToolError:
    return ToolError(f"expected to run kubectl, but {error.strerror}", program=program)
