"""OMERO's database: whether it is filled, and filling it once.

`omero db script` writes the statements, in one transaction; so a run that is killed leaves an empty database.
It takes root's password as an argument and gives it to Java as one, where every account of the host could
read it. It gets a password here that is thrown away, and its hash is exchanged for the right one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import subprocess
from dataclasses import dataclass, field

from .errors import ToolError

#: Seconds for the statements to be written, by Java on a cold host, and to be run.
SCRIPT_SECONDS = 120
RUN_SECONDS = 300
#: What the table dbpatch says when a database is complete (sql/psql/*/psql-footer.sql of OMERO.server).
READY = "Database ready."
ROOT = 0


@dataclass(frozen=True)
class Database:
    """Where the database is, and who logs in there."""

    host: str
    port: int
    name: str
    user: str
    password: str = field(repr=False)
    ca_file: str

    def __str__(self) -> str:
        return f"the database {self.name} on {self.host}:{self.port}"

    @property
    def connection(self) -> str:
        """The connection as libpq takes it, over TLS, without the password."""
        return (
            f"host={self.host} port={self.port} dbname={self.name} user={self.user} "
            f"sslmode=verify-full sslrootcert={self.ca_file} connect_timeout=10"
        )


def run(given: str, *, check: bool) -> str:
    """Fill the database that the JSON text names, unless it is filled; returns `there`, `empty` or `filled`.

    With `check`, an empty one stays empty. Raises ToolError when it cannot be used.
    """
    settings = json.loads(given)
    root_password = settings.pop("root_password")
    database = Database(**settings)
    if _is_filled(database):
        return "there"
    if check:
        return "empty"
    _psql(database, statements(root_password), RUN_SECONDS)
    return "filled"


def password_hash(password: str, user: int) -> str:
    """The hash that OMERO keeps of a password.

    Source: `PasswordUtil` of OMERO.server: MD5 in base64, salted with the person's id as eight bytes.
    """
    digest = hashlib.md5(user.to_bytes(8, "big") + password.encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def statements(root_password: str) -> str:
    """What fills an empty database. Raises ToolError when OMERO's command line does not write it."""
    # In no other alphabet: an argument must not begin with a hyphen.
    passing = secrets.token_hex(32)
    try:
        written = subprocess.run(
            ["omero", "db", "script", "-f", "-", "--password", passing],
            capture_output=True,
            text=True,
            timeout=SCRIPT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"`omero db script` cannot be run: {error}") from error
    if written.returncode:
        raise ToolError(f"`omero db script` failed: {_last_line(written.stderr)}")
    before = password_hash(passing, ROOT)
    if written.stdout.count(before) != 1 or "COMMIT" not in written.stdout:
        raise ToolError(
            "`omero db script` wrote no script of the kind that this role knows: "
            "set omero_server_version to one of the 5.6 series"
        )
    return written.stdout.replace(before, password_hash(root_password, ROOT))


def _is_filled(database: Database) -> bool:
    encoding, table = _psql(
        database,
        "select pg_encoding_to_char(encoding), to_regclass('dbpatch') is not null "
        "from pg_database where datname = current_database()",
    ).split("|")
    if encoding != "UTF8":
        raise ToolError(f"{database} is in {encoding}, and must be in UTF8: make it anew")
    if table != "t":
        return False
    message = _psql(database, "select message from dbpatch order by id desc limit 1")
    if message != READY:
        raise ToolError(
            f"{database} holds an OMERO that is not complete (dbpatch says {message!r}): "
            "restore it, or make it anew"
        )
    return True


def _psql(database: Database, sql: str, seconds: float = 30) -> str:
    """What the statements print, columns separated by `|`. Raises ToolError."""
    try:
        done = subprocess.run(
            ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", database.connection],
            input=sql,
            env=os.environ | {"PGPASSWORD": database.password, "PGCLIENTENCODING": "UTF8"},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"{database} cannot be used: {error}") from error
    if done.returncode:
        raise ToolError(f"{database} cannot be used as {database.user} over TLS: {_last_line(done.stderr)}")
    return done.stdout.strip()


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]
