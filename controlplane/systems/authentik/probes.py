"""Is the login server well, may we read it, does it know its applications?"""

from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

from controlplane.health.net import certificate_lasts, fetch
from controlplane.health.port import (
    LOGIN,
    Check,
    CheckFailedError,
    FindingError,
    Probe,
    Severity,
    machine,
    service,
)
from controlplane.model import Identity, Platform
from controlplane.systems.authentik import calls, rights
from controlplane.systems.authentik.client import Client, endpoint

TIMEOUT = 10.0
"""Seconds to wait for an answer."""

PORT = 443


def probes(platform: Platform) -> Iterator[Probe]:
    """One probe for the login server, where the platform has one."""
    if (identity := platform.identity) is None:
        return
    address = urlsplit(identity.url)
    checks = (
        Check(
            "ready",
            partial(check_ready, identity),
            "Nobody can log in to the portal, OMERO or Grafana.",
            "README#login-server",
        ),
        Check(
            "token",
            partial(check_token, identity),
            "New members get no access, and those who left keep theirs.",
            "PeopleDoNotFollow#look",
        ),
        Check(
            "outposts",
            partial(check_outposts, identity),
            "Logins with a password to iRODS, by LDAP, fail or will.",
            "README#login-server",
        ),
        Check(
            "certificate",
            partial(
                certificate_lasts,
                address.hostname or "",
                address.port or PORT,
                identity.ca_file,
                identity.addresses.get(address.hostname or "", ""),
            ),
            "When it has ended, browsers and applications refuse every login.",
            "README#certificates",
            Severity.WARNING,
        ),
    )
    host = next(platform.hosts_with("authentik"), None)
    needs = (
        *((machine(host.name),) if host else ()),
        *((service("postgresql", identity.database_host),) if identity.database_host else ()),
    )
    yield Probe("Authentik", address.netloc, checks, provides=LOGIN, needs=needs)


def check_ready(identity: Identity) -> str:
    """That the server and its database are ready. No token is sent."""
    fetch(f"{identity.url.rstrip('/')}/-/health/ready/", identity.ca_file, identity.addresses)
    return "ready"


def check_token(identity: Identity) -> str:
    """That our token works and may see all groups and people."""
    with Client(endpoint(identity, TIMEOUT)) as client:
        me = calls.myself(client)
        for kind in rights.READING:
            rights.demand(me, kind, calls.roles_for(client, kind))
    return f"the token of {me.username} sees all groups and people"


def check_outposts(identity: Identity) -> str:
    """That every outpost reports to the server, with the server's version."""
    with Client(endpoint(identity, TIMEOUT), connections=1) as client:
        names = []
        for outpost, reports in calls.outposts(client):
            name = str(outpost["name"])
            if not reports:
                raise CheckFailedError(f"the outpost {name} does not report to the server")
            old = [report for report in reports if report["version_outdated"]]
            if old:
                raise FindingError(
                    f"the outpost {name} is of version {old[0]['version']}, and the server is not"
                )
            names.append(name)
    return f"outposts: {', '.join(names)}" if names else "no outposts"
