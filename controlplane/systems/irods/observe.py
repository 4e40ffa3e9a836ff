"""What a zone holds, read in bulk.

A fixed number of queries (GenQuery1, which every supported server answers) reads all accounts, groups and
storage resources; two more look into the homes of groups that nobody wants any more, if there are any.
Everything is read or an error is raised: half an answer would look like deletions.
"""

from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from irods.column import Column, In, Like
from irods.models import Collection as CollectionModel
from irods.models import (
    CollectionAccess,
    CollectionMeta,
    DataObject,
    Group,
    ResourceMeta,
    User,
    UserMeta,
)
from irods.models import Resource as ResourceModel

from controlplane.state import Key, Resource, State
from controlplane.systems.irods import resources
from controlplane.systems.irods.client import Client
from controlplane.systems.irods.resources import CLAIM, GROUP, MARK, STORAGE_RESOURCE, USER

QUERIES = 8
"""Queries of one observation, not counting the pages of their answers."""

HOMES_AT_ONCE = 20
"""Paths in one condition; the server limits a condition's length."""


@dataclass
class Zone:
    """A zone's rows, joined by name."""

    users: dict[str, str] = field(default_factory=dict)
    """Type of each account of this zone by its name; groups are accounts too."""
    names: dict[int, str] = field(default_factory=dict)
    """Name of each account by its id; those of other zones as name#zone."""
    members: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    account_marks: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Platform and facility by account."""
    claims: set[str] = field(default_factory=set)
    """What unfinished applies of this platform were about to make, as `<kind>/<name>`."""
    homes: dict[str, bool] = field(default_factory=dict)
    """Whether each collection in /<zone>/home hands its ACL on, by its last name."""
    acls: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    home_marks: dict[str, tuple[str, str]] = field(default_factory=dict)
    storage: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """Type, host and vault by storage resource."""
    storage_marks: dict[str, tuple[str, str]] = field(default_factory=dict)
    full_homes: set[str] = field(default_factory=set)
    """Of the groups that nobody wants: those whose home collection holds anything."""


def observe(
    client: Client, platform: str, wanted: Collection[Key], progress: Callable[[int, int], None]
) -> State:
    """The accounts, groups and storage resources of a zone, ours and others'.

    `wanted` tells which groups are not wanted any more; `progress` is called after each query. Raises
    IrodsError.
    """
    reader = _Reader(client, progress)
    zone = reader.read(platform)
    strays = [
        name
        for name, (owner, _) in zone.account_marks.items()
        if owner == platform and zone.users.get(name) == "rodsgroup" and Key(GROUP, name) not in wanted
    ]
    reader.look_into(zone, strays)
    return compile_state(zone, platform, client.server.user)


class _Reader:
    def __init__(self, client: Client, progress: Callable[[int, int], None]) -> None:
        self.client = client
        self.progress = progress
        self.done = 0

    def _rows(self, *columns: Column, where: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        rows = self.client.rows(*columns, where=where)
        self.done += 1
        self.progress(min(self.done, QUERIES), QUERIES)
        return rows

    def read(self, platform: str) -> Zone:
        name = self.client.server.zone
        zone = Zone()
        for user_id, user, kind, user_zone in self._rows(User.id, User.name, User.type, User.zone):
            local = user_zone == name
            zone.names[int(str(user_id))] = str(user) if local else f"{user}#{user_zone}"
            if local:
                zone.users[str(user)] = str(kind)
        # `public` holds every account, and every account is in a group of its own.
        for group, user, user_zone in self._rows(
            Group.name, User.name, User.zone, where=(Group.name != "public",)
        ):
            member = str(user) if user_zone == name else f"{user}#{user_zone}"
            if group != member:
                zone.members[str(group)].add(member)
        for user, attribute, value, units in self._rows(
            User.name, UserMeta.name, UserMeta.value, UserMeta.units, where=(Like(UserMeta.name, "bic:%"),)
        ):
            if attribute == MARK:
                zone.account_marks[str(user)] = (str(value), str(units or ""))
            elif attribute == CLAIM and units == platform:
                zone.claims.add(str(value))
        self._collections(zone, f"/{name}/home")
        for resource, kind, host, vault in self._rows(
            ResourceModel.name, ResourceModel.type, ResourceModel.location, ResourceModel.vault_path
        ):
            zone.storage[str(resource)] = (str(kind), str(host), str(vault))
        for resource, value, units in self._rows(
            ResourceModel.name, ResourceMeta.value, ResourceMeta.units, where=(ResourceMeta.name == MARK,)
        ):
            zone.storage_marks[str(resource)] = (str(value), str(units or ""))
        return zone

    def _collections(self, zone: Zone, home: str) -> None:
        below = CollectionModel.parent_name == home
        for path, inheritance in self._rows(
            CollectionModel.name, CollectionModel.inheritance, where=(below,)
        ):
            zone.homes[_last(path)] = inheritance == "1"
        for path, access, user_id in self._rows(
            CollectionModel.name, CollectionAccess.name, CollectionAccess.user_id, where=(below,)
        ):
            # An entry of an account that is gone gives nobody access; servers before 5.0 leave them.
            if account := zone.names.get(int(str(user_id))):
                zone.acls[_last(path)].add(resources.entry(account, resources.level(str(access))))
        for path, value, units in self._rows(
            CollectionModel.name,
            CollectionMeta.value,
            CollectionMeta.units,
            where=(below, CollectionMeta.name == MARK),
        ):
            zone.home_marks[_last(path)] = (str(value), str(units or ""))

    def look_into(self, zone: Zone, groups: list[str]) -> None:
        """Find out which of the groups' home collections are not empty."""
        homes = [f"/{self.client.server.zone}/home/{name}" for name in groups if name in zone.homes]
        for start in range(0, len(homes), HOMES_AT_ONCE):
            some = homes[start : start + HOMES_AT_ONCE]
            parent, name = CollectionModel.parent_name, CollectionModel.name
            holders = [
                *self._rows(parent, where=(In(parent, some),)),
                *self._rows(name, where=(In(name, some), DataObject.id > 0)),
            ]
            zone.full_homes.update(_last(row[0]) for row in holders)


