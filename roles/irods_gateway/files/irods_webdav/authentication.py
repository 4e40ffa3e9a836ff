"""Who sends a request: name and password go to the zone, which decides."""

import base64
import binascii
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from wsgidav.dav_error import HTTP_INTERNAL_ERROR, DAVError
from wsgidav.mw.base_mw import BaseMiddleware

from irods_webdav.provider import LEASE, Environ
from irods_webdav.sessions import LoginRefusedError, Sessions

log = logging.getLogger("irods_webdav")

StartResponse = Callable[..., Any]

SESSIONS = "irods_webdav.sessions"
"""The key under which WsgiDAV's configuration holds the sessions."""

REALM = "iRODS"


def credentials(header: str) -> tuple[str, str] | None:
    """Name and password of an Authorization header, or None where it has none (RFC 7617, in UTF-8)."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(value.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if user and colon and (user + password).isprintable() else None


class Authentication(BaseMiddleware):
    """Gives each request a session of its own with the zone, as the user who sent it."""

    def __init__(self, wsgidav_app: Any, next_app: Any, config: dict[str, Any]) -> None:
        super().__init__(wsgidav_app, next_app, config)
        self._sessions: Sessions = config[SESSIONS]

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer 401 to a request without a name and a password that the zone accepts."""
        given = credentials(environ.get("HTTP_AUTHORIZATION", ""))
        if given is None:
            return _challenge(start_response)
        user, password = given
        try:
            lease = self._sessions.acquire(user, password)
        except LoginRefusedError:
            log.warning("login refused: user %r from %s", user, environ.get("HTTP_X_REAL_IP", "-"))
            return _challenge(start_response)
        environ[LEASE] = lease
        environ["wsgidav.auth.realm"] = REALM
        environ["wsgidav.auth.user_name"] = user
        environ["wsgidav.auth.roles"] = environ["wsgidav.auth.permissions"] = None
        return self._done(environ, start_response)

    def _done(self, environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        lease = environ[LEASE]
        try:
            yield from self.next_app(environ, start_response)
        except DAVError as error:
            lease.broken |= error.value >= HTTP_INTERNAL_ERROR
            raise
        except BaseException:
            lease.broken = True
            raise
        finally:
            self._sessions.release(lease)


def _challenge(start_response: StartResponse) -> list[bytes]:
    body = b"Log in with your name and password of the zone.\n"
    start_response(
        "401 Unauthorized",
        [
            ("WWW-Authenticate", f'Basic realm="{REALM}", charset="UTF-8"'),
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
        ],
    )
    return [body]
