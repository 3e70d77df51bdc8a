"""The values that a run adds to each release: what only it knows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sloproof.environment.components import ExtraRules
from sloproof.environment.kube.community_values import Delivery, community_values
from sloproof.environment.kube.monitoring_values import monitoring_values
from sloproof.environment.kube.stack import Release
from sloproof.settings import Settings


def service_values(settings: Settings, image: str, faults_secret: str) -> dict[str, object]:
    """Return the values of the service's chart.

    Args:
        settings: The project's settings.
        image: Of the service.
        faults_secret: Secret that holds the token of the fault switch; empty where it has none.
    """
    service = settings.service
    return {
        "name": service.name,
        "image": {"reference": image},
        "port": settings.kube.port,
        "probes": {
            "readiness": {"path": service.readiness},
            "liveness": {"path": service.liveness},
            "startup": {"path": service.liveness},
        },
        "metrics": {"path": service.metrics},
        "stop": {"drainSeconds": max(1, round(service.stop_seconds))},
        **({"faults": {"enabled": True, "existingSecret": faults_secret}} if faults_secret else {}),
    }


def monitoring_release_values(
    release: Release,
    settings: Settings,
    *,
    platform_dir: Path | None,
    runtime: str,
    programs: Mapping[str, str],
    is_packed: bool,
    base_image: str,
    rules: ExtraRules,
) -> dict[str, object]:
    """Return the values of a release of the monitoring stack.

    Args:
        release: Which.
        settings: The project's settings.
        platform_dir: The project's platform folder; None for the one that comes with sloproof.
        runtime: The nodes' container runtime, whose lines the shipper reads.
        programs: Images by program.
        is_packed: Whether those were packed here, so that a community chart must use them in place of its own.
        base_image: An image with Python, for the receiver.
        rules: Rules besides the platform's own.
    """
    if release.chart.name != "monitoring":
        delivery = Delivery(
            platform_dir=platform_dir,
            namespace=settings.service.namespace,
            runtime=runtime,
            scrape_interval=settings.scrape.interval,
            evaluation_interval=settings.scrape.evaluation,
            receiver_image=base_image,
            rules=rules,
            images=programs if is_packed else {},
        )
        return community_values(release.chart.name, delivery)
    return monitoring_values(
        settings,
        namespace=settings.service.namespace,
        platform_dir=platform_dir,
        runtime=runtime,
        images={**programs, "receiver": base_image},
        extra=rules,
    )
