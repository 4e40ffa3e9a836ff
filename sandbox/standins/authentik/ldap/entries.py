"""People and groups of the API as LDAP entries, with upstream's attributes and object classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .names import Tree

DOMAIN_CLASSES = frozenset({"top", "domain"})
CONTAINER_CLASSES = frozenset({"top", "nscontainer"})
_USER_CLASSES = (
    "top",
    "person",
    "organizationalPerson",
    "inetOrgPerson",
    "user",
    "posixAccount",
    "goauthentik.io/ldap/user",
)
_GROUP_CLASSES = (
    "top",
    "group",
    "groupOfUniqueNames",
    "groupOfNames",
    "goauthentik.io/ldap/group",
    "posixGroup",
)
_VIRTUAL_GROUP_CLASSES = (*_GROUP_CLASSES, "goauthentik.io/ldap/virtual-group")
USER_CLASSES = frozenset(name.lower() for name in _USER_CLASSES)
GROUP_CLASSES = frozenset(name.lower() for name in _GROUP_CLASSES)
VIRTUAL_GROUP_CLASSES = frozenset(name.lower() for name in _VIRTUAL_GROUP_CLASSES)

Json = Mapping[str, Any]
Value = Any


@dataclass(frozen=True)
class Entry:
    """An entry: its distinguished name and its attributes, each with its values."""

    name: str
    attributes: Mapping[str, tuple[str, ...]]

    def values(self, attribute: str) -> tuple[str, ...]:
        """The values of an attribute, by its name in any case; empty when there is none."""
        wanted = attribute.lower()
        return next((values for name, values in self.attributes.items() if name.lower() == wanted), ())


@dataclass(frozen=True)
class Numbers:
    """Where a provider's uidNumber and gidNumber start."""

    uid_start: int
    gid_start: int


def user_entry(user: Json, tree: Tree, numbers: Numbers) -> Entry:
    """A person. An attribute of their own that has the name of a fixed one replaces it, as upstream."""
    username = str(user["username"])
    uid_number = _own_number(user, "uidNumber") or str(numbers.uid_start + int(user["pk"]))
    return _entry(
        tree.user(username),
        {key: tuple(value.replace("%s", username) for value in values) for key, values in _own(user).items()},
        {
            "ak-active": (_boolean(user.get("is_active")),),
            "ak-superuser": (_boolean(user.get("is_superuser")),),
            "memberOf": tuple(tree.group(str(group["name"])) for group in user.get("groups_obj") or ()),
            "cn": (username,),
            "sAMAccountName": (username,),
            "uid": (str(user["uid"]),),
            "name": (str(user.get("name") or ""),),
            "displayName": (str(user.get("name") or ""),),
            "mail": (str(user.get("email") or ""),),
            "objectClass": _USER_CLASSES,
            "uidNumber": (uid_number,),
            "gidNumber": (_own_number(user, "gidNumber") or uid_number,),
            "homeDirectory": (f"/home/{username}",),
            "sn": (str(user.get("name") or ""),),
        },
    )


def group_entry(group: Json, tree: Tree, numbers: Numbers) -> Entry:
    """A group; its members are people and the groups below it."""
    members = [tree.user(str(user["username"])) for user in group.get("users_obj") or ()]
    members += [tree.group(str(child["name"])) for child in group.get("children_obj") or ()]
    return _group(
        name=tree.group(str(group["name"])),
        own=_own(group),
        common_name=str(group["name"]),
        uid=str(group["pk"]),
        gid_number=_own_number(group, "gidNumber") or str(numbers.gid_start + int(group["num_pk"])),
        members=tuple(members),
        member_of=tuple(tree.group(str(parent["name"])) for parent in group.get("parents_obj") or ()),
        superuser=bool(group.get("is_superuser")),
        virtual=False,
    )


def virtual_group_entry(user: Json, tree: Tree, numbers: Numbers) -> Entry:
    """The group that stands for a person, so that a gidNumber of theirs can be looked up."""
    uid_number = _own_number(user, "uidNumber") or str(numbers.uid_start + int(user["pk"]))
    return _group(
        name=tree.virtual_group(str(user["username"])),
        own={},
        common_name=str(user["username"]),
        uid=str(user["uid"]),
        gid_number=_own_number(user, "gidNumber") or uid_number,
        members=(tree.user(str(user["username"])),),
        member_of=(),
        superuser=False,
        virtual=True,
    )


def container_entry(name: str, unit: str) -> Entry:
    """One of the three containers below the base."""
    return Entry(
        name,
        {
            "distinguishedName": (name,),
            "objectClass": ("top", "nsContainer"),
            "commonName": (unit,),
            "ou": (unit,),
        },
    )


def base_entry(tree: Tree) -> Entry:
    """The base itself."""
    return Entry(
        tree.base,
        {
            "distinguishedName": (tree.base,),
            "objectClass": ("top", "domain"),
            "supportedLDAPVersion": ("3",),
            "namingContexts": (tree.base, tree.users, tree.groups, tree.virtual_groups),
            "vendorName": ("goauthentik.io",),
        },
    )


def root_entry(tree: Tree | None) -> Entry:
    """The root DSE: the provider's contexts for those who are bound, for others that one must bind."""
    if tree is None:
        description = "This LDAP server requires an authenticated session."
        return Entry(
            "",
            {"objectClass": ("top",), "subschemaSubentry": ("cn=subschema",), "description": (description,)},
        )
    return Entry(
        "",
        {
            "objectClass": ("top", "domain"),
            "supportedLDAPVersion": ("3",),
            "subschemaSubentry": ("cn=subschema",),
            "namingContexts": (tree.base,),
            "rootDomainNamingContext": (tree.base,),
            "vendorName": ("goauthentik.io",),
        },
    )


def _group(
    *,
    name: str,
    own: Mapping[str, tuple[str, ...]],
    common_name: str,
    uid: str,
    gid_number: str,
    members: tuple[str, ...],
    member_of: tuple[str, ...],
    superuser: bool,
    virtual: bool,
) -> Entry:
    return _entry(
        name,
        own,
        {
            "ak-superuser": (_boolean(superuser),),
            "objectClass": _VIRTUAL_GROUP_CLASSES if virtual else _GROUP_CLASSES,
            "member": members,
            "memberOf": member_of,
            "cn": (common_name,),
            "uid": (uid,),
            "sAMAccountName": (common_name,),
            "gidNumber": (gid_number,),
        },
    )


def _entry(name: str, own: Mapping[str, tuple[str, ...]], fixed: Mapping[str, tuple[str, ...]]) -> Entry:
    taken = {key.lower() for key in own}
    attributes = {**own, **{key: values for key, values in fixed.items() if key.lower() not in taken}}
    return Entry(name, {key: values for key, values in attributes.items() if values})


def _own(thing: Json) -> dict[str, tuple[str, ...]]:
    attributes = thing.get("attributes") or {}
    return {key.replace("/", "-").replace(".", ""): _values(value) for key, value in attributes.items()}


def _values(value: Value) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(text for item in value for text in _values(item))
    if value is None:
        return ()
    if isinstance(value, bool):
        return (str(value).lower(),)
    return (str(value),)


def _own_number(thing: Json, attribute: str) -> str | None:
    value = (thing.get("attributes") or {}).get(attribute)
    return str(value) if isinstance(value, str | int) and str(value) else None


def _boolean(value: Value) -> str:
    return str(bool(value)).upper()
