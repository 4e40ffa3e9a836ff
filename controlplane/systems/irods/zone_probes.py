"""Is a zone as a whole well: one version, a delay queue that moves, and every copy that there should be?"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

from irods.models import DataObject, RuleExec

from controlplane.health.port import Check, FindingError, Severity
from controlplane.model import Platform, Zone
from controlplane.model.facility import StorageResource
from controlplane.systems.irods import calls
from controlplane.systems.irods.client import Client, Endpoint, IrodsError, endpoint

TIMEOUT = 20.0
"""Seconds for one answer: counting replicas takes longer than a login."""

QUEUE_READ = 2000
"""Jobs of the delay queue that are looked at; a longer queue is told as that many or more."""

OVERDUE = 15 * 60
"""Seconds past its time after which a job should have run: servers look for jobs every 30 s."""

SETTLED = (timedelta(hours=1), timedelta(hours=2))
"""Replicas that are older than this are counted. Those of one data object are made some seconds apart, so at
one age the copies of what was written just then may differ, but not at both."""

GOOD, STALE = "1", "0"
"""The status of replicas in the catalogue."""


def zone_checks(platform: Platform, zone: Zone) -> Iterator[Check]:
    """What is asked of a zone as a whole, at its catalog provider."""

    def asking(check: Callable[[Client], str]) -> Callable[[], str]:
        def run() -> str:
            server = endpoint(zone, platform.hosts[zone.catalog_provider], TIMEOUT)
            with Client(server, connections=1) as client:
                return check(client)

        return run

    yield Check(
        "versions",
        partial(check_versions, platform, zone),
        "Servers of different versions fail in ways that look like something else.",
        "IrodsVersionsDiffer#look",
        Severity.WARNING,
        timeout=TIMEOUT,
    )
    yield Check(
        "delay queue",
        asking(check_delay_queue),
        "What rules do later is not done: quotas are not counted, copies are not made.",
        "README#delay-queue",
        Severity.WARNING,
        timeout=TIMEOUT,
    )
    yield Check(
        "stale replicas",
        asking(check_stale),
        "Some data have a copy that is not their latest content.",
        "README#replicas",
        Severity.WARNING,
        timeout=TIMEOUT,
    )
    resources = platform.storage_resources_of(zone.name)
    if copying := [resource.name for resource in resources if resource.kind == "replication"]:
        yield Check(
            "copies",
            asking(partial(check_copies, {name: branches(resources, name) for name in copying})),
            "Some data would be lost with one data centre.",
            "README#replicas",
            Severity.WARNING,
            timeout=TIMEOUT,
        )


def check_versions(platform: Platform, zone: Zone) -> str:
    """That all servers that answer run one version; those that do not have probes of their own."""
    servers = {name: endpoint(zone, platform.hosts[name], TIMEOUT / 2) for name in zone.servers}
    with ThreadPoolExecutor(len(servers)) as workers:
        versions = dict(zip(servers, workers.map(_version, servers.values()), strict=True))
    known = {name: version for name, version in versions.items() if version}
    if not known:
        raise IrodsError(f"no server of {zone.name} tells its version")
    if len(set(known.values())) > 1:
        raise FindingError(", ".join(f"{name} runs {version}" for name, version in known.items()))
    return f"all run {next(iter(known.values()))}"


def _version(server: Endpoint) -> str:
    try:
        with Client(server, connections=1) as client, client.session() as session:
            return ".".join(str(part) for part in session.server_version)
    except IrodsError:
        return ""


def check_delay_queue(client: Client) -> str:
    """That no job waits long past its time. Raises IrodsError."""
    with client.session() as session:
        jobs = calls.first_rows(session, (RuleExec.id, RuleExec.time), (), QUEUE_READ)
    amount = f"{len(jobs)} or more jobs" if len(jobs) == QUEUE_READ else f"{len(jobs)} jobs"
    waiting = [time.time() - int(due) for _, due in jobs if due.isdecimal()]
    overdue = [seconds for seconds in waiting if seconds > OVERDUE]
    if overdue:
        raise FindingError(
            f"{len(overdue)} of {amount} wait past their time, one for {max(overdue) / 60:.0f} minutes"
        )
    return f"{amount} in the delay queue"


def check_stale(client: Client) -> str:
    """That every replica is good. Raises IrodsError."""
    number, size = client.call(lambda session: calls.amount(session, DataObject.replica_status == STALE))
    if number:
        raise FindingError(f"{number} replicas of {size} bytes are stale")
    return "no replica is stale"


def branches(resources: Sequence[StorageResource], name: str) -> dict[str, list[str]]:
    """By each child of a storage resource, what holds data below it or is the child itself."""

    def leaves(resource: StorageResource) -> list[str]:
        children = [child for child in resources if child.parent == resource.name]
        if not children:
            return [resource.name]
        return [leaf for child in children for leaf in leaves(child)]

    return {child.name: leaves(child) for child in resources if child.parent == name}


def check_copies(replicating: dict[str, dict[str, list[str]]], client: Client) -> str:
    """That the children of each storage resource that copies hold as many good replicas.

    Raises IrodsError.
    """
    copied = 0
    for name, below in replicating.items():
        for age in SETTLED:
            held = {child: _held(client, leaves, datetime.now(UTC) - age) for child, leaves in below.items()}
            if len(set(held.values())) <= 1:
                copied += max(held.values(), default=0)
                break
        else:
            counts = ", ".join(f"{child} {number}" for child, number in sorted(held.items()))
            raise FindingError(f"the copies in {name} differ: {counts} replicas")
    return f"{copied} data objects have all their copies"


def _held(client: Client, leaves: Sequence[str], before: datetime) -> int:
    return sum(
        client.call(
            lambda session, leaf=leaf: calls.amount(  # type: ignore[misc]
                session,
                DataObject.resource_name == leaf,
                DataObject.replica_status == GOOD,
                DataObject.create_time < before,
            )
        )[0]
        for leaf in leaves
    )
