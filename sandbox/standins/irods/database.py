"""The zone's PostgreSQL: how to reach it, and whether it can be reached.

The stand-in works on a file of its own and keeps a copy in this database (`mirror`), but needs it as iRODS
does: the running provider refuses catalogue operations while it cannot be reached.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from .errors import Code, IrodsError

DATA_SOURCE = "iRODS Catalog"
_LOGIN_TIMEOUT = 5
_INTERVAL = 0.5
# A host that is cut off does not refuse, it keeps silent: after this many seconds silence counts as refusal.
_SILENCE = 15.0


class DatabaseError(Exception):
    """The database cannot be used; the text says why, without the password."""


def connection_string(settings: dict[str, Any], data_sources: dict[str, str]) -> str:
    """Return how to connect: by the data source that upstream uses, or by the driver if there is no such
    source.

    TLS keys in the settings (`sslmode`, `sslrootcert`, `sslcert`, `sslkey`) are passed on.
    """
    parts = (
        {"DSN": DATA_SOURCE}
        if DATA_SOURCE in data_sources
        else {
            "DRIVER": "{" + settings["odbc_driver"] + "}",
            "SERVER": settings["host"],
            "PORT": settings["port"],
            "DATABASE": settings["name"],
        }
    )
    parts |= {"UID": settings["username"], "PWD": settings["password"]}
    options = [f"{key}={settings[key]}" for key in ("sslrootcert", "sslcert", "sslkey") if settings.get(key)]
    if settings.get("sslmode"):
        parts["SSLmode"] = settings["sslmode"]
    if options:
        parts["pqopt"] = "{" + " ".join(options) + "}"
    return ";".join(f"{key}={value}" for key, value in parts.items())


def connect(settings: dict[str, Any], *, autocommit: bool = True) -> Any:  # noqa: ANN401 - pyodbc has no types
    """Return a connection to the database. Raises `DatabaseError`."""
    try:
        import pyodbc  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise DatabaseError(
            "pyodbc module could not be imported: install irods-database-plugin-postgres"
        ) from error
    try:
        text = connection_string(settings, pyodbc.dataSources())
        return pyodbc.connect(text, timeout=_LOGIN_TIMEOUT, autocommit=autocommit)
    except pyodbc.Error as error:
        reason = str(error.args[-1]).replace(settings["password"], "***")
        where = f"{settings['name']} on {settings['host']}:{settings['port']} as {settings['username']}"
        raise DatabaseError(f"cannot connect to the catalog database {where}: {reason}") from error


class Watch:
    """Looks after the provider's database and knows whether it can be reached.

    `connect` opens a connection that has `execute`; any exception of it or of a statement counts as
    unreachable.
    """

    def __init__(self, connect: Callable[[], Any], on_change: Callable[[str | None], None]) -> None:
        self._connect = connect
        self._on_change = on_change
        self._connection: Any = None
        self._seen = 0.0
        self._fault: str | None = "not connected yet"
        self._stop = threading.Event()

    def available(self) -> None:
        """Raise -806000 while the database cannot be reached."""
        if self._fault is not None or time.monotonic() - self._seen > _SILENCE:
            raise IrodsError(Code.CAT_SQL_ERR)

    def probe(self) -> bool:
        """Ask the database once, connecting if needed; return whether it answered."""
        fault: str | None = None
        try:
            if self._connection is None:
                self._connection = self._connect()
            self._connection.execute("select 1").fetchone()
            self._seen = time.monotonic()
        except Exception as error:  # drivers raise whatever they like
            self._connection = None
            fault = str(error)
        if (fault is None) != (self._fault is None):
            self._on_change(fault)
        self._fault = fault
        return fault is None

    def wait(self, should_stop: Callable[[], bool]) -> bool:
        """Wait until the database answers; return False when told to stop before that."""
        while not self.probe():
            if should_stop() or self._stop.wait(_INTERVAL):
                return False
        return True

    def start(self) -> None:
        """Go on asking in a thread of its own."""
        threading.Thread(target=self._watch, daemon=True, name="database").start()

    def _watch(self) -> None:
        while not self._stop.wait(_INTERVAL):
            self.probe()

    def stop(self) -> None:
        """Stop asking."""
        self._stop.set()
