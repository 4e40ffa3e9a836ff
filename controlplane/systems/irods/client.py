"""Connections to a zone: TLS always, verified always, bounded in number, gone when not in use.

An idle connection delays every reload of the server until its grace period has passed, so a client is
opened for a piece of work and closed after it. What may pass by itself (a server that restarts, a catalogue
that is away for some seconds) is tried again on a new connection, for as long as the caller has patience.
"""

import logging
import ssl
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import TypeVar

from irods.column import Column, Criterion
from irods.connection import Connection
from irods.exception import NetworkException, PycommandsException, iRODSException
from irods.session import iRODSSession

from controlplane.model import Host, Zone
from controlplane.systems.attempts import ClosedError, ServerError, patiently
from controlplane.systems.irods import calls

# The client library logs a network error before it raises it; we report it ourselves, once.
logging.getLogger("irods").setLevel(logging.CRITICAL + 1)

TIMEOUT = 30.0
"""Seconds to wait for a connection or an answer."""

CONNECTIONS = 6
"""Connections for bulk work: a server on two cores gains nothing from more than 8."""

TRANSIENT = frozenset(
    {
        -4000,  # SYS_HEADER_READ_LEN_ERR
        -18000,  # SYS_OUT_OF_FILE_DESC
        -22000,  # SYS_SVR_TO_SVR_CONNECT_FAILED
        -38000,  # SYS_AGENT_INIT_ERR
        -49000,  # SYS_FORK_ERROR
        -115000,  # SYS_SOCK_READ_TIMEDOUT
        -116000,  # SYS_SOCK_READ_ERR
        -118000,  # SYS_MAX_CONNECT_COUNT_EXCEEDED
        -162000,  # SYS_SOCK_CONNECT_ERR
        -305000,  # USER_SOCK_CONNECT_ERR
        -347000,  # USER_SOCK_CONNECT_TIMEDOUT
        -801000,  # CATALOG_NOT_CONNECTED
        -803000,  # CAT_CONNECT_ERR
        -806000,  # CAT_SQL_ERR, what a stopped PostgreSQL gives
        -824000,  # CAT_NOT_OPEN, the same
    }
)
"""Codes of the server for what may pass by itself; codes have a system's errno in their last three digits."""

LIBRARY_ERRORS = (iRODSException, PycommandsException, OSError, EOFError, KeyError, ValueError)
"""What the client library raises when a server refuses, fails or is not there."""


class IrodsError(ServerError):
    """A server that could not be reached or refused, in one line for people."""

    def __init__(self, message: str, code: int = 0, *, transient: bool = False) -> None:
        super().__init__(message, transient=transient or nominal(code) in TRANSIENT)
        self.code = code
        """The iRODS error code, or 0 when there was no answer."""


class LoginError(IrodsError, ClosedError):
    """A server that takes no connection from us, so that nothing can be done there."""


def nominal(code: int) -> int:
    """An iRODS error code without the system's errno in its last digits."""
    return -(-code // 1000 * 1000)


T = TypeVar("T")


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
        # The library says "None" where the server gave no text.
        text = " ".join(str(error).split()).removeprefix("None")
        return IrodsError(f"{name} ({code})" + (f": {text}" if text and name not in text else ""), code)
    if isinstance(error, KeyError) and isinstance(error.args[0], int):
        # How the library raises an error code that it has no class for.
        return IrodsError(f"iRODS error {error.args[0]}", error.args[0])
    if isinstance(error, ssl.SSLCertVerificationError):
        return IrodsError(f"{server}: its certificate is not accepted: {error.verify_message}")
    cause = error.__context__ if isinstance(error, NetworkException) else error
    if isinstance(cause, TimeoutError):
        return IrodsError(f"{server}: no answer within {server.timeout:g} s", transient=True)
    detail = f" ({cause})" if cause is not error and isinstance(cause, OSError) else ""
    lost = isinstance(error, NetworkException | OSError | EOFError)
    text = " ".join(str(error).split()) or type(error).__name__
    return IrodsError(f"{server}: {text}{detail}", transient=lost)


@dataclass(frozen=True, slots=True)
class _Connected:
    session: iRODSSession
    at: float
    """When it began to connect, by the monotonic clock."""


class Client:
    """A bounded set of sessions on one server; each is used by one thread at a time."""

    def __init__(self, server: Endpoint, connections: int = CONNECTIONS) -> None:
        """Open nothing yet; at most `connections` sessions will exist."""
        self.server = server
        self.connections = connections
        self._free: SimpleQueue[None] = SimpleQueue()
        """As many as there may be more threads with a session: a semaphore that costs bulk work nothing."""
        self._idle: deque[_Connected] = deque()
        for _ in range(connections):
            self._free.put(None)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def session(self, *, since: float = 0.0) -> Iterator[iRODSSession]:
        """A connected session for this thread alone. What the library raises comes out as IrodsError.

        A server's agent reads the zone's storage resources when it starts and never again: what depends on
        one needs a session that was opened `since` then, by the monotonic clock. Raises LoginError when the
        server takes no connection.
        """
        self._free.get()
        connected = self._pop()
        usable = False
        try:
            if connected is not None and connected.at < since:
                _discard(connected.session)
                connected = None
            if connected is None:
                connected = self._connected()
            yield connected.session
            usable = True
        except (IrodsError, *LIBRARY_ERRORS) as error:
            reason = explain(self.server, error)
            # After an error code from the server the connection is as good as before.
            usable = bool(reason.code) and not reason.transient
            if reason is error:
                raise
            raise reason from error
        finally:
            if connected is not None:
                if usable:
                    self._idle.append(connected)
                else:
                    _discard(connected.session)
            self._free.put(None)

    def _pop(self) -> _Connected | None:
        """The session that was used last, if there is one."""
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _connected(self) -> _Connected:
        at, session = time.monotonic(), open_session(self.server)
        try:
            with session.pool.get_connection():
                return _Connected(session, at)
        except LIBRARY_ERRORS as error:
            _abandon(error)
            _discard(session)
            reason = explain(self.server, error)
            raise LoginError(str(reason), reason.code, transient=reason.transient) from error

    def call(self, work: Callable[[iRODSSession], T], *, patience: float = 0.0, since: float = 0.0) -> T:
        """What `work` returns for a `session`; tried again for `patience` seconds while that may help.

        So `work` must be safe to repeat: what is lost may be the answer alone. Raises IrodsError.
        """

        def attempt() -> T:
            with self.session(since=since) as session:
                return work(session)

        return patiently(attempt, patience)

    def rows(
        self, *columns: Column, where: tuple[Criterion, ...] = (), patience: float = 0.0
    ) -> list[tuple[str, ...]]:
        """All rows of one GenQuery1 query as texts, read to its end, so that none stays open there."""
        return self.call(lambda session: calls.rows(session, columns, where), patience=patience)

    def close(self) -> None:
        """Disconnect all sessions, each when it is no longer in use."""
        for _ in range(self.connections):
            self._free.get()
        while (connected := self._pop()) is not None:
            _discard(connected.session)
        for _ in range(self.connections):
            self._free.put(None)


def _abandon(error: Exception) -> None:
    """Close the connection whose login failed with this error.

    The library leaves it to the garbage collector, and as long as it is open no reload of the server ends.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        connection = frame.f_locals.get("self")
        if isinstance(connection, Connection):
            with suppress(*LIBRARY_ERRORS):
                connection.disconnect()
            return


def _discard(session: iRODSSession) -> None:
    # A connection that is already gone cannot be told goodbye, and need not be.
    with suppress(PycommandsException, iRODSException, OSError):
        session.cleanup()
