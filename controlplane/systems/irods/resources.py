"""What the control plane manages in a zone, and how it is written as resources.

- A **user** is an account of type rodsuser, without a password: people log in through single sign-on.
- A **group** is an iRODS group together with its home collection `/<zone>/home/<group>`: iRODS makes and
  removes the two together. Its fields are the members and, of the collection, inheritance and ACL.
- A **storage resource** is a unixfilesystem on one of the zone's servers. Host and vault are fixed: moving
  data is not a plan's work.

Each carries a mark, the AVU `bic:managed` = the platform's name, with the facility as its unit. What has no
mark is not ours. Creation and mark are two calls, so before it creates, an apply writes a claim for each
object onto the administrator's account (the AVU `bic:claim` = `<kind>/<name>`, unit the platform's name).
An object without a mark and with a claim was made by an apply that did not finish, and is ours.
"""

from collections.abc import Iterable

from controlplane.state import Key, Resource

USER = "user"
GROUP = "group"
STORAGE_RESOURCE = "storage_resource"

MARK = "bic:managed"
CLAIM = "bic:claim"

# Levels of access by the names that ichmod takes; a server may answer with the longer ones.
OWN = "own"
WRITE = "write"
READ = "read"
_LEVELS = {"modify object": WRITE, "modify_object": WRITE, "read object": READ, "read_object": READ}

KEPT_USER = "accounts are not deleted by a plan"
KEPT_STORAGE_RESOURCE = "storage resources are not deleted by a plan"
KEPT_GROUP = "its home collection holds data"


def mark(platform: str, facility: str) -> str:
    """A mark as a field's value: the platform's name and, after a slash, the facility."""
    return f"{platform}/{facility}" if facility else platform


def level(name: str) -> str:
    """A level of access as ichmod calls it."""
    return _LEVELS.get(name, name)


def entry(account: str, access: str) -> str:
    """One entry of an ACL as a text; account names cannot hold a colon."""
    return f"{account}:{access}"


def parse_entries(entries: Iterable[str]) -> dict[str, str]:
    """The levels of an ACL's entries by account."""
    return {account: access for account, _, access in (text.rpartition(":") for text in entries)}


def user(name: str, *, mark: str, kind: str, facility: str = "", owned: bool = True) -> Resource:
    """An account; `kind` is its iRODS type."""
    return Resource(
        Key(USER, name),
        {"type": kind, "mark": mark},
        facility=facility,
        owned=owned,
        keep=KEPT_USER,
    )


def group(
    name: str,
    *,
    mark: str,
    members: Iterable[str],
    collection: bool,
    collection_mark: str,
    inheritance: bool,
    acl: Iterable[str],
    facility: str = "",
    team: str = "",
    depends_on: Iterable[Key] = (),
    owned: bool = True,
    keep: str = "",
) -> Resource:
    """A group and its home collection; `collection` says whether the latter exists."""
    return Resource(
        Key(GROUP, name),
        {
            "mark": mark,
            "members": tuple(members),
            "collection": collection,
            "collection_mark": collection_mark,
            "inheritance": inheritance,
            "acl": tuple(acl),
        },
        depends_on=frozenset(depends_on),
        facility=facility,
        team=team,
        owned=owned,
        keep=keep,
    )


def storage_resource(
    name: str, *, mark: str, kind: str, host: str, vault: str, facility: str = "", owned: bool = True
) -> Resource:
    """A storage resource; `kind` is its iRODS type, `host` an FQDN, `vault` an absolute path."""
    return Resource(
        Key(STORAGE_RESOURCE, name),
        {"mark": mark, "type": kind, "host": host, "vault": vault},
        fixed=frozenset({"type", "host", "vault"}),
        facility=facility,
        owned=owned,
        keep=KEPT_STORAGE_RESOURCE,
    )
