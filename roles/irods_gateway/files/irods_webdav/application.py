"""The whole as a WSGI application: readiness, unread bodies, locks, and WsgiDAV with our provider."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from wsgidav.dir_browser import WsgiDavDirBrowser
from wsgidav.error_printer import ErrorPrinter
from wsgidav.lock_man.lock_storage import LockStorageDict
from wsgidav.request_resolver import RequestResolver
from wsgidav.wsgidav_app import WsgiDAVApp

from irods_webdav.authentication import SESSIONS, Authentication, StartResponse
from irods_webdav.config import Config
from irods_webdav.provider import Environ, Provider
from irods_webdav.sessions import Sessions

READY_PATH = "/-/ready"
"""Where anybody may ask whether the zone can be reached."""

READY_SECONDS = 3.0
"""How long the zone may take to accept a connection, and how long the answer is kept."""

DRAINED_BYTES = 1024 * 1024 * 1024
"""How much of a body that nobody wanted is read after the answer: a connection that is closed before may take
the answer with it."""

DRAIN_BLOCK = 64 * 1024


class Locks(LockStorageDict):
    """Locks in this process, none for longer than a client may have one."""

    def __init__(self, longest: float) -> None:
        super().__init__()
        self._longest = longest

    def create(self, path: str, lock: dict[str, Any]) -> dict[str, Any]:
        """Store a lock, with a time that is not too long."""
        lock["timeout"] = self._allowed(lock.get("timeout"))
        stored: dict[str, Any] = super().create(path, lock)
        return stored

    def refresh(self, token: str, *, timeout: float) -> dict[str, Any]:
        """Renew a lock."""
        stored: dict[str, Any] = super().refresh(token, timeout=self._allowed(timeout))
        return stored

    def _allowed(self, timeout: float | None) -> float:
        # WsgiDAV's word for a lock without end is a negative number.
        return self._longest if timeout is None or timeout <= 0 else min(timeout, self._longest)


class Application:
    """What the web server calls."""

    def __init__(self, config: Config, sessions: Sessions) -> None:
        """Raises ValueError when WsgiDAV does not take its configuration."""
        self._dav = WsgiDAVApp(
            {
                "provider_mapping": {"/": Provider(config.root)},
                "middleware_stack": [ErrorPrinter, Authentication, WsgiDavDirBrowser, RequestResolver],
                "http_authenticator": {"accept_basic": False},
                "lock_storage": Locks(config.lock_seconds),
                "property_manager": None,
                "block_size": config.block_bytes,
                "verbose": 1,
                "logging": {
                    "enable": True,
                    "logger_date_format": "",
                    "logger_format": "%(levelname)s %(message)s",
                },
                "suppress_version_info": True,
                "dir_browser": {
                    "icon": False,
                    "response_trailer": "",
                    "davmount": False,
                    "ms_sharepoint_support": False,
                    "libre_office_support": False,
                },
                SESSIONS: sessions,
            }
        )
        self._ready = Readiness(config.host, config.port)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if environ["PATH_INFO"] == READY_PATH:
            return self._readiness(start_response)
        try:
            environ["PATH_INFO"].encode("latin-1").decode("utf-8")
        except UnicodeError:
            return _text(start_response, "400 Bad Request", "The path is not UTF-8.")
        return self._answer(environ, start_response)

    def _answer(self, environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        yield from self._dav(environ, start_response)
        left = DRAINED_BYTES
        # Whoever has seen the answer ends the connection, and so this.
        with contextlib.suppress(OSError):
            while left > 0 and (block := environ["wsgi.input"].read(min(left, DRAIN_BLOCK))):
                left -= len(block)

    def _readiness(self, start_response: StartResponse) -> list[bytes]:
        if reason := self._ready.reason():
            return _text(start_response, "503 Service Unavailable", f"The zone cannot be reached: {reason}")
        return _text(start_response, "200 OK", "ready")


class Readiness:
    """Whether the zone's server accepts connections; asked at most once in a few seconds, whoever asks us."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._lock = threading.Lock()
        self._asked = float("-inf")
        self._reason = ""

    def reason(self) -> str:
        """Why not, in a few words, or nothing."""
        with self._lock:
            if time.monotonic() - self._asked > READY_SECONDS:
                try:
                    socket.create_connection(self._address, READY_SECONDS).close()
                    self._reason = ""
                except OSError as error:
                    self._reason = error.strerror or str(error)
                self._asked = time.monotonic()
            return self._reason


def _text(start_response: StartResponse, status: str, text: str) -> list[bytes]:
    body = f"{text}\n".encode()
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response(status, headers)
    return [body]
