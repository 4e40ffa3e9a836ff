"""Searches: which entries somebody who has bound gets to see."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from . import entries
from .entries import Entry
from .filters import Filter, group_query, keeps, object_class, user_query
from .names import GROUPS, USERS, VIRTUAL_GROUPS, is_within, normal, parts
from .server_api import Person, Provider, Server

BASE, ONE_LEVEL, SUBTREE = 0, 1, 2
ALL_ATTRIBUTES, NO_ATTRIBUTES, OPERATIONAL = "*", "1.1", "+"


@dataclass(frozen=True)
class Request:
    """A search request."""

    base: str
    scope: int
    filter: Filter
    attributes: Sequence[str]


def search(server: Server, provider: Provider, person: Person, request: Request) -> Iterator[Entry]:
    """The entries that the request finds, with the attributes that it asks for.

    Somebody without the permission `search_full_directory` sees themselves and their groups, and in those
    no other member. Below a name that is not the provider's there is nothing. Raises `ServerError`,
    `InvalidNameError` and `UnsupportedFilterError`.
    """
    if not provider.tree.holds(request.base):
        return
    for entry in _candidates(server, provider, person, request):
        if _in_scope(entry.name, request) and keeps(request.filter, entry):
            yield selected(entry, request.attributes)


def selected(entry: Entry, wanted: Sequence[str]) -> Entry:
    """The entry with the attributes that are asked for; all when none is named."""
    names = {name.lower() for name in wanted}
    if not names or ALL_ATTRIBUTES in names:
        return entry
    if names == {NO_ATTRIBUTES}:
        return Entry(entry.name, {})
    kept = {name: values for name, values in entry.attributes.items() if name.lower() in names}
    return Entry(entry.name, kept)


def _candidates(server: Server, provider: Provider, person: Person, request: Request) -> Iterator[Entry]:
    tree, wanted = provider.tree, object_class(request.filter)
    if _demands(wanted, entries.DOMAIN_CLASSES):
        yield entries.base_entry(tree)
    for name, unit in ((tree.users, USERS), (tree.groups, GROUPS), (tree.virtual_groups, VIRTUAL_GROUPS)):
        if _demands(wanted, entries.CONTAINER_CLASSES):
            yield entries.container_entry(name, unit)
    in_users = _demands(wanted, entries.USER_CLASSES) and _reaches(tree.users, request)
    in_virtual = _demands(wanted, entries.VIRTUAL_GROUP_CLASSES) and _reaches(tree.virtual_groups, request)
    if in_users or in_virtual:
        for user in _users(server, person, request):
            if in_users:
                yield entries.user_entry(user, tree, provider.numbers)
            if in_virtual:
                yield entries.virtual_group_entry(user, tree, provider.numbers)
    if _demands(wanted, entries.GROUP_CLASSES) and _reaches(tree.groups, request):
        for group in _groups(server, person, request):
            yield entries.group_entry(group, tree, provider.numbers)


def _demands(wanted: str, classes: Iterable[str]) -> bool:
    return not wanted or wanted in classes


def _reaches(container: str, request: Request) -> bool:
    """Whether a search can find entries of a container: of one level below it, or one of them."""
    if is_within(request.base, container):
        return request.scope != BASE or normal(request.base) != normal(container)
    return request.scope == SUBTREE and is_within(container, request.base)


def _in_scope(name: str, request: Request) -> bool:
    if request.scope == BASE:
        return normal(name) == normal(request.base)
    if request.scope == ONE_LEVEL:
        return is_within(name, request.base) and len(parts(name)) == len(parts(request.base)) + 1
    return is_within(name, request.base)


def _users(server: Server, person: Person, request: Request) -> Iterable[dict[str, Any]]:
    if not person.may_search:
        return [dict(server.user(person.pk))]
    query = user_query(request.filter)
    return [] if query is None else [dict(user) for user in server.users(query)]


def _groups(server: Server, person: Person, request: Request) -> Iterator[dict[str, Any]]:
    query = group_query(request.filter)
    if query is None:
        return
    if person.may_search:
        yield from (dict(group) for group in server.groups(query))
        return
    for group in server.groups({**query, "members_by_pk": str(person.pk)}):
        own = [user for user in group.get("users_obj") or () if user["pk"] == person.pk]
        yield {**group, "users_obj": own}
