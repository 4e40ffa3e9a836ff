"""Does every server of a zone take a client in, safely, and keep what it is given?"""

import hashlib
import ssl
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

from controlplane.health.net import reachable
from controlplane.health.port import Check, CheckFailedError, Probe
from controlplane.model import Host, Platform, Zone
from controlplane.systems.irods.client import LIBRARY_ERRORS, Client, Endpoint, IrodsError, endpoint

TIMEOUT = 10.0
"""Seconds for one answer of a server."""

EXPIRY_DAYS = 7
"""A certificate that ends sooner than this is a failure: renewal should have happened long before."""

KEYS_DIFFER = -147000  # ZONE_KEY_SIGNATURE_MISMATCH

PROBE_COLLECTION = "bic-probe"
"""The collection in the administrator's home that the write probe uses."""

LEFTOVER_AGE = timedelta(hours=1)
"""A probe's data object this old was left behind by a probe that was cut off."""


def probes(platform: Platform) -> Iterator[Probe]:
    """Probes of each server: a client's way in, the ways to other zones, and the way that must be closed."""
    for zone in platform.zones.values():
        for name in zone.servers:
            host = platform.hosts[name]
            address, target = str(host.address), f"{zone.name} on {name}"

            def ask(check: Callable[[Endpoint], str], zone: Zone = zone, host: Host = host) -> str:
                return check(endpoint(zone, host, TIMEOUT))

            yield Probe(
                "iRODS",
                target,
                (
                    Check("port", partial(reachable, address, zone.port)),
                    # Logging in verifies the certificate; how long it lasts is asked last, since a server
                    # whose certificate ends soon still works.
                    Check("login", partial(ask, check_login)),
                    Check("write", partial(ask, check_write)),
                    Check("certificate", partial(ask, check_certificate)),
                ),
            )
            for remote in zone.remote_zones:
                federation = Check("federation", partial(ask, partial(check_federation, zone=remote.name)))
                yield Probe("iRODS", f"{target}, {remote.name}", (federation,))
            anonymous = Endpoint(address, zone.port, zone.name, zone.administrator, "", zone.ca_file, TIMEOUT)
            yield Probe(
                "iRODS", f"{target}, plaintext", (Check("refused", partial(check_plaintext, anonymous)),)
            )


def check_certificate(server: Endpoint) -> str:
    """That the certificate is of our authority, for this host, and lasts. No password is sent."""
    with _session(server) as session:
        connection = _connect(session)
        try:
            certificate = connection.socket.getpeercert()
        finally:
            connection.disconnect()
    end = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
    days = (end - datetime.now(UTC)).days
    if days < EXPIRY_DAYS:
        raise CheckFailedError(f"the certificate ends on {end:%Y-%m-%d}, in {days} days")
    return f"certificate good for {days} days"


def check_login(server: Endpoint) -> str:
    """That the administrator can log in and read the catalogue; says the server's version."""
    with _session(server) as session:
        zones = [row[ZoneModel.name] for row in session.query(ZoneModel.name, ZoneModel.type).get_results()]
        version = ".".join(str(part) for part in session.server_version)
    if server.zone not in zones:
        raise CheckFailedError(f"it serves {', '.join(zones)}, not {server.zone}")
    return f"iRODS {version}"


def check_federation(server: Endpoint, zone: str) -> str:
    """That this server reaches a federated zone and that both have the keys of the federation."""
    try:
        with _session(server) as session:
            query = session.query(ZoneModel.name, ZoneModel.type).add_keyword(kw.ZONE_KW, zone)
            kinds = {row[ZoneModel.name]: row[ZoneModel.type] for row in query.get_results()}
    except IrodsError as error:
        if error.code == KEYS_DIFFER:
            raise CheckFailedError(
                f"{zone} does not accept this server: zone_key or negotiation_key differ between the two, "
                "or a server's name is missing in the list of its hosts"
            ) from error
        raise
    if kinds.get(zone) != "local":
        raise CheckFailedError(f"what answers there is not the zone {zone}: {', '.join(sorted(kinds))}")
    if kinds.get(server.zone) != "remote":
        raise CheckFailedError(f"{zone} answers, but has no entry for {server.zone}")
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
        raise CheckFailedError("what was read is not what was written")
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
        raise CheckFailedError("plaintext is accepted: the policy acPreConnect does not require TLS")
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
