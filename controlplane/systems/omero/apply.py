"""Making a plan's changes on an OMERO server.

Each change can be cut off anywhere: what was made is marked, so the next observation sees how far it came and
the next plan holds the rest. Each call may be repeated, because the answer of one that was carried out may be
lost; where the server does not allow that, it is read again.

Nobody gets a password that anybody knows. `IAdmin.createExperimenter` gives a blank one, which some servers
take for any, so accounts are made with a long random one that is thrown away. A server that asks LDAP refuses
to give a password to an account whose password LDAP has (`LdapPasswordProvider`), so that comes in a second
call.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Lock
from typing import TypeVar

from controlplane.reconcile.port import ChangeError, SystemDownError
from controlplane.state import Action, Change, FieldChange, parse_mark
from controlplane.systems.attempts import Outage
from controlplane.systems.omero import objects, resources, sessions
from controlplane.systems.omero.client import Client
from controlplane.systems.omero.connection import Connection
from controlplane.systems.omero.contents import Server
from controlplane.systems.omero.errors import OmeroError
from controlplane.systems.omero.first_group import FirstGroup
from controlplane.systems.omero.objects import TEXTS, account_proxy, group_proxy, new_account
from controlplane.systems.omero.observe import read
from controlplane.systems.omero.resources import ACTIVE_GROUP, SESSION, USER

PATIENCE = 60.0
"""Seconds to go on trying a change while the server or its database may come back."""

PASSWORD_BYTES = 48
"""Random bytes of a password that nobody knows: 64 characters."""

T = TypeVar("T")
_Step = Callable[[FieldChange], None]


class Applier:
    """Makes changes on one server; `apply` may run in several threads."""

    def __init__(self, client: Client, platform: str) -> None:
        """Mark what is made as the platform's."""
        self.client = client
        self.platform = platform
        self._found = Server({}, {}, {})
        self._accounts: dict[str, int] = {}
        self._groups: dict[str, int] = {}
        self._marked: set[int] = set()
        """The accounts that carry the platform's mark."""
        self._teams: set[int] = set()
        """The groups of teams that do."""
        self._locks: dict[int, Lock] = {}
        """By account: the server keeps somebody's groups as one list, which two calls at once would spoil."""
        self._outage = Outage(lambda: client.call(lambda connection: connection.version))

    def begin(self, changes: Sequence[Change]) -> None:
        """Learn the numbers of what is there. Raises OmeroError."""
        if changes:
            self._found = self.client.call(_read, patience=PATIENCE)
            self._accounts = dict(self._found.account_numbers)
            self._groups = dict(self._found.group_numbers)
            self._marked = set(self._found.marked_accounts(self.platform))
            self._teams = set(self._found.teams_of(self.platform))

    def apply(self, change: Change) -> str:
        """Make one change and return a remark, which is empty.

        Raises ChangeError with all that went wrong in it, and SystemDownError when the server takes no
        changes any more.
        """
        try:
            self._make(change)
        except OmeroError as error:
            raise ChangeError(str(error)) from error
        return ""

    def _make(self, change: Change) -> None:
        kind, name = change.key
        if change.action is Action.DELETE:
            if kind != SESSION:
                raise ValueError(f"a {kind} is not deleted")
            number = resources.session_number(name)
            self._call(lambda connection: sessions.end(connection, lambda each: each.number == number))
            return
        if change.action is Action.CREATE:
            self._create(change)
        problems = []
        for step, item in self._steps(change):
            try:
                step(item)
            except SystemDownError:
                raise
            except (OmeroError, ChangeError) as error:
                problems.append(f"{item.name}: {error}")
        if problems:
            raise ChangeError("; ".join(problems))

    def _call(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns for a connection; tried again while that may help. It must be safe to repeat.

        Raises OmeroError when the server refuses, SystemDownError when it is not there.
        """
        return self._outage.watch(lambda: self.client.call(work, patience=PATIENCE))

    def _create(self, change: Change) -> None:
        after = {item.name: item.after for item in change.fields}
        name = change.key.name
        make, numbers = (
            (self._account_maker(name, after), self._accounts)
            if change.key.kind == USER
            else (_group_maker(name, after), self._groups)
        )
        try:
            numbers[name] = self._call(make)
        except OmeroError as error:
            # Perhaps it is there already: after a lost answer it was this apply that made it.
            found = self._call(_read)
            known = found.account_numbers if change.key.kind == USER else found.group_numbers
            if name not in known:
                raise
            if not self._is_ours(found, change):
                raise ChangeError("somebody made it since it was planned; plan again") from error
            numbers[name] = known[name]
        (self._marked if change.key.kind == USER else self._teams).add(numbers[name])

    def _is_ours(self, found: Server, change: Change) -> bool:
        name = change.key.name
        if change.key.kind == USER:
            return found.account_numbers[name] in found.marked_accounts(self.platform)
        return parse_mark(found.mark_of(name))[0] == self.platform

    def _account_maker(self, name: str, after: Mapping[str, object]) -> Callable[[Connection], int]:
        mark = group_proxy(self._platform_group)
        others = [group_proxy(self._group(ACTIVE_GROUP))] if after["active"] else []

        def make(connection: Connection) -> int:
            from omero.rtypes import rstring

            account, password = new_account(name, after), rstring(secrets.token_urlsafe(PASSWORD_BYTES))
            return int(connection.admin.createExperimenterWithPassword(account, password, mark, others))

        return make

    def _steps(self, change: Change) -> list[tuple[_Step, FieldChange]]:
        """How the fields that change are set, in this order; a created object has some from the start."""
        creating = change.action is Action.CREATE
        name = change.key.name
        steps = (
            self._account_steps(name, creating=creating)
            if change.key.kind == USER
            else self._group_steps(name, change, creating=creating)
        )
        return [(step, item) for field, step in steps.items() if (item := change.field(field))]

    def _account_steps(self, name: str, *, creating: bool) -> Mapping[str, _Step]:
        account = self._account(name)
        ask_ldap: dict[str, _Step] = {"ldap": lambda _: self._ask_ldap(account, name, creating=creating)}
        if creating:
            return ask_ldap
        return {
            "mark": lambda _: self._mark(account),
            **ask_ldap,
            **dict.fromkeys(TEXTS, lambda item: self._set_text(account, item)),
            "active": lambda item: self._set_active(account, on=bool(item.after)),
        }

    def _group_steps(self, name: str, change: Change, *, creating: bool) -> Mapping[str, _Step]:
        group = self._group(name)
        members = change.field("members")
        people: dict[str, _Step] = {
            "members": lambda item: self._set_members(group, item),
            "owners": lambda item: self._set_owners(group, item, members),
        }
        if creating:
            return people
        mark, permissions = change.field("mark"), change.field("permissions")
        # One step sets both.
        return {
            "mark" if mark else "permissions": lambda _: self._set_group(group, name, mark, permissions),
            **people,
        }

    def _account(self, name: str) -> int:
        if name not in self._accounts:
            raise ChangeError(f"the server has no account {name}; plan again")
        return self._accounts[name]

    def _group(self, name: str) -> int:
        if name not in self._groups:
            raise ChangeError(f"the server has no group {name}; plan again")
        return self._groups[name]

    @property
    def _platform_group(self) -> int:
        return self._group(resources.platform_group_name(self.platform))

    def _ask_ldap(self, account: int, name: str, *, creating: bool) -> None:
        """Let LDAP check the password. One that somebody may know goes first: it would count without LDAP."""
        from omero.rtypes import rlong, rstring

        if not creating:
            password = rstring(secrets.token_urlsafe(PASSWORD_BYTES))
            self._call(lambda connection: connection.admin.changeUserPassword(name, password))
        # Any text says yes (`LdapImpl.setDN` of the server).
        self._call(lambda connection: connection.ldap.setDN(rlong(account), "true"))

    def _set_text(self, account: int, item: FieldChange) -> None:
        from omero.rtypes import rstring

        def work(connection: Connection) -> None:
            # All texts are set together, so the others are read first.
            found = connection.admin.getExperimenter(account)
            found.unloadCollections()
            setattr(found, TEXTS[item.name], rstring(str(item.after)))
            connection.admin.updateExperimenter(found)

        self._call(work)

    def _set_active(self, account: int, *, on: bool) -> None:
        active = self._group(ACTIVE_GROUP)
        if on:
            self._add(account, active)
            return
        self._remove(account, active)
        self._end_sessions({account})

    def _set_group(
        self, group: int, name: str, mark: FieldChange | None, permissions: FieldChange | None
    ) -> None:
        # Name and description are set together; permissions only where they are given.
        description = (
            resources.description(str(mark.after)) if mark else self._found.groups[group].description
        )
        made = objects.group(name, description, str(permissions.after) if permissions else "", group)
        self._call(lambda connection: connection.admin.updateGroup(made))

    def _set_members(self, group: int, item: FieldChange) -> None:
        """Remove and add members; one that fails does not stop the others."""
        gone, problems = self._each("remove", item.removed, lambda account: self._leave(account, group))
        problems += self._ended(gone)
        problems += self._each("add", item.added, lambda account: self._join(self._ours(account), group))[1]
        if problems:
            raise ChangeError(", ".join(problems))

    def _set_owners(self, group: int, item: FieldChange, members: FieldChange | None) -> None:
        """Take and give ownership. Who is no member owns nothing, and taking it would make one of them."""
        left = set(members.removed) if members else set()
        gone, problems = self._each(
            "take ownership from",
            [name for name in item.removed if name not in left],
            lambda account: self._own(account, group, owns=False),
        )
        problems += self._ended(gone)
        problems += self._each(
            "give ownership to", item.added, lambda account: self._own(self._ours(account), group, owns=True)
        )[1]
        if problems:
            raise ChangeError(", ".join(problems))

    def _each(
        self, verb: str, names: Iterable[str], work: Callable[[int], None]
    ) -> tuple[set[int], list[str]]:
        """The accounts for which the work was done, and what went wrong with the others."""
        done, problems = set(), []
        for name in names:
            try:
                account = self._account(name)
                work(account)
            except SystemDownError:
                raise
            except (OmeroError, ChangeError) as error:
                problems.append(f"{verb} {name}: {error}")
            else:
                done.add(account)
        return done, problems

    def _ended(self, accounts: set[int]) -> list[str]:
        """What went wrong when sessions were ended that have more access than their owners."""
        try:
            self._end_sessions(accounts)
        except OmeroError as error:
            return [f"end their sessions: {error}"]
        return []

    def _end_sessions(self, accounts: set[int]) -> None:
        """End the sessions of the accounts that are ours; others, such as the administrator, keep theirs."""
        if ours := accounts & self._marked:
            self._call(lambda connection: sessions.end(connection, lambda each: each.owner in ours))

    def _ours(self, account: int) -> int:
        """The account, if it is ours: nobody else's gets in because it has the name of one of our people."""
        if account not in self._marked:
            raise ChangeError("somebody else's account has this name")
        return account

    def _mark(self, account: int) -> None:
        self._add(account, self._platform_group)
        self._marked.add(account)

    @property
    def _first(self) -> FirstGroup:
        # The platform's group is among those that were made, and no team's.
        teams = self._teams - {self._platform_group}
        return FirstGroup(self._platform_group, self._group(ACTIVE_GROUP), teams)

    def _join(self, account: int, group: int) -> None:
        self._add(account, group)
        self._membership(account, lambda connection: self._first.joined(connection, account, group))

    def _leave(self, account: int, group: int) -> None:
        self._membership(account, lambda connection: self._first.leaving(connection, account, group))
        self._remove(account, group)

    def _add(self, account: int, group: int) -> None:
        user, groups = account_proxy(account), [group_proxy(group)]
        self._membership(account, lambda connection: connection.admin.addGroups(user, groups))

    def _remove(self, account: int, group: int) -> None:
        user, groups = account_proxy(account), [group_proxy(group)]
        self._membership(account, lambda connection: connection.admin.removeGroups(user, groups))

    def _own(self, account: int, group: int, *, owns: bool) -> None:
        users, of = [account_proxy(account)], group_proxy(group)

        def work(connection: Connection) -> None:
            change = connection.admin.addGroupOwners if owns else connection.admin.removeGroupOwners
            change(of, users)

        self._membership(account, work)

    def _membership(self, account: int, work: Callable[[Connection], None]) -> None:
        with self._locks.setdefault(account, Lock()):
            self._call(work)


def _read(connection: Connection) -> Server:
    return read(connection, sessions=False)


def _group_maker(name: str, after: Mapping[str, object]) -> Callable[[Connection], int]:
    description, permissions = resources.description(str(after["mark"])), str(after["permissions"])
    return lambda connection: int(connection.admin.createGroup(objects.group(name, description, permissions)))
