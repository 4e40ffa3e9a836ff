"""Users, groups, memberships and passwords."""

import re

from . import access, namespace, pam, passwords
from .access import Client, find_user
from .catalogue import Transaction
from .errors import Code, IrodsError
from .schema import USER_TYPES

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.@-]{0,61}[A-Za-z0-9_])?")


def parse(name: str, local_zone: str) -> tuple[str, str]:
    """Return user and zone of `user` or `user#zone`. Raises -319000 for a name iRODS does not allow."""
    user, _, zone = name.partition("#")
    if not _NAME.fullmatch(user) or "#" in zone:
        raise IrodsError(Code.USER_INVALID_USERNAME_FORMAT)
    return user, zone or local_zone


def _exists(tx: Transaction, name: str, zone: str) -> Client:
    found = find_user(tx, name, zone)
    if found is None:
        raise IrodsError(Code.CAT_INVALID_USER)
    return found


def create(tx: Transaction, local_zone: str, name: str, user_type: str, zone: str = "") -> Client:
    """Make a user or, with type `rodsgroup`, a group, with its home and trash collections.

    Raises -820000 for an unknown type, -319000 for a bad name, -828000 for an unknown zone and -809000 for a
    name that is taken.
    """
    if user_type != "rodsgroup" and user_type not in USER_TYPES:
        raise IrodsError(Code.CAT_INVALID_USER_TYPE)
    user, parsed_zone = parse(name, zone or local_zone)
    if tx.value("select 1 from r_zone_main where zone_name = ?", (parsed_zone,)) is None:
        raise IrodsError(Code.CAT_INVALID_ZONE)
    if find_user(tx, user, parsed_zone) is not None:
        code = Code.CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME
        raise IrodsError(
            code, f"Error {code.value} {code.name}", stack=[(Code.RE_UNKNOWN_ERROR.value, "DEBUG: \n")]
        )
    client = Client(tx.new_id(), user, parsed_zone, user_type)
    tx.execute(
        "insert into r_user_main (user_id, user_name, user_type_name, zone_name, create_ts, modify_ts)"
        " values (?, ?, ?, ?, ?, ?)",
        (client.user_id, user, user_type, parsed_zone, tx.now, tx.now),
    )
    tx.execute(
        "insert into r_user_group values (?, ?, ?, ?)", (client.user_id, client.user_id, tx.now, tx.now)
    )
    home = user if parsed_zone == local_zone else f"{user}#{parsed_zone}"
    for parent in (f"/{local_zone}/home", f"/{local_zone}/trash/home"):
        namespace.register(tx, f"{parent}/{home}", client)
    if user_type != "rodsgroup":
        public = _exists(tx, "public", local_zone)
        tx.execute(
            "insert into r_user_group values (?, ?, ?, ?)", (public.user_id, client.user_id, tx.now, tx.now)
        )
    return client


def remove(tx: Transaction, local_zone: str, name: str, *, group: bool) -> None:
    """Remove a user or group with its empty home and trash; data elsewhere that it owns stays.

    Raises -827000 or, for a group, -829000 when there is none, and -821000 when its home is not empty.
    """
    user, zone = parse(name, local_zone)
    found = find_user(tx, user, zone)
    if found is None or (group and found.type != "rodsgroup"):
        raise IrodsError(Code.CAT_INVALID_GROUP if group else Code.CAT_INVALID_USER)
    home = user if zone == local_zone else f"{user}#{zone}"
    for path in (f"/{local_zone}/home/{home}", f"/{local_zone}/trash/home/{home}"):
        collection = access.collection_id(tx, path)
        if collection is not None:
            if not namespace.is_empty(tx, path, collection):
                raise IrodsError(Code.CAT_COLLECTION_NOT_EMPTY)
            namespace.unregister(tx, collection)
    for statement in (
        "delete from r_user_group where user_id = ?1 or group_user_id = ?1",
        "delete from r_user_password where user_id = ?1",
        "delete from r_user_pam_password where user_id = ?1",
        "delete from r_user_auth where user_id = ?1",
        "delete from r_objt_access where user_id = ?1",
        "delete from r_objt_metamap where object_id = ?1",
        "delete from r_quota_main where user_id = ?1",
        "delete from r_quota_usage where user_id = ?1",
        "delete from r_user_main where user_id = ?1",
    ):
        tx.execute(statement, (found.user_id,))


