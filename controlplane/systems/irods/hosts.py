"""Do all servers of a zone know a host by name?

One storage resource whose host a server cannot resolve slows every login on that server, because each new
agent tries the name again. iRODS creates such a storage resource without an error, so the servers are asked
before: each is told to let the server on that host run a rule that does nothing.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

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
    pairs = [(host, name) for host in asked for name in servers]
    with ThreadPoolExecutor(min(AT_ONCE, len(pairs)), thread_name_prefix="hosts") as workers:
        answers = list(workers.map(lambda pair: _reason(pair[0], pair[1], servers[pair[1]]), pairs))
    found: dict[str, list[str]] = {}
    for (host, _), reason in zip(pairs, answers, strict=True):
        if reason:
            found.setdefault(host, []).append(reason)
    return {host: "; ".join(reasons) for host, reasons in found.items()}


def _reason(host: str, name: str, server: Endpoint) -> str:
    """Why a server cannot be said to reach a host; empty when it does."""
    try:
        with Client(server, connections=1) as client:
            client.call(lambda session: calls.run_on(session, host))
    except LoginError as error:
        return f"the server {name} cannot be asked whether it knows the host {host}: {error}"
    except IrodsError as error:
        if nominal(error.code) == CANNOT_RESOLVE:
            return f"the server {name} cannot resolve the host {host}, which would slow every login there"
        return f"the server {name} does not reach an iRODS server on {host}: {error}"
    return ""
