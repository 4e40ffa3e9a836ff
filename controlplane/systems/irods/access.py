"""Who reaches a collection, and what an account reaches, as a zone says it."""

from collections.abc import Iterator, Mapping, Sequence

from irods.column import In
from irods.models import Collection, CollectionAccess, Group, User

from controlplane.access.reach import Granted, Reach, Standing
from controlplane.errors import BadInputError
from controlplane.model import Platform, Zone
from controlplane.systems.irods import resources, tickets
from controlplane.systems.irods.client import Client, IrodsError, endpoint
from controlplane.systems.irods.observe import PATIENCE
from controlplane.systems.irods.resources import level

AT_ONCE = 100
"""Numbers in one condition; the server limits a condition's length."""


def reaches(platform: Platform, path: str) -> Iterator[Granted]:
    """All ways by which accounts reach a collection, in the zone that its path names.

    Raises BadInputError when there is no such collection.
    """
    zone = platform.zones.get(path.split("/")[1] if path.startswith("/") else "")
    if zone is not None:
        try:
            yield Granted(_title(zone), tuple(_ways(platform, zone, path)))
        except IrodsError as error:
            yield Granted(_title(zone), error=str(error))


def _ways(platform: Platform, zone: Zone, path: str) -> Iterator[Reach]:
    with _client(platform, zone) as client:
        found = client.rows(Collection.id, where=(Collection.name == path,), patience=PATIENCE)
        if not found:
            raise BadInputError(f"{path}: the zone {zone.name} has no such collection")
        entries = client.rows(
            CollectionAccess.user_id,
            CollectionAccess.name,
            where=(Collection.name == path,),
            patience=PATIENCE,
        )
        # Of groups the server names the members too: an entry is what has the number of an account.
        accounts = _accounts(client, zone, sorted({number for number, _ in entries}))
        groups = [name for name, kind in accounts.values() if kind == "rodsgroup"]
        members = _members(client, zone, groups)
        made = [each for each in _tickets(client, zone) if _holds(each.collection, path)]
    for number, access in entries:
        if number not in accounts:
            continue
        name, kind = accounts[number]
        if kind != "rodsgroup":
            yield Reach(name, level(access), "")
        for member in members.get(name, ()):
            yield Reach(member, level(access), name)
    for ticket in made:
        yield Reach(f"whoever has ticket {ticket.number}", "read", f"ticket of {ticket.owner}")


def standings(platform: Platform, account: str) -> Iterator[Standing]:
    """What each zone knows of an account."""
    for zone in platform.zones.values():
        try:
            yield _standing(platform, zone, account)
        except IrodsError as error:
            yield Standing(_title(zone), error=str(error))


def _standing(platform: Platform, zone: Zone, account: str) -> Standing:
    with _client(platform, zone) as client:
        here = (User.name == account, User.zone == zone.name)
        numbers = client.rows(User.id, User.type, where=here, patience=PATIENCE)
        if not numbers:
            return Standing(_title(zone))
        own = numbers[0][0]
        rows = client.rows(Group.name, Group.id, where=here, patience=PATIENCE)
        groups = {name: number for name, number in rows if name != account}
        names = {own: "", **{number: name for name, number in groups.items()}}
        entries = client.rows(
            Collection.name,
            CollectionAccess.name,
            CollectionAccess.user_id,
            where=(
                In(CollectionAccess.user_id, sorted(names)),
                Collection.parent_name == f"/{zone.name}/home",
            ),
            patience=PATIENCE,
        )
        mine = [each for each in _tickets(client, zone) if each.owner == account]
    return Standing(
        _title(zone),
        True,
        tuple(sorted(name for name in groups if name != "public")),
        tuple(sorted(Reach(path, level(access), names.get(number, "")) for path, access, number in entries)),
        len(mine),
    )


def _title(zone: Zone) -> str:
    return f"iRODS zone {zone.name}"


def _client(platform: Platform, zone: Zone) -> Client:
    return Client(endpoint(zone, platform.hosts[zone.catalog_provider]), connections=1)


def _accounts(client: Client, zone: Zone, numbers: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Name and type by number."""
    found: dict[str, tuple[str, str]] = {}
    for start in range(0, len(numbers), AT_ONCE):
        where = (In(User.id, list(numbers[start : start + AT_ONCE])),)
        for number, name, kind, of_zone in client.rows(
            User.id, User.name, User.type, User.zone, where=where, patience=PATIENCE
        ):
            found[number] = (name if of_zone == zone.name else resources.remote_user(name, of_zone), kind)
    return found


def _members(client: Client, zone: Zone, groups: Sequence[str]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for group in groups:
        rows = client.rows(User.name, User.zone, User.type, where=(Group.name == group,), patience=PATIENCE)
        found[group] = [
            name if of_zone == zone.name else resources.remote_user(name, of_zone)
            for name, of_zone, kind in rows
            if kind != "rodsgroup"
        ]
    return found


def _tickets(client: Client, zone: Zone) -> list[tickets.Ticket]:
    rows = [
        *client.rows(*tickets.COLLECTION_COLUMNS, patience=PATIENCE),
        *client.rows(*tickets.DATA_COLUMNS, patience=PATIENCE),
    ]
    return list(tickets.tickets(rows, zone.name))


def _holds(collection: str, path: str) -> bool:
    """Whether a ticket for `collection` or something in it opens something of `path`."""
    return f"{collection}/".startswith(f"{path}/") or f"{path}/".startswith(f"{collection}/")
