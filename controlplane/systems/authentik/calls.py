"""The requests to Authentik that the control plane makes, one each unless a docstring says more.

All raise AuthentikError, and those that change something MaskedError when nobody knows whether it was done.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from controlplane.systems.authentik import records
from controlplane.systems.authentik.client import AuthentikError, Client, Query
from controlplane.systems.authentik.records import Group, Member, Myself, RoleRights, Token, User

GROUPS, USERS, ROLES, TOKENS = "core/groups/", "core/users/", "rbac/roles/", "core/tokens/"
OUTPOSTS = "outposts/instances/"
ASSIGNED = "rbac/permissions/assigned_by_roles/"

Progress = Callable[[int, int], None]


def myself(client: Client) -> Myself:
    """The account that the token belongs to."""
    return client.parsed([client.get("core/users/me/")], records.myself)[0]


def groups(client: Client, progress: Progress | None = None) -> list[Group]:
    """All groups with the keys of their members; a request a page."""
    return client.parsed(client.pages(GROUPS, {"include_users": "false"}, progress), records.group)


def group_named(client: Client, name: str) -> Group | None:
    """The group of exactly this name, or None."""
    found = client.parsed(client.pages(GROUPS, {"name": name, "include_users": "false"}), records.group)
    # A filter that a server does not know is ignored.
    return next((group for group in found if group.name == name), None)


def group_with_members(client: Client, name: str) -> tuple[Group, tuple[Member, ...]] | None:
    """The group of exactly this name and who is in it, or None."""
    answers = client.pages(GROUPS, {"name": name, "include_users": "true"})
    answer = next((found for found in answers if found.get("name") == name), None)
    if answer is None:
        return None
    return client.parsed([answer], lambda found: (records.group(found), records.members(found)))[0]


def group(client: Client, key: str) -> Group | None:
    """One group, or None."""
    answer = client.find(f"{GROUPS}{key}/?include_users=false")
    return client.parsed([answer], records.group)[0] if answer else None


def users(client: Client, query: Query | None = None, progress: Progress | None = None) -> list[User]:
    """The users that a query chooses, or all; a request a page."""
    wanted = {"include_groups": "false", "include_roles": "false", **(query or {})}
    return client.parsed(client.pages(USERS, wanted, progress), records.user)


def user(client: Client, key: int) -> User | None:
    """One user, or None."""
    answer = client.find(f"{USERS}{key}/")
    return client.parsed([answer], records.user)[0] if answer else None


def user_with_groups(client: Client, uuid: str) -> tuple[User, Mapping[str, records.Answer]] | None:
    """The user whose `uuid` it is, with the attributes of their groups by name, or None."""
    answers = client.pages(USERS, {"uuid": uuid, "include_roles": "false"})
    answer = next((found for found in answers if found.get("uuid") == uuid), None)
    if answer is None:
        return None
    return client.parsed([answer], lambda found: (records.user(found), records.groups_of(found)))[0]


def roles_for(client: Client, kind: str, progress: Progress | None = None) -> list[RoleRights]:
    """The roles that may do something with objects of a kind (`group`, `user`), and what."""
    answers = client.pages(ASSIGNED, {"model": f"authentik_core.{kind}"}, progress)
    return client.parsed(answers, lambda answer: records.role_rights(answer, kind))


def role_named(client: Client, name: str) -> str:
    """The key of the role of exactly this name, or nothing."""
    found = client.pages(ROLES, {"name": name})
    return next((str(role["pk"]) for role in found if role.get("name") == name), "")


def create_group(client: Client, body: Mapping[str, Any]) -> Group:
    """Make a group."""
    return client.parsed([client.write("POST", GROUPS, body)], records.group)[0]


def change_group(client: Client, key: str, body: Mapping[str, Any]) -> None:
    """Change the given keys of a group; lists and attributes are replaced as a whole."""
    client.write("PATCH", f"{GROUPS}{key}/", body)


def delete_group(client: Client, key: str) -> None:
    """Delete a group; its members stay people."""
    client.write("DELETE", f"{GROUPS}{key}/")


def change_member(client: Client, verb: str, group: str, user: int) -> None:
    """Put a user into a group or take one out (`verb` is `add` or `remove`); may be repeated."""
    client.write("POST", f"{GROUPS}{group}/{verb}_user/", {"pk": user})


def create_role(client: Client, name: str) -> str:
    """Make a role and return its key."""
    return str(client.write("POST", ROLES, {"name": name})["pk"])


def delete_role(client: Client, key: str) -> None:
    """Delete a role."""
    client.write("DELETE", f"{ROLES}{key}/")


def change_rights(client: Client, verb: str, role: str, group: str, codenames: Iterable[str]) -> None:
    """Give a role permissions or take them away (`verb` is `assign` or `unassign`).

    They are on one group, or on all of them where none is given.
    """
    body: dict[str, Any] = {"permissions": [f"authentik_core.{codename}" for codename in sorted(codenames)]}
    if group:
        body |= {"model": "authentik_core.group", "object_pk": group}
    client.write("POST" if verb == "assign" else "PATCH", f"{ASSIGNED}{role}/{verb}/", body)


def change_user(client: Client, key: int, body: Mapping[str, Any]) -> None:
    """Change the given keys of a user; attributes are replaced as a whole."""
    client.write("PATCH", f"{USERS}{key}/", body)


def end_sessions(client: Client, keys: Sequence[int]) -> None:
    """End all sessions of users."""
    client.write("DELETE", "core/authenticated_sessions/bulk_delete/", query={"user_pks": list(keys)})


def tokens(client: Client, query: Query) -> list[Token]:
    """The tokens that a query chooses, without their keys; a request a page."""
    return client.parsed(client.pages(TOKENS, query), records.token)


def create_token(client: Client, body: Mapping[str, Any]) -> None:
    """Make a token; Authentik chooses its key."""
    client.write("POST", TOKENS, body)


def key_of(client: Client, identifier: str) -> str:
    """The key of a token, which is a secret."""
    return str(client.get(f"{TOKENS}{identifier}/view_key/")["key"])


def delete_token(client: Client, identifier: str) -> None:
    """Delete a token."""
    client.write("DELETE", f"{TOKENS}{identifier}/")


def newest_change(client: Client) -> str:
    """The key of the newest event that tells of a changed object or user; empty when there is none."""
    actions = ["model_created", "model_updated", "model_deleted", "user_write", "user_offboarded"]
    query: Query = {"actions": actions, "ordering": "-created", "page": 1, "page_size": 1}
    events = client.get("events/events/", query)["results"]
    return str(events[0]["pk"]) if events else ""


def outposts(client: Client) -> Iterator[tuple[records.Answer, list[records.Answer]]]:
    """The outposts beside the server and what they report of themselves: a request each, and one a page.

    The embedded outpost is part of the server itself.
    """
    for outpost in client.pages(OUTPOSTS):
        if str(outpost.get("managed") or "").startswith("goauthentik.io/outposts/embedded"):
            continue
        reports = client.read(f"{OUTPOSTS}{outpost['pk']}/health/")
        if not isinstance(reports, list):
            raise AuthentikError(
                f"{client.server.host} answers what its API does not promise: an outpost's health"
            )
        yield outpost, reports
