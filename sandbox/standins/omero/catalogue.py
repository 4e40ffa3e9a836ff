"""The catalogue: people, groups, memberships, password hashes and sessions, in one SQLite file.

Its tables hold what the tables of the same names hold at OMERO. Each operation is one transaction.
"""

import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT_USER, GUEST_USER = 0, 1
SYSTEM_GROUP, USER_GROUP, GUEST_GROUP = 0, 1, 2
SYSTEM_NAME, USER_NAME, GUEST_NAME = "system", "user", "guest"
ROOT_NAME = "root"

PRIVATE = "rw----"
"""The permissions of a group for which none are given."""

_SCHEMA = """
create table if not exists experimenter (
    id integer primary key autoincrement, omename text not null unique, firstname text not null,
    middlename text, lastname text not null, email text, institution text, ldap integer not null);
create table if not exists experimentergroup (
    id integer primary key autoincrement, name text not null unique, description text,
    ldap integer not null, permissions text not null);
create table if not exists groupexperimentermap (
    id integer primary key autoincrement,
    parent integer not null references experimentergroup (id),
    child integer not null references experimenter (id),
    owner integer not null, child_index integer not null, unique (parent, child));
create index if not exists map_of_child on groupexperimentermap (child, child_index);
create table if not exists password (
    experimenter_id integer primary key references experimenter (id), hash text);
create table if not exists session (
    id integer primary key autoincrement, uuid text not null unique,
    owner integer not null references experimenter (id), sudoer integer references experimenter (id),
    started integer not null, closed integer, timetoidle integer not null, timetolive integer not null,
    useragent text, userip text, message text, defaulteventtype text not null);
create table if not exists dbpatch (name text primary key, value text);
"""
# As `omero db script` leaves it: root in `system` and `user`, guest in `guest`.
_CONTENTS = f"""
insert into experimenter (id, omename, firstname, lastname, ldap) values
    ({ROOT_USER}, '{ROOT_NAME}', 'root', 'root', 0), ({GUEST_USER}, '{GUEST_NAME}', 'Guest', 'Account', 0);
insert into experimentergroup (id, name, ldap, permissions) values
    ({SYSTEM_GROUP}, '{SYSTEM_NAME}', 0, '{PRIVATE}'), ({USER_GROUP}, '{USER_NAME}', 0, 'rwr-r-'),
    ({GUEST_GROUP}, '{GUEST_NAME}', 0, '{PRIVATE}');
insert into groupexperimentermap (parent, child, owner, child_index) values
    ({SYSTEM_GROUP}, {ROOT_USER}, 0, 0), ({USER_GROUP}, {ROOT_USER}, 0, 1),
    ({GUEST_GROUP}, {GUEST_USER}, 0, 0);
insert into password (experimenter_id, hash) values ({ROOT_USER}, null), ({GUEST_USER}, '');
"""  # noqa: S608 - constants of this module
_IDENTITY = "identity"
_ROOT_HASH = "root password hash of the database"


class Catalogue:
    """The file, with one connection that all operations use in turn."""

    def __init__(self, path: Path) -> None:
        """Open the file, and make it when it is not there."""
        self._lock = threading.RLock()
        # Hashes of passwords and keys of sessions are in it.
        path.touch(mode=0o600)
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("pragma journal_mode = wal")
        self._connection.execute("pragma synchronous = normal")
        self._connection.execute("pragma foreign_keys = on")
        # The script commits by itself; making tables may be repeated after a kill.
        self._connection.executescript(_SCHEMA)
        with self.transaction() as transaction:
            if not transaction.execute("select 1 from experimenter").fetchone():
                for statement in _CONTENTS.split(";"):
                    transaction.execute(statement)
            # Who was connected is not, after a restart.
            transaction.execute("update session set closed = ? where closed is null", (now(),))

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction: what is done in the block is done as a whole or not at all."""
        with self._lock:
            if self._connection.in_transaction:
                yield self._connection
                return
            self._connection.execute("begin immediate")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("rollback")
                raise
            self._connection.execute("commit")

    def adopt_root_hash(self, hashed: str) -> None:
        """Take the hash of root's password that the database has, unless it is the one taken before.

        So a password that root was given through the server stays when the server is started again.
        """
        with self.transaction() as transaction:
            seen = transaction.execute("select value from dbpatch where name = ?", (_ROOT_HASH,)).fetchone()
            if seen and seen[0] == hashed:
                return
            transaction.execute("insert or replace into dbpatch values (?, ?)", (_ROOT_HASH, hashed))
            transaction.execute("update password set hash = ? where experimenter_id = ?", (hashed, ROOT_USER))

    def identity(self) -> str:
        """What tells this catalogue from all others."""
        with self.transaction() as transaction:
            transaction.execute("insert or ignore into dbpatch values (?, ?)", (_IDENTITY, str(uuid.uuid4())))
            found = transaction.execute("select value from dbpatch where name = ?", (_IDENTITY,)).fetchone()
        return str(found["value"])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()


def now() -> int:
    """Milliseconds since 1970, in which OMERO counts."""
    return int(time.time() * 1000)
