"""What is measured in a zone: servers, contents, what facilities store, and whether it can be used."""

import socket
import ssl
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

from irods.models import Resource
from irods.session import iRODSSession
from prometheus_client.core import Metric

from controlplane.exporter.attempts import Attempts
from controlplane.exporter.families import Family
from controlplane.model import Platform, Zone
from controlplane.systems.irods import amounts, calls
from controlplane.systems.irods.client import Client, Endpoint, IrodsError, endpoint

SERVERS_INTERVAL = 30.0
OPERATIONS_INTERVAL = 30.0
CONTENTS_INTERVAL = 60.0
USAGE_INTERVAL = 300.0

TIMEOUT = 10.0
"""Seconds to wait for a server that is asked only for little."""

_ZONE, _STORAGE = ("zone",), ("zone", "storage_resource", "facility")
_HELD, _HELD_BY = ("zone", "storage_resource", "state"), ("zone", "facility", "storage_resource", "state")
_QUOTA = ("zone", "facility", "group", "storage_resource")

SERVER_UP = Family("bic_irods_server_up", "Whether the server lets the administrator in.", ("zone", "host"))
SERVER_INFO = Family("bic_irods_server_info", "The server's version.", ("zone", "host", "version"))
SERVER_CERTIFICATE = Family(
    "bic_irods_server_certificate_not_after_timestamp_seconds",
    "When the server's certificate expires.",
    ("zone", "host"),
)
AGENTS = Family(
    "bic_irods_agents",
    "Agents of the server, one for each connection, the exporter's own included.",
    ("zone", "host"),
)
COUNTS = {
    what: Family(f"bic_irods_{what}", f"Number of {what} in the zone.", _ZONE)
    for what in ("users", "groups", "collections")
}
USERS, GROUPS, COLLECTIONS = COUNTS.values()
STORAGE_UP = Family("bic_irods_storage_resource_up", "Whether the storage resource is in service.", _STORAGE)
STORAGE_INFO = Family(
    "bic_irods_storage_resource_info", "The storage resource's type and host.", (*_STORAGE, "type", "host")
)
STORAGE_FREE = Family(
    "bic_irods_storage_resource_free_bytes", "Free space as the catalogue knows it.", _STORAGE
)
STORAGE_MEASURED = Family(
    "bic_irods_storage_resource_free_measured_timestamp_seconds",
    "When the catalogue was last told the free space.",
    _STORAGE,
)
STORAGE_CAPACITY = Family(
    "bic_irods_storage_resource_capacity_bytes", "How much fits in, as the inventory says.", _STORAGE
)
QUEUE_RULES = Family("bic_irods_delay_queue_rules", "Rules in the delay queue.", _ZONE)
QUEUE_OVERDUE = Family(
    "bic_irods_delay_queue_overdue_rules", "Rules whose time has come, those at work included.", _ZONE
)
QUEUE_AGE = Family(
    "bic_irods_delay_queue_overdue_seconds", "For how long a rule has been overdue, of the first one.", _ZONE
)
REPLICAS = Family("bic_irods_replicas", "Replicas of all data objects of the zone.", _HELD)
REPLICA_BYTES = Family("bic_irods_replica_bytes", "Bytes of all replicas of the zone.", _HELD)
MISSING = Family(
    "bic_irods_replicas_missing",
    "Replicas that a child of a replicating storage resource lacks, beside the child that has most.",
    ("zone", "storage_resource"),
)
FACILITY_REPLICAS = Family("bic_irods_facility_replicas", "Replicas of a facility's data objects.", _HELD_BY)
FACILITY_BYTES = Family(
    "bic_irods_facility_replica_bytes", "Bytes of the replicas of a facility's data objects.", _HELD_BY
)
QUOTA_LIMIT = Family("bic_irods_quota_limit_bytes", "How much a group may store.", _QUOTA)
QUOTA_USAGE = Family(
    "bic_irods_quota_usage_bytes", "How much a group stores, by the latest accounting.", _QUOTA
)
ACCOUNTED = Family(
    "bic_irods_accounting_timestamp_seconds", "When the use of quotas was last computed.", _ZONE
)
OPERATIONS = Family(
    "bic_irods_operations",
    "Attempts to log in to the zone, to write a small data object and to read it.",
    ("zone", "operation", "result"),
    "counter",
)
OPERATION_SECONDS = Family(
    "bic_irods_operation_duration_seconds",
    "How long the latest attempt took that succeeded.",
    ("zone", "operation"),
)
OPERATION_SUCCESS = Family(
    "bic_irods_operation_last_success_timestamp_seconds",
    "When an attempt last succeeded.",
    ("zone", "operation"),
)

