"""What a case works in: a collection and accounts that are made for it and removed afterwards.

All of it carries a name with the prefix `bic_case_`, and the collection an AVU with the time of its making.
So what a run left that was killed is found by the next one, and what a run is working in now is left alone.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from irods.column import Like
from irods.models import Collection, CollectionMeta, User, UserMeta
from irods.session import iRODSSession

from controlplane.model.cases_file import Actor
from controlplane.systems.irods import calls
from controlplane.systems.irods.client import Client, Endpoint

PREFIX = "bic_case_"
MARK = "bic:case"
OLD = 3600
"""Seconds after which a case's collection is what a killed run left."""

_ACCESS = {"user": "own", "other": "read", "curator": "own"}


@dataclass(frozen=True)
class CaseSite:
    """A case's collection and the accounts that may work there."""

    server: Endpoint
    path: str
    """The case's collection."""
    accounts: dict[Actor, Endpoint]
    """How each actor enters the zone."""
    admin: iRODSSession


@contextmanager
def case_site(client: Client, actors: set[Actor], curators: str) -> Iterator[CaseSite]:
    """Make a collection and an account for each actor; all is removed at the end.

    `curators` is the group that the actor `curator` joins; it is made where it is missing. Raises IrodsError.
    """
    server = client.server
    token = secrets.token_hex(4)
    path = f"/{server.zone}/home/{PREFIX}{token}"
    with client.session() as session:
        session.collections.create(path)
        calls.set_mark(session, calls.COLLECTION, path, (MARK, str(int(time.time())), ""))
    try:
        with client.session() as session:
            accounts: dict[Actor, Endpoint] = {"admin": server}
            for actor in sorted(actors - {"admin"}):
                accounts[actor] = _account(session, server, f"{PREFIX}{token}_{actor}", path, _ACCESS[actor])
                if actor == "curator":
                    _join(session, curators, accounts[actor].user, token)
            calls.set_inheritance(session, path, on=True)
            yield CaseSite(server, path, accounts, session)
    finally:
        remove(client, path)


def _account(session: iRODSSession, server: Endpoint, name: str, path: str, level: str) -> Endpoint:
    password = secrets.token_urlsafe(24)
    calls.administer(session, "add", "user", name, "rodsuser", server.zone, "")
    session.users.modify(name, "password", password)
    calls.set_access(session, path, (name, server.zone), level)
    return replace(server, user=name, password=password)


def _join(session: iRODSSession, group: str, name: str, token: str) -> None:
    if not calls.rows(session, (User.id,), (User.name == group, User.type == "rodsgroup")):
        calls.administer(session, "add", "user", group, "rodsgroup", "", "", "")
        calls.set_mark(session, calls.ACCOUNT, group, (MARK, token, ""))
    calls.administer(session, "modify", "group", group, "add", name, session.zone)


def remove_left(client: Client, now: float | None = None) -> None:
    """Remove what killed runs left. Raises IrodsError."""
    before = (time.time() if now is None else now) - OLD
    pattern = f"/{client.server.zone}/home/{PREFIX}%"
    rows = client.rows(
        Collection.name,
        CollectionMeta.value,
        where=(Like(Collection.name, pattern), CollectionMeta.name == MARK),
    )
    for path, since in rows:
        if since.isdecimal() and int(since) < before:
            remove(client, path)


def remove(client: Client, path: str) -> None:
    """Remove a case's collection with its accounts, whatever state they are in. Raises IrodsError.

    The collection goes last: as long as it is there, the rest will be found.
    """
    zone = client.server.zone
    name = path.rpartition("/")[2]
    groups = client.rows(
        User.name,
        where=(User.type == "rodsgroup", UserMeta.name == MARK, UserMeta.value == name.removeprefix(PREFIX)),
    )
    accounts = client.rows(User.name, User.type, where=(Like(User.name, f"{name}_%"),))
    for account, _ in accounts:
        for home in (f"/{zone}/trash/home/{account}", f"/{zone}/home/{account}"):
            client.call(partial(_empty, path=home, itself=False))
    with client.session() as session:
        for account, kind in (*accounts, *((group, "rodsgroup") for (group,) in groups)):
            if kind == "rodsgroup":
                # What is left of a quota would count for whoever gets the group's number.
                calls.administer(session, "set-quota", "group", account, "total", "0")
            calls.administer(session, "rm", "user", account, zone)
    client.call(partial(_empty, path=path, itself=True))


def _empty(session: iRODSSession, path: str, *, itself: bool) -> None:
    """Delete all that is in a collection, and the collection where asked, whatever marks keep it."""
    if not calls.rows(session, (Collection.id,), (Collection.name == path,)):
        return
    calls.set_access(session, path, (session.username, session.zone), "own")
    # Rule bases refuse to delete what carries their marks, and let administrators take the marks away.
    for where in (Collection.name == path, Like(Collection.name, f"{path}/%")):
        columns = (Collection.name, CollectionMeta.name, CollectionMeta.value, CollectionMeta.units)
        for name, *avu in calls.rows(session, columns, (where, Like(CollectionMeta.name, "bic:%"))):
            if avu[0] != MARK:
                mark = avu[0], avu[1], avu[2]
                calls.change_avu(session, "rm", calls.COLLECTION, name, mark, as_admin=True)
    inside = session.collections.get(path)
    for data_object in list(inside.data_objects):
        data_object.unlink(force=True)
    for collection in list(inside.subcollections):
        session.collections.remove(collection.path, recurse=True, force=True)
    if itself:
        session.collections.remove(path, recurse=True, force=True)
