"""Is the login server well, may we read it, does it know its applications?"""

from collections.abc import Iterator
from functools import partial

import httpx

from controlplane.health.port import Check, CheckFailedError, Probe
from controlplane.model import Identity, Platform
from controlplane.systems.authentik import calls, rights
from controlplane.systems.authentik.client import Client, endpoint, tls_context

TIMEOUT = 10.0
"""Seconds to wait for an answer."""


def probes(platform: Platform) -> Iterator[Probe]:
    """One probe for the login server, where the platform has one."""
    if (identity := platform.identity) is not None:
        host = identity.url.partition("://")[2].rstrip("/")
        yield Probe(
            "Authentik",
            host,
            (
                Check("ready", partial(check_ready, identity)),
                Check("token", partial(check_token, identity)),
                Check("outposts", partial(check_outposts, identity)),
            ),
        )


def check_ready(identity: Identity) -> str:
    """That the server and its database are ready. No token is sent."""
    url = f"{identity.url.rstrip('/')}/-/health/ready/"
    try:
        answer = httpx.get(url, verify=tls_context(identity.ca_file), timeout=TIMEOUT, trust_env=False)
    except httpx.HTTPError as error:
        raise CheckFailedError(f"{url}: {' '.join(str(error).split()) or type(error).__name__}") from error
    if not answer.is_success:
        raise CheckFailedError(f"{url} answers {answer.status_code}")
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
        for outpost in client.pages("outposts/instances/"):
            name = str(outpost["name"])
            # The embedded one is part of the server itself.
            if str(outpost.get("managed") or "").startswith("goauthentik.io/outposts/embedded"):
                continue
            reports = client.read(f"outposts/instances/{outpost['pk']}/health/")
            if not isinstance(reports, list) or not reports:
                raise CheckFailedError(f"the outpost {name} does not report to the server")
            old = [report for report in reports if report["version_outdated"]]
            if old:
                raise CheckFailedError(
                    f"the outpost {name} is of version {old[0]['version']}, and the server is not"
                )
            names.append(name)
    return f"outposts: {', '.join(names)}" if names else "no outposts"
