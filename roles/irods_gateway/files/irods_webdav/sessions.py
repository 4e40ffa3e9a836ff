"""Sessions with the zone: each as the user of one request, bounded in number, gone soon after use."""

import contextlib
import hashlib
import hmac
import secrets
import ssl
import threading
import time
import traceback
from dataclasses import dataclass

from irods.connection import Connection
from irods.session import iRODSSession

from irods_webdav.config import Config
from irods_webdav.errors import LIBRARY_ERRORS, LOGIN_REFUSED, answer, code_of, nominal

LONGEST_PASSWORD = 1024
"""Bytes of a name or a password that are looked at at all."""


class LoginRefusedError(Exception):
    """The zone does not accept the name or the password."""


@dataclass(slots=True, eq=False)
class Lease:
    """A session that one request has for itself."""

    session: iRODSSession
    key: bytes
    opened: float
    used: float = 0.0
    broken: bool = False
    """Whether something went wrong on it, so that nobody should have it next."""


class Sessions:
    """Opens sessions, keeps them for a few seconds, and closes them.

    A client sends many small requests one after the other (davfs2, file managers), and each login costs the
    server a process. So a session waits `idle_seconds` for the next request of the same user with the same
    password. Requests are bounded by the web server's threads, and so are these.
    """

    def __init__(self, config: Config) -> None:
        """Connect to nothing yet. Raises OSError when the authorities cannot be read."""
        self._config = config
        self._tls = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=config.ca_file)
        self._idle: list[Lease] = []
        self._lock = threading.Lock()
        self._secret = secrets.token_bytes(32)
        self._stopped = threading.Event()
        threading.Thread(target=self._close_idle, name="idle sessions", daemon=True).start()

    def acquire(self, user: str, password: str) -> Lease:
        """A session of this user. Raises LoginRefusedError, or DAVError when the zone cannot be asked."""
        name, _, zone = user.partition("#")
        if not name or max(len(user.encode()), len(password.encode())) > LONGEST_PASSWORD:
            raise LoginRefusedError
        key = hmac.digest(self._secret, f"{user}\0{password}".encode(), hashlib.sha256)
        if lease := self._take(key):
            return lease
        session = self._open(name, zone or self._config.zone, password)
        try:
            # Log in now: an answer must not begin before it is known who asks.
            with session.pool.get_connection():
                pass
        except LIBRARY_ERRORS as error:
            _abandon(error)
            _close(session)
            if nominal(code_of(error)) in LOGIN_REFUSED:
                raise LoginRefusedError from error
            raise answer(error) from error
        return Lease(session, key, time.monotonic())

    def release(self, lease: Lease) -> None:
        """Give back a session after a request."""
        lease.used = time.monotonic()
        if lease.broken or lease.session.pool.active or self._expired(lease, lease.used):
            _close(lease.session)
            return
        with self._lock:
            self._idle.append(lease)

    def close(self) -> None:
        """Close what waits; what is in use is closed when it is given back."""
        self._stopped.set()
        with self._lock:
            idle, self._idle = self._idle, []
        for lease in idle:
            _close(lease.session)

    def _open(self, user: str, zone: str, password: str) -> iRODSSession:
        config = self._config
        return iRODSSession(
            host=config.host,
            port=config.port,
            user=user,
            zone=zone,
            password=password,
            irods_authentication_scheme=config.authentication_scheme,
            client_server_negotiation="request_server_negotiation",
            client_server_policy="CS_NEG_REQUIRE",
            encryption_algorithm="AES-256-CBC",
            encryption_key_size=32,
            encryption_num_hash_rounds=16,
            encryption_salt_size=8,
            ssl_context=self._tls,
            connection_timeout=config.timeout_seconds,
            application_name="irods_webdav",
        )

    def _take(self, key: bytes) -> Lease | None:
        with self._lock:
            now = time.monotonic()
            for lease in reversed(self._idle):
                if hmac.compare_digest(lease.key, key) and not self._expired(lease, now):
                    self._idle.remove(lease)
                    return lease
        return None

    def _expired(self, lease: Lease, now: float) -> bool:
        return (
            self._stopped.is_set()
            or now - lease.used > self._config.idle_seconds
            or now - lease.opened > self._config.session_seconds
        )

    def _close_idle(self) -> None:
        while not self._stopped.wait(min(1.0, self._config.idle_seconds / 2)):
            with self._lock:
                now = time.monotonic()
                expired = [lease for lease in self._idle if self._expired(lease, now)]
                self._idle = [lease for lease in self._idle if lease not in expired]
            for lease in expired:
                _close(lease.session)


def _abandon(error: BaseException) -> None:
    """Close the connection whose login failed with this error.

    The library leaves it to the garbage collector, and as long as it is open no reload of the zone's server
    ends.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        connection = frame.f_locals.get("self")
        if isinstance(connection, Connection):
            with contextlib.suppress(*LIBRARY_ERRORS):
                connection.disconnect()
            return


def _close(session: iRODSSession) -> None:
    try:
        session.cleanup()
    except LIBRARY_ERRORS:
        # The connection is gone already, which is what was wanted.
        return
