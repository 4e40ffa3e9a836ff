"""Making a plan's changes in Authentik.

A group and its mark are made in one request, and each change may be repeated, so an apply that was cut off is
finished by the next one. Members come and go by `add_user` and `remove_user`, one at a time: a list that is
written as a whole loses what somebody else wrote meanwhile. Attributes can only be written as a whole, so
they are read right before.
"""

import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from controlplane.reconcile.port import ChangeError, SystemDownError
from controlplane.state import Action, Change, FieldChange
from controlplane.systems.authentik import calls
from controlplane.systems.authentik.client import AuthentikError, Client, MaskedError
from controlplane.systems.authentik.contents import attributes, is_ours
from controlplane.systems.authentik.directory import ACCOUNT, ENDED, Directory, account_of
from controlplane.systems.authentik.records import User
from controlplane.systems.authentik.resources import ENDED as ACCESS_ENDED
from controlplane.systems.authentik.resources import EVERYWHERE, GROUP, PERSON, ROLE, parse_rights

PATIENCE = 60.0
"""Seconds to go on trying a change while the server may come back."""

PAUSE = 1.0
"""Seconds between two attempts."""

NOT_FOUND, BAD_REQUEST, MASKED = 404, 400, 405

T = TypeVar("T")


class Applier:
    """Makes changes; `apply` may run in several threads."""

    def __init__(
        self, client: Client, platform: str, directory: Directory, patience: float = PATIENCE
    ) -> None:
        """Know what was read: keys of groups, roles and people."""
        self.client = client
        self.platform = platform
        self.patience = patience
        self._lock = threading.Lock()
        self._groups = {group.name: group.pk for group in directory.groups.values()}
        self._roles = {role.name: role.pk for role in directory.roles.values()}
        for group in directory.groups.values():
            self._roles.update(group.role_keys)
        self._usernames = {user.username: user.pk for user in directory.usernames.values()}
        self._members = {
            name: user.pk for name, users in directory.accounts.items() for user in users if user.active
        }
        self._leaving = {name: users for name, users in directory.accounts.items()}

    def apply(self, change: Change) -> str:
        """Make one change and return a remark.

        Raises ChangeError with all that went wrong in it, and SystemDownError when the server is not there.
        """
        make = {GROUP: self._group, ROLE: self._role, PERSON: self._person}[change.key.kind]
        try:
            return make(change)
        except AuthentikError as error:
            if error.transient:
                raise SystemDownError(str(error)) from error
            raise ChangeError(str(error)) from error

    def _patiently(self, work: Callable[[], T]) -> T:
        """What `work` returns; repeated when nobody knows what became of a write."""
        deadline = time.monotonic() + self.patience
        masked = 0
        while True:
            try:
                return work()
            except AuthentikError as error:
                masked += error.status == MASKED
                # An error of its own answers the same each time; a lost race does not.
                unclear = isinstance(error, MaskedError) and masked < 3
                if not (error.transient or unclear) or time.monotonic() > deadline:
                    raise
            time.sleep(PAUSE if self.patience > PAUSE else self.patience)

    def _group(self, change: Change) -> str:
        name = change.key.name
        if change.action is Action.DELETE:
            self._patiently(lambda: self._delete_group(name))
            return ""
        wanted = {item.name: item.after for item in change.fields if item.after is not None}
        if change.action is Action.CREATE:
            key = self._patiently(lambda: self._make_group(name, wanted))
            with self._lock:
                self._groups[name] = key
            return ""
        key = self._key(self._groups, name)
        if body_fields := wanted.keys() - {"members"}:
            self._patiently(lambda: self._change_group(key, {each: wanted[each] for each in body_fields}))
        if item := change.field("members"):
            self._set_members(key, item)
        return ""

    def _make_group(self, name: str, wanted: Mapping[str, Any]) -> str:
        """Make a group with all that is wanted of it; returns its key."""
        body = self._body(wanted, {})
        if "members" in wanted:
            body["users"] = sorted(self._member(account) for account in wanted["members"])
        try:
            return calls.create_group(self.client, {"name": name, **body}).pk
        except AuthentikError as error:
            if error.status not in (BAD_REQUEST, MASKED) and not error.transient:
                raise
            # Somebody made it at the same time, or it was made and the answer is lost.
            found = calls.group_named(self.client, name)
            if found is None:
                raise
        if not is_ours(found, self.platform):
            raise ChangeError("somebody made it since it was planned; plan again")
        calls.change_group(self.client, found.pk, self._body(wanted, found.attributes))
        for user in body.get("users", ()):
            calls.change_member(self.client, "add", found.pk, user)
        return found.pk

    def _change_group(self, key: str, wanted: Mapping[str, Any]) -> None:
        found = calls.group(self.client, key)
        if found is None:
            raise ChangeError("it is gone; plan again")
        calls.change_group(self.client, key, self._body(wanted, found.attributes))

    def _body(self, wanted: Mapping[str, Any], present: Mapping[str, Any]) -> dict[str, Any]:
        """What a request sets; attributes that are not ours stay."""
        body: dict[str, Any] = {}
        given = attributes(mark=self.platform, facility="", team="", role="")
        names = dict(zip(("mark", "facility", "team", "role"), given, strict=True))
        if changed := {names[field]: value for field, value in wanted.items() if field in names}:
            body["attributes"] = {**present, **changed}
        if "parent" in wanted:
            body["parents"] = [self._key(self._groups, wanted["parent"])] if wanted["parent"] else []
        if "roles" in wanted:
            body["roles"] = [self._key(self._roles, name) for name in wanted["roles"]]
        return body

    def _set_members(self, key: str, item: FieldChange) -> None:
        """Add and remove members; one that fails does not stop the others."""
        problems = []
        for verb, accounts in (("remove", item.removed), ("add", item.added)):
            for account in accounts:
                try:
                    for user in self._leavers(account) if verb == "remove" else (self._member(account),):
                        self._patiently(partial(calls.change_member, self.client, verb, key, user))
                except ChangeError as error:
                    problems.append(f"{verb} {account}: {error}")
                except AuthentikError as error:
                    if error.transient:
                        raise
                    problems.append(f"{verb} {account}: {error}")
        if problems:
            raise ChangeError("; ".join(problems))

    def _delete_group(self, name: str) -> None:
        found = calls.group_named(self.client, name)
        if found is None:
            return
        if not is_ours(found, self.platform):
            raise ChangeError("it no longer carries our mark, so it stays")
        calls.delete_group(self.client, found.pk)

    def _role(self, change: Change) -> str:
        name = change.key.name
        if change.action is Action.DELETE:
            self._patiently(lambda: self._delete_role(name))
            return ""
        if change.action is Action.CREATE:
            key = self._patiently(lambda: self._make_role(name))
            with self._lock:
                self._roles[name] = key
        item = change.field("rights")
        if item:
            self._set_rights(self._key(self._roles, name), item)
        return ""

    def _make_role(self, name: str) -> str:
        try:
            return calls.create_role(self.client, name)
        except AuthentikError as error:
            if error.status not in (BAD_REQUEST, MASKED) and not error.transient:
                raise
            # One without rights that nothing carries is what a killed run left.
            if key := calls.role_named(self.client, name):
                return key
            raise

    def _delete_role(self, name: str) -> None:
        if key := calls.role_named(self.client, name):
            calls.delete_role(self.client, key)

    def _set_rights(self, role: str, item: FieldChange) -> None:
        """Take and give permissions, a request for each group; those of a deleted group went with it."""
        for verb, rights in (("unassign", item.removed), ("assign", item.added)):
            for group, codenames in parse_rights(rights).items():
                key = "" if group == EVERYWHERE else self._key(self._groups, group)
                self._patiently(partial(calls.change_rights, self.client, verb, role, key, codenames))

    def _person(self, change: Change) -> str:
        key = self._key(self._usernames, change.key.name)
        return self._patiently(lambda: self._change_person(key, change))

    def _change_person(self, key: int, change: Change) -> str:
        user = calls.user(self.client, key)
        if user is None:
            return "the person is gone"
        changed, body = dict(user.attributes), dict[str, Any]()
        if item := change.field("account"):
            if account_of(user) not in ("", item.after):
                raise ChangeError(f"the account name {account_of(user)} was given meanwhile; plan again")
            changed[ACCOUNT] = item.after
        if item := change.field("access"):
            if item.after == ACCESS_ENDED:
                if user.active:
                    raise ChangeError("the account is open again; plan again")
                self._end_access(user)
                changed[ENDED] = True
            else:
                changed.pop(ENDED, None)
        if (item := change.field("username")) and user.username != item.after:
            body["username"] = item.after
        if changed != user.attributes:
            body["attributes"] = changed
        if body:
            calls.change_user(self.client, key, body)
        return ""

    def _end_access(self, user: User) -> None:
        """End all sessions of somebody and delete the tokens, app passwords too, that we are shown.

        Authentik shows anybody but a superuser only their own, and takes none of a person who is inactive.
        """
        calls.end_sessions(self.client, [user.pk])
        for token in calls.tokens(self.client, {"user__username": user.username}):
            # A filter that a server does not know is ignored.
            if token.user == user.pk:
                try:
                    calls.delete_token(self.client, token.identifier)
                except AuthentikError as error:
                    if error.status != NOT_FOUND:
                        raise

    def _member(self, shown: str) -> int:
        if shown.startswith("@"):
            return self._key(self._usernames, shown.removeprefix("@"))
        key = self._members.get(shown)
        if key is None:
            raise ChangeError(f"nobody has the account name {shown}; plan again")
        return key

    def _leavers(self, shown: str) -> tuple[int, ...]:
        """Everybody who is shown as this member."""
        if shown.startswith("@"):
            name = shown.removeprefix("@")
            return (self._usernames[name] if name in self._usernames else int(name),)
        return tuple(user.pk for user in self._leaving.get(shown, ()))

    def _key(self, keys: Mapping[str, T], name: str) -> T:
        with self._lock:
            key = keys.get(name)
        if key is None:
            raise ChangeError(f"{name} is not there; plan again")
        return key
