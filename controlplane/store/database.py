"""Opening the store, and bringing its tables up to date."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from controlplane.model import Platform
from controlplane.store.errors import StoreError
from controlplane.store.file_locks import FileLocks
from controlplane.store.locks import Locks
from controlplane.store.server_locks import ServerLocks

HEAD = "0003"
"""The newest revision among the migrations; a test holds it to them."""

MIGRATIONS = Path(__file__).parent / "migrations"

CONNECT_SECONDS = 10
"""Seconds after which a database server that does not answer counts as unreachable."""

KEEPALIVES = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
"""Lets the server find out within 25 s that a client's machine is gone, and with it the holder of a lock; the
defaults of Linux take two hours."""

BUSY_SECONDS = 60.0
"""Seconds that a write to SQLite waits for another process's write."""


def open_store(platform: Platform, *, migrate: bool = True) -> "Store":
    """The platform's store: the database that its inventory names, else a SQLite file in its state folder.

    Tables are made or brought up to date, unless `migrate` says not to. Raises StoreError when the database
    cannot be reached, or was used by a newer version of this program.
    """
    if platform.store:
        url = _parsed(platform.store.reveal())
    else:
        url = URL.create("sqlite", database=str(platform.state_dir / "store.sqlite"))
    return Store(url, platform.name, platform.state_dir / "locks", migrate=migrate)


class Store:
    """An open store."""

    def __init__(self, url: URL, platform: str, lock_folder: Path, *, migrate: bool = True) -> None:
        """Connect; `lock_folder` holds the platform's locks where the database is SQLite.

        Raises StoreError.
        """
        self.url = url
        self._platform = platform
        self._lock_folder = lock_folder
        self.engine = _sqlite(url) if url.get_backend_name() == "sqlite" else _postgresql(url)
        try:
            self._prepare(migrate)
        except BaseException:
            self.engine.dispose()
            raise

    @cached_property
    def locks(self) -> Locks:
        """Locks that end with the process that holds them."""
        if self.url.get_backend_name() == "sqlite":
            return FileLocks(self._lock_folder)
        return ServerLocks(self.engine, self.errors, self._platform)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction, which is kept when the block ends well. Raises StoreError."""
        with self.errors(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection. Raises StoreError."""
        with self.errors(), self.engine.connect() as connection:
            yield connection

    def close(self) -> None:
        """Leave no connection open."""
        self.engine.dispose()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        """The database for people, without its password."""
        if self.url.get_backend_name() == "sqlite":
            return str(self.url.database)
        return f"{self.url.database} on {self.url.host or self.url.query.get('host') or 'this host'}"

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn the database's errors into StoreErrors, which name it and hold no password."""
        try:
            yield
        except SQLAlchemyError as error:
            reason = str(error.orig) if isinstance(error, DBAPIError) else str(error)
            reason = " ".join(reason.split())
            if self.url.password:
                reason = reason.replace(str(self.url.password), "***")
            raise StoreError(f"the store {self.name} cannot be used: {reason}") from error

    def _prepare(self, migrate: bool) -> None:
        with self.reading() as connection:
            current = _revision(connection)
        if current == HEAD:
            return
        if not migrate:
            raise StoreError(f"the store {self.name} is not up to date; the next bic apply brings it there")
        with self._migrating() as connection:
            from alembic import command
            from alembic.config import Config
            from alembic.script import ScriptDirectory

            current = _revision(connection)
            config = Config(attributes={"connection": connection})
            config.set_main_option("script_location", str(MIGRATIONS))
            known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
            if current and current not in known:
                raise StoreError(
                    f"the store {self.name} was used by a newer version of bic: its tables are at revision "
                    f"{current}, and this version knows those up to {HEAD}; install the newer version"
                )
            command.upgrade(config, "head")

    @contextmanager
    def _migrating(self) -> Iterator[Connection]:
        """A transaction in which nobody else migrates."""
        if self.url.get_backend_name() != "sqlite":
            with self.writing() as connection:
                connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('bic migrations'))"))
                yield connection
            return
        with open(f"{self.url.database}.migration-lock", "w", opener=_private) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with self.writing() as connection:
                yield connection


def _parsed(text: str) -> URL:
    try:
        url = make_url(text)
        backend = url.get_backend_name()
    except ArgumentError:
        # Its text is a secret, so the message does not repeat it.
        raise StoreError(
            "the store's URL cannot be understood; write postgresql://USER:PASSWORD@HOST/DATABASE"
        ) from None
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and url.database:
        return url
    raise StoreError(f"a store on {backend} is not supported; use postgresql:// or sqlite:///FILE")


def _postgresql(url: URL) -> Engine:
    arguments = {"connect_timeout": CONNECT_SECONDS, "application_name": "bic", "options": KEEPALIVES}
    return create_engine(url, pool_pre_ping=True, connect_args=arguments)


def _sqlite(url: URL) -> Engine:
    path = Path(str(url.database))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(_private(str(path), os.O_RDWR | os.O_CREAT))
    except OSError as error:
        raise StoreError(f"the store {path} cannot be used: {error.filename}: {error.strerror}") from error
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        # Python's driver would begin no transaction before a change of tables, so that a migration that is
        # cut off would stay half done; with no isolation level it begins none, and `begin` below does.
        connection.isolation_level = None
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
