"""People, groups and memberships: who may change what, and what no change may leave behind.

Source: `AdminImpl` and `SimpleRoleProvider` of the server; the order of checks decides which error it is.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from .catalogue import (
    GUEST_NAME,
    PRIVATE,
    ROOT_NAME,
    ROOT_USER,
    SYSTEM_GROUP,
    SYSTEM_NAME,
    USER_GROUP,
    USER_NAME,
    Catalogue,
)
from .errors import ApiUsageFault, Fault, GroupSecurityFault, SecurityFault, ValidationFault
from .passwords import Passwords

_NO_LEADER = "Current user is neither admin nor group-leader for the given user(s)/group(s)"
_NO_ADMIN = "Current user is not admin for the given user(s)"
_FIELDS = ("firstname", "middlename", "lastname", "email", "institution")


@dataclass(frozen=True)
class Caller:
    """Who calls, as the session knows: groups are those of the session's last synchronisation."""

    user: int
    name: str
    group: int
    member_of: tuple[int, ...]
    leader_of: tuple[int, ...]
    roles: tuple[str, ...]
    session: int = 0
    uuid: str = field(default="", repr=False)
    event_type: str = "User"
    sudoer: int | None = None
    with_password: bool = True

    @property
    def administrator(self) -> bool:
        """Whether the caller is in the group `system`."""
        return SYSTEM_GROUP in self.member_of


@dataclass(frozen=True)
class Person:
    """An experimenter as a client sends it. What it does not say is None."""

    id: int | None
    name: str | None
    first: str | None
    middle: str | None
    last: str | None
    email: str | None
    institution: str | None
    ldap: bool | None

    @property
    def texts(self) -> tuple[str | None, ...]:
        """The values of `_FIELDS`."""
        return self.first, self.middle, self.last, self.email, self.institution


@dataclass(frozen=True)
class Group:
    """A group as a client sends it. What it does not say is None."""

    id: int | None
    name: str | None
    description: str | None
    ldap: bool | None
    permissions: str | None


