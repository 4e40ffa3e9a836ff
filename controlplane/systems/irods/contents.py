"""What a zone holds, from the rows of the bulk queries to resources; pure."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from controlplane.collector import collector_paused
from controlplane.state import Fields, Key, Resource, State, format_mark, parse_mark
from controlplane.systems.irods import calls, resources
from controlplane.systems.irods.calls import Row
from controlplane.systems.irods.claims import CLAIM, Claim
from controlplane.systems.irods.queries import TICKETS
from controlplane.systems.irods.resources import (
    GROUP,
    MARK,
    POLICY_GROUP,
    REMOTE_ZONE,
    STORAGE_RESOURCE,
    TOTAL,
    USER,
)
from controlplane.systems.irods.tickets import Ticket, tickets

Mark = tuple[str, str]
"""Platform and facility of a mark."""


@dataclass
class Zone:
    """A zone's rows, with names instead of ids."""

    name: str = ""
    accounts: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Type and id of each account by its name, those of other zones as name#zone; groups are accounts too."""
    members: dict[str, list[str]] = field(default_factory=dict)
    """The members by the group's id; those of other zones as name#zone."""
    account_marks: dict[str, Mark] = field(default_factory=dict)
    """By the account's id."""
    claimed: set[Key] = field(default_factory=set)
    """What unfinished applies of this platform were about to make."""
    homes: dict[str, bool] = field(default_factory=dict)
    """Whether each collection in /<zone>/home hands its ACL on, by its last name."""
    acls: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    home_marks: dict[str, Mark] = field(default_factory=dict)
    quotas: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    """Bytes by the account's id and the storage resource's name or `total`."""
    storage: dict[str, Row] = field(default_factory=dict)
    """Type, host, vault, context, status, parent's name and context below it by storage resource."""
    storage_marks: dict[str, Mark] = field(default_factory=dict)
    zones: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Host with port, and comment, by remote zone."""
    parameters: dict[str, list[Mark]] = field(default_factory=lambda: defaultdict(list))
    """Values and units of the policy group's AVUs, by rule base and parameter."""
    foreign: set[str] = field(default_factory=set)
    """The zones of accounts that are not of this zone."""
    tickets: list[Ticket] = field(default_factory=list)
    holdings: dict[str, str] = field(default_factory=dict)
    """Of the groups that nobody wants: what is in the home collections that are not empty, for people."""

    stored: dict[str, str] = field(default_factory=dict)
    """Of the storage resources that nobody wants: what is on those that are not empty, for people."""

    def is_of(self, platform: str, mark: Mark | None, key: Key) -> bool:
        """Whether the mark says so; where there is none, whether an unfinished apply claimed the name."""
        return mark[0] == platform if mark else key in self.claimed


def join(rows: Mapping[str, Sequence[Row]], zone_name: str, platform: str) -> Zone:
    """The rows of the bulk queries (see `queries.py`) with names instead of ids."""
    zone = Zone(zone_name)
    with collector_paused():
        names = _join_accounts(zone, rows, zone_name, platform)
        _join_homes(zone, rows, names)
        _join_storage(zone, rows)
    zone.tickets = [ticket for part in TICKETS for ticket in tickets(rows.get(part, ()), zone_name)]
    zone.zones = {
        name: (connection, comment) for name, kind, connection, comment in rows["zones"] if kind == "remote"
    }
    return zone


def _join_accounts(
    zone: Zone, rows: Mapping[str, Sequence[Row]], zone_name: str, platform: str
) -> dict[str, str]:
    """Accounts, memberships, marks and claims; returns the names of all accounts by id."""
    names: dict[str, str] = {}
    groups: set[str] = set()
    for number, name, kind, of_zone in rows["accounts"]:
        if of_zone == zone_name:
            names[number] = name
            zone.accounts[name] = (kind, number)
            if kind == "rodsgroup" and name != "public":
                groups.add(number)
        else:
            names[number] = remote = resources.remote_user(name, of_zone)
            zone.accounts[remote] = (kind, number)
            zone.foreign.add(of_zone)
    members = zone.members
    for group, member in rows["members"]:
        # Every account is in a group of its own.
        if group in groups and group != member and member in names:
            members.setdefault(group, []).append(names[member])
    for number, attribute, value, unit in rows["account_avus"]:
        if attribute == MARK:
            zone.account_marks[number] = (value, unit)
        elif (parameter := resources.parameter_of(attribute)) and names.get(number) == POLICY_GROUP:
            zone.parameters[parameter].append((value, unit))
        elif attribute == CLAIM:
            claim = Claim.parse(value, unit)
            if claim.platform == platform:
                zone.claimed.update(claim.keys)
    return names