def _last(path: object) -> str:
    return str(path).rpartition("/")[2]


def compile_state(zone: Zone, platform: str, administrator: str) -> State:
    """The rows of a zone as resources; pure.

    The administrator's own entries in ACLs are left out: it gives itself access where it has to work.
    """
    return State(
        [
            *(_user(zone, name, platform) for name, kind in zone.users.items() if kind != "rodsgroup"),
            *(
                _group(zone, name, platform, administrator)
                for name, kind in zone.users.items()
                if kind == "rodsgroup"
            ),
            *(_storage_resource(zone, name, platform) for name in zone.storage),
        ]
    )


def _user(zone: Zone, name: str, platform: str) -> Resource:
    mark = zone.account_marks.get(name)
    return resources.user(
        name, mark=_shown(mark), kind=zone.users[name], owned=_ours(zone, mark, USER, name, platform)
    )


def _group(zone: Zone, name: str, platform: str, administrator: str) -> Resource:
    mark = zone.account_marks.get(name)
    members = zone.members.get(name, set())
    acl = {text for text in zone.acls.get(name, ()) if not text.startswith(f"{administrator}:")}
    # Access goes first: a group whose home holds data is emptied, and stays only for the data's sake.
    empty = not members and not acl
    return resources.group(
        name,
        mark=_shown(mark),
        members=members,
        collection=name in zone.homes,
        collection_mark=_shown(zone.home_marks.get(name)),
        inheritance=zone.homes.get(name, False),
        acl=acl,
        facility=mark[1] if mark else "",
        depends_on=(Key(USER, member) for member in members),
        owned=_ours(zone, mark, GROUP, name, platform),
        keep=resources.KEPT_GROUP if empty and name in zone.full_homes else "",
    )


def _storage_resource(zone: Zone, name: str, platform: str) -> Resource:
    kind, host, vault = zone.storage[name]
    mark = zone.storage_marks.get(name)
    return resources.storage_resource(
        name,
        mark=_shown(mark),
        kind=kind,
        host=host,
        vault=vault,
        facility=mark[1] if mark else "",
        owned=_ours(zone, mark, STORAGE_RESOURCE, name, platform),
    )


def _shown(mark: tuple[str, str] | None) -> str:
    return resources.mark(*mark) if mark else ""


def _ours(zone: Zone, mark: tuple[str, str] | None, kind: str, name: str, platform: str) -> bool:
    """Whether the mark says so; where there is none, whether an apply claimed the name and was cut off."""
    if mark:
        return mark[0] == platform
    return f"{kind}/{name}" in zone.claims
