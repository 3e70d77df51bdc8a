"""The helm command: what it is given, what its failures are turned into, and how it is stopped."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from sloproof.environment.kube import helm_process
from sloproof.environment.kube.chart_source import ChartSource
from sloproof.environment.kube.helm import Helm
from sloproof.environment.kube.helm_errors import explain
from sloproof.environment.kube.helm_process import Ended
from sloproof.errors import EnvironmentStartError, SettingsError, SloproofError, ToolError, UnavailableError

CHART = ChartSource("shop", folder=Path(__file__).parent / "chart")
# Stands in for helm: notes each call, and answers what the test has put into a file named after the subcommand.
FAKE = """\
#!/bin/sh
here=$(dirname "$0")
{ printf '%s\\n' "$*"; env | grep -E '^(HELM_|KUBECONFIG)' | sort; echo --; } >> "$here/calls"
case "$1" in version) echo "${FAKE_VERSION:-v3.19.0}"; exit 0;; esac
if [ -f "$here/$1.hang" ]; then
  trap 'echo interrupted >> "$here/calls"; [ -f "$here/deaf" ] || exit 1' INT
  echo $$ > "$here/started"
  while true; do sleep 0.05; done
fi
[ -f "$here/$1.err" ] && { cat "$here/$1.err" >&2; exit 1; }
cat "$here/$1.out"
"""


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    program = tmp_path / "helm"
    program.write_text(FAKE)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def bound(program: Path, **environ: str) -> Helm:
    inherited = {"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(program.parent / "cache"), **environ}
    return Helm(program, kubeconfig=Path("/tmp/kube"), context="ours", environ=inherited)


def calls(program: Path) -> list[str]:
    return (program.parent / "calls").read_text().split("--\n")[:-1]


def test_every_question_to_a_cluster_names_its_context_and_kubeconfig(fake: Path) -> None:
    (fake.parent / "list.out").write_text("[]")
    assert bound(fake).list_releases("shop") == ()
    asked = calls(fake)[-1].splitlines()[0]
    assert asked == "list --namespace shop --output json --all --kube-context ours --kubeconfig /tmp/kube"


def test_what_the_user_has_set_up_for_helm_is_neither_used_nor_changed(fake: Path) -> None:
    (fake.parent / "list.out").write_text("[]")
    bound(fake, HELM_NAMESPACE="theirs", HELM_KUBECONTEXT="prod", HELM_DRIVER="sql").list_releases("shop")
    seen = [line for line in calls(fake)[-1].splitlines() if line.startswith("HELM")]
    home = fake.parent / "cache" / "sloproof" / "helm"
    assert seen == [f"HELM_{kind.upper()}_HOME={home / kind}" for kind in ("cache", "config", "data")]


def test_a_render_can_reach_no_cluster(fake: Path) -> None:
    (fake.parent / "template.out").write_text("kind: Secret")
    assert bound(fake, KUBECONFIG="/home/me/.kube/config").template("r", CHART, "n") == "kind: Secret"
    assert "KUBECONFIG=/dev/null" in calls(fake)[-1]


def test_no_context_is_refused_before_any_cluster_is_asked(fake: Path) -> None:
    helm = Helm(fake, kubeconfig=None, context=None, environ=os.environ)
    with pytest.raises(SettingsError, match="a named context for helm list"):
        helm.list_releases("shop")
    assert [call.split()[0] for call in calls(fake)] == ["version"]


def test_helm_4_is_not_given_the_flag_that_it_does_not_know(fake: Path) -> None:
    (fake.parent / "list.out").write_text("[]")
    bound(fake, FAKE_VERSION="v4.3.1").list_releases("shop", only_ours=True)
    asked = calls(fake)[-1].splitlines()[0]
    assert asked.startswith("list --namespace shop --output json --selector made-by=sloproof --kube-context")


@pytest.mark.parametrize(("version", "seen"), [("v3.15.4", "seen 3.15.4"), ("v5.0.0", "seen 5.0.0"), ("what", "")])
def test_a_helm_that_cannot_be_used_is_refused(fake: Path, version: str, seen: str) -> None:
    with pytest.raises(ToolError, match="expected helm") as caught:
        _ = bound(fake, FAKE_VERSION=version).version
    assert seen in caught.value.headline


def test_an_install_waits_marks_and_keeps_a_short_history(fake: Path) -> None:
    answer = {"name": "loki", "namespace": "shop", "version": 2, "info": {"status": "deployed", "description": "done"}}
    (fake.parent / "upgrade.out").write_text(json.dumps(answer))
    released = bound(fake).upgrade_install(
        "loki",
        ChartSource("loki", "1.2.3", "https://charts.example"),
        "shop",
        values_files=[Path("a.yaml")],
        values=b"{}",
        timeout=timedelta(seconds=90),
    )
    assert (released.status, released.revision, released.is_broken_off) == ("deployed", 2, False)
    assert calls(fake)[-1].splitlines()[0] == (
        "upgrade loki loki --repo https://charts.example --version 1.2.3 --install --namespace shop --create-namespace "
        "--history-max 3 --labels made-by=sloproof --timeout 90s --wait --values a.yaml --values - --output json "
        "--kube-context ours --kubeconfig /tmp/kube"
    )


def test_recovering_takes_away_what_was_broken_off_and_nothing_else(fake: Path) -> None:
    states = ["deployed", "pending-install", "failed", "pending-upgrade", "pending-rollback", "uninstalling"]
    (fake.parent / "list.out").write_text(
        json.dumps(
            [{"name": state, "namespace": "shop", "revision": "1", "status": state, "chart": "c-1"} for state in states]
        )
    )
    (fake.parent / "uninstall.out").write_text("")
    taken = [each.name for each in bound(fake).recover("shop")]
    assert taken == ["pending-install", "pending-upgrade", "pending-rollback", "uninstalling"]
    asked = [call.splitlines()[0].split()[1] for call in calls(fake) if call.startswith("uninstall")]
    assert asked == taken
    listed = next(call for call in calls(fake) if call.startswith("list"))
    assert "--selector made-by=sloproof" in listed


def test_recovering_takes_away_what_is_not_wanted_any_more(fake: Path) -> None:
    names = ["monitoring", "shop", "loki"]
    (fake.parent / "list.out").write_text(
        json.dumps(
            [{"name": name, "namespace": "shop", "revision": "1", "status": "deployed", "chart": "c"} for name in names]
        )
    )
    (fake.parent / "uninstall.out").write_text("")
    assert [each.name for each in bound(fake).recover("shop", ["loki", "prometheus", "shop"])] == ["monitoring"]
    assert [call.split()[1] for call in calls(fake) if call.startswith("uninstall")] == ["monitoring"]


def test_a_release_that_is_not_there_is_no_error(fake: Path) -> None:
    for verb in ("status", "uninstall"):
        (fake.parent / f"{verb}.err").write_text(f"Error: {verb}: release: not found\n")
    helm = bound(fake)
    assert helm.status("loki", "shop") is None
    assert helm.uninstall("loki", "shop") is False


@pytest.mark.parametrize(
    ("text", "kind", "headline"),
    [
        ("another operation (install/upgrade/rollback) is in progress", EnvironmentStartError, "broken off"),
        (
            "Unable to continue: invalid ownership metadata; label validation",
            EnvironmentStartError,
            "one is there already",
        ),
        (
            "Kubernetes cluster unreachable: Get https://x: dial tcp: connection refused",
            UnavailableError,
            "to answer helm",
        ),
        ('Kubernetes cluster unreachable: context "ours" does not exist', SettingsError, "to be in the kubeconfig"),
        ("context deadline exceeded", EnvironmentStartError, "not all of it is"),
        (
            "Deployment/ns/x not ready. status: InProgress, message: Replicas: 0/1",
            EnvironmentStartError,
            "not all of it is",
        ),
        ("values don't meet the specifications of the schema(s) in the following chart(s)", SettingsError, "schema"),
        ("chart requires kubeVersion: >=1.25.0-0 which is incompatible", SettingsError, "Kubernetes version"),
        ("found in Chart.yaml, but missing in charts/ directory: minio", SettingsError, "every subchart"),
        ('chart "x" version "9.9.9" not found in https://charts.example repository', ToolError, "cannot be had"),
        ("failed to download https://charts.example/x.tgz", ToolError, "cannot be had"),
        ("execution error at (loki/templates/x.yaml:7:4): Please define", SettingsError, "a template fails"),
        ('deployments.apps is forbidden: User "x" cannot create', EnvironmentStartError, "it is refused"),
        ("something never seen before", EnvironmentStartError, "ended with status 1"),
    ],
)
def test_a_failure_becomes_what_was_expected_seen_and_next(text: str, kind: type[SloproofError], headline: str) -> None:
    error = explain(["upgrade", "loki"], Ended(1, "", f"WARNING: deprecated\nError: {text}\n"), {"release": "loki"})
    assert type(error) is kind
    assert headline in error.headline
    assert text in error.details["seen"]
    assert error.details["release"] == "loki"
    assert "next" in error.details or "command" in error.details


def test_a_template_that_fails_is_named_with_its_line() -> None:
    error = explain(["template"], Ended(1, "", "Error: execution error at (a/templates/b.yaml:7:4): no"), {})
    assert error.details["where"] == "a/templates/b.yaml:7:4"


def has_started(folder: Path) -> Callable[[timedelta], None]:
    def look(_elapsed: timedelta) -> None:
        if (folder / "started").exists():
            raise EnvironmentStartError("a pod can never become ready")

    return look


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("deaf", [False, True])
def test_what_progress_raises_interrupts_helm_and_kills_one_that_does_not_heed(
    fake: Path, monkeypatch: pytest.MonkeyPatch, *, deaf: bool
) -> None:
    monkeypatch.setattr(helm_process, "_INTERRUPT_SECONDS", 0.5 if deaf else 10.0)
    (fake.parent / "upgrade.hang").touch()
    if deaf:
        (fake.parent / "deaf").touch()
    begin = time.monotonic()
    with pytest.raises(EnvironmentStartError, match="never become ready"):
        bound(fake).upgrade_install(
            "loki", CHART, "shop", timeout=timedelta(seconds=60), on_progress=has_started(fake.parent)
        )
    assert time.monotonic() - begin < 5
    assert (fake.parent / "calls").read_text().count("interrupted") == 1
    assert is_gone(int((fake.parent / "started").read_text()))


@pytest.mark.slow
def test_helm_that_does_not_end_in_time_is_stopped_and_said_so(fake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sloproof.environment.kube.helm._GRACE_SECONDS", 0.0)
    (fake.parent / "upgrade.hang").touch()
    with pytest.raises(EnvironmentStartError, match="still at work and has been stopped") as caught:
        bound(fake).upgrade_install("loki", CHART, "shop", timeout=timedelta(seconds=1))
    assert caught.value.details["context"] == "ours"


@pytest.mark.slow
def test_helm_runs_in_a_process_group_of_its_own(fake: Path) -> None:
    (fake.parent / "upgrade.hang").touch()
    groups = []

    def look(_elapsed: timedelta) -> None:
        started = fake.parent / "started"
        if started.exists():
            groups.append(os.getpgid(int(started.read_text())))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bound(fake).upgrade_install("loki", CHART, "shop", timeout=timedelta(seconds=60), on_progress=look)
    assert groups
    assert groups[0] != os.getpgid(0)


@pytest.mark.slow
def test_the_real_helm_renders_lints_and_says_what_is_wrong(tool_path: Callable[[str], Path], tmp_path: Path) -> None:
    helm = Helm(
        tool_path("helm"), kubeconfig=None, context=None, environ={**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    )
    assert helm.version.major in {3, 4}
    text = helm.template("r", CHART, "n", values=b'{"replicas": 7}', kube_version="1.33.1")
    assert "replicas: 7" in text
    assert "kind: DaemonSet" in text
    with pytest.raises(ToolError, match="it cannot be had"):
        helm.template("r", ChartSource("x", "1.0.0", "http://127.0.0.1:9/none"), "n")
    chart = tmp_path / "bad"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: bad\nversion: 1.0.0\nicon: https://x.example/i.png\n")
    (chart / "values.yaml").write_text("a: 1\n")
    (chart / "templates" / "one.yaml").write_text("kind: {{ .Values.a.b.c }}\n")
    with pytest.raises(SettingsError, match="helm lint to find nothing") as caught:
        helm.lint(chart, kube_version="1.33.1")
    assert "one.yaml" in caught.value.details["seen"]
    (chart / "templates" / "one.yaml").write_text("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n")
    assert "1 chart(s) linted" in helm.lint(chart, kube_version="1.33.1")


@pytest.mark.slow
def test_the_real_helm_says_that_no_cluster_answers(tool_path: Callable[[str], Path], tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}
    context = {"name": "ours", "context": {"cluster": "c", "user": ""}}
    kubeconfig.write_text(
        json.dumps({"apiVersion": "v1", "kind": "Config", "clusters": [cluster], "contexts": [context]})
    )
    environ = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    helm = Helm(tool_path("helm"), kubeconfig=kubeconfig, context="ours", environ=environ)
    with pytest.raises(UnavailableError, match="the cluster to answer helm"):
        helm.list_releases("shop")
    helm = Helm(tool_path("helm"), kubeconfig=kubeconfig, context="theirs", environ=environ)
    with pytest.raises(SettingsError, match="the context to be in the kubeconfig file"):
        helm.list_releases("shop")
