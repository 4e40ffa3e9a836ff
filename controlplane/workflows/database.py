"""Where the engine keeps what it knows: a file of its own, or a schema of the control plane's PostgreSQL."""

import os
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError

from controlplane.errors import BadInputError

if TYPE_CHECKING:
    from controlplane.model import Platform

SCHEMA = "workflows"
"""The engine's schema in PostgreSQL, beside the store's tables."""

FILE = "workflows.sqlite"
"""The engine's file in the state folder, where the platform names no database. Not the store's own file:
each has one writer at a time, and neither should wait for the other."""

CONNECTIONS = 10
"""The most connections that one process opens to PostgreSQL for its queue and worker together."""

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
    def of(cls, platform: "Platform") -> "Database":
        """The database of a platform.

        Raises SecretError when its URL cannot be read, BadInputError when it is of neither kind.
        """
        application = f"bic-{platform.name}"
        if platform.store is None:
            return cls.sqlite(application, platform.state_dir)
        return cls.named(application, platform.store.reveal())

    @classmethod
    def sqlite(cls, application: str, folder: Path) -> "Database":
        """The embedded database in a folder."""
        file = folder / FILE
        return cls(application, URL.create("sqlite", database=str(file)), file)

    @classmethod
    def named(cls, application: str, text: str) -> "Database":
        """The database that a URL names."""
        try:
            url = make_url(text)
        except ArgumentError as error:
            # Its text may be a password in the wrong place: it is not repeated.
            raise BadInputError("the database's URL is not a URL such as postgresql://host/name") from error
        kind = url.get_backend_name()
        if kind == "sqlite" and url.database:
            return cls.sqlite(application, Path(url.database).parent)
        if kind != "postgresql" or not url.database:
            raise BadInputError(
                f"the database's URL is of {kind}; it must name a PostgreSQL or SQLite database"
            )
        return cls(application, url.set(drivername="postgresql+psycopg"), None)

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
