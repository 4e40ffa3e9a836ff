"""User names and group names, and the people behind them."""

from collections.abc import Iterator, Mapping

from controlplane.model.checks.spots import Spot, at
from controlplane.model.documents import Documents, FacilityDocument, mentions, place_of
from controlplane.model.facility_file import PersonEntry
from controlplane.model.problems import Problem

# Names that every iRODS zone has from its setup on, whoever runs it.
RESERVED_ACCOUNTS = ("anonymous", "public", "rodsadmin")

LONGEST_GROUP_NAME = 63
"""Characters of an iRODS group's name."""


def check(documents: Documents) -> Iterator[Problem]:
    """Users and groups share one namespace in iRODS, and one user name is one person."""
    taken = _accounts(documents)
    yield from _groups(documents, taken)
    for facility in documents.facilities:
        for person in mentions(facility.data):
            if person.user in taken:
                owner = _owner(taken[person.user])
                place = place_of(facility, person)
                yield Problem(place, f"the user name {person.user!r} is taken by {owner}")
    yield from _one_name_one_person(documents)
    for facility in documents.facilities:
        yield from _once_in_a_team(facility)


Taken = dict[str, tuple[str, Spot | None]]
"""Who has a name, and where that is written."""


def _accounts(documents: Documents) -> Taken:
    """The names that no group of a facility and no user may have."""
    taken: Taken = {name: ("iRODS itself", None) for name in RESERVED_ACCOUNTS}
    if platform := documents.platform:
        for name, zone in platform.data.zones.items():
            spot = at(platform, "zones", name, "administrator")
            taken[zone.administrator.user] = (f"the administrator of zone {name}", spot)
    return taken


def _owner(entry: tuple[str, Spot | None]) -> str:
    name, spot = entry
    return f"{name} ({spot})" if spot else name


def _groups(documents: Documents, taken: Taken) -> Iterator[Problem]:
    """Adds the names of all groups to `taken`."""
    described: set[str] = set()
    nested = _nested({facility.data.id for facility in documents.facilities})
    for facility in documents.facilities:
        identifier = facility.data.id
        if identifier in described:
            continue  # A facility described twice is one problem, not one for each of its groups.
        described.add(identifier)
        others = nested.get(identifier, ())
        groups = [(identifier, at(facility, "id"), f"the facility {identifier!r}")]
        for index, team in enumerate(facility.data.teams):
            name = f"{identifier}-{team.id}"
            spot = at(facility, "teams", index, "id")
            groups.append((name, spot, f"the team {team.id!r} of {identifier!r}"))
            if other := next((other for other in others if name.startswith(f"{other}-")), None):
                yield spot.problem(
                    f"the team's group {name!r} reads like one of the facility {other!r}; rename the team"
                )
            if len(name) > LONGEST_GROUP_NAME:
                yield spot.problem(
                    f"the group name {name!r} has more than the {LONGEST_GROUP_NAME} characters of iRODS"
                )
        mine: set[str] = set()
        for name, spot, owner in groups:
            if name in taken and name not in mine:
                yield spot.problem(f"the group name {name!r} is taken by {_owner(taken[name])}")
            mine.add(name)
            taken.setdefault(name, (owner, spot))


def _nested(identifiers: set[str]) -> Mapping[str, list[str]]:
    """For each facility, those whose identifier continues its own.

    A facility `a-b` next to one called `a`: whose is the group `a-b-c`?
    """
    found: dict[str, list[str]] = {}
    for identifier in sorted(identifiers):
        parts = identifier.split("-")
        for length in range(1, len(parts)):
            shorter = "-".join(parts[:length])
            if shorter in identifiers:
                found.setdefault(shorter, []).append(identifier)
    return found


def _one_name_one_person(documents: Documents) -> Iterator[Problem]:
    first: dict[str, tuple[PersonEntry, FacilityDocument]] = {}
    for facility in documents.facilities:
        for person in mentions(facility.data):
            known, where = first.setdefault(person.user, (person, facility))
            if known is not person and (known.name, known.email) != (person.name, person.email):
                yield Problem(
                    place_of(facility, person),
                    f"the user {person.user!r} is {known.name} <{known.email}> at {place_of(where, known)} "
                    f"and {person.name} <{person.email}> here; one user name is one person",
                )


def _once_in_a_team(facility: FacilityDocument) -> Iterator[Problem]:
    for team in facility.data.teams:
        seen: dict[str, PersonEntry] = {team.pi.user: team.pi}
        for member in team.members:
            earlier = seen.setdefault(member.user, member)
            if earlier is not member:
                yield Problem(
                    place_of(facility, member),
                    f"the user {member.user!r} is already in this team at {place_of(facility, earlier)}",
                )
