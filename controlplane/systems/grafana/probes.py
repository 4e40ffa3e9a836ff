"""Are the dashboards there to look at?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import httpx

from controlplane.health.net import certificate_lasts, fetch
from controlplane.health.port import (
    NOBODY,
    Check,
    CheckFailedError,
    FindingError,
    Probe,
    Severity,
    machine,
    service,
)
from controlplane.model import Platform
from controlplane.model.platform import service_name

Fetch = Callable[[str], httpx.Response]
"""Gets a page of Grafana. Raises CheckFailedError."""

PORT = 443


def probes(platform: Platform) -> Iterator[Probe]:
    """One probe for Grafana, where a host has it."""
    for host in platform.hosts_with("grafana"):
        name = service_name("grafana", platform.domain)
        page = partial(fetch, ca_file=platform.ca_file, addresses=platform.service_addresses)
        checks = (
            Check(
                "ready",
                partial(_ready, f"https://{name}", page),
                "Alerts are sent, and nobody can look at the dashboards.",
                "ExporterDown#look",
                Severity.WARNING,
            ),
            Check(
                "certificate",
                partial(certificate_lasts, name, PORT, platform.ca_file, str(host.address)),
                "When it has ended, browsers refuse the dashboards.",
                "README#certificates",
                Severity.WARNING,
            ),
        )
        yield Probe(
            "Grafana",
            host.name,
            checks,
            provides=service("grafana", host.name),
            needs=(machine(host.name),),
            serves=NOBODY,
        )


def _ready(base: str, fetch: Fetch) -> str:
    try:
        found = fetch(f"{base}/api/health").json()
        database, version = found["database"], found["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckFailedError(f"{base} does not answer as Grafana does") from error
    if database != "ok":
        raise FindingError(f"{base} says that its database is {database!r}")
    return f"version {version}"