def _join_homes(zone: Zone, rows: Mapping[str, Sequence[Row]], names: Mapping[str, str]) -> None:
    for path, inheritance in rows.get("homes", ()):
        zone.homes[last(path)] = inheritance == "1"
    for path, inheritance, number, access in rows["access"]:
        home = last(path)
        zone.homes[home] = inheritance == "1"
        # An entry of an account that is gone gives nobody access; servers before 5.0 leave them.
        if account := names.get(number):
            zone.acls[home].append(resources.entry(account, resources.level(access)))
    for path, _, value, unit in rows["home_avus"]:
        zone.home_marks[last(path)] = (value, unit)


def _join_storage(zone: Zone, rows: Mapping[str, Sequence[Row]]) -> None:
    names = {row[0]: row[1] for row in rows["storage"]}
    for _, name, kind, host, vault, context, status, parent, parent_context in rows["storage"]:
        place = ("", "") if host == calls.EMPTY_HOST else (host, vault)
        # The server takes any text for the status, and "down" alone for down.
        shown = "down" if status == "down" else "up"
        zone.storage[name] = (kind, *place, context, shown, names.get(parent, parent), parent_context)
    for number, _, value, unit in rows["storage_avus"]:
        zone.storage_marks[names.get(number, number)] = (value, unit)
    for number, on, size in rows["quotas"]:
        if limit := int(size):
            zone.quotas[number][TOTAL if on == "0" else names.get(on, on)] = limit


def last(path: str) -> str:
    """The last name of a path."""
    return path.rpartition("/")[2]


def compile_state(
    zone: Zone,
    platform: str,
    administrator: str,
    erasable: Collection[str] = (),
    wanted: State | None = None,
) -> State:
    """The rows of a zone as resources; pure.

    `wanted` is what the zone should hold: whose access should have ended, their tickets are to end too.

    The administrator's own entries in ACLs are left out: it gives itself access where it has to work.
    """
    compiler = _Compiler(zone, platform, administrator, erasable)
    with collector_paused():
        return State(
            [
                *(
                    compiler.group(name, number) if kind == "rodsgroup" else compiler.user(name, kind, number)
                    for name, (kind, number) in zone.accounts.items()
                ),
                *(compiler.storage_resource(name) for name in zone.storage),
                *(compiler.remote_zone(name) for name in zone.zones),
                *(compiler.rule_parameter(name) for name in zone.parameters),
                *compiler.tickets(wanted if wanted is not None else State()),
            ]
        )


