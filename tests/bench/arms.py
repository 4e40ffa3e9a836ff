"""The ways of doing the same work that are measured side by side.

Each arm works on a zone by `python-irodsclient`, over TLS, as the zone's administrator.

- **bare calls** makes the very changes that the control plane made, read from the server's log of calls, with
  as many connections, and nothing else: no plan, no claims, no journal.
- **bare reads** asks the very queries of a plan over one connection and throws the rows away.
- **client loop** is a script as people write it: for each account, group and collection it asks with the
  client library's own helpers, and makes what is missing, over one connection.
- **iadmin loop** is Ansible's loop over `iadmin`: a question and, where needed, a command for each account,
  group, member and ACL entry, each by a process of its own. What is modelled is connection, TLS and login for
  each command and the one request of the command itself. The start of a process, which costs a real `iadmin`
  more than that, is left out.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from queue import LifoQueue
from typing import TypeVar

from call_log import Call
from irods.access import iRODSAccess
from irods.api_number import api_number
from irods.exception import GroupDoesNotExist, UserDoesNotExist
from irods.message import GeneralAdminRequest, MetadataRequest, ModAclRequest, iRODSMessage
from irods.models import Collection, CollectionAccess, Group, User
from irods.session import iRODSSession

from controlplane.state import State
from controlplane.systems.irods.client import Endpoint, open_session
from controlplane.systems.irods.queries import queries
from controlplane.systems.irods.resources import GROUP, USER

T = TypeVar("T")


@dataclass(frozen=True)
class Home:
    """A group, its members, and the ACL of its home collection as account and level."""

    group: str
    members: tuple[str, ...]
    acl: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Work:
    """Accounts and groups to look after."""

    users: tuple[str, ...]
    homes: tuple[Home, ...]

    @property
    def size(self) -> int:
        """The number of things that a loop goes over: accounts, groups, members and ACL entries."""
        return len(self.users) + sum(1 + len(home.members) + len(home.acl) for home in self.homes)


def work_of(desired: State, facilities: Iterable[str]) -> Work:
    """The accounts and groups of some facilities."""
    chosen = set(facilities)
    homes = [
        Home(
            key.name,
            tuple(map(str, resource.fields["members"])),
            tuple(
                (account, level)
                for account, _, level in (str(text).rpartition(":") for text in resource.fields["acl"])
            ),
        )
        for key, resource in desired.items()
        if key.kind == GROUP and resource.facility in chosen
    ]
    names = {member for home in homes for member in home.members}
    return Work(
        tuple(sorted(key.name for key in desired if key.kind == USER and key.name in names)), tuple(homes)
    )


def bare_reads(server: Endpoint, *, genquery2: bool) -> int:
    """Ask all queries of a plan; the number of rows."""
    with open_session(server) as session:
        return sum(
            len(query.rows(session, genquery2=genquery2))
            for query in queries(server.zone, genquery2=genquery2).values()
        )


class BareCalls:
    """Makes logged changes again, in an empty zone."""

    def __init__(self, calls: Iterable[Call]) -> None:
        """Sort the changes by the object that they are about: one object's are made one after the other."""
        changes = [call for call in calls if call.changed and "bic:claim" not in str(call.arguments)]
        groups = {call.arguments[2] for call in changes if call.arguments[:2] == ("add", "group")}
        self.phases: tuple[dict[str, list[Call]], ...] = ({}, {})
        for call in changes:
            name = _object_of(call)
            phase = int(name in groups or call.arguments[:2] == ("add", "childtoresc"))
            self.phases[phase].setdefault(name, []).append(call)

    def run(self, server: Endpoint, connections: int) -> None:
        """Make all of them, each phase over new connections: a session does not see storage resources that
        were made after its login.
        """
        for phase in self.phases:
            sessions: LifoQueue[iRODSSession] = LifoQueue()
            for _ in range(connections):
                sessions.put(open_session(server))
            with ThreadPoolExecutor(connections) as workers:
                for _ in workers.map(partial(_send_all, sessions), phase.values()):
                    pass
            for _ in range(connections):
                sessions.get().cleanup()


