"""Do the gateways answer, can they reach their zones, and do they ask who it is?"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx

from controlplane.health.net import ask, fetch
from controlplane.health.port import Check, CheckFailedError, Probe
from controlplane.model import Platform

REFUSED = frozenset({httpx.codes.UNAUTHORIZED, httpx.codes.NOT_FOUND})
"""What a request without a password gets: the one from WebDAV, the other where a gateway has none."""


def probes(platform: Platform) -> Iterator[Probe]:
    """One probe per gateway."""
    for host in platform.hosts_with("irods_gateway"):
        base, ca_file = f"https://{host.address}", platform.ca_file
        checks = (
            Check("zone", partial(_reaches_its_zone, base, ca_file)),
            Check("login", partial(_asks_who_it_is, base, ca_file)),
        )
        yield Probe("Gateway", host.name, checks)


def _reaches_its_zone(base: str, ca_file: Path) -> str:
    fetch(f"{base}/-/ready", ca_file)
    return "its zone can be reached"


def _asks_who_it_is(base: str, ca_file: Path) -> str:
    status = ask(f"{base}/", ca_file).status_code
    if status not in REFUSED:
        raise CheckFailedError(f"{base}/ answers {status} to a request without a password")
    return "nobody gets in without a password"
