"""Does each buffer server let the control plane in, so that people follow there?

That SSH answers, over which people deliver their data too, is what the probe of its host asks.
"""

from collections.abc import Iterator
from functools import partial

from controlplane.health.port import Check, Probe, Severity, machine
from controlplane.model import Platform
from controlplane.systems.buffer.client import Client, Endpoint, endpoint

TIMEOUT = 8.0
"""Seconds for the answer: less than the check has, so that no `ssh` outlives it."""


def probes(platform: Platform) -> Iterator[Probe]:
    """One probe per buffer server, where the platform says how these are entered."""
    for facility in platform.facilities.values():
        if platform.buffers is None or facility.buffer is None:
            continue
        host = platform.hosts[facility.buffer]
        yield Probe(
            "buffer server",
            host.name,
            (
                Check(
                    "accounts",
                    partial(check_accounts, endpoint(platform.buffers, host, TIMEOUT)),
                    "Who joins a team cannot deliver data here, and who leaves one still can.",
                    "PeopleDoNotFollow#look",
                    Severity.WARNING,
                ),
            ),
            needs=(machine(host.name),),
            serves=frozenset({facility.id}),
        )


def check_accounts(server: Endpoint) -> str:
    """That the control plane gets in and the server tells what it holds. Raises BufferServerError."""
    with Client(server) as client:
        contents = client.read()
    people = sum(account.open for account in contents.users.values())
    return f"{people} open account{'' if people == 1 else 's'}, {len(contents.groups)} groups"
