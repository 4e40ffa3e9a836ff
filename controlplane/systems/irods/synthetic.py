"""Synthetic collections with synthetic accounts and groups: for cases of rule bases, and for journeys.

All of it carries a name with the prefix of its kind, and the collection an AVU with the time of its making.
So what a run left that was killed is found by the next one, and what a run is working in now is left alone.
"""

import secrets
import time
from dataclasses import dataclass, replace
from functools import partial

from irods.column import Like
from irods.models import Collection, CollectionMeta, User, UserMeta
from irods.session import iRODSSession

from controlplane.systems.irods import calls
from controlplane.systems.irods.client import Client, Endpoint


@dataclass(frozen=True)
class Kind:
    """What synthetic things are for."""

    prefix: str
    """What all their names begin with."""
    mark: str
    """The attribute of the collection, with the time of its making, and of groups, with its token."""
    old: float
    """Seconds after which a collection is what a killed run left."""


def make_collection(session: iRODSSession, kind: Kind, token: str) -> str:
    """Make a marked collection that hands its access on to what is in it; its path."""
    path = f"/{session.zone}/home/{kind.prefix}{token}"
    session.collections.create(path)
    calls.set_mark(session, calls.COLLECTION, path, (kind.mark, str(int(time.time())), ""))
    return path


def make_account(session: iRODSSession, server: Endpoint, path: str, role: str) -> Endpoint:
    """Make an account that belongs to a collection, with a password that nobody else knows."""
    name, password = f"{path.rpartition('/')[2]}_{role}", secrets.token_urlsafe(24)
    calls.administer(session, "add", "user", name, "rodsuser", server.zone, "")
    session.users.modify(name, "password", password)
    return replace(server, user=name, password=password)


def make_group(session: iRODSSession, path: str, role: str, *members: str) -> str:
    """Make a group that belongs to a collection, with its members; its name."""
    name = f"{path.rpartition('/')[2]}_{role}"
    calls.administer(session, "add", "user", name, "rodsgroup", "", "", "")
    for member in members:
        calls.administer(session, "modify", "group", name, "add", member, session.zone)
    return name


def remove_left(client: Client, kind: Kind, now: float | None = None) -> int:
    """Remove what killed runs left, and say how many there were. Raises IrodsError."""
    before = (time.time() if now is None else now) - kind.old
    pattern = f"/{client.server.zone}/home/{kind.prefix}%"
    rows = client.rows(
        Collection.name,
        CollectionMeta.value,
        where=(Like(Collection.name, pattern), CollectionMeta.name == kind.mark),
    )
    left = [path for path, since in rows if since.isdecimal() and int(since) < before]
    for path in left:
        remove(client, kind, path)
    return len(left)


def remove(client: Client, kind: Kind, path: str) -> None:
    """Remove a collection with its accounts, whatever state they are in. Raises IrodsError.

    The collection goes last: as long as it is there, the rest will be found.
    """
    zone = client.server.zone
    name = path.rpartition("/")[2]
    token = name.removeprefix(kind.prefix)
    groups = client.rows(
        User.name, where=(User.type == "rodsgroup", UserMeta.name == kind.mark, UserMeta.value == token)
    )
    accounts = client.rows(User.name, User.type, where=(Like(User.name, f"{name}_%"),))
    for account, _ in accounts:
        for home in (f"/{zone}/trash/home/{account}", f"/{zone}/home/{account}"):
            client.call(partial(_empty, kind=kind, path=home, itself=False))
    with client.session() as session:
        for account, type_name in (*accounts, *((group, "rodsgroup") for (group,) in groups)):
            if type_name == "rodsgroup":
                # What is left of a quota would count for whoever gets the group's number.
                calls.administer(session, "set-quota", "group", account, "total", "0")
            calls.administer(session, "rm", "user", account, zone)
    client.call(partial(_empty, kind=kind, path=path, itself=True))


def _empty(session: iRODSSession, *, kind: Kind, path: str, itself: bool) -> None:
    """Delete all that is in a collection, and the collection where asked, whatever marks keep it."""
    if not calls.rows(session, (Collection.id,), (Collection.name == path,)):
        return
    calls.set_access(session, path, (session.username, session.zone), "own")
    # Rule bases refuse to delete what carries their marks, and let administrators take the marks away.
    for where in (Collection.name == path, Like(Collection.name, f"{path}/%")):
        columns = (Collection.name, CollectionMeta.name, CollectionMeta.value, CollectionMeta.units)
        for name, *avu in calls.rows(session, columns, (where, Like(CollectionMeta.name, "bic:%"))):
            if avu[0] != kind.mark:
                mark = avu[0], avu[1], avu[2]
                calls.change_avu(session, "rm", calls.COLLECTION, name, mark, as_admin=True)
    inside = session.collections.get(path)
    for data_object in list(inside.data_objects):
        data_object.unlink(force=True)
    for collection in list(inside.subcollections):
        session.collections.remove(collection.path, recurse=True, force=True)
    if itself:
        session.collections.remove(path, recurse=True, force=True)
