"""What the control plane manages in a zone, and how it is written as resources.

- A **user** is an account of type rodsuser, without a password: people log in through single sign-on. One of
  another zone, a remote user, is called `name#zone` and proves itself there.
- A **group** is an iRODS group together with its home collection `/<zone>/home/<group>`: iRODS makes and
  removes the two together. Its fields are the members, the quotas and, of the collection, inheritance and
  ACL.
- A **storage resource** is a folder on one of the zone's servers, or what coordinates others (its children).
  Type, host and vault are fixed: moving data is not a plan's work. Its place below a parent is a field of the
  child. One whose status is down is neither written to nor read from. It is deleted only when it is empty.
- A **remote zone** is a zone that this one is federated with.
- A **ticket** opens something to whoever has its string. Here are those of people whose access has ended.
  None is ever made here, and those of people who may still give access are not looked at.
- A **rule parameter** is a value that a rule base reads while it runs: an AVU of the group `bic_policy`,
  which has no members.

Each carries a mark, the AVU `bic:managed` = the platform's name, with the facility as its unit; a remote
zone, which can have no AVU, carries it in its comment, and a rule parameter as its unit. What has no mark is
not ours. Creation and mark are two calls, except for the last two, so before it creates, an apply claims what
it is about to make (see `claims.py`). An object without a mark and with a claim was made by an apply that did
not finish, and is ours.
"""

from collections.abc import Iterable, Mapping

from controlplane.model.sizes import format_size, parse_size
from controlplane.state import Fields, Key, Resource, Value, make_fields, parse_mark

USER = "user"
GROUP = "group"
STORAGE_RESOURCE = "storage_resource"
REMOTE_ZONE = "remote_zone"
RULE_PARAMETER = "rule_parameter"
TICKET = "ticket"

POLICY_GROUP = "bic_policy"
"""The group whose AVUs are the parameters of rule bases. Everybody may read accounts' AVUs."""

_PARAMETER = "bic:rule:"

MARK = "bic:managed"

# Levels of access by the names that ichmod takes; a server may answer with the longer ones.
OWN = "own"
WRITE = "write"
READ = "read"
_LEVELS = {"modify object": WRITE, "modify_object": WRITE, "read object": READ, "read_object": READ}

TOTAL = "total"
"""What a quota over all storage resources is called instead of a name."""

KEPT_USER = "accounts are not deleted by a plan"
KEPT_GROUP = "its home collection holds data"
KEPT_REMOTE_ZONE = "accounts of that zone have access here"

RETIRED_GROUP = make_fields({"members": (), "acl": ()})
"""A group whose data stay gives nobody access to them."""

_FIXED = frozenset({"type", "host", "vault"})


def avu(value: str) -> tuple[str, str, str]:
    """The AVU that a mark, given as a field's value, is stored as."""
    return MARK, *parse_mark(value)


def comment(value: str) -> str:
    """The comment of a remote zone that is a mark, given as a field's value."""
    return f"{MARK} {value}"


def commented(text: str) -> str:
    """The mark, as a field's value, that a remote zone's comment is; empty when it is none."""
    prefix = f"{MARK} "
    return text.removeprefix(prefix) if text.startswith(prefix) else ""


def level(name: str) -> str:
    """A level of access as ichmod calls it."""
    return _LEVELS.get(name, name)


def entry(account: str, access: str) -> str:
    """One entry of an ACL as a text; account names cannot hold a colon."""
    return f"{account}:{access}"


def parse_entries(entries: Iterable[str]) -> dict[str, str]:
    """The levels of an ACL's entries by account."""
    return {account: access for account, _, access in (text.rpartition(":") for text in entries)}


def limit(storage_resource: str, size: int) -> str:
    """One quota as a text: the storage resource's name or `total`, and the exact size."""
    shown = format_size(size)
    try:
        exact = parse_size(shown) == size
    except ValueError:
        # A rounded size may be no whole number of bytes.
        exact = False
    return f"{storage_resource}={shown if exact else size}"


def parse_limits(limits: Iterable[str]) -> dict[str, int]:
    """The bytes of quotas by storage resource or `total`."""
    parts = (text.rpartition("=") for text in limits)
    return {name: int(size) if size.isdecimal() else parse_size(size) for name, _, size in parts}


def user_fields(*, mark: str, kind: str) -> Fields:
    """The fields of an account; `kind` is its iRODS type. Accounts that are alike share them."""
    return make_fields({"type": kind, "mark": mark})


