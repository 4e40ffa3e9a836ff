"""Does every OMERO server take a client in, safely?"""

from collections.abc import Callable, Iterator
from functools import partial

from controlplane.health.net import certificate_lasts, reachable
from controlplane.health.port import Check, Probe, Severity, machine, service
from controlplane.model import OmeroServer, Platform
from controlplane.systems.omero.client import Client
from controlplane.systems.omero.connection import Endpoint, endpoint

TIMEOUT = 10.0
"""Seconds for one answer of a server."""


def probes(platform: Platform) -> Iterator[Probe]:
    """One probe for each OMERO server."""
    for server in platform.omero_servers.values():
        yield Probe(
            "OMERO",
            server.host,
            tuple(_checks(platform, server)),
            provides=service("omero_server", server.host),
            needs=(machine(server.host), service("postgresql", server.database_host)),
            serves=frozenset(
                facility.id for facility in platform.facilities.values() if facility.omero_host == server.host
            ),
        )


def _checks(platform: Platform, server: OmeroServer) -> Iterator[Check]:
    host = platform.hosts[server.host]
    yield Check(
        "port",
        partial(reachable, str(host.address), server.port),
        "Nobody can look at images.",
        "OmeroServerDown#look",
    )
    # Logging in verifies the certificate; how long it lasts is asked last, since a server whose certificate
    # ends soon still works.
    yield Check(
        "login",
        _asking(platform, server, check_login),
        "Nobody can look at images, and people do not follow onto this server.",
        "OmeroServerDown#look",
        # Loading the client library comes on top of the answer.
        timeout=20.0,
    )
    yield Check(
        "certificate",
        partial(certificate_lasts, str(host.address), server.port, server.ca_file),
        "When it has ended, OMERO's clients refuse the server.",
        "README#certificates",
        Severity.WARNING,
    )


def _asking(platform: Platform, server: OmeroServer, check: Callable[[Endpoint], str]) -> Callable[[], str]:
    """The check against a server; the password is read when it is made."""
    return lambda: check(endpoint(server, platform.hosts[server.host], TIMEOUT))


def check_login(server: Endpoint) -> str:
    """That the administrator can log in; says the server's version."""
    with Client(server, connections=1) as client:
        return f"OMERO {client.call(lambda connection: connection.version)}"
