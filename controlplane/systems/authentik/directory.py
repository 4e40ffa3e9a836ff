"""All that is read of Authentik for a plan, in a bounded number of requests: 2 for the token's rights, one a
page of groups and of roles, one for the people who have changed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from controlplane.systems.authentik import calls, people, rights
from controlplane.systems.authentik.client import Client
from controlplane.systems.authentik.people import People
from controlplane.systems.authentik.records import Group, RoleRights, User

ACCOUNT = "bic_account"
"""The attribute of a person that holds the account name."""

MARK = "bic_managed"
"""The attribute of a group that says whose it is: the platform's name."""

ENDED = "bic_ended"
"""The attribute of a person whose account is closed and whose sessions and tokens are gone."""


@dataclass(frozen=True)
class Directory:
    """Groups, people and roles as they are."""

    groups: Mapping[str, Group]
    """By name."""
    people: Mapping[int, User]
    """People by key."""
    roles: Mapping[str, RoleRights]
    """The roles that may do something with groups, by name."""
    services: Mapping[int, User] = field(default_factory=lambda: MappingProxyType({}))
    """The accounts that belong to no person, by key."""

    @cached_property
    def names(self) -> Mapping[str, str]:
        """The names of groups by key."""
        return {group.pk: group.name for group in self.groups.values()}

    @cached_property
    def usernames(self) -> Mapping[str, User]:
        """All accounts, those of no person too, by user name, which is unique."""
        return {user.username: user for users in (self.people, self.services) for user in users.values()}

    def user(self, key: int) -> User | None:
        """A person or another account, or None."""
        return self.people.get(key) or self.services.get(key)

    @cached_property
    def accounts(self) -> Mapping[str, tuple[User, ...]]:
        """The people who have an account name, by that; more than one where a person made a mistake."""
        found: dict[str, tuple[User, ...]] = {}
        for user in self.people.values():
            if name := account_of(user):
                found[name] = (*found.get(name, ()), user)
        return found

    @cached_property
    def _children(self) -> Mapping[str, tuple[Group, ...]]:
        found: dict[str, tuple[Group, ...]] = {}
        for group in self.groups.values():
            for parent in group.parents:
                found[parent] = (*found.get(parent, ()), group)
        return found

    def below(self, name: str) -> Iterator[Group]:
        """A group and all below it; circles, which Authentik accepts, are walked once."""
        todo, seen = [self.groups[name]], set[str]()
        while todo:
            group = todo.pop()
            if group.pk not in seen:
                seen.add(group.pk)
                yield group
                todo.extend(self._children.get(group.pk, ()))

    def members(self, groups: Iterable[Group]) -> list[User]:
        """The people in some groups, each once, by key."""
        keys = {key for group in groups for key in group.users}
        return [self.people[key] for key in sorted(keys) if key in self.people]


def account_of(user: User) -> str:
    """A person's account name, or nothing."""
    name = user.attributes.get(ACCOUNT)
    return name if isinstance(name, str) else ""


def read(
    client: Client, known: People, progress: Callable[[int, int], None] = lambda done, total: None
) -> Directory:
    """Everything, with `known` brought up to date. Raises AuthentikError when not all of it could be read."""
    me = calls.myself(client)
    roles = calls.roles_for(client, "group")
    rights.demand(me, "group", roles)
    if not me.superuser:
        rights.demand(me, "user", calls.roles_for(client, "user"))
    groups = calls.groups(client, progress)
    people.refresh(client, known, (key for group in groups for key in group.users), progress)
    return Directory(
        {group.name: group for group in groups},
        {key: user for key, user in known.known.items() if user.person},
        {role.name: role for role in roles},
        {key: user for key, user in known.known.items() if not user.person},
    )