def modify(tx: Transaction, local_zone: str, name: str, option: str, value: str) -> None:
    """Change one property of a user: `type`, `comment`, `info`, `zone` is refused. Not for passwords.

    Raises -827000 for an unknown user, -820000 for an unknown type and -816000 for an unknown option.
    """
    user, zone = parse(name, local_zone)
    found = _exists(tx, user, zone)
    if option == "type":
        if value not in USER_TYPES or found.type == "rodsgroup":
            raise IrodsError(Code.CAT_INVALID_USER_TYPE)
        column = "user_type_name"
    elif option in ("comment", "info"):
        column = {"comment": "r_comment", "info": "user_info"}[option]
    else:
        raise IrodsError(Code.CAT_INVALID_ARGUMENT)
    tx.execute(
        f"update r_user_main set {column} = ?, modify_ts = ? where user_id = ?",  # noqa: S608
        (value, tx.now, found.user_id),
    )


def set_password(tx: Transaction, local_zone: str, name: str, password: str | None) -> None:
    """Set a user's password, already revealed. Raises -850000 for one that could not be revealed."""
    user, zone = parse(name, local_zone)
    found = _exists(tx, user, zone)
    if password is None:
        raise IrodsError(Code.CAT_PASSWORD_ENCODING_ERROR, "Error with password encoding.")
    tx.execute(
        "insert or replace into r_user_password values (?, ?, ?, ?)",
        (found.user_id, password, tx.now, tx.now),
    )
    tx.execute("update r_user_main set modify_ts = ? where user_id = ?", (tx.now, found.user_id))


def password_of(tx: Transaction, client: Client) -> str:
    """Return a user's password; one without a password has the empty one, which cannot log in."""
    return str(
        tx.value("select rcat_password from r_user_password where user_id = ?", (client.user_id,)) or ""
    )


def check(tx: Transaction, name: str, zone: str, challenge: str, answer: str) -> Client:
    """Return the user who answered a challenge rightly.

    Raises -827000 for an unknown user, -826000 for a wrong answer and -840000 for a password whose time is
    over.
    """
    client = find_user(tx, name, zone)
    if client is None or client.type == "rodsgroup":
        raise IrodsError(Code.CAT_INVALID_USER)
    password = password_of(tx, client)
    if password and passwords.digest(challenge, password) == answer:
        return client
    if not pam.accepts(tx, client, challenge, answer):
        raise IrodsError(Code.CAT_INVALID_AUTHENTICATION)
    return client


def _group(tx: Transaction, local_zone: str, name: str) -> Client:
    group = find_user(tx, name, local_zone)
    if group is None or group.type != "rodsgroup":
        raise IrodsError(Code.CAT_INVALID_GROUP)
    return group


def change_member(tx: Transaction, local_zone: str, request: tuple[str, str, str, str]) -> None:
    """Add or remove a member: `(group, "add" or "remove", user, user's zone)`.

    Raises -829000 for an unknown group, -827000 for an unknown user, -809000 for one that is a member already
    and -1830000 for one that is not.
    """
    group_name, operation, name, zone = request
    if operation not in ("add", "remove"):
        raise IrodsError(Code.CAT_INVALID_ARGUMENT)
    group = _group(tx, local_zone, group_name)
    user, parsed_zone = parse(name, zone or local_zone)
    member = _exists(tx, user, parsed_zone)
    key = (group.user_id, member.user_id)
    is_member = (
        tx.value("select 1 from r_user_group where group_user_id = ? and user_id = ?", key) is not None
    )
    if operation == "add":
        if is_member:
            raise IrodsError(Code.CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME)
        tx.execute("insert into r_user_group values (?, ?, ?, ?)", (*key, tx.now, tx.now))
    else:
        if not is_member:
            raise IrodsError(Code.USER_NOT_IN_GROUP)
        tx.execute("delete from r_user_group where group_user_id = ? and user_id = ?", key)


def may_administer_group(tx: Transaction, client: Client, local_zone: str, group_name: str) -> bool:
    """Return whether a group administrator may change a group: it is a member, or the group has none yet."""
    group = _group(tx, local_zone, group_name)
    members = [
        row[0]
        for row in tx.rows(
            "select user_id from r_user_group where group_user_id = ?1 and user_id <> ?1", (group.user_id,)
        )
    ]
    return not members or client.user_id in members
