"""Is the monitoring there, and does it watch anything?"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from controlplane.health.net import certificate_lasts, fetch
from controlplane.health.port import NOBODY, Check, CheckFailedError, Probe, Severity, machine, service
from controlplane.model import Platform
from controlplane.systems.prometheus import query

ALERTMANAGER_PORT = 9093


def probes(platform: Platform) -> Iterator[Probe]:
    """One probe for Prometheus and one for Alertmanager on each Prometheus host."""
    for host in platform.hosts_with("prometheus"):
        base, ca_file = f"https://{host.address}:{query.PORT}", platform.ca_file
        checks = (
            Check(
                "ready",
                partial(_ready, base, ca_file),
                "Nothing is measured and no alert is raised.",
                "ExporterDown#look",
            ),
            Check(
                "targets",
                partial(_targets, base, ca_file),
                "Prometheus runs and watches nothing.",
                "ConfigurationReloadFailed#look",
            ),
            _certificate(str(host.address), query.PORT, ca_file),
        )
        yield Probe(
            "Prometheus",
            host.name,
            checks,
            provides=service("prometheus", host.name),
            needs=(machine(host.name),),
            serves=NOBODY,
        )
        alertmanager = f"https://{host.address}:{ALERTMANAGER_PORT}"
        yield Probe(
            "Alertmanager",
            host.name,
            (
                Check(
                    "ready",
                    partial(_ready, alertmanager, ca_file),
                    "Alerts are raised and reach nobody.",
                    "AlertmanagerUnreachable#look",
                ),
                _certificate(str(host.address), ALERTMANAGER_PORT, ca_file),
            ),
            needs=(machine(host.name),),
            serves=NOBODY,
        )


def _certificate(address: str, port: int, ca_file: Path) -> Check:
    return Check(
        "certificate",
        partial(certificate_lasts, address, port, ca_file),
        "When it has ended, nobody and nothing may trust the monitoring any more.",
        "README#certificates",
        Severity.WARNING,
    )


def _ready(base: str, ca_file: Path) -> str:
    fetch(f"{base}/-/ready", ca_file)
    return "ready"


def _targets(base: str, ca_file: Path) -> str:
    try:
        targets = fetch(f"{base}/api/v1/targets?state=active", ca_file).json()["data"]["activeTargets"]
        up = sum(item["health"] == "up" for item in targets)
    except (ValueError, KeyError, TypeError) as error:
        raise CheckFailedError(f"{base} does not answer as Prometheus does") from error
    if not targets:
        raise CheckFailedError("it has no targets")
    return f"{up} of {len(targets)} targets up"
