"""Are the control plane's own services there: the exporter, the store, the portal?"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from controlplane.exporter.port import DEFAULT_PORT
from controlplane.health.net import NOWHERE, certificate_lasts, fetch
from controlplane.health.port import (
    LOGIN,
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
from controlplane.model.platform import Portal
from controlplane.store import comparisons, open_store

COMPARED_WITHIN = timedelta(hours=24)
"""A comparison that is older says nothing of today."""


def probes(platform: Platform) -> Iterator[Probe]:
    """One probe per host that runs the exporter, one of the store, one of the portal where there is one."""
    catalogues = tuple(
        service("irods_catalog_provider", zone.catalog_provider) for zone in platform.zones.values()
    )
    for host in platform.hosts_with("controlplane"):
        url = f"https://{host.address}:{DEFAULT_PORT}/metrics"
        checks = (
            Check(
                "metrics",
                partial(_metrics, url, platform),
                "Zones, quotas and drift are not watched.",
                "CollectorFailing#look",
            ),
            Check(
                "certificate",
                partial(certificate_lasts, str(host.address), DEFAULT_PORT, platform.ca_file),
                "When it has ended, Prometheus reads nothing of the zones any more.",
                "README#certificates",
                Severity.WARNING,
            ),
        )
        yield Probe("exporter", host.name, checks, needs=(machine(host.name), *catalogues), serves=NOBODY)
    yield _store(platform)
    if platform.portal is not None:
        yield _portal(platform, platform.portal)


def _store(platform: Platform) -> Probe:
    checks = (
        Check(
            "open",
            partial(_opens, platform),
            "Nothing can be applied, and nobody sees what was.",
            "README#store",
            timeout=15.0,
        ),
        Check(
            "drift",
            partial(_as_desired, platform),
            "Somebody may have access that they should not have, or lack what they need.",
            "Drift#look",
            Severity.WARNING,
            timeout=15.0,
        ),
    )
    if platform.store is None:
        return Probe("store", "store.sqlite", checks, serves=NOBODY)
    host = platform.store.host
    needs = (machine(host), service("postgresql", host))
    return Probe("store", f"bic on {host}", checks, needs=needs, serves=NOBODY)


def _portal(platform: Platform, portal: Portal) -> Probe:
    address, ca_file, addresses = urlsplit(portal.url), platform.ca_file, platform.service_addresses
    checks = (
        Check(
            "ready",
            partial(_ready, portal.url, ca_file, addresses),
            "People cannot see their teams.",
            "README#portal",
        ),
        Check(
            "certificate",
            partial(certificate_lasts, portal.name, address.port or 443, ca_file, addresses[portal.name]),
            "When it has ended, browsers refuse the portal.",
            "README#certificates",
            Severity.WARNING,
        ),
    )
    return Probe("portal", address.netloc, checks, needs=(machine(portal.host), LOGIN))


def _metrics(url: str, platform: Platform) -> str:
    down = [
        line.split('"')[1]
        for line in fetch(url, platform.ca_file, scrape=platform.scrape).text.splitlines()
        if line.startswith("bic_collector_up{") and float(line.rpartition(" ")[2]) != 1
    ]
    if down:
        raise CheckFailedError(f"its collectors cannot read: {', '.join(down)}")
    return "metrics are fresh"


def _opens(platform: Platform) -> str:
    if _is_new(platform):
        return "nothing was stored yet"
    with open_store(platform, migrate=False) as store:
        return f"{store.name} answers"


def _as_desired(platform: Platform) -> str:
    """What the latest comparisons found; nothing is compared here."""
    if _is_new(platform):
        return "nothing was compared yet"
    with open_store(platform, migrate=False) as store:
        found = comparisons.latest(store, platform.name, succeeded=False)
    if not found:
        return "nothing was compared yet"
    wrong = []
    for one in found:
        objects = sum((one.counts or {}).values())
        if one.error:
            wrong.append(f"{one.system} could not be compared")
        elif datetime.now(UTC) - one.at > COMPARED_WITHIN:
            wrong.append(f"{one.system} was last compared on {one.at:%Y-%m-%d}")
        elif objects:
            wrong.append(f"{objects} objects of {one.system} are not as desired")
    if wrong:
        raise FindingError("; ".join(wrong))
    return f"{len(found)} systems as desired"


def _is_new(platform: Platform) -> bool:
    return platform.store is None and not (platform.state_dir / "store.sqlite").exists()


def _ready(url: str, ca_file: Path, addresses: Mapping[str, str] = NOWHERE) -> str:
    fetch(f"{url}/-/ready", ca_file, addresses)
    return "ready"