class Accounts:
    """The operations. Each is one transaction; `changed` is called after each that changed something."""

    def __init__(self, catalogue: Catalogue, passwords: Passwords, changed: Callable[[], None]) -> None:
        """Work on a catalogue."""
        self._catalogue = catalogue
        self._passwords = passwords
        self._changed = changed

    def create_group(self, group: Group) -> int:
        """Make a group without members, and return its id."""
        if group.name is None:
            raise ValidationFault("Group name may not be null.")
        if group.ldap is None:
            raise ValidationFault(_missing("ExperimenterGroup.ldap"))
        with self._catalogue.transaction() as transaction:
            made = _inserted(
                transaction,
                "insert into experimentergroup (name, description, ldap, permissions) values (?, ?, ?, ?)",
                (group.name, group.description, group.ldap, group.permissions or PRIVATE),
            )
        self._changed()
        return made

    def create_person(
        self,
        caller: Caller | None,
        person: Person,
        password: str | None,
        default: int | None,
        others: Sequence[int | None],
    ) -> int:
        """Make an account in these groups, and return its id. Without a caller, the server does it itself."""
        if caller:
            _administrator_or_leader(caller, [default, *(group for group in others if group != USER_GROUP)])
        if person.name is None:
            raise ValidationFault("OmeName may not be null.")
        for name in ("firstName", "lastName", "ldap"):
            value = {"firstName": person.first, "lastName": person.last, "ldap": person.ldap}[name]
            if value is None:
                raise ValidationFault(_missing(f"Experimenter.{name}"))
        with self._catalogue.transaction() as transaction:
            made = _inserted(
                transaction,
                "insert into experimenter (omename, ldap, firstname, middlename, lastname, email,"
                " institution) values (?, ?, ?, ?, ?, ?, ?)",
                (person.name, person.ldap, *person.texts),
            )
            for group in (default, *others):
                if group is None:
                    raise ApiUsageFault("Group must be persistent.")
                _link(transaction, group, made)
            if caller:
                self._passwords.change(transaction, person.name, password)
        self._changed()
        return made

    def update_person(self, caller: Caller, person: Person) -> None:
        """Change names and addresses: the administrator those of anybody, everybody else their own."""
        if not caller.administrator:
            if caller.user != person.id:
                raise SecurityFault(_NO_ADMIN)
            self.update_self(caller, person)
            return
        with self._catalogue.transaction() as transaction:
            old = _person_name(transaction, person.id)
            _keep_special(old, person.name, (ROOT_NAME, GUEST_NAME), "experimenter")
            _executed(
                transaction, "update experimenter set omename = ? where id = ?", (person.name, person.id)
            )
            _write_texts(transaction, person.id, person)
        self._changed()

    def update_self(self, caller: Caller, person: Person) -> None:
        """Change the caller's own names and addresses."""
        with self._catalogue.transaction() as transaction:
            _write_texts(transaction, caller.user, person)
        self._changed()

    def led_by(self, user: int) -> list[int]:
        """The ids of the groups that somebody owns."""
        with self._catalogue.transaction() as transaction:
            rows = transaction.execute(
                "select parent from groupexperimentermap where child = ? and owner order by child_index",
                (user,),
            )
            return [int(row["parent"]) for row in rows]

    def set_ldap(self, user: int | None, value: bool) -> None:
        """Say whether the directory checks the person's password."""
        with self._catalogue.transaction() as transaction:
            _person_name(transaction, user)
            transaction.execute("update experimenter set ldap = ? where id = ?", (value, user))
        self._changed()

    def update_group(self, caller: Caller, group: Group) -> None:
        """Change name, description and permissions; its owners may, too."""
        _administrator_or_leader(caller, [group.id])
        with self._catalogue.transaction() as transaction:
            old = _group_name(transaction, group.id)
            if group.permissions is not None:
                if group.permissions[0] != "r":
                    raise GroupSecurityFault(f"Cannot remove user read: {old}")
                transaction.execute(
                    "update experimentergroup set permissions = ? where id = ?", (group.permissions, group.id)
                )
            _keep_special(old, group.name, (GUEST_NAME, SYSTEM_NAME, USER_NAME), "group")
            if old != group.name and group.id == caller.group:
                raise ValidationFault(f"cannot rename the current group context '{old}'")
            _executed(
                transaction,
                "update experimentergroup set name = ?, description = ? where id = ?",
                (group.name, group.description, group.id),
            )
        self._changed()

    def add_groups(self, caller: Caller, user: int | None, groups: Sequence[int | None]) -> None:
        """Put somebody into groups; those that have the person already are left."""
        if not groups:
            raise ValidationFault("Nothing to do.")
        if user is None or None in groups:
            raise ApiUsageFault("an argument has no id.")
        _administrator_or_leader(caller, groups)
        with self._catalogue.transaction() as transaction:
            _person_name(transaction, user)
            for group in groups:
                _link(transaction, group, user)
            _fix_default(transaction, user)
        self._changed()

    def remove_groups(self, caller: Caller, user: int | None, groups: Sequence[int | None]) -> None:
        """Take somebody out of groups. Everybody stays in some group other than `user`."""
        _administrator_or_leader(caller, groups)
        if {SYSTEM_GROUP, USER_GROUP} & set(groups):
            if user == ROOT_USER:
                raise ValidationFault(
                    f"experimenter '{ROOT_NAME}' may not be removed from the "
                    f"'{SYSTEM_NAME}' or '{USER_NAME}' group"
                )
            if user == caller.user:
                raise ValidationFault(
                    f"experimenters may not remove themselves from the '{SYSTEM_NAME}' or '{USER_NAME}' group"
                )
        with self._catalogue.transaction() as transaction:
            _person_name(transaction, user)
            left = set(_groups_of(transaction, user)) - set(groups)
            if not left:
                raise ValidationFault("experimenter must remain a member of some group")
            if left == {USER_GROUP}:
                raise ValidationFault(
                    f"experimenter cannot be a member of only the '{USER_NAME}' group, "
                    "a different default group is also required"
                )
            for group in groups:
                transaction.execute(
                    "delete from groupexperimentermap where parent = ? and child = ?", (group, user)
                )
            _fix_default(transaction, user)
        self._changed()

    def set_owner(
        self, caller: Caller, group: int | None, users: Iterable[int | None], *, owner: bool
    ) -> None:
        """Make people owners of a group or end that. Who is no member becomes one, either way."""
        _administrator_or_leader(caller, [group])
        if group is None:
            raise ApiUsageFault("Group argument to setGroupOwner must be managed (i.e. have an id)")
        with self._catalogue.transaction() as transaction:
            for user in users:
                if user is None:
                    raise ApiUsageFault("Owner argument to setGroupOwner must be managed (i.e. have an id)")
                _person_name(transaction, user)
                _link(transaction, group, user)
                transaction.execute(
                    "update groupexperimentermap set owner = ? where parent = ? and child = ?",
                    (owner, group, user),
                )
                _fix_default(transaction, user)
        self._changed()

    def set_default(self, caller: Caller, user: int | None, group: int | None) -> None:
        """Say in which of the person's groups sessions begin."""
        if group is None:
            raise ApiUsageFault("Group argument to setDefaultGroup must be managed (i.e. have an id)")
        if not caller.administrator and caller.user != user:
            raise SecurityFault(f"User {user} can only set own default group.")
        if group == USER_GROUP:
            raise ApiUsageFault(f"Cannot set default group to: {USER_NAME}")
        with self._catalogue.transaction() as transaction:
            if group not in _groups_of(transaction, user):
                raise ApiUsageFault(f"Group {group} was not found for user {user}")
            _to_front(transaction, user, group)
        self._changed()

    def change_password(self, caller: Caller, name: str | None, password: str | None) -> None:
        """Give somebody a password, or oneself without a name."""
        if name is not None and not caller.administrator:
            raise SecurityFault(_NO_ADMIN)
        with self._catalogue.transaction() as transaction:
            name = caller.name if name is None else name
            if not transaction.execute("select 1 from experimenter where omename = ?", (name,)).fetchone():
                raise ApiUsageFault(f"No such experimenter: {name}")
            self._passwords.change(transaction, name, password)

    def default_group(self, user: int) -> int:
        """The group in which the person's sessions begin. Raises ValidationFault when there is none."""
        with self._catalogue.transaction() as transaction:
            groups = _groups_of(transaction, user)
        if not groups or groups[0] == USER_GROUP:
            raise ValidationFault(f"The user {user} has no default group set.")
        return groups[0]

    def group_named(self, name: str) -> int:
        """The id of a group that the directory names; it is made when it is not there."""
        with self._catalogue.transaction() as transaction:
            found = transaction.execute("select id from experimentergroup where name = ?", (name,)).fetchone()
        return int(found["id"]) if found else self.create_group(Group(None, name, None, True, None))


