"""Do all servers of a zone know a host by name?

One storage resource whose host a server cannot resolve slows every login on that server, because each new
agent tries the name again. iRODS creates such a storage resource without an error, so the servers are asked
before: each is told to let the server on that host run a rule that does nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from controlplane.systems.irods import calls
from controlplane.systems.irods.client import Client, Endpoint, IrodsError, LoginError, nominal

TIMEOUT = 45.0
"""Seconds for an answer: a resolver may take half a minute to give up."""

AT_ONCE = 8
"""Servers asked at a time."""

CANNOT_RESOLVE = -21000  # SYS_INVALID_SERVER_HOST


def unknown_hosts(servers: Mapping[str, Endpoint], hosts: Iterable[str]) -> dict[str, str]:
    """The hosts that some server, given by name, does not reach, each with the reason for people."""
    asked = sorted(set(hosts))
    if not asked:
        return {}
    with ThreadPoolExecutor(min(AT_ONCE, len(servers)), thread_name_prefix="hosts") as workers:
        answers = list(workers.map(lambda name: _reasons(name, servers[name], asked), servers))
    found = {host: [reasons[host] for reasons in answers if host in reasons] for host in asked}
    return {host: "; ".join(reasons) for host, reasons in found.items() if reasons}


def _reasons(name: str, server: Endpoint, hosts: Sequence[str]) -> dict[str, str]:
    """Why a server cannot be said to reach each of some hosts; those that it does reach are left out."""
    reasons = {}
    with Client(server, connections=1) as client:
        for host in hosts:
            try:
                client.call(partial(calls.run_on, host=host))
            except LoginError as error:
                # It will not be there for the next host either.
                return {
                    host: f"the server {name} cannot be asked whether it knows the host {host}: {error}"
                    for host in hosts
                }
            except IrodsError as error:
                if nominal(error.code) == CANNOT_RESOLVE:
                    reasons[host] = (
                        f"the server {name} cannot resolve the host {host},"
                        " which would slow every login there"
                    )
                else:
                    reasons[host] = f"the server {name} does not reach an iRODS server on {host}: {error}"
    return reasons
