"""What a facility's buffer server should hold, from the platform with its members alone.

Access to a team's folder: its PI and contributors write, collaborators read. A facility's own folder is
written by its referents and read by all its people.
"""

from collections.abc import Collection, Iterable, Iterator

from controlplane.model import Facility, Person, Team
from controlplane.state import Key, Resource, State, format_mark
from controlplane.systems.buffer import resources
from controlplane.systems.buffer.resources import GROUP, USER


def desired_state(platform: str, facility: Facility, impossible: Collection[str] = ()) -> State:
    """All that a facility, with its members, needs on its buffer server.

    Who has one of the names in `impossible` cannot have an account there, so that they are in no group: the
    others' memberships must not wait for theirs.
    """
    marked = format_mark(platform, facility.id)
    fields = resources.user_fields(mark=marked, is_open=True)
    users = [resources.user(person.user, fields, facility=facility.id) for person in facility.people]
    keys = {found.key.name: found.key for found in users if found.key.name not in impossible}
    return State([*users, *_groups(facility, marked, keys)])


def _groups(facility: Facility, marked: str, keys: dict[str, Key]) -> Iterator[Resource]:
    writers: dict[str | None, Iterable[Person]] = {team.id: _writers(team) for team in facility.teams}
    writers[None] = facility.referents
    for group in facility.groups:
        members = [name for name in group.users if name in keys]
        yield resources.group(
            group.name,
            mark=marked,
            members=members,
            writers=(person.user for person in writers[group.team] if person.user in keys),
            folder=True,
            facility=facility.id,
            team=group.team or "",
            depends_on=[keys[name] for name in members],
        )


def _writers(team: Team) -> Iterator[Person]:
    if team.pi_active:
        yield team.pi
    yield from (member.person for member in team.members if member.role == "contributor")


def impossible_names(facility: Facility, taken: Collection[str]) -> dict[Key, str]:
    """The accounts and groups of a facility that a server cannot have, and why.

    `taken` are the names of accounts and groups that are the server's own.
    """
    found = {}
    for person in facility.people:
        if not resources.is_user_name(person.user):
            found[Key(USER, person.user)] = (
                "no account of a buffer server can be called so: its name must begin with a letter, digit or "
                "underscore, and not be a number"
            )
        elif person.user in taken:
            found[Key(USER, person.user)] = _taken(person.user)
    for group in facility.groups:
        for name in (group.name, resources.writers_group(group.name)):
            if name in taken:
                found[Key(GROUP, group.name)] = _taken(name)
    return found


def _taken(name: str) -> str:
    return (
        f"the server has an account or group {name} that is not ours; remove it there, or choose another name"
    )
