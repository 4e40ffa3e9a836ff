"""Is the monitoring there, and does it see everything it should?"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from controlplane.health.net import fetch
from controlplane.health.port import Check, CheckFailedError, Probe
from controlplane.model import Platform

PROMETHEUS_PORT = 9090
ALERTMANAGER_PORT = 9093

SHOWN = 5
"""Targets that are named before only their number is."""


def probes(platform: Platform) -> Iterator[Probe]:
    """One probe per Prometheus host."""
    for host in platform.hosts_with("prometheus"):
        base, ca_file = f"https://{host.address}:{PROMETHEUS_PORT}", platform.ca_file
        checks = (
            Check("ready", partial(_ready, base, ca_file)),
            Check("targets", partial(_targets, base, ca_file)),
        )
        yield Probe("Prometheus", host.name, checks)
        alertmanager = f"https://{host.address}:{ALERTMANAGER_PORT}"
        yield Probe("Alertmanager", host.name, (Check("ready", partial(_ready, alertmanager, ca_file)),))


def _ready(base: str, ca_file: Path) -> str:
    fetch(f"{base}/-/ready", ca_file)
    return "ready"


def _targets(base: str, ca_file: Path) -> str:
    try:
        targets = fetch(f"{base}/api/v1/targets?state=active", ca_file).json()["data"]["activeTargets"]
        health = [
            (str(item["labels"]["job"]), str(item["labels"]["instance"]), item["health"]) for item in targets
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckFailedError(f"{base} does not answer as Prometheus does") from error
    bad = [f"{job} {instance} is {state}" for job, instance, state in sorted(health) if state != "up"]
    if bad:
        more = f" and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        raise CheckFailedError(f"{len(bad)} of {len(health)} targets: {', '.join(bad[:SHOWN])}{more}")
    if not health:
        raise CheckFailedError("it has no targets")
    return f"{len(health)} targets up"
