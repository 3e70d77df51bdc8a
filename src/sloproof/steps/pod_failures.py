"""Sentences about pods that fail: releases that cannot run, containers that take too much memory, who goes first."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta

from pytest_bdd import given, parsers, then, when

from sloproof.claims import eviction, pods
from sloproof.claims.eviction import PodMemory
from sloproof.environment.kube.pod_wish import memory_bytes
from sloproof.errors import CapabilityError
from sloproof.finding import Verdict
from sloproof.polling import wait_until
from sloproof.steps.kubernetes import PodScene
from sloproof.steps.types import TYPES
from sloproof.trial import Trial

_KILLED = 128 + signal.SIGKILL


@when("a release is rolled out that runs")
def bad_release(scene: PodScene, docstring: str) -> None:
    """Begin to roll out a revision whose container runs these lines of shell, and nothing else."""
    scene.service.release(["sh", "-c", docstring])


@then(parsers.parse('the service is reported as "{reason:text}" with exit code {code:d} within "{bound:duration}"', TYPES))  # fmt: skip
def reported(trial: Trial, scene: PodScene, reason: str, code: int, bound: timedelta) -> None:
    """Judge what the environment reports of the new pods: the cluster's own reason, and how the container ended."""
    _judge_report(trial, scene, reason, code, bound)


@then(parsers.parse('the service is reported as "{reason:text}" with exit code {code:d} and the line "{line:text}" within "{bound:duration}"', TYPES))  # fmt: skip
def reported_with_line(trial: Trial, scene: PodScene, reason: str, code: int, line: str, bound: timedelta) -> None:
    """Judge what the environment reports: the cluster's reason, how the container ended, and what it said last."""
    _judge_report(trial, scene, reason, code, bound, line)


def _judge_report(trial: Trial, scene: PodScene, reason: str, code: int, bound: timedelta, line: str = "") -> None:
    end = datetime.now(UTC) + bound
    while True:
        report = scene.service.end_report()
        now = datetime.now(UTC)
        finding = pods.end_is_reported(report, now, reason=reason, exit_code=code, line=line)
        if finding.verdict is Verdict.PASS or now > end:
            break
        trial.harness.linger(timedelta(milliseconds=200))
    trial.harness.judge(finding)


@when("the release is rolled back")
def roll_back(scene: PodScene) -> None:
    """Put the workload back as it was, and return once no pod of the release is left."""
    scene.service.restore()


# Memory


@given("the nodes tell of containers that the kernel ended for their memory")
def tells_of_oom(scene: PodScene) -> None:
    """Have a small pod take more than its limit, and skip the scenario where that is told as any other end."""
    program = "taken = [bytearray(b'x' * 2**20) for _ in range(256)]"
    end = scene.neighbours.end_of("memory-probe", scene.service.image, ["python3", "-c", program], memory="32Mi")
    if end.exit_code == _KILLED and end.reason != "OOMKilled":
        raise CapabilityError(
            f"needs nodes that tell of containers that ran out of memory; here one is told as {end.reason!r}",
            hint="the container runtime does not hear of it: see its log, and which cgroups are mounted",
        )


@given(parsers.parse("a pod beside the stack that asks for no memory takes {mebibytes:d} MiB of it", TYPES))
def hog(trial: Trial, scene: PodScene, mebibytes: int) -> None:
    """Start a pod of class BestEffort that takes memory, and return once its node knows of that."""
    scene.pod = "memory-hog"
    program = f"import time; taken = bytearray(b'x' * {mebibytes} * 2**20); time.sleep(600)"
    scene.neighbours.start(scene.pod, scene.service.image, ["python3", "-c", program])
    wait_until(
        lambda: scene.neighbours.ranked()[1].get(scene.pod, 0),
        lambda used: used >= mebibytes * 2**20,
        what=f"{mebibytes} MiB used by {scene.pod}, as its node says",
        timeout=timedelta(seconds=60),
        interval=timedelta(milliseconds=500),
        check_alive=trial.harness.environment.check_alive,
    )


@then("everything of the stack asks for memory, and that pod would be ended first")
def goes_first(trial: Trial, scene: PodScene) -> None:
    """Judge classes of service, the kubelet's order of eviction by what is really used, and the kernel's own scores."""
    found, used = scene.neighbours.ranked()
    memories = []
    for pod in found:
        asked = [memory_bytes(one.resources.requests.get("memory", "0")) for one in pod.spec.containers]
        memories.append(
            PodMemory(
                name=pod.metadata.name,
                qos=pod.status.qos_class,
                priority=pod.spec.priority,
                requested=sum(asked),
                used=used.get(pod.metadata.name, 0),
                is_asked=bool(asked) and all(asked),
            )
        )
    named = (scene.pod, scene.service.only.name)
    scores = {name: scene.neighbours.oom_score(name) for name in named}
    trial.harness.judge(*eviction.hog_goes_first(memories, scene.pod, scores, datetime.now(UTC)))
