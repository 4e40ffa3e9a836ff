"""Where the engine keeps what it knows: a file of its own, or a schema of the control plane's PostgreSQL."""

import os
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, Engine, create_engine

if TYPE_CHECKING:
    from controlplane.model import Platform
    from controlplane.store import Store

SCHEMA = "workflows"
"""The engine's schema in PostgreSQL, beside the store's tables."""

FILE = "workflows.sqlite"
"""The engine's file beside a store in SQLite. Not the store's own: each has one writer at a time, and neither
should wait for the other."""

CONNECTIONS = 5
"""The most connections to PostgreSQL that a queue opens, and a worker."""

UNREACHABLE = 15
"""Seconds without an answer after which a connection to PostgreSQL is given up. Less than `lease.TIMEOUT`: a
worker that is cut off knows it before others take over its work."""


@dataclass(frozen=True)
class Database:
    """The engine's database. Its URL may hold a password, so it is not shown."""

    application: str
    """Keeps the platforms apart that share a database server."""
    url: URL = field(repr=False)
    file: Path | None
    """The SQLite file; None with PostgreSQL."""

    @classmethod
    def beside(cls, store: "Store", platform: "Platform") -> "Database":
        """The engine's database next to a platform's store."""
        application = f"bic-{platform.name}"
        if store.url.get_backend_name() == "sqlite":
            file = Path(str(store.url.database)).with_name(FILE)
            return cls(application, URL.create("sqlite", database=str(file)), file)
        return cls(application, store.url, None)

    def prepare(self) -> None:
        """Create the SQLite file, for its owner alone, in the mode that lets all read while one writes.

        That mode is a property of the file and must be set before the engine opens it.
        """
        if self.file is None:
            return
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self.file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(self.file)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        finally:
            connection.close()

    def engine(self, purpose: str) -> Engine:
        """Connections to PostgreSQL that notice when the server is gone; `purpose` is shown in its views."""
        return create_engine(
            self.url,
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_pre_ping=True,
            connect_args={
                "application_name": purpose,
                "connect_timeout": UNREACHABLE,
                "keepalives_idle": 5,
                "keepalives_interval": 5,
                "keepalives_count": 2,
                "tcp_user_timeout": UNREACHABLE * 1000,
            },
        )