def _administrator_or_leader(caller: Caller, groups: Iterable[int | None]) -> None:
    if not caller.administrator and not set(groups) <= set(caller.leader_of):
        raise SecurityFault(_NO_LEADER)


def _keep_special(old: str, new: str | None, special: tuple[str, ...], kind: str) -> None:
    if old == new:
        return
    if old in special:
        raise ValidationFault(f"cannot change name of special {kind} '{old}'")
    if new in special:
        raise ValidationFault(f"cannot change name to special {kind} '{new}'")


def _missing(name: str) -> str:
    return f"not-null property references a null or transient value: ome.model.meta.{name}"


def _executed(transaction: sqlite3.Connection, sql: str, values: Sequence[object]) -> sqlite3.Cursor:
    try:
        return transaction.execute(sql, values)
    except sqlite3.IntegrityError as error:
        # omero-py recognises what is there already by this text.
        verb = "insert" if sql.startswith("insert") else "update"
        raise ValidationFault(
            f"org.hibernate.exception.ConstraintViolationException: could not {verb}: {error}"
        ) from error


def _write_texts(transaction: sqlite3.Connection, user: int | None, person: Person) -> None:
    sets = ", ".join(f"{name} = ?" for name in _FIELDS)
    _executed(transaction, f"update experimenter set {sets} where id = ?", (*person.texts, user))  # noqa: S608


def _inserted(transaction: sqlite3.Connection, sql: str, values: Sequence[object]) -> int:
    made = _executed(transaction, sql, values).lastrowid
    if made is None:
        raise Fault("nothing was inserted")
    return made


def _link(transaction: sqlite3.Connection, group: int | None, user: int) -> None:
    if transaction.execute(
        "select 1 from groupexperimentermap where parent = ? and child = ?", (group, user)
    ).fetchone():
        return
    _group_name(transaction, group)
    last = transaction.execute(
        "select coalesce(max(child_index), -1) from groupexperimentermap where child = ?", (user,)
    ).fetchone()[0]
    _inserted(
        transaction,
        "insert into groupexperimentermap (parent, child, owner, child_index) values (?, ?, 0, ?)",
        (group, user, last + 1),
    )


def _groups_of(transaction: sqlite3.Connection, user: int | None) -> list[int]:
    rows = transaction.execute(
        "select parent from groupexperimentermap where child = ? order by child_index", (user,)
    )
    return [int(row["parent"]) for row in rows]


def _fix_default(transaction: sqlite3.Connection, user: int | None) -> None:
    """Nobody's sessions begin in the group `user` when there is another one."""
    groups = _groups_of(transaction, user)
    if len(groups) > 1 and groups[0] == USER_GROUP:
        _to_front(transaction, user, groups[1])


def _to_front(transaction: sqlite3.Connection, user: int | None, group: int) -> None:
    transaction.execute(
        "update groupexperimentermap set child_index ="
        " (select min(child_index) - 1 from groupexperimentermap where child = ?)"
        " where child = ? and parent = ?",
        (user, user, group),
    )


def _person_name(transaction: sqlite3.Connection, user: int | None) -> str:
    return _name(transaction, "select omename from experimenter where id = ?", user, "Experimenter")


def _group_name(transaction: sqlite3.Connection, group: int | None) -> str:
    return _name(transaction, "select name from experimentergroup where id = ?", group, "ExperimenterGroup")


def _name(transaction: sqlite3.Connection, sql: str, key: int | None, kind: str) -> str:
    if key is None:
        raise ApiUsageFault("Id argument cannot be null.")
    found = transaction.execute(sql, (key,)).fetchone()
    if found is None:
        raise ValidationFault(f"No row with the given identifier exists: [ome.model.meta.{kind}#{key}]")
    return str(found[0])
