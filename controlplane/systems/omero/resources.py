"""What the control plane manages on an OMERO server, and how it is written as resources.

- A **group** is the OMERO group of a team whose images are shown there. Its members see each other's images
  and change their own; the PI owns it.
- The **platform's group**, `bic:<platform>`, is a private one that holds all our accounts. Its membership is
  the mark of an account, which can carry no other, and it is the group that OMERO wants everybody to have
  beside `user`.
- A **user** is an account (OMERO says experimenter) that logs in through LDAP. It is active while it is in
  OMERO's group `user`: without that nobody gets in (`SessionManagerImpl` of the server).
- A **session** is an open session of somebody who must not get in any more. None is ever made here.

A group's mark is its description. Group and mark are made by one call, and so are an account and its
membership of the platform's group, so nothing has to be claimed beforehand. Neither groups nor accounts are
deleted: images belong to both.
"""

from collections.abc import Iterable

from controlplane.state import Fields, Key, Resource, Value, make_fields, parse_mark

USER = "user"
GROUP = "group"
SESSION = "session"

ACTIVE_GROUP = "user"
"""The group of OMERO whose members can log in."""

SYSTEM_GROUPS = frozenset({"system", "user", "guest"})
SYSTEM_ACCOUNTS = frozenset({"root", "guest"})
"""What every OMERO server has for itself (`ome.system.Roles`)."""

SHARED = "rwr---"
"""Permissions of a team's group: members see each other's images, each changes their own."""
PRIVATE = "rw----"
"""Permissions of the platform's group: nobody sees what another has there."""

KEPT_USER = "accounts are not deleted by a plan"
KEPT_GROUP = "groups are not deleted by a plan, and the images in it stay"
KEPT_PLATFORM_GROUP = "it marks the accounts that are the platform's"

RETIRED_USER = make_fields({"active": False})
RETIRED_GROUP = make_fields({"members": (), "owners": ()})

_MARK = "bic:managed "


def description(value: str) -> str:
    """The description of a group that is a mark, given as a field's value."""
    return f"{_MARK}{value}"


def described(text: str) -> str:
    """The mark, as a field's value, that a group's description is; empty when it is none."""
    return text.removeprefix(_MARK) if text.startswith(_MARK) else ""


def facility_of(text: str, platform: str) -> str:
    """The facility that a group's description names; empty when it is not the mark of a platform's team."""
    of, facility = parse_mark(described(text))
    return facility if of == platform else ""


def platform_group_name(platform: str) -> str:
    """The name of the group that holds all accounts of a platform."""
    return f"bic:{platform}"


def user(
    name: str,
    *,
    mark: str,
    first_name: str,
    last_name: str,
    email: str,
    ldap: bool,
    active: bool,
    facility: str = "",
    depends_on: Iterable[Key] = (),
    owned: bool = True,
) -> Resource:
    """An account; `ldap` says whether its password is asked of LDAP instead of OMERO's own database."""
    fields: dict[str, Value] = {
        "mark": mark,
        "first_name": first_name,
        "last_name": last_name,
        "email": email,
        "ldap": ldap,
        "active": active,
    }
    return Resource(
        Key(USER, name),
        make_fields(fields),
        depends_on=frozenset(depends_on),
        facility=facility,
        owned=owned,
        keep=KEPT_USER,
        retired=RETIRED_USER,
    )


def group(
    name: str,
    *,
    mark: str,
    permissions: str,
    members: Iterable[str],
    owners: Iterable[str],
    facility: str = "",
    team: str = "",
    depends_on: Iterable[Key] = (),
    owned: bool = True,
) -> Resource:
    """A team's group; its owners are members too."""
    fields: dict[str, Value] = {
        "mark": mark,
        "permissions": permissions,
        "members": tuple(members),
        "owners": tuple(owners),
    }
    return Resource(
        Key(GROUP, name),
        make_fields(fields),
        depends_on=frozenset(depends_on),
        facility=facility,
        team=team,
        owned=owned,
        keep=KEPT_GROUP,
        retired=RETIRED_GROUP,
    )


def platform_group(platform: str, *, mark: str, permissions: str, owned: bool = True) -> Resource:
    """The platform's group; who is in it is told by the accounts."""
    return Resource(
        Key(GROUP, platform_group_name(platform)),
        make_fields({"mark": mark, "permissions": permissions}),
        owned=owned,
        keep=KEPT_PLATFORM_GROUP,
    )


def session_key(number: int, owner: str) -> Key:
    """What identifies an open session: its number at the server, since its UUID opens it."""
    return Key(SESSION, f"{number} of {owner}")


def session_number(name: str) -> int:
    """The number of a session by the name of its resource."""
    return int(name.partition(" ")[0])


def session(number: int, owner: str, *, client: str, since: str, facility: str) -> Resource:
    """An open session that is to end; `client` is the program, `since` a time in ISO 8601."""
    fields: Fields = make_fields({"client": client, "since": since})
    return Resource(session_key(number, owner), fields, facility=facility)
