"""OMERO's PostgreSQL database: where root's first password is, as `omero db script` wrote it.

The stand-in keeps everything else in a file of its own, but does not start without its database, as OMERO.
"""

from .catalogue import ROOT_USER
from .remote import Remote
from .settings import Database, SettingsError

_SECONDS = 10
_STATEMENT = "select hash from password where experimenter_id = %s"


def root_hash(database: Database) -> str:
    """The hash of root's password. Raises SettingsError when the database cannot say it."""
    driver = _driver()
    where = f"{database.name} on {database.host}:{database.port} as {database.user}"
    try:
        connection = driver.connect(
            host=database.host,
            port=database.port,
            dbname=database.name,
            user=database.user,
            password=database.password,
            connect_timeout=_SECONDS,
        )
        try:
            cursor = connection.cursor()
            cursor.execute(_STATEMENT, (ROOT_USER,))
            found = cursor.fetchone()
        finally:
            connection.close()
    except driver.Error as error:
        raise SettingsError(f"the database {where} cannot be used: {str(error).strip()}") from error
    if not found or not found[0]:
        raise SettingsError(
            f"the database {where} has no password of root: run `omero db script` and feed it to psql"
        )
    return str(found[0])


def _driver() -> Remote:
    try:
        import psycopg2  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError:
        import psycopg

        return psycopg
    return psycopg2