PROBE_COLLECTION = "bic-probe"
"""The collection in the administrator's home in which the exporter writes."""


def collectors(platform: Platform) -> "Iterator[Servers | Contents | Usage | Quotas | Operations]":
    """The collectors of each zone, each read as often as costs little."""
    for zone in platform.zones.values():
        yield Servers(platform, zone)
        yield Operations(platform, zone)
        yield Contents(platform, zone)
        yield Usage(platform, zone)
        yield Quotas(platform, zone)


class Servers:
    """Whether each server of a zone lets the administrator in, its version, and how many clients it has."""

    interval = SERVERS_INTERVAL
    budget = 25.0

    def __init__(self, platform: Platform, zone: Zone) -> None:
        """Measure `zone`."""
        self.platform, self.zone = platform, zone
        self.name = f"irods_servers_{zone.name}"

    def collect(self) -> Iterable[Metric]:
        """One reading; a server that does not answer is a value, not an error."""
        # The password comes first: that it cannot be read is no server's fault.
        servers = [endpoint(self.zone, self.platform.hosts[name], TIMEOUT) for name in self.zone.servers]
        with ThreadPoolExecutor(len(servers)) as workers:
            found = dict(zip(self.zone.servers, workers.map(_server, servers), strict=True))
        zone = self.zone.name
        up = SERVER_UP.of(([zone, host], float(answer is not None)) for host, answer in found.items())
        answers = {host: answer for host, answer in found.items() if answer is not None}
        info = SERVER_INFO.of(([zone, host, answer.version], 1.0) for host, answer in answers.items())
        agents = AGENTS.of(([zone, host], answer.agents) for host, answer in answers.items())
        expiry = SERVER_CERTIFICATE.of(([zone, host], answer.not_after) for host, answer in answers.items())
        return up, info, agents, expiry


class Contents:
    """How many accounts and collections a zone has, its storage resources, and its delay queue."""

    interval = CONTENTS_INTERVAL
    budget = 45.0

    def __init__(self, platform: Platform, zone: Zone) -> None:
        """Measure `zone`."""
        self.platform, self.zone = platform, zone
        self.name = f"irods_contents_{zone.name}"

    def collect(self) -> Iterable[Metric]:
        """One reading. Raises BicError."""
        zone = self.zone.name
        with _client(self.platform, self.zone, self.budget) as client:
            numbers = amounts.counts(client)
            storage = client.rows(
                Resource.name,
                Resource.type,
                Resource.location,
                Resource.status,
                Resource.free_space,
                Resource.free_space_time,
            )
            queue = amounts.delay_queue(client)
        for what, family in COUNTS.items():
            yield family.of([([zone], numbers[what])])
        yield QUEUE_RULES.of([([zone], queue.rules)])
        yield QUEUE_OVERDUE.of([([zone], queue.overdue)])
        yield QUEUE_AGE.of([([zone], queue.age)])
        yield from self._storage(storage)

    def _storage(self, rows: list[tuple[str, ...]]) -> Iterator[Metric]:
        known = {resource.name: resource for resource in self.platform.storage_resources_of(self.zone.name)}
        labelled = {
            row[0]: [self.zone.name, row[0], known[row[0]].facility if row[0] in known else ""]
            for row in rows
        }
        yield STORAGE_UP.of((labelled[row[0]], float(row[3] != "down")) for row in rows)
        yield STORAGE_INFO.of(([*labelled[row[0]], row[1], row[2]], 1.0) for row in rows)
        measured = [row for row in rows if row[4].isdecimal()]
        yield STORAGE_FREE.of((labelled[row[0]], float(row[4])) for row in measured)
        yield STORAGE_MEASURED.of((labelled[row[0]], float(row[5])) for row in measured if row[5].isdecimal())
        yield STORAGE_CAPACITY.of(
            (labelled[name], resource.capacity)
            for name, resource in known.items()
            if name in labelled and resource.capacity is not None
        )


class Usage:
    """How much data a zone and each facility hold, where, and in which state."""

    interval = USAGE_INTERVAL
    budget = 240.0

    def __init__(self, platform: Platform, zone: Zone) -> None:
        """Measure `zone`."""
        self.platform, self.zone = platform, zone
        self.name = f"irods_usage_{zone.name}"

    def collect(self) -> Iterable[Metric]:
        """One reading. Raises BicError."""
        zone = self.zone.name
        facilities = list(self.platform.facilities_of(zone))
        storage = self.platform.storage_resources_of(zone)
        with _client(self.platform, self.zone, self.budget) as client:
            whole = amounts.with_empty(amounts.held(client), storage)
            by_facility = amounts.held_by(client, [facility.id for facility in facilities])
        yield REPLICAS.of(([zone, *key], number) for key, (number, _) in whole.items())
        yield REPLICA_BYTES.of(([zone, *key], size) for key, (_, size) in whole.items())
        lacking = amounts.missing(storage, whole)
        yield MISSING.of(([zone, name], number) for name, number in lacking.items())
        samples = [
            ([zone, facility.id, *key], amount)
            for facility in facilities
            for key, amount in amounts.with_empty(
                by_facility[facility.id], facility.storage_resources or self.zone.storage_resources
            ).items()
        ]
        yield FACILITY_REPLICAS.of((labels, number) for labels, (number, _) in samples)
        yield FACILITY_BYTES.of((labels, size) for labels, (_, size) in samples)


