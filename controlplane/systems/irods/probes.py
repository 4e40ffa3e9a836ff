"""Does every server of a zone take a client in, safely, and keep what it is given?"""

import hashlib
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

from irods import keywords as kw
from irods.column import Like
from irods.connection import Connection
from irods.exception import CAT_NO_ROWS_FOUND, DataObjectDoesNotExist
from irods.models import Collection, DataObject
from irods.models import Zone as ZoneModel
from irods.session import iRODSSession

from controlplane.health.net import reachable, time_left
from controlplane.health.port import Check, FindingError, Probe, Severity, machine, service
from controlplane.model import Host, Platform, Zone
from controlplane.systems.irods.client import LIBRARY_ERRORS, Client, Endpoint, IrodsError, endpoint
from controlplane.systems.irods.zone_probes import zone_checks

TIMEOUT = 10.0
"""Seconds for one answer of a server."""

KEYS_DIFFER = -147000  # ZONE_KEY_SIGNATURE_MISMATCH

PROBE_COLLECTION = "bic-probe"
"""The collection in the administrator's home that the write probe uses."""

LEFTOVER_AGE = timedelta(hours=1)
"""A probe's data object this old was left behind by a probe that was cut off."""


def probes(platform: Platform) -> Iterator[Probe]:
    """One probe of each zone as a whole, and probes of each server: a client's way in, the ways to other
    zones, and the way that must be closed."""
    for zone in platform.zones.values():
        serves = frozenset(
            facility.id for facility in (*platform.facilities_of(zone.name), *platform.visitors_of(zone.name))
        )
        provides, needs = _place(platform, zone, zone.catalog_provider)
        yield Probe(
            "iRODS", zone.name, tuple(zone_checks(platform, zone)), needs=(*needs, provides), serves=serves
        )
        for name in zone.servers:
            provides, needs = _place(platform, zone, name)
            yield Probe(
                "iRODS",
                f"{zone.name} on {name}",
                tuple(_server_checks(zone, platform.hosts[name])),
                provides=provides,
                needs=needs,
                serves=serves,
            )
            for remote in zone.remote_zones:
                yield Probe(
                    "iRODS",
                    f"{zone.name} on {name}, {remote.name}",
                    (_federation(zone, platform.hosts[name], remote.name),),
                    needs=(*needs, provides, *_catalogue_of(platform, remote.name)),
                    serves=serves,
                )
            yield Probe(
                "iRODS",
                f"{zone.name} on {name}, plaintext",
                (_plaintext(zone, platform.hosts[name]),),
                needs=(*needs, provides),
                serves=serves,
            )


def _place(platform: Platform, zone: Zone, name: str) -> tuple[str, tuple[str, ...]]:
    """What the server on a host provides, and what it needs."""
    if name != zone.catalog_provider:
        provider = service("irods_catalog_provider", zone.catalog_provider)
        return service("irods_catalog_consumer", name), (machine(name), provider)
    # The catalogue of a zone is on the provider's own host, unless another one is in the group variables.
    here = "postgresql" in platform.hosts[name].services
    return (
        service("irods_catalog_provider", name),
        (machine(name), *((service("postgresql", name),) if here else ())),
    )


def _catalogue_of(platform: Platform, zone: str) -> tuple[str, ...]:
    """What a federated zone is, where it is one of this platform."""
    if zone not in platform.zones:
        return ()
    return (service("irods_catalog_provider", platform.zones[zone].catalog_provider),)


def _asking(check: Callable[[Endpoint], str], zone: Zone, host: Host) -> Callable[[], str]:
    """The check against a server; the password is read when it is made."""
    return lambda: check(endpoint(zone, host, TIMEOUT))


def _server_checks(zone: Zone, host: Host) -> Iterator[Check]:
    yield Check(
        "port",
        partial(reachable, str(host.address), zone.port),
        "Data on this server's storage cannot be read or written.",
        "IrodsServerDown#look",
    )
    # Logging in verifies the certificate; how long it lasts is asked last, since a server whose certificate
    # ends soon still works.
    yield Check(
        "login",
        _asking(check_login, zone, host),
        "Nobody can log in to iRODS here.",
        "IrodsServerDown#look",
        timeout=15.0,
    )
    yield Check(
        "write",
        _asking(check_write, zone, host),
        "Data cannot be written through this server, or do not come back as they were.",
        "IrodsServerDown#look",
        timeout=20.0,
    )
    yield Check(
        "certificate",
        _asking(check_certificate, zone, host),
        "When it has ended, every client refuses the server.",
        "README#certificates",
        Severity.WARNING,
    )


def _federation(zone: Zone, host: Host, remote: str) -> Check:
    return Check(
        "federation",
        _asking(partial(check_federation, zone=remote), zone, host),
        f"People of {zone.name} do not reach their data in {remote} from here.",
        "README#federated-zones",
        timeout=15.0,
    )


