"""What Authentik's API answers, as far as the control plane reads it; checked when it is read.

The names are those of its OpenAPI document (2026.8). An answer without what is wanted is an error, never a
default: half an answer would look like people who left.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Answer = Mapping[str, Any]
"""A JSON object."""

PEOPLE = frozenset({"internal", "external"})
"""The types of users that are people."""


class UnexpectedAnswerError(ValueError):
    """An answer that is not what the API's document promises."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group, with the keys of its members."""

    pk: str
    name: str
    parents: tuple[str, ...]
    users: frozenset[int]
    attributes: Answer
    roles: tuple[str, ...]
    """Names of the roles that its members have."""
    role_keys: Mapping[str, str]
    """The keys of these roles by name."""


@dataclass(frozen=True, slots=True)
class User:
    """A person's or a service's account."""

    pk: int
    uuid: str
    username: str
    name: str
    email: str
    active: bool
    type: str
    attributes: Answer
    joined: str
    updated: str
    """When it was last changed, as ISO 8601 in UTC: texts whose order is that of time."""
    last_login: str

    @property
    def person(self) -> bool:
        """Whether it belongs to a person."""
        return self.type in PEOPLE


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in a group, as the group tells it."""

    pk: int
    username: str
    name: str
    active: bool
    attributes: Answer


@dataclass(frozen=True, slots=True)
class RoleRights:
    """A role and what it may do with the objects of one kind."""

    pk: str
    name: str
    objects: frozenset[tuple[str, str]]
    """Codenames of permissions with the keys of the objects that they are for."""
    everywhere: frozenset[str]
    """Codenames of permissions for all objects of the kind."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token without its key."""

    identifier: str
    intent: str
    user: int
    expires: str
    """When it ends, as ISO 8601, or empty when it does not."""


@dataclass(frozen=True, slots=True)
class Myself:
    """The account that a token belongs to."""

    pk: int
    username: str
    superuser: bool
    roles: frozenset[str]
    """The keys of its roles, those of its groups included."""


def group(answer: Answer) -> Group:
    """A group as `core/groups/` tells it. Raises UnexpectedAnswerError."""
    with _Reading("group"):
        roles = {str(role["name"]): str(role["pk"]) for role in _list(answer["roles_obj"])}
        return Group(
            str(answer["pk"]),
            _text(answer["name"]),
            tuple(str(key) for key in _list(answer["parents"])),
            frozenset(_number(key) for key in _list(answer["users"])),
            _object(answer["attributes"]),
            tuple(sorted(roles)),
            roles,
        )


def user(answer: Answer) -> User:
    """A user as `core/users/` tells it. Raises UnexpectedAnswerError."""
    with _Reading("user"):
        active = answer["is_active"]
        if not isinstance(active, bool):
            raise TypeError("is_active")
        return User(
            _number(answer["pk"]),
            str(answer["uuid"]),
            _text(answer["username"]),
            _text(answer["name"]),
            _text(answer["email"]),
            active,
            _text(answer["type"]),
            _object(answer["attributes"]),
            _text(answer["date_joined"]),
            # Before 2026.8 there was no such key in every answer; without it nothing can be skipped.
            _text(answer["last_updated"]),
            answer["last_login"] or "",
        )


def members(answer: Answer) -> tuple[Member, ...]:
    """Who is in a group, as `core/groups/` tells it with `include_users`. Raises UnexpectedAnswerError."""
    with _Reading("group"):
        return tuple(
            Member(
                _number(found["pk"]),
                _text(found["username"]),
                _text(found["name"]),
                found["is_active"] is True,
                _object(found["attributes"]),
            )
            for found in _list(answer["users_obj"])
        )


def groups_of(answer: Answer) -> dict[str, Answer]:
    """The attributes of a user's groups by the groups' names, as `core/users/` tells them.

    Raises UnexpectedAnswerError.
    """
    with _Reading("user"):
        return {_text(found["name"]): _object(found["attributes"]) for found in _list(answer["groups_obj"])}


def role_rights(answer: Answer, kind: str) -> RoleRights:
    """A role as `rbac/permissions/assigned_by_roles/` tells it, for the model `kind` such as `group`.

    Raises UnexpectedAnswerError.
    """
    with _Reading("role"):
        return RoleRights(
            _text(answer["role_pk"]),
            _text(answer["name"]),
            frozenset(
                (_text(item["codename"]), _text(item["object_pk"]))
                for item in _list(answer["object_permissions"])
                if item["model"] == kind
            ),
            frozenset(
                _text(item["codename"])
                for item in _list(answer["model_permissions"])
                if item["model"] == kind
            ),
        )


def token(answer: Answer) -> Token:
    """A token as `core/tokens/` tells it. Raises UnexpectedAnswerError."""
    with _Reading("token"):
        return Token(
            _text(answer["identifier"]),
            _text(answer["intent"]),
            _number(answer["user"]),
            (answer["expires"] or "") if answer["expiring"] else "",
        )


def myself(answer: Answer) -> Myself:
    """Oneself as `core/users/me/` tells it. Raises UnexpectedAnswerError."""
    with _Reading("me"):
        mine = _object(answer["user"])
        return Myself(
            _number(mine["pk"]),
            _text(mine["username"]),
            mine["is_superuser"] is True,
            frozenset(str(role["pk"]) for role in _list(mine["roles"])),
        )


class _Reading:
    """Turns what an answer lacks into an UnexpectedAnswerError that names the place."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, KeyError | TypeError):
            raise UnexpectedAnswerError(f"a {self._what} without a usable {error}") from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text: {value!r}")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"number: {value!r}")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"list: {value!r}")
    return value


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"object: {value!r}")
    return value
