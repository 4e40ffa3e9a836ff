"""Making a plan's changes in a zone.

Each change can be cut off anywhere: what was made is marked, or claimed before it was made, so the next
observation sees how far it came and the next plan holds the rest.
"""

from collections.abc import Callable, Iterable

from irods.access import iRODSAccess
from irods.keywords import ADMIN_KW
from irods.meta import AVUOperation, iRODSMeta
from irods.models import Collection, Resource, User, UserMeta
from irods.session import iRODSSession

from controlplane.reconcile.port import ChangeError
from controlplane.state import Action, Change, FieldChange, Key, Plan
from controlplane.systems.irods.client import Client, IrodsError
from controlplane.systems.irods.resources import CLAIM, GROUP, MARK, STORAGE_RESOURCE, USER, parse_entries

# Error codes of iRODS 5 which say that the work was done before, or that there is data.
ALREADY_THERE = -809000
NOT_A_MEMBER = -1830000
COLLECTION_NOT_EMPTY = -821000

CLAIMS_AT_ONCE = 200
"""Claims written by one call, which the server does as a whole or not at all."""


class Applier:
    """Makes changes in one zone; `apply` may run in several threads."""

    def __init__(self, client: Client, platform: str) -> None:
        """Mark what is made as the platform's."""
        self.client = client
        self.platform = platform
        self.failed: set[Key] = set()

    def begin(self, plan: Plan) -> None:
        """Claim all that the plan creates. Raises IrodsError."""
        wanted = {_claim(change.key) for change in plan.changes if change.action is Action.CREATE}
        self._write_claims("add", wanted - self._claims())

    def finish(self) -> None:
        """Give up all claims but those of failed changes: what was made is marked. Raises IrodsError."""
        self._write_claims("remove", self._claims() - {_claim(key) for key in self.failed})

    def apply(self, change: Change) -> str:
        """Make one change and return a remark. Raises ChangeError with all that went wrong in it."""
        try:
            match change.key.kind, change.action:
                case _, Action.DELETE:
                    return self._delete(change)
                case kind, Action.CREATE:
                    self._create(kind, change)
            self._update(change)
        except (IrodsError, ChangeError) as error:
            self.failed.add(change.key)
            raise ChangeError(str(error)) from error
        return ""

    def _claims(self) -> set[str]:
        rows = self.client.rows(
            UserMeta.value,
            where=(
                User.name == self.client.server.user,
                User.zone == self.client.server.zone,
                UserMeta.name == CLAIM,
                UserMeta.units == self.platform,
            ),
        )
        return {str(row[0]) for row in rows}

    def _write_claims(self, operation: str, claims: Iterable[str]) -> None:
        ordered = sorted(claims)
        for start in range(0, len(ordered), CLAIMS_AT_ONCE):
            operations = [
                AVUOperation(operation=operation, avu=iRODSMeta(CLAIM, claim, self.platform))
                for claim in ordered[start : start + CLAIMS_AT_ONCE]
            ]
            with self.client.session() as session:
                session.metadata.apply_atomic_operations(User, self.client.server.user, *operations)

    def _create(self, kind: str, change: Change) -> None:
        after = {item.name: item.after for item in change.fields}
        name = change.key.name
        with self.client.session() as session:
            if kind == USER:
                session.users.create(name, str(after["type"]))
            elif kind == GROUP:
                session.groups.create(name, group_admin=False)
            elif kind == STORAGE_RESOURCE:
                session.resources.create(name, str(after["type"]), str(after["host"]), str(after["vault"]))
            else:
                raise ValueError(f"no such kind: {kind}")

    def _update(self, change: Change) -> None:
        """Set the fields that change: marks first, then what access depends on."""
        name = change.key.name
        home = f"/{self.client.server.zone}/home/{name}"
        creating = change.action is Action.CREATE
        steps: dict[str, Callable[[iRODSSession, FieldChange], None]] = {
            "mark": lambda session, item: self._mark(session, change.key, item),
            "collection": lambda session, _: None if creating else session.collections.create(home, False),
            "collection_mark": lambda session, item: self._set_mark(session, Collection, home, item),
            "acl": lambda session, item: self._set_acl(session, home, item),
            "inheritance": lambda session, item: _set_inheritance(session, home, item),
            "members": lambda session, item: self._set_members(session, name, item),
        }
        if change.key.kind == USER and not creating:
            steps["type"] = lambda session, item: session.users.modify(name, "type", str(item.after))
        problems = []
        for field, step in steps.items():
            if item := change.field(field):
                try:
                    with self.client.session() as session:
                        step(session, item)
                except (IrodsError, ChangeError) as error:
                    problems.append(f"{field}: {error}")
        if problems:
            raise ChangeError("; ".join(problems))

    def _mark(self, session: iRODSSession, key: Key, item: FieldChange) -> None:
        model = Resource if key.kind == STORAGE_RESOURCE else User
        self._set_mark(session, model, key.name, item)

    def _set_mark(self, session: iRODSSession, model: type, name: str, item: FieldChange) -> None:
        platform, _, facility = str(item.after).partition("/")
        # As a keyword of this call: the library's own admin switch is shared by all sessions.
        keywords = {ADMIN_KW: ""} if model is Collection else {}
        session.metadata.set(model, name, iRODSMeta(MARK, platform, facility or None), **keywords)

    def _set_acl(self, session: iRODSSession, home: str, item: FieldChange) -> None:
        """Change the collection's ACL and that of all in it, which inheritance alone does not reach."""
        zone = self.client.server.zone
        after = parse_entries(_texts(item.after))
        gone = parse_entries(_texts(item.before)).keys() - after.keys()
        changed = {account: "null" for account in sorted(gone)} | {
            account: level
            for account, level in sorted(after.items())
            if f"{account}:{level}" not in _texts(item.before)
        }
        for account, level in changed.items():
            name, _, of_zone = account.partition("#")
            session.acls.set(iRODSAccess(level, home, name, of_zone or zone), recursive=True, admin=True)

    def _set_members(self, session: iRODSSession, group: str, item: FieldChange) -> None:
        """Add and remove members; one that fails does not stop the others."""
        before, after = set(_texts(item.before)), set(_texts(item.after))
        problems = []
        for verb, users in (("remove", before - after), ("add", after - before)):
            call = session.groups.addmember if verb == "add" else session.groups.removemember
            done = ALREADY_THERE if verb == "add" else NOT_A_MEMBER
            for user in sorted(users):
                try:
                    with self.client.answers():
                        account, _, of_zone = user.partition("#")
                        call(group, account, of_zone, group_admin=False)
                except IrodsError as error:
                    if error.code != done:
                        problems.append(f"{verb} {user}: {error}")
        if problems:
            raise ChangeError(", ".join(problems))

    def _delete(self, change: Change) -> str:
        """Remove a group. Access goes first; the group itself stays as long as its home holds data."""
        if change.key.kind != GROUP:
            raise ValueError(f"a {change.key.kind} is not deleted")
        name = change.key.name
        home = f"/{self.client.server.zone}/home/{name}"
        with self.client.session() as session:
            for field, revoke in (("members", self._set_members), ("acl", self._set_acl)):
                item = change.field(field)
                if item and item.before:
                    revoke(session, name if field == "members" else home, FieldChange(field, item.before, ()))
            try:
                with self.client.answers():
                    session.groups.remove(name)
            except IrodsError as error:
                if error.code != COLLECTION_NOT_EMPTY:
                    raise
                return f"access is withdrawn; the group stays, because {home} holds data"
        return ""


def _set_inheritance(session: iRODSSession, home: str, item: FieldChange) -> None:
    session.acls.set(iRODSAccess("inherit" if item.after else "noinherit", home), admin=True)


def _claim(key: Key) -> str:
    return f"{key.kind}/{key.name}"


def _texts(value: object) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()