def _plaintext(zone: Zone, host: Host) -> Check:
    anonymous = Endpoint(
        str(host.address), zone.port, zone.name, zone.administrator, "", zone.ca_file, TIMEOUT
    )
    return Check(
        "refused",
        partial(check_plaintext, anonymous),
        "Passwords and data may cross the network in plaintext.",
        "README#plaintext",
        timeout=15.0,
    )


def check_certificate(server: Endpoint) -> str:
    """That the certificate is of our authority, for this host, and lasts. No password is sent."""
    with _session(server) as session:
        connection = _connect(session)
        try:
            certificate = connection.socket.getpeercert()
        finally:
            connection.disconnect()
    return time_left(certificate)


def check_login(server: Endpoint) -> str:
    """That the administrator can log in and read the catalogue; says the server's version."""
    with _session(server) as session:
        zones = [row[ZoneModel.name] for row in session.query(ZoneModel.name, ZoneModel.type).get_results()]
        version = ".".join(str(part) for part in session.server_version)
    if server.zone not in zones:
        raise FindingError(f"it serves {', '.join(zones)}, not {server.zone}")
    return f"iRODS {version}"


def check_federation(server: Endpoint, zone: str) -> str:
    """That this server reaches a federated zone and that both have the keys of the federation."""
    try:
        with _session(server) as session:
            query = session.query(ZoneModel.name, ZoneModel.type).add_keyword(kw.ZONE_KW, zone)
            kinds = {row[ZoneModel.name]: row[ZoneModel.type] for row in query.get_results()}
    except IrodsError as error:
        if error.code == KEYS_DIFFER:
            raise FindingError(
                f"{zone} does not accept this server: zone_key or negotiation_key differ between the two, "
                "or a server's name is missing in the list of its hosts"
            ) from error
        raise
    if kinds.get(zone) != "local":
        raise FindingError(f"what answers there is not the zone {zone}: {', '.join(sorted(kinds))}")
    if kinds.get(server.zone) != "remote":
        raise FindingError(f"{zone} answers, but has no entry for {server.zone}")
    return f"{zone} answers, and the keys agree"


def check_write(server: Endpoint) -> str:
    """That data written through this server come back with the same checksum; leaves nothing behind."""
    content = uuid4().bytes * 64
    expected = f"sha2:{b64encode(hashlib.sha256(content).digest()).decode()}"
    folder = f"/{server.zone}/home/{server.user}/{PROBE_COLLECTION}"
    path = f"{folder}/probe-{uuid4().hex}"
    begun = time.monotonic()
    with _session(server) as session:
        session.collections.create(folder)
        _remove_leftovers(session, folder)
        try:
            with session.data_objects.open(path, "w", allow_redirect=False) as file:
                file.write(content)
            checksum = session.data_objects.chksum(path)
            with session.data_objects.open(path, "r", allow_redirect=False) as file:
                found = file.read()
        finally:
            with suppress(DataObjectDoesNotExist, CAT_NO_ROWS_FOUND):
                session.data_objects.unlink(path, force=True)
    if found != content or checksum != expected:
        raise FindingError("what was read is not what was written")
    return f"write, read and checksum in {time.monotonic() - begun:.2f} s"


def _remove_leftovers(session: iRODSSession, folder: str) -> None:
    old = datetime.now(UTC) - LEFTOVER_AGE
    query = session.query(DataObject.name, DataObject.modify_time).filter(
        Collection.name == folder, Like(DataObject.name, "probe-%")
    )
    for row in list(query.get_results()):
        if row[DataObject.modify_time] < old:
            session.data_objects.unlink(f"{folder}/{row[DataObject.name]}", force=True)


def check_plaintext(server: Endpoint) -> str:
    """That a client that does not ask for TLS is turned away before it could send anything secret."""
    session = iRODSSession(
        host=server.host,
        port=server.port,
        user=server.user,
        # The probe ends before any login; the library wants a password all the same.
        password="none",  # noqa: S106
        zone=server.zone,
        connection_timeout=server.timeout,
    )
    reachable(server.host, server.port)
    try:
        connection = _connect(session)
    except LIBRARY_ERRORS:
        return "plaintext is refused"
    finally:
        session.cleanup()
    accepted = int(connection._server_version.status) >= 0
    connection.disconnect()
    if accepted:
        raise FindingError("plaintext is accepted: the policy acPreConnect does not require TLS")
    return "plaintext is refused"


def _connect(session: iRODSSession) -> Connection:
    """A connection that has agreed on TLS or none, and has not logged in."""
    with session.pool.no_auto_authenticate() as pool:
        return Connection(pool, pool.account)


@contextmanager
def _session(server: Endpoint) -> Iterator[iRODSSession]:
    """A session of its own, closed at the end. What the library raises comes out as IrodsError."""
    with Client(server, connections=1) as client, client.session() as session:
        yield session