class Quotas:
    """The quotas of a zone's groups that the inventory knows, and how much of them is used."""

    interval = USAGE_INTERVAL
    budget = 60.0

    def __init__(self, platform: Platform, zone: Zone) -> None:
        """Measure `zone`."""
        self.platform, self.zone = platform, zone
        self.name = f"irods_quotas_{zone.name}"

    def collect(self) -> Iterable[Metric]:
        """One reading. Raises BicError."""
        zone = self.zone.name
        facility_of = {
            group.name: facility.id
            for facility in self.platform.facilities_of(zone)
            for group in facility.groups
        }
        with _client(self.platform, self.zone, self.budget) as client:
            limits = [limit for limit in amounts.quotas(client) if limit.group in facility_of]
            accounted = amounts.accounted(client)
        samples = [
            ([zone, facility_of[limit.group], limit.group, limit.storage_resource], limit) for limit in limits
        ]
        yield QUOTA_LIMIT.of((labels, limit.limit) for labels, limit in samples)
        yield QUOTA_USAGE.of((labels, limit.usage) for labels, limit in samples)
        if accounted is not None:
            yield ACCOUNTED.of([([zone], accounted)])


class Operations:
    """Logs in to a zone, writes a small data object and reads it, as its users do."""

    interval = OPERATIONS_INTERVAL
    budget = 25.0

    def __init__(self, platform: Platform, zone: Zone) -> None:
        """Use `zone`."""
        self.platform, self.zone = platform, zone
        self.name = f"irods_operations_{zone.name}"
        self._attempts = Attempts("login", "write", "read")

    def collect(self) -> Iterable[Metric]:
        """One attempt of each; what fails is a value, not an error. Raises SecretError."""
        server = endpoint(self.zone, self.platform.hosts[self.zone.catalog_provider], TIMEOUT)
        self._use(server)
        return self._attempts.metrics(OPERATIONS, OPERATION_SECONDS, OPERATION_SUCCESS, [self.zone.name])

    def _use(self, server: Endpoint) -> None:
        content = uuid4().bytes
        # Always the same one, so that nothing is left behind when the exporter is killed.
        folder = f"/{server.zone}/home/{server.user}/{PROBE_COLLECTION}"
        path = f"{folder}/exporter-{socket.gethostname()}"
        waiting = ["login", "write", "read"]
        with Client(server, connections=1) as client:
            for work in (
                lambda session: None,
                partial(_write, folder=folder, path=path, content=content),
                partial(_read, path=path, content=content),
            ):
                try:
                    with self._attempts.attempt(waiting.pop(0)):
                        client.call(work)
                except IrodsError:
                    for operation in waiting:
                        self._attempts.fail(operation)
                    return


def _write(session: iRODSSession, folder: str, path: str, content: bytes) -> None:
    session.collections.create(folder)
    with session.data_objects.open(path, "w", allow_redirect=False) as file:
        file.write(content)


def _read(session: iRODSSession, path: str, content: bytes) -> None:
    with session.data_objects.open(path, "r", allow_redirect=False) as file:
        if file.read() != content:
            raise IrodsError(f"{path}: what is read is not what was written")


@dataclass(frozen=True)
class _Answer:
    version: str
    agents: int
    not_after: float


def _server(server: Endpoint) -> _Answer | None:
    """What a server tells, or None when it does not let the administrator in."""
    try:
        with Client(server, connections=1) as client, client.session() as session:
            version = ".".join(str(part) for part in session.server_version)
            with session.pool.get_connection() as connection:
                certificate = connection.socket.getpeercert()
            return _Answer(version, calls.agents(session), ssl.cert_time_to_seconds(certificate["notAfter"]))
    except IrodsError:
        return None


def _client(platform: Platform, zone: Zone, timeout: float) -> Client:
    """A client that waits `timeout` seconds for an answer: a sum over all data may need the whole budget."""
    return Client(endpoint(zone, platform.hosts[zone.catalog_provider], timeout), connections=1)
