"""IAdmin: people, groups, memberships and passwords.

Source: `omero/api/IAdmin.ice` and the server's `AdminImpl`.
"""

import omero
import omero.all
from omero.rtypes import rlist, rlong, rmap, rstring, unwrap

from .accounts import Caller
from .catalogue import (
    GUEST_GROUP,
    GUEST_NAME,
    GUEST_USER,
    ROOT_NAME,
    ROOT_USER,
    SYSTEM_GROUP,
    SYSTEM_NAME,
    USER_GROUP,
    USER_NAME,
)
from .errors import ApiUsageFault
from .model import (
    PRIVILEGES,
    Graph,
    event_context,
    group_ids,
    group_of,
    group_row,
    id_of,
    person_ids,
    person_of,
)
from .remote import Remote
from .services import ADMINISTRATORS, EVERYBODY, Client, answering, role


@answering
class IAdmin(omero.api.IAdmin):  # type: ignore[misc]
    """The service as one client sees it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._parts = client.parts
        self._accounts = client.parts.accounts

    @role("user")
    def getExperimenter(self, _: Caller, key: int) -> Remote:
        """Somebody by id."""
        return self._person([key], f"No such experimenter: {key}")

    @role("user")
    def lookupExperimenter(self, _: Caller, name: str) -> Remote:
        """Somebody by name."""
        ids = person_ids(self._parts.catalogue, name=name)
        return self._person(ids, f"No such experimenter: {name}")

    @role("user")
    def lookupExperimenters(self, _: Caller) -> Remote:
        """Everybody."""
        return Graph(self._parts.catalogue).people(person_ids(self._parts.catalogue))

    @role("user")
    def containedExperimenters(self, _: Caller, group: int) -> Remote:
        """Everybody in a group."""
        return Graph(self._parts.catalogue).people(person_ids(self._parts.catalogue, group=group))

    @role("user")
    def getGroup(self, _: Caller, key: int) -> Remote:
        """A group by id."""
        return self._group([key], f"No such group: {key}")

    @role("user")
    def lookupGroup(self, _: Caller, name: str) -> Remote:
        """A group by name."""
        return self._group(group_ids(self._parts.catalogue, name=name), f"No such group: {name}")

    @role("user")
    def lookupGroups(self, _: Caller) -> Remote:
        """All groups."""
        return Graph(self._parts.catalogue).groups(group_ids(self._parts.catalogue))

    @role("user")
    def containedGroups(self, _: Caller, person: int) -> Remote:
        """Somebody's groups."""
        return Graph(self._parts.catalogue).groups(group_ids(self._parts.catalogue, person=person))

    @role("user")
    def getDefaultGroup(self, _: Caller, person: int) -> Remote:
        """The group in which somebody's sessions begin."""
        return Graph(self._parts.catalogue).groups([self._accounts.default_group(person)], paths=())[0]

    @role("user")
    def lookupLdapAuthExperimenter(self, _: Caller, key: int) -> str:
        """The distinguished name of somebody whose password the directory checks; nothing for others."""
        person = self._person([key], f"No such experimenter: {key}")
        if not unwrap(person.ldap):
            return ""
        return self._parts.passwords.distinguished_name(unwrap(person.omeName))

    @role("user")
    def lookupLdapAuthExperimenters(self, _: Caller) -> Remote:
        """All whose password the directory checks, with their distinguished names."""
        people = Graph(self._parts.catalogue).people(person_ids(self._parts.catalogue), paths=())
        found = []
        for person in people:
            if unwrap(person.ldap):
                try:
                    name = self._parts.passwords.distinguished_name(unwrap(person.omeName))
                except ApiUsageFault:
                    name = "ERROR"
                found.append(rmap({"dn": rstring(name), "experimenter_id": rlong(id_of(person))}))
        return rlist(found)

    @role("user")
    def getMemberOfGroupIds(self, _: Caller, person: Remote) -> list[int]:
        """The ids of somebody's groups."""
        return group_ids(self._parts.catalogue, person=_managed(person))

    @role("user")
    def getLeaderOfGroupIds(self, _: Caller, person: Remote) -> list[int]:
        """The ids of the groups that somebody owns."""
        return self._accounts.led_by(_managed(person))

    @role("user")
    def getCurrentAdminPrivileges(self, caller: Caller) -> list[Remote]:
        """What the caller may do as an administrator."""
        return _privileges(caller.administrator)

    @role("user")
    def getAdminPrivileges(self, _: Caller, person: Remote) -> list[Remote]:
        """What somebody may do as an administrator."""
        groups = group_ids(self._parts.catalogue, person=_managed(person))
        return _privileges(SYSTEM_GROUP in groups)

    @role(*EVERYBODY)
    def getSecurityRoles(self, _: Caller) -> Remote:
        """The ids and names that mean something."""
        made = omero.sys.Roles()
        made.rootId, made.rootName = ROOT_USER, ROOT_NAME
        made.guestId, made.guestName = GUEST_USER, GUEST_NAME
        made.systemGroupId, made.systemGroupName = SYSTEM_GROUP, SYSTEM_NAME
        made.userGroupId, made.userGroupName = USER_GROUP, USER_NAME
        made.guestGroupId, made.guestGroupName = GUEST_GROUP, GUEST_NAME
        return made

    @role(*EVERYBODY)
    def getEventContext(self, _: Caller) -> Remote:
        """Who calls, read again."""
        session = self.client.session()
        self._parts.sessions.refresh(session)
        return event_context(session.caller, group_row(self._parts.catalogue, session.caller.group))

    @role(*ADMINISTRATORS)
    def createGroup(self, _: Caller, group: Remote) -> int:
        """Make a group."""
        return self._accounts.create_group(group_of(group))

    @role("user")
    def createExperimenter(
        self, caller: Caller, person: Remote, default: Remote, others: list[Remote]
    ) -> int:
        """Make an account with a blank password."""
        return self._create(caller, person, " ", default, others)

    @role("user")
    def createExperimenterWithPassword(
        self, caller: Caller, person: Remote, password: Remote, default: Remote, others: list[Remote]
    ) -> int:
        """Make an account."""
        return self._create(caller, person, unwrap(password), default, others)

    @role("user")
    def updateExperimenter(self, caller: Caller, person: Remote) -> None:
        """Change names and addresses."""
        self._accounts.update_person(caller, person_of(person))

    @role("user")
    def updateSelf(self, caller: Caller, person: Remote) -> None:
        """Change one's own names and addresses."""
        self._accounts.update_self(caller, person_of(person))

    @role("user")
    def updateGroup(self, caller: Caller, group: Remote) -> None:
        """Change name, description and permissions."""
        self._accounts.update_group(caller, group_of(group))

    @role("user")
    def addGroups(self, caller: Caller, person: Remote, groups: list[Remote]) -> None:
        """Put somebody into groups."""
        self._accounts.add_groups(caller, id_of(person), [id_of(group) for group in groups])

    @role("user")
    def removeGroups(self, caller: Caller, person: Remote, groups: list[Remote]) -> None:
        """Take somebody out of groups."""
        if person is not None:
            self._accounts.remove_groups(caller, id_of(person), [id_of(group) for group in groups])

    @role("user")
    def setGroupOwner(self, caller: Caller, group: Remote, person: Remote) -> None:
        """Make somebody an owner."""
        self._accounts.set_owner(caller, id_of(group), [id_of(person)], owner=True)

    @role("user")
    def unsetGroupOwner(self, caller: Caller, group: Remote, person: Remote) -> None:
        """Make somebody a plain member."""
        self._accounts.set_owner(caller, id_of(group), [id_of(person)], owner=False)

    @role("user")
    def addGroupOwners(self, caller: Caller, group: Remote, people: list[Remote]) -> None:
        """Make people owners."""
        self._accounts.set_owner(caller, id_of(group), [id_of(each) for each in people], owner=True)

    @role("user")
    def removeGroupOwners(self, caller: Caller, group: Remote, people: list[Remote]) -> None:
        """Make people plain members."""
        self._accounts.set_owner(caller, id_of(group), [id_of(each) for each in people], owner=False)

    @role("user")
    def setDefaultGroup(self, caller: Caller, person: Remote, group: Remote) -> None:
        """Say where somebody's sessions begin."""
        if person is not None and group is not None:
            self._accounts.set_default(caller, id_of(person), id_of(group))

    @role("user", password=True)
    def changePassword(self, caller: Caller, password: Remote) -> None:
        """Give oneself a password."""
        self._accounts.change_password(caller, None, unwrap(password))

    @role("user", password=True)
    def changeUserPassword(self, caller: Caller, name: str, password: Remote) -> None:
        """Give somebody a password."""
        self._accounts.change_password(caller, name, unwrap(password))

    def _create(
        self, caller: Caller, person: Remote, password: str | None, default: Remote, others: list[Remote]
    ) -> int:
        groups = [id_of(group) for group in others or []]
        return self._accounts.create_person(caller, person_of(person), password, id_of(default), groups)

    def _person(self, ids: list[int], missing: str) -> Remote:
        found = Graph(self._parts.catalogue).people(ids)
        if not found:
            raise ApiUsageFault(missing)
        return found[0]

    def _group(self, ids: list[int], missing: str) -> Remote:
        found = Graph(self._parts.catalogue).groups(ids)
        if not found:
            raise ApiUsageFault(missing)
        return found[0]


def _managed(person: Remote) -> int:
    key = id_of(person)
    if key is None:
        raise ApiUsageFault("Argument may not be null.")
    return key


def _privileges(administrator: bool) -> list[Remote]:
    made = []
    for name in PRIVILEGES if administrator else ():
        privilege = omero.model.AdminPrivilegeI()
        privilege.value = rstring(name)
        made.append(privilege)
    return made
