"""Making a plan's changes in a zone.

Each change can be cut off anywhere: what was made is marked, or claimed before it was made, so the next
observation sees how far it came and the next plan holds the rest. Each call may be repeated, because the
answer of one that was carried out may be lost.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from irods.column import Criterion
from irods.exception import NetworkException
from irods.models import Resource, ResourceMeta, User, UserMeta, Zone
from irods.session import iRODSSession

from controlplane.reconcile.port import ChangeError, SystemDownError
from controlplane.state import Action, Change, FieldChange, Key, parse_mark
from controlplane.systems.attempts import Outage
from controlplane.systems.irods import calls, resources, tickets
from controlplane.systems.irods.claims import Ledger
from controlplane.systems.irods.client import Client, IrodsError
from controlplane.systems.irods.free_space import NEEDS_IT, measure
from controlplane.systems.irods.queries import ZONE_COMMENT
from controlplane.systems.irods.resources import (
    GROUP,
    MARK,
    POLICY_GROUP,
    REMOTE_ZONE,
    RULE_PARAMETER,
    STORAGE_RESOURCE,
    TICKET,
    USER,
    parse_entries,
    parse_limits,
)

PATIENCE = 60.0
"""Seconds to go on trying a change while the server or its catalogue may come back."""

MARKED_WITHIN = 2.0
"""Seconds in which another run marks what it has made."""

# Error codes of iRODS 5 which say that the work was done before, or that there is data.
ALREADY_THERE = -809000
NOT_A_MEMBER = -1830000
NO_SUCH_GROUP = -829000
NO_SUCH_ZONE = -828000
NO_SUCH_STORAGE_RESOURCE = -808000
NO_SUCH_CHILD = -857000
COLLECTION_NOT_EMPTY = -821000
# What there is to say about a collection that is gone, by the call that is told.
NO_COLLECTION = (-358000, -808000, -814000, -816000)

MARKED_AT_ONCE = (REMOTE_ZONE, RULE_PARAMETER)
"""What one call makes and marks, so that it needs no claim."""

T = TypeVar("T")


class Applier:
    """Makes changes in one zone; `apply` may run in several threads."""

    def __init__(
        self, client: Client, platform: str, settled: Callable[[Key], bool] = lambda key: False
    ) -> None:
        """Mark what is made as the platform's.

        `settled` tells of an object before the changes whether no claim on it is needed any more: it is
        marked, or it does not exist and nobody wants it.
        """
        self.client = client
        self.platform = platform
        self.ledger = Ledger(client.server.user, client.server.zone, platform)
        self._settled = settled
        self._done: set[Key] = set()
        self._unfinished: set[Key] = set()
        self._outage = Outage(lambda: client.rows(Zone.name))
        self._begun = time.monotonic()
        self._changed: dict[str, float] = {}
        """When a storage resource was made or placed, by the monotonic clock."""

    def begin(self, changes: Sequence[Change]) -> None:
        """Claim all that the changes create. Raises IrodsError."""
        made = [
            change.key
            for change in changes
            if change.action is Action.CREATE and change.key.kind not in MARKED_AT_ONCE
        ]
        if made:
            self.client.call(lambda session: self.ledger.write(session, made), patience=PATIENCE)

    def finish(self) -> None:
        """Give up the claims of the changes, but not of failed ones: what was made is marked.

        So go those that a killed run left. A zone that went down keeps them all. Raises IrodsError.
        """
        if self._outage:
            return
        self.client.call(
            lambda session: self.ledger.give_up(
                session, self._unfinished, lambda key: key in self._done or self._settled(key)
            ),
            patience=PATIENCE,
        )

    def apply(self, change: Change) -> str:
        """Make one change and return a remark.

        Raises ChangeError with all that went wrong in it, and SystemDownError when the zone takes no changes
        any more.
        """
        self._unfinished.add(change.key)
        try:
            remark = self._make(change)
        except IrodsError as error:
            raise ChangeError(str(error)) from error
        self._unfinished.discard(change.key)
        self._done.add(change.key)
        return remark

    def _make(self, change: Change) -> str:
        if change.key.kind == RULE_PARAMETER:
            self._set_parameter(change)
            return ""
        if change.key.kind == TICKET:
            number = resources.ticket_number(change.key.name)
            self._call(lambda session: tickets.end(session, number))
            return ""
        if change.action is Action.DELETE:
            return self._delete(change)
        if change.action is Action.CREATE:
            self._create(change)
        self._update(change)
        return ""

    def _call(self, work: Callable[[iRODSSession], T], *, since: float = 0.0) -> T:
        """What `work` returns for a session; tried again while that may help. It must be safe to repeat.

        Raises IrodsError when the server refuses, SystemDownError when it is not there.
        """
        return self._outage.watch(lambda: self.client.call(work, patience=PATIENCE, since=since))

    def _administer(self, *words: str, done: Sequence[int] = ()) -> None:
        """One call of `iadmin`; the codes `done` say that nothing was left to do."""

        def work(session: iRODSSession) -> None:
            calls.administer(session, *words)

        try:
            self._call(work)
        except IrodsError as error:
            if error.code not in done:
                raise

    def _set_parameter(self, change: Change) -> None:
        """Give a parameter of a rule base its value in place of all that it has, or take them away."""
        rule_base, _, parameter = change.key.name.partition(":")
        attribute = resources.parameter_attribute(rule_base, parameter)
        item = change.field("value")
        where = (User.name == POLICY_GROUP, UserMeta.name == attribute)

        def work(session: iRODSSession) -> None:
            avus = calls.rows(session, (UserMeta.value, UserMeta.units), where)
            if change.action is Action.DELETE:
                mine = [(attribute, value, unit) for value, unit in avus if unit == self.platform]
                calls.change_avus(session, POLICY_GROUP, remove=mine)
                return
            # Where only the mark is missing, the value stays.
            value = _texts(item.after)[0] if item else avus[0][0]
            calls.set_mark(session, calls.ACCOUNT, POLICY_GROUP, (attribute, value, self.platform))

        self._call(work)

    def _create(self, change: Change) -> None:
        after = {item.name: item.after for item in change.fields}
        kind, name = change.key
        match kind:
            case "user":
                words = ["add", "user", name, str(after["type"]), "", ""]
            case "group":
                words = ["add", "group", name, "", "", ""]
            case "storage_resource":
                location = f"{after['host'] or calls.EMPTY_HOST}:{after['vault'] or calls.EMPTY_VAULT}"
                # A context that needs the room to be known comes when it is, in a step of its own.
                context = "" if NEEDS_IT in str(after["context"]) else str(after["context"])
                words = ["add", "resource", name, str(after["type"]), location, context, ""]
            case "remote_zone":
                comment = resources.comment(str(after["mark"]))
                words = ["add", "zone", name, "remote", str(after["connection"]), comment]
            case _:
                raise ValueError(f"no such kind: {kind}")
        answer_lost = False

        def work(session: iRODSSession) -> None:
            nonlocal answer_lost
            try:
                calls.administer(session, *words)
            except (NetworkException, OSError, EOFError):
                answer_lost = True
                raise

        try:
            self._call(work)
        except IrodsError as error:
            if error.code != ALREADY_THERE:
                raise
            # After a lost answer it was this apply that made it.
            if not answer_lost and not self._is_ours(change.key):
                self._unfinished.discard(change.key)
                raise ChangeError("somebody made it since it was planned; plan again") from error
        if kind == STORAGE_RESOURCE:
            self._changed[name] = time.monotonic()

    def _is_ours(self, key: Key) -> bool:
        """Whether an object that exists carries the platform's mark, or another run claims it."""
        deadline = time.monotonic() + MARKED_WITHIN
        while True:
            if parse_mark(self._call(lambda session: self._mark_of(session, key)))[0] == self.platform:
                return True
            if key in self._call(self.ledger.others):
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(MARKED_WITHIN / 4)

    def _mark_of(self, session: iRODSSession, key: Key) -> str:
        """The mark that an object carries, or nothing."""
        where: tuple[Criterion, ...]
        if key.kind == REMOTE_ZONE:
            rows = calls.rows(session, (ZONE_COMMENT,), (Zone.name == key.name,))
            return resources.commented(rows[0][0]) if rows else ""
        if key.kind == STORAGE_RESOURCE:
            columns, where = (ResourceMeta.value,), (Resource.name == key.name, ResourceMeta.name == MARK)
        else:
            name, _, zone = key.name.partition("#")
            of_zone = User.zone == (zone or self.client.server.zone)
            columns, where = (UserMeta.value,), (User.name == name, of_zone, UserMeta.name == MARK)
        rows = calls.rows(session, columns, where)
        return rows[0][0] if rows else ""

    def _update(self, change: Change) -> None:
        """Set the fields that change: marks first, then what access depends on."""
        problems = []
        for field, step in self._steps(change).items():
            if item := change.field(field):
                try:
                    step(item)
                except SystemDownError:
                    raise
                except (IrodsError, ChangeError) as error:
                    problems.append(f"{field}: {error}")
        if problems:
            raise ChangeError("; ".join(problems))

    def _steps(self, change: Change) -> Mapping[str, Callable[[FieldChange], None]]:
        """How each field of an object is set, in this order; a created object has some from the start."""
        kind, name = change.key
        creating = change.action is Action.CREATE
        home = f"/{self.client.server.zone}/home/{name}"
        set_mark = self._marking(calls.ACCOUNT, name)
        if kind == USER:
            steps: dict[str, Callable[[FieldChange], None]] = {"mark": set_mark}
            if not creating:
                steps["type"] = lambda item: self._administer("modify", "user", name, "type", str(item.after))
            return steps
        if kind == GROUP:
            steps = {"mark": set_mark}
            if not creating:
                steps["collection"] = lambda _: self._make_home(home)
            return steps | {
                "collection_mark": self._marking(calls.COLLECTION, home),
                "acl": lambda item: self._set_acl(home, item),
                "inheritance": lambda item: self._set_inheritance(home, item),
                "members": lambda item: self._set_members(name, item),
                "quota": lambda item: self._set_quotas(name, item),
            }
        if kind == STORAGE_RESOURCE:
            steps = {"mark": self._marking(calls.STORAGE_RESOURCE, name)}
            if not creating or NEEDS_IT in _after(change, "context"):
                steps["context"] = lambda item: self._set_context(name, str(item.after))
            if not creating or _after(change, "status") == "down":
                steps["status"] = lambda item: self._administer(
                    "modify", "resource", name, "status", str(item.after)
                )
            parent = change.field("parent")
            if parent and creating and not parent.after:
                return steps
            # One step sets both.
            return steps | {"parent" if parent else "parent_context": lambda _: self._place(name, change)}
        if creating:
            return {}
        return {
            "mark": lambda item: self._administer(
                "modify", "zone", name, "comment", resources.comment(str(item.after))
            ),
            "connection": lambda item: self._administer("modify", "zone", name, "conn", str(item.after)),
        }

    def _marking(self, kind: str, name: str) -> Callable[[FieldChange], None]:
        return lambda item: self._call(
            lambda session: calls.set_mark(session, kind, name, resources.avu(str(item.after)))
        )

    def _make_home(self, home: str) -> None:
        try:
            self._call(lambda session: session.collections.create(home, recurse=False))
        except IrodsError as error:
            if error.code != ALREADY_THERE:
                raise

    def _set_acl(self, home: str, item: FieldChange) -> None:
        """Change the collection's ACL and that of all in it, which inheritance alone does not reach."""
        before, after = parse_entries(_texts(item.before)), parse_entries(_texts(item.after))
        changed = dict.fromkeys(sorted(before.keys() - after.keys()), "null")
        changed |= {account: level for account, level in after.items() if before.get(account) != level}
        for account, level in changed.items():
            name, _, of_zone = account.partition("#")
            whom = name, of_zone or self.client.server.zone
            self._call(partial(calls.set_access, path=home, account=whom, level=level))

    def _set_inheritance(self, home: str, item: FieldChange) -> None:
        self._call(lambda session: calls.set_inheritance(session, home, on=bool(item.after)))

    def _set_members(self, group: str, item: FieldChange) -> None:
        """Add and remove members; one that fails does not stop the others."""
        before, after = set(_texts(item.before)), set(_texts(item.after))
        problems = []
        for verb, users, done in (
            ("remove", before - after, NOT_A_MEMBER),
            ("add", after - before, ALREADY_THERE),
        ):
            for user in sorted(users):
                account, _, of_zone = user.partition("#")
                try:
                    self._administer("modify", "group", group, verb, account, of_zone, done=[done])
                except IrodsError as error:
                    problems.append(f"{verb} {user}: {error}")
        if problems:
            raise ChangeError(", ".join(problems))

    def _set_quotas(self, group: str, item: FieldChange) -> None:
        """Set the limits that changed; a limit of 0 removes the quota."""
        before, after = parse_limits(_texts(item.before)), parse_limits(_texts(item.after))
        limits = dict.fromkeys(sorted(before.keys() - after.keys()), 0)
        limits |= {on: size for on, size in after.items() if before.get(on) != size}
        for on, size in limits.items():
            self._administer("set-quota", "group", group, on, str(size))

    def _set_context(self, name: str, context: str) -> None:
        """Set a storage resource's context, when its room is known if that counts from then on."""
        if NEEDS_IT in context:
            self._call(lambda session: measure(session, name))
        self._administer("modify", "resource", name, "context", context)

    def _place(self, name: str, change: Change) -> None:
        """Put a storage resource below its parent, or take it out from there."""
        parent, context = change.field("parent"), change.field("parent_context")

        def work(session: iRODSSession) -> None:
            found = calls.rows(session, (Resource.parent, Resource.parent_context), (Resource.name == name,))
            parent_id, placed_as = found[0] if found else ("", "")
            above = calls.rows(session, (Resource.name,), (Resource.id == parent_id,)) if parent_id else []
            now = above[0][0] if above else "", placed_as
            wanted = str(parent.after) if parent else now[0], str(context.after) if context else now[1]
            if now == wanted:
                return
            if now[0]:
                calls.administer(session, "rm", "childfromresc", now[0], name)
            if wanted[0]:
                calls.administer(session, "add", "childtoresc", wanted[0], name, wanted[1])

        both = (name, str(parent.after) if parent else "")
        self._call(work, since=max(self._changed.get(each, self._begun) for each in both))
        self._changed[name] = time.monotonic()

    def _delete(self, change: Change) -> str:
        """Remove a group, a storage resource or a remote zone.

        A storage resource is empty: the server refuses otherwise. Access to a group's home goes first. The
        group itself stays as long as its home holds data, unless the plan says that they are to be destroyed.
        """
        name = change.key.name
        if change.key.kind == REMOTE_ZONE:
            self._administer("rm", "zone", name, done=[NO_SUCH_ZONE])
            return ""
        if change.key.kind == STORAGE_RESOURCE:
            if (parent := change.field("parent")) and parent.before:
                self._administer("rm", "childfromresc", str(parent.before), name, done=[NO_SUCH_CHILD])
            self._administer("rm", "resource", name, done=[NO_SUCH_STORAGE_RESOURCE])
            return ""
        if change.key.kind != GROUP:
            raise ValueError(f"a {change.key.kind} is not deleted")
        home = f"/{self.client.server.zone}/home/{name}"
        if (item := change.field("members")) and item.before:
            self._set_members(name, FieldChange("members", item.before, ()))
        if (item := change.field("acl")) and item.before:
            self._set_acl(home, FieldChange("acl", item.before, ()))
        if change.destroys:
            self._erase(home)
        try:
            self._administer("rm", "group", name, done=[NO_SUCH_GROUP])
        except IrodsError as error:
            if error.code != COLLECTION_NOT_EMPTY:
                raise
            return f"access is withdrawn; the group stays, because {home} holds data"
        return ""

    def _erase(self, home: str) -> None:
        """Delete a collection and all in it, past the trash. Goes on where an earlier attempt was cut off."""
        server = self.client.server

        def work(session: iRODSSession) -> None:
            calls.set_access(session, home, (server.user, server.zone), resources.OWN)
            session.collections.remove(home, recurse=True, force=True)

        try:
            self._call(work)
        except IrodsError as error:
            if error.code not in NO_COLLECTION:
                raise


def _after(change: Change, field: str) -> str:
    item = change.field(field)
    return str(item.after) if item else ""


def _texts(value: object) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()
