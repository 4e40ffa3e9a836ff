"""What the control plane manages in Authentik, and how it is written as resources.

- A **group** has its place in the tree (its parent), the roles that its members have, and members where the
  inventory decides them. Names of our groups below a facility or team hold a dot, which no identifier can.
- A **role** has permissions on groups, each as `<group>:<codename>`; those on all groups as `*:<codename>`.
  Roles are called like the group whose members have them.
- A **person** has an account name, given once, and access, which is open or ended. The user name becomes the
  account name, since LDAP clients find people by it. Nobody is ever made or deleted.

Groups carry a mark, the attribute `bic_managed` = the platform's name, made in the same request as they are.
A role, which has no attributes, is ours when a group of ours of the same name carries it, or when nothing
carries it and it has rights on groups of ours alone.
"""

from collections.abc import Iterable

from controlplane.state import Key, Resource, Value, make_fields

GROUP, ROLE, PERSON = "group", "role", "person"

PI, CONTRIBUTORS, COLLABORATORS = "pi", "contributors", "collaborators"
REFERENTS, ADMINISTRATORS = "referents", "administrators"
PORTAL = "portal"
"""The group of the portal's account, one for each facility: with a role that changes its teams' people."""
TEAM_ROLES = (PI, CONTRIBUTORS, COLLABORATORS)
"""The role groups of a team."""

RIGHTS = ("add_user_to_group", "remove_user_from_group", "view_group")
"""What referents and PIs may do with the role groups that they look after."""

EVERYWHERE = "*"
"""Instead of a group's name: all groups."""

OPEN, ENDED = "open", "ended"

KEPT_PARENT = "a group that is not ours is below it"


def below(name: str, role: str) -> str:
    """The name of a role's group below a platform's, facility's or team's."""
    return f"{name}.{role}"


def right(group: str, codename: str) -> str:
    """A permission on a group as a text."""
    return f"{group}:{codename}"


def parse_rights(rights: Iterable[str]) -> dict[str, set[str]]:
    """The codenames of rights by group."""
    found: dict[str, set[str]] = {}
    for text in rights:
        group, _, codename = text.rpartition(":")
        found.setdefault(group, set()).add(codename)
    return found


def group(
    name: str,
    *,
    mark: str,
    role: str,
    parent: str,
    roles: Iterable[str] = (),
    members: Iterable[str] | None = None,
    facility: str = "",
    team: str = "",
    depends_on: Iterable[Key] = (),
    owned: bool = True,
    keep: str = "",
) -> Resource:
    """A group; `members` is None where the inventory does not decide them."""
    fields: dict[str, Value] = {
        "mark": mark,
        "facility": facility,
        "team": team,
        "role": role,
        "parent": parent,
        "roles": tuple(roles),
    }
    if members is not None:
        fields["members"] = tuple(members)
    return Resource(
        Key(GROUP, name),
        make_fields(fields),
        depends_on=frozenset(depends_on),
        facility=facility,
        team=team,
        owned=owned,
        keep=keep,
    )


def role(
    name: str,
    *,
    rights: Iterable[str],
    facility: str = "",
    team: str = "",
    depends_on: Iterable[Key] = (),
    owned: bool = True,
) -> Resource:
    """A role with its rights."""
    return Resource(
        Key(ROLE, name),
        make_fields({"rights": tuple(rights)}),
        depends_on=frozenset(depends_on),
        facility=facility,
        team=team,
        owned=owned,
    )


def person(known_as: str, *, account: str, access: str, username: str, facility: str) -> Resource:
    """Somebody by the user name that they have in Authentik; `account` is empty for who has none yet.

    `username` is the one that they have or should have.
    """
    fields: dict[str, Value] = {"account": account, "access": access, "username": username}
    return Resource(Key(PERSON, known_as), make_fields(fields), facility=facility)