@dataclass
class _Compiler:
    zone: Zone
    platform: str
    administrator: str
    erasable: Collection[str]
    _fields: dict[tuple[str, str], Fields] = field(default_factory=dict)
    """The fields of accounts by type and mark: most are alike and share them."""

    def user(self, name: str, kind: str, number: str) -> Resource:
        mark = self.zone.account_marks.get(number)
        alike = kind, _shown(mark)
        fields = self._fields.get(alike)
        if fields is None:
            fields = self._fields[alike] = resources.user_fields(kind=kind, mark=alike[1])
        return resources.user(name, fields, owned=self._ours(mark, USER, name))

    def group(self, name: str, number: str) -> Resource:
        zone = self.zone
        mark = zone.account_marks.get(number)
        own = f"{self.administrator}:"
        holds = zone.holdings.get(name, "")
        erased = name in self.erasable
        return resources.group(
            name,
            mark=_shown(mark),
            members=zone.members.get(number, ()),
            quotas=zone.quotas.get(number, {}),
            collection=name in zone.homes,
            collection_mark=_shown(zone.home_marks.get(name)),
            inheritance=zone.homes.get(name, False),
            acl=[text for text in zone.acls.get(name, ()) if not text.startswith(own)],
            facility=mark[1] if mark else "",
            owned=self._ours(mark, GROUP, name),
            keep=resources.KEPT_GROUP if holds and not erased else "",
            destroys=holds if erased else "",
        )

    def storage_resource(self, name: str) -> Resource:
        kind, host, vault, context, status, parent, parent_context = self.zone.storage[name]
        mark = self.zone.storage_marks.get(name)
        holds = self.zone.stored.get(name)
        return resources.storage_resource(
            name,
            mark=_shown(mark),
            kind=kind,
            host=host,
            vault=vault,
            context=context,
            status=status,
            parent=parent,
            parent_context=parent_context,
            facility=mark[1] if mark else "",
            owned=self._ours(mark, STORAGE_RESOURCE, name),
            keep=resources.kept_storage_resource(holds) if holds else "",
        )

    def remote_zone(self, name: str) -> Resource:
        connection, comment = self.zone.zones[name]
        shown = resources.commented(comment)
        mark = (parse_mark(shown)[0], "") if shown else None
        return resources.remote_zone(
            name,
            mark=shown,
            connection=connection,
            owned=self._ours(mark, REMOTE_ZONE, name),
            keep=resources.KEPT_REMOTE_ZONE if name in self.zone.foreign else "",
        )

    def rule_parameter(self, name: str) -> Resource:
        # Rules may read somebody else's value as well as ours: then there is a difference to mend.
        values = sorted(self.zone.parameters[name])
        ours = [unit for _, unit in values if unit == self.platform]
        return resources.rule_parameter(
            name,
            mark=self.platform if ours else values[0][1],
            values=[value for value, _ in values],
            owned=bool(ours),
        )

    def tickets(self, wanted: State) -> Iterator[Resource]:
        """The tickets that are to end.

        Of people whom nobody wants here any more all, and of the others those for homes of our groups in
        which they may not write: who may owns what they make there, and may give it away.
        """
        prefix = f"/{self.zone.name}/home/"
        writers: dict[str, frozenset[str]] = {}
        for made in self.zone.tickets:
            if made.owner == self.administrator:
                continue
            below = made.collection.removeprefix(prefix).partition("/")[0]
            group = below if made.collection.startswith(prefix) and self._is_our_group(below) else ""
            if group and group not in writers:
                writers[group] = _writers(wanted.find(Key(GROUP, group)))
            gone = self._is_our_user(made.owner) and Key(USER, made.owner) not in wanted
            if gone or (group and made.owner not in writers[group]):
                mark = self.zone.account_marks.get(self.zone.accounts[group][1]) if group else None
                facility = mark[1] if mark else ""
                yield resources.ticket(
                    made.number,
                    made.owner,
                    collection=made.collection,
                    facility=facility,
                    team=group.removeprefix(f"{facility}-") if facility and group != facility else "",
                )

    def _is_our_group(self, name: str) -> bool:
        kind, number = self.zone.accounts.get(name, ("", ""))
        return kind == "rodsgroup" and self._ours(self.zone.account_marks.get(number), GROUP, name)

    def _is_our_user(self, name: str) -> bool:
        kind, number = self.zone.accounts.get(name, ("", ""))
        return kind == "rodsuser" and self._ours(self.zone.account_marks.get(number), USER, name)

    def _ours(self, mark: Mark | None, kind: str, name: str) -> bool:
        return self.zone.is_of(self.platform, mark, Key(kind, name))


def _shown(mark: Mark | None) -> str:
    return format_mark(*mark) if mark else ""


def _writers(group: Resource | None) -> frozenset[str]:
    """The accounts that may write in the home of a group as it should be."""
    acl = group.fields["acl"] if group else ()
    levels = resources.parse_entries(acl if isinstance(acl, tuple) else ())
    return frozenset(account for account, level in levels.items() if level != resources.READ)
