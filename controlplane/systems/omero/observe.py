"""What an OMERO server holds, read in bulk.

Three queries and one request read all accounts, groups, memberships and open sessions, however many there
are. Everything is read or an error is raised: half an answer would look like people who have left.
"""

from collections.abc import Callable

from controlplane.state import State
from controlplane.systems.omero.client import Client
from controlplane.systems.omero.connection import Connection
from controlplane.systems.omero.contents import Server, compile_state, join
from controlplane.systems.omero.sessions import open_sessions

ACCOUNTS = "select e.id, e.omeName, e.firstName, e.lastName, e.email, e.ldap from Experimenter e"
GROUPS = "select g.id, g.name, g.description, g.details.permissions from ExperimenterGroup g"
MEMBERS = "select m.parent.id, m.child.id, m.owner from GroupExperimenterMap m"

PATIENCE = 5.0
"""Seconds to go on trying while the server or its database may come back."""

PARTS = 4


def observe(client: Client, platform: str, wanted: State, progress: Callable[[int, int], None]) -> State:
    """The accounts and groups of a server, ours and others', and the sessions that are to end.

    `wanted` tells whose sessions may go on. `progress` is called after each part. Raises OmeroError.
    """
    done = 0

    def tell() -> None:
        nonlocal done
        done += 1
        progress(min(done, PARTS), PARTS)

    def work(connection: Connection) -> Server:
        return read(connection, sessions=True, tell=tell)

    return compile_state(client.call(work, patience=PATIENCE), platform, wanted)


def read(connection: Connection, *, sessions: bool, tell: Callable[[], None] = lambda: None) -> Server:
    """All that a server holds, with its open sessions or without."""
    answers = []
    for query in (ACCOUNTS, GROUPS, MEMBERS):
        answers.append(connection.rows(query))
        tell()
    accounts, groups, members = answers
    found = open_sessions(connection) if sessions else []
    tell()
    return join(accounts, groups, members, found)


def account_names(connection: Connection) -> list[str]:
    """The names of all accounts."""
    return [name for _, name, *_ in connection.rows(ACCOUNTS)]
