"""What a workload wishes of its pods: when a probe takes effect, what memory is asked for; read of its template."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import msgspec

from sloproof.environment.kube.objects import Meta, PodStatus
from sloproof.errors import SettingsError

# What the parts between a probe and its effect may take on a busy node: kubelet, API, controllers.
SLACK = timedelta(seconds=2)
_DEFAULT_GRACE_SECONDS = 30
_QUANTITY = re.compile(r"([0-9.]+(?:[eE][0-9]+)?)([A-Za-z]*)")
_UNITS = {unit: 1000**power for power, unit in enumerate("kMGTP", 1)}
_UNITS |= {f"{unit}i": 1024**power for power, unit in enumerate("KMGTP", 1)}


class Probe(msgspec.Struct, frozen=True, rename="camel"):
    """How often a probe is asked and what is made of its answers; the defaults are the API's."""

    period_seconds: int = 10
    timeout_seconds: int = 1
    failure_threshold: int = 3
    success_threshold: int = 1
    termination_grace_period_seconds: int | None = None


class Bound(msgspec.Struct, frozen=True):
    """A bound, and the sum that it is."""

    length: timedelta
    text: str


class Resources(msgspec.Struct, frozen=True):
    """What a container asks for, and what it may have."""

    requests: dict[str, str] = {}
    limits: dict[str, str] = {}


class ContainerWish(msgspec.Struct, frozen=True, rename="camel"):
    """What is wished of a container."""

    name: str
    image: str = ""
    readiness_probe: Probe | None = None
    liveness_probe: Probe | None = None
    resources: Resources = Resources()


class PodWish(msgspec.Struct, frozen=True, rename="camel"):
    """What is wished of a pod."""

    containers: list[ContainerWish] = []
    termination_grace_period_seconds: int = _DEFAULT_GRACE_SECONDS
    priority: int = 0


class _Template(msgspec.Struct, frozen=True):
    spec: PodWish


class _Spec(msgspec.Struct, frozen=True):
    template: _Template


class WishfulWorkload(msgspec.Struct, frozen=True):
    """A workload, read for what it wishes of its pods."""

    spec: _Spec

    def container(self, name: str) -> ContainerWish:
        """Return a container by its name, the first where it is not told."""
        wishes = self.spec.template.spec.containers
        return next((one for one in wishes if one.name == name), wishes[0])


class RankedStatus(PodStatus, frozen=True, rename="camel"):
    """A pod's state with its class of service."""

    qos_class: str = ""


class RankedPod(msgspec.Struct, frozen=True):
    """A pod, read for what decides in which order pods are evicted."""

    metadata: Meta
    spec: PodWish
    status: RankedStatus


class RankedPodList(msgspec.Struct, frozen=True):
    """Pods of a namespace."""

    items: list[RankedPod]


def memory_bytes(quantity: str) -> int:
    """Return an amount of memory as the API writes it, such as `96Mi`, in bytes.

    Raises:
        SettingsError: It is none.
    """
    found = _QUANTITY.fullmatch(quantity)
    if found is None or (found[2] and found[2] not in _UNITS):
        raise SettingsError(f"expected an amount of memory such as 96Mi, got {quantity!r}")
    return int(Decimal(found[1]) * _UNITS.get(found[2], 1))


def leaves_within(readiness: Probe) -> Bound:
    """Return how long after a service says no its pod may be among a Service's endpoints."""
    return _sum(readiness.failure_threshold, readiness)


def returns_within(readiness: Probe) -> Bound:
    """Return how long after a service says yes its pod may be missing among a Service's endpoints."""
    return _sum(readiness.success_threshold, readiness)


def restarts_within(liveness: Probe, grace_seconds: int) -> Bound:
    """Return how long after a service hangs its container may go on; `grace_seconds` is the pod's for its end."""
    given = liveness.termination_grace_period_seconds
    # What hangs answers no probe, so that each takes its whole timeout, and the next one waits for it.
    slowest = msgspec.structs.replace(liveness, period_seconds=max(liveness.period_seconds, liveness.timeout_seconds))
    return _sum(slowest.failure_threshold, slowest, grace_seconds if given is None else given)


def _sum(times: int, probe: Probe, grace_seconds: int | None = None) -> Bound:
    length = timedelta(seconds=times * probe.period_seconds + probe.timeout_seconds + (grace_seconds or 0)) + SLACK
    grace = "" if grace_seconds is None else f" + grace {grace_seconds} s"
    return Bound(
        length,
        f"{times} x period {probe.period_seconds} s + timeout {probe.timeout_seconds} s{grace}"
        f" + slack {SLACK.total_seconds():g} s = {length.total_seconds():g} s",
    )
