"""Connections to a zone: TLS always, verified always, bounded in number, gone when not in use.

An idle connection delays every reload of the server until its grace period has passed, so a client is
opened for a piece of work and closed after it.
"""

import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import LifoQueue
from types import TracebackType
from typing import Any

from irods.column import Column, Criterion
from irods.exception import NetworkException, PycommandsException, iRODSException
from irods.session import iRODSSession

from controlplane.errors import BicError
from controlplane.model import Host, Zone

# The client library logs a network error before it raises it; we report it ourselves, once.
logging.getLogger("irods").setLevel(logging.CRITICAL + 1)

TIMEOUT = 30.0
"""Seconds to wait for a connection or an answer."""

CONNECTIONS = 6
"""Connections for bulk work: a server on two cores gains nothing from more than 8."""

LIBRARY_ERRORS = (iRODSException, PycommandsException, OSError, EOFError, KeyError, ValueError)
"""What the client library raises when a server refuses, fails or is not there."""


class IrodsError(BicError):
    """A server that could not be reached or refused, in one line for people."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code
        """The iRODS error code, or 0 when there was no answer."""


@dataclass(frozen=True)
class Endpoint:
    """One server of a zone and the account to use there."""

    host: str
    """A name or address that the server's certificate holds."""
    port: int
    zone: str
    user: str
    password: str = field(repr=False)
    ca_file: Path
    timeout: float = TIMEOUT

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def endpoint(zone: Zone, host: Host, timeout: float = TIMEOUT) -> Endpoint:
    """The server of `zone` on `host`, entered as the zone's administrator.

    Raises SecretError when the password cannot be read.
    """
    return Endpoint(
        str(host.address),
        zone.port,
        zone.name,
        zone.administrator,
        zone.password.reveal(),
        zone.ca_file,
        timeout,
    )


def tls_context(ca_file: Path) -> ssl.SSLContext:
    """A context that accepts only certificates of the authority in `ca_file`, for the right host.

    Raises IrodsError when the file cannot be used: the client library would go on without verification.
    """
    try:
        return ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(ca_file))
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror if isinstance(error, FileNotFoundError) else "it is not a PEM certificate"
        raise IrodsError(f"the certificate authority {ca_file} cannot be read: {reason}") from error


def open_session(server: Endpoint) -> iRODSSession:
    """A session that connects when it is first used; the caller cleans it up."""
    return iRODSSession(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password,
        zone=server.zone,
        client_server_negotiation="request_server_negotiation",
        client_server_policy="CS_NEG_REQUIRE",
        encryption_algorithm="AES-256-CBC",
        encryption_key_size=32,
        encryption_num_hash_rounds=16,
        encryption_salt_size=8,
        ssl_context=tls_context(server.ca_file),
        connection_timeout=server.timeout,
        application_name="bic",
    )


def explain(server: Endpoint, error: Exception) -> IrodsError:
    """What the client library raised, as one line that names the server."""
    if isinstance(error, IrodsError):
        return error
    if isinstance(error, iRODSException):
        name, code = type(error).__name__, int(error.code or 0)
        text = " ".join(str(error).split())
        return IrodsError(f"{name} ({code})" + (f": {text}" if text and name not in text else ""), code)
    if isinstance(error, KeyError) and isinstance(error.args[0], int):
        # How the library raises an error code that it has no class for.
        return IrodsError(f"iRODS error {error.args[0]}", error.args[0])
    if isinstance(error, ssl.SSLCertVerificationError):
        return IrodsError(f"{server}: its certificate is not accepted: {error.verify_message}")
    cause = error.__context__ if isinstance(error, NetworkException) else error
    if isinstance(cause, TimeoutError):
        return IrodsError(f"{server}: no answer within {server.timeout:g} s")
    detail = f" ({cause})" if cause is not error and isinstance(cause, OSError) else ""
    return IrodsError(f"{server}: {' '.join(str(error).split()) or type(error).__name__}{detail}")


class Client:
    """A bounded set of sessions on one server; each is used by one thread at a time."""

    def __init__(self, server: Endpoint, connections: int = CONNECTIONS) -> None:
        """Open nothing yet; at most `connections` sessions will exist."""
        self.server = server
        self.connections = connections
        self._idle: LifoQueue[iRODSSession | None] = LifoQueue()
        for _ in range(connections):
            self._idle.put(None)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def answers(self) -> Iterator[None]:
        """Turn what the client library raises into IrodsError; the session stays as it is."""
        try:
            yield
        except LIBRARY_ERRORS as error:
            raise explain(self.server, error) from error

    @contextmanager
    def session(self) -> Iterator[iRODSSession]:
        """A session for this thread alone. What the library raises comes out as IrodsError."""
        session = self._idle.get()
        usable = False
        try:
            session = session or open_session(self.server)
            with self.answers():
                yield session
            usable = True
        except BicError as error:
            # After an error code from the server the connection is as good as before.
            usable = bool(getattr(error, "code", 0))
            raise
        finally:
            if not usable and session is not None:
                _discard(session)
            self._idle.put(session if usable else None)

    def rows(self, *columns: Column, where: tuple[Criterion, ...] = ()) -> list[tuple[Any, ...]]:
        """All rows of one query, read to its end, so that none stays open on the server."""
        with self.session() as session:
            query = session.query(*columns).filter(*where)
            return [tuple(row[column] for column in columns) for row in query.get_results()]

    def close(self) -> None:
        """Disconnect all sessions, each when it is no longer in use."""
        for session in [self._idle.get() for _ in range(self.connections)]:
            if session is not None:
                _discard(session)
            self._idle.put(None)


def _discard(session: iRODSSession) -> None:
    # A connection that is already gone cannot be told goodbye, and need not be.
    with suppress(PycommandsException, iRODSException, OSError):
        session.cleanup()