def _send_all(sessions: "LifoQueue[iRODSSession]", calls: Iterable[Call]) -> None:
    session = sessions.get()
    try:
        for call in calls:
            _send(session, call)
    finally:
        sessions.put(session)


def _object_of(call: Call) -> str:
    """The account, group or storage resource that a change is about; a home collection is its group's."""
    words = call.arguments
    match call.name:
        case "GENERAL_ADMIN_AN":
            return words[2]
        case "MOD_AVU_METADATA_AN":
            return words[2].rpartition("/")[2]
        case "MOD_ACCESS_CONTROL_AN":
            return words[4].rpartition("/")[2]
    raise ValueError(f"{call.name} is not known here: teach it to this benchmark")


def _send(session: iRODSSession, call: Call) -> None:
    words = call.arguments
    body: object
    match call.name:
        case "GENERAL_ADMIN_AN":
            body = GeneralAdminRequest(*words)
        case "MOD_AVU_METADATA_AN":
            body = MetadataRequest(*words, **({"irodsAdmin": ""} if words[1] == "-C" else {}))
        case _:
            recursive, level, user, zone, path = words
            body = ModAclRequest(
                recursiveFlag=int(recursive), accessLevel=level, userName=user, zone=zone, path=path
            )
    with session.pool.get_connection() as connection:
        connection.send(iRODSMessage("RODS_API_REQ", msg=body, int_info=api_number[call.name]))
        connection.recv()


def client_loop(server: Endpoint, work: Work) -> None:
    """See to all accounts and groups, over one connection."""
    with open_session(server) as session:
        for user in work.users:
            try:
                session.users.get(user)
            except UserDoesNotExist:
                session.users.create(user, "rodsuser")
        for home in work.homes:
            path = f"/{server.zone}/home/{home.group}"
            try:
                group = session.groups.get(home.group)
            except GroupDoesNotExist:
                group = session.groups.create(home.group)
            present = {member.name for member in group.members}
            for member in home.members:
                if member not in present:
                    group.addmember(member)
            access = {entry.user_name for entry in session.acls.get(session.collections.get(path))}
            for account, level in home.acl:
                if account not in access:
                    session.acls.set(iRODSAccess(level, path, account, server.zone), admin=True)


def iadmin_loop(server: Endpoint, work: Work) -> None:
    """See to all accounts and groups, with a connection for each command."""

    def command(make: Callable[[iRODSSession], T]) -> T:
        with open_session(server) as session:
            return make(session)

    for user in work.users:
        if not command(lambda session, name=user: list(session.query(User.id).filter(User.name == name))):
            command(lambda session, name=user: _administer(session, "add", "user", name, "rodsuser"))
    for home in work.homes:
        path = f"/{server.zone}/home/{home.group}"
        listed = command(
            lambda session, name=home.group: list(session.query(User.name).filter(Group.name == name))
        )
        if not listed:
            command(lambda session, name=home.group: _administer(session, "add", "user", name, "rodsgroup"))
        present = {row[User.name] for row in listed}
        for member in home.members:
            if member not in present:
                words = ("modify", "group", home.group, "add", member, server.zone)
                command(lambda session, words=words: _administer(session, *words))
        access = command(
            lambda session, path=path: list(
                session.query(CollectionAccess.user_id).filter(Collection.name == path)
            )
        )
        if len(access) < len(home.acl):
            for account, level in home.acl:
                entry = iRODSAccess(level, path, account, server.zone)
                command(lambda session, entry=entry: session.acls.set(entry, admin=True))


def _administer(session: iRODSSession, *words: str) -> None:
    with session.pool.get_connection() as connection:
        body = GeneralAdminRequest(*words)
        connection.send(iRODSMessage("RODS_API_REQ", msg=body, int_info=api_number["GENERAL_ADMIN_AN"]))
        connection.recv()