def remote_user(name: str, zone: str) -> str:
    """How an account of another zone is called."""
    return f"{name}#{zone}"


def user(
    name: str, fields: Fields, *, facility: str = "", depends_on: Iterable[Key] = (), owned: bool = True
) -> Resource:
    """An account with `user_fields`."""
    return Resource(
        Key(USER, name),
        fields,
        depends_on=frozenset(depends_on),
        facility=facility,
        owned=owned,
        keep=KEPT_USER,
    )


def group(
    name: str,
    *,
    mark: str,
    members: Iterable[str],
    quotas: Mapping[str, int],
    collection: bool,
    collection_mark: str,
    inheritance: bool,
    acl: Iterable[str],
    facility: str = "",
    team: str = "",
    depends_on: Iterable[Key] = (),
    owned: bool = True,
    keep: str = "",
    destroys: str = "",
) -> Resource:
    """A group and its home collection; `collection` says whether the latter exists.

    `quotas` are bytes by storage resource or `total`.
    """
    fields: dict[str, Value] = {
        "mark": mark,
        "members": tuple(members),
        "quota": tuple(limit(on, size) for on, size in quotas.items()),
        "collection": collection,
        "collection_mark": collection_mark,
        "inheritance": inheritance,
        "acl": tuple(acl),
    }
    return Resource(
        Key(GROUP, name),
        make_fields(fields),
        depends_on=frozenset(depends_on),
        facility=facility,
        team=team,
        owned=owned,
        keep=keep,
        retired=RETIRED_GROUP,
        destroys=destroys,
    )


def storage_resource(
    name: str,
    *,
    mark: str,
    kind: str,
    host: str,
    vault: str,
    context: str,
    status: str,
    parent: str,
    parent_context: str,
    facility: str = "",
    owned: bool = True,
    keep: str = "",
) -> Resource:
    """A storage resource; `kind` is its iRODS type, `host` an FQDN, `vault` an absolute path.

    Host and vault are empty for a type that coordinates, `parent` for a root.
    """
    fields: dict[str, Value] = {
        "mark": mark,
        "type": kind,
        "host": host,
        "vault": vault,
        "context": context,
        "status": status,
        "parent": parent,
        "parent_context": parent_context,
    }
    return Resource(
        Key(STORAGE_RESOURCE, name),
        make_fields(fields),
        depends_on=frozenset({Key(STORAGE_RESOURCE, parent)} if parent else ()),
        fixed=_FIXED,
        facility=facility,
        owned=owned,
        keep=keep,
    )


def kept_storage_resource(holds: str) -> str:
    """Why a storage resource stays that nobody wants and that holds data."""
    return f"it holds {holds}: move them with bic storage drain"


def parameter_attribute(rule_base: str, parameter: str) -> str:
    """The attribute of the AVU that holds a parameter of a rule base."""
    return f"{_PARAMETER}{rule_base}:{parameter}"


def parameter_of(attribute: str) -> str:
    """`rule base:parameter` of such an attribute; empty for any other."""
    return attribute.removeprefix(_PARAMETER) if attribute.startswith(_PARAMETER) else ""


def rule_parameter(name: str, *, mark: str, values: Iterable[str], owned: bool = True) -> Resource:
    """A parameter of a rule base, named `rule base:parameter`, with its value as rules read it.

    It should have one; others may have added more.
    """
    fields = make_fields({"mark": mark, "value": tuple(values)})
    return Resource(
        Key(RULE_PARAMETER, name), fields, depends_on=frozenset({Key(GROUP, POLICY_GROUP)}), owned=owned
    )


def remote_zone(name: str, *, mark: str, connection: str, owned: bool = True, keep: str = "") -> Resource:
    """A federated zone; `connection` is `host:port` of its catalog provider."""
    return Resource(
        Key(REMOTE_ZONE, name), make_fields({"mark": mark, "connection": connection}), owned=owned, keep=keep
    )


def ticket(number: str, owner: str, *, collection: str, facility: str, team: str) -> Resource:
    """A ticket that nobody should have any more, by its number: its string is a secret."""
    return Resource(
        Key(TICKET, f"{number} of {owner}"),
        make_fields({"opens": (collection,)}),
        facility=facility,
        team=team,
    )


def ticket_number(name: str) -> str:
    """The number of a ticket by the name of its resource."""
    return name.partition(" ")[0]
