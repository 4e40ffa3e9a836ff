"""What a case works in: a collection and accounts that are made for it and removed afterwards."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from irods.models import User
from irods.session import iRODSSession

from controlplane.model.cases_file import Actor
from controlplane.systems.irods import calls, synthetic
from controlplane.systems.irods.client import Client, Endpoint
from controlplane.systems.irods.synthetic import Kind, make_account, make_collection, remove

CASE = Kind("bic_case_", "bic:case", 3600)

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
    with client.session() as session:
        path = make_collection(session, CASE, token)
    try:
        with client.session() as session:
            accounts: dict[Actor, Endpoint] = {"admin": server}
            for actor in sorted(actors - {"admin"}):
                accounts[actor] = made = make_account(session, server, path, actor)
                calls.set_access(session, path, (made.user, server.zone), _ACCESS[actor])
                if actor == "curator":
                    _join(session, curators, made.user, token)
            calls.set_inheritance(session, path, on=True)
            yield CaseSite(server, path, accounts, session)
    finally:
        remove(client, CASE, path)


def _join(session: iRODSSession, group: str, name: str, token: str) -> None:
    if not calls.rows(session, (User.id,), (User.name == group, User.type == "rodsgroup")):
        calls.administer(session, "add", "user", group, "rodsgroup", "", "", "")
        calls.set_mark(session, calls.ACCOUNT, group, (CASE.mark, token, ""))
    calls.administer(session, "modify", "group", group, "add", name, session.zone)


def remove_left(client: Client, now: float | None = None) -> None:
    """Remove what killed runs left. Raises IrodsError."""
    synthetic.remove_left(client, CASE, now)
