"""Directories for tests: as an Authentik would be read that holds what a state wants."""

from collections.abc import Iterable
from dataclasses import replace
from uuid import NAMESPACE_URL, uuid5

from controlplane.state import State
from controlplane.systems.authentik.contents import attributes
from controlplane.systems.authentik.directory import Directory
from controlplane.systems.authentik.records import Group, RoleRights, User
from controlplane.systems.authentik.resources import GROUP, ROLE


def key_of(name: str) -> str:
    """A key that stays the same for a name."""
    return str(uuid5(NAMESPACE_URL, name))


def user(pk: int, account: str = "", *, active: bool = True, name: str = "", **given: object) -> User:
    """A person; `given` are attributes."""
    held = {**given, **({"bic_account": account} if account else {})}
    return User(
        pk,
        key_of(f"user {pk}"),
        account or f"u{pk}@home.example",
        name or f"Given Surname{pk}",
        f"u{pk}@home.example",
        active,
        "external",
        held,
        f"2026-01-01T00:00:{pk % 60:02}Z",
        f"2026-02-01T00:00:{pk % 60:02}.000000Z",
        "",
    )


def directory(
    groups: Iterable[Group] = (),
    people: Iterable[User] = (),
    roles: Iterable[RoleRights] = (),
    services: Iterable[User] = (),
) -> Directory:
    """What was read."""
    return Directory(
        {group.name: group for group in groups},
        {person.pk: person for person in people},
        {role.name: role for role in roles},
        {service.pk: service for service in services},
    )


def group(name: str, users: Iterable[int] = (), **changes: object) -> Group:
    """A group that is not ours."""
    made = Group(key_of(name), name, (), frozenset(users), {}, (), {})
    return replace(made, **changes)  # type: ignore[arg-type]


def holding(state: State, people: Iterable[User] = ()) -> Directory:
    """A directory that holds the groups and roles of a state, and people."""
    people = list(people)
    keys = {person.attributes.get("bic_account"): person.pk for person in people}
    groups, roles = [], []
    for (kind, name), resource in state.items():
        fields = resource.fields
        if kind == GROUP:
            given = {part: str(fields[part]) for part in ("mark", "facility", "team", "role")}
            members = fields.get("members", ())
            assert isinstance(members, tuple)
            carried = fields["roles"]
            assert isinstance(carried, tuple)
            groups.append(
                Group(
                    key_of(name),
                    name,
                    (key_of(str(fields["parent"])),) if fields["parent"] else (),
                    frozenset(keys[member] for member in members),
                    attributes(**given),
                    carried,
                    {each: key_of(each) for each in carried},
                )
            )
        elif kind == ROLE:
            rights = fields["rights"]
            assert isinstance(rights, tuple)
            pairs = (text.rpartition(":") for text in rights)
            objects = frozenset((codename, key_of(on)) for on, _, codename in pairs)
            roles.append(RoleRights(key_of(name), name, objects, frozenset()))
    return directory(groups, people, roles)
