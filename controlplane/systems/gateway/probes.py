"""Do the gateways answer, can they reach their zones, and do they ask who it is?"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx

from controlplane.health.net import ask, certificate_lasts, fetch
from controlplane.health.port import Check, FindingError, Probe, Severity, machine, service
from controlplane.model import Host, Platform, Zone

PORT = 443

REFUSED = frozenset({httpx.codes.UNAUTHORIZED, httpx.codes.NOT_FOUND})
"""What a request without a password gets: the one from WebDAV, the other where a gateway has none."""


def probes(platform: Platform) -> Iterator[Probe]:
    """One probe per gateway."""
    for host in platform.hosts_with("irods_gateway"):
        base, ca_file = f"https://{host.address}", platform.ca_file
        checks = (
            Check(
                "zone",
                partial(_reaches_its_zone, base, ca_file),
                "Nobody reaches data by WebDAV or the HTTP API here.",
                "README#gateways",
            ),
            Check(
                "login",
                partial(_asks_who_it_is, base, ca_file),
                "Somebody without a password may be let in.",
                "README#gateways",
            ),
            Check(
                "certificate",
                partial(certificate_lasts, str(host.address), PORT, ca_file),
                "When it has ended, clients refuse the gateway.",
                "README#certificates",
                Severity.WARNING,
            ),
        )
        entered = platform.gateway_to(host.name)
        yield Probe(
            "Gateway",
            host.name,
            checks,
            needs=(machine(host.name), *(_ways_in(*entered) if entered else ())),
            serves=_serves(platform, entered[0]) if entered else None,
        )


def _ways_in(zone: Zone, server: Host) -> tuple[str, ...]:
    """The server at which it enters."""
    provides = server.name == zone.catalog_provider
    return (service("irods_catalog_provider" if provides else "irods_catalog_consumer", server.name),)


def _serves(platform: Platform, zone: Zone) -> frozenset[str]:
    return frozenset(
        facility.id for facility in (*platform.facilities_of(zone.name), *platform.visitors_of(zone.name))
    )


def _reaches_its_zone(base: str, ca_file: Path) -> str:
    fetch(f"{base}/-/ready", ca_file)
    return "its zone can be reached"


def _asks_who_it_is(base: str, ca_file: Path) -> str:
    status = ask(f"{base}/", ca_file).status_code
    if status not in REFUSED:
        raise FindingError(f"{base}/ answers {status} to a request without a password")
    return "nobody gets in without a password"
