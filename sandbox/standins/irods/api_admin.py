"""The administration APIs: general (701, for administrators) and user (714, for everyone, within limits)."""

from . import passwords, quotas, resources, users, zones
from .api import Reply, api
from .errors import Code, IrodsError
from .redact import arguments
from .session import Session
from .wire import Message


@api(701, "GENERAL_ADMIN_AN", admin=True)
def general_admin(session: Session, message: Message) -> Reply:  # noqa: PLR0912 - one operation each
    """Carry out what `iadmin` does."""
    words = arguments(message)
    zone = session.config.zone
    stack: list[tuple[int, str]] = []
    if words[:2] == ["add", "resource"]:
        # Looked up before the catalogue is locked: a name that does not resolve can take seconds.
        host = words[4].partition(":")[0]
        stack = [] if host in ("", session.config.host) else resources.resolution_warning(host)
    with session.catalogue.write() as tx:
        match words:
            case ["add", "user", name, kind, user_zone, *_]:
                users.create(tx, zone, name, kind, user_zone)
            case ["add", "group", name, *_]:
                users.create(tx, zone, name, "rodsgroup")
            case ["rm", "user", name, *_]:
                users.remove(tx, zone, name, group=False)
            case ["rm", "group", name, *_]:
                users.remove(tx, zone, name, group=True)
            case ["modify", "user", name, "password", hidden, *_]:
                own = users.password_of(tx, session.user)
                users.set_password(
                    tx, zone, name, passwords.reveal_new_password(hidden, own, session.signature)
                )
            case ["modify", "user", name, option, value, *_]:
                users.modify(tx, zone, name, option, value)
            case ["modify", "group", group, operation, user, user_zone, *_]:
                users.change_member(tx, zone, (group, operation, user, user_zone))
            case ["add", "resource", name, kind, location, context, *_]:
                resources.create(tx, zone, (name, kind, location, context))
            case ["rm", "resource", name, *_]:
                resources.remove(tx, name)
            case ["add", "childtoresc", parent, child, context, *_]:
                resources.add_child(tx, session.parents, parent, child, context)
            case ["rm", "childfromresc", parent, child, *_]:
                resources.remove_child(tx, session.parents, parent, child)
            case ["modify", "resource", name, option, value, *_]:
                resources.modify(tx, name, option, value)
            case ["add", "zone", name, kind, connection, comment, *_]:
                zones.create(tx, name, kind, connection, comment)
            case ["modify", "zone", name, option, value, *_]:
                zones.modify(tx, name, option, value)
            case ["rm", "zone", name, *_]:
                zones.remove(tx, name)
            case ["set-quota", kind, name, resource, limit, *_]:
                quotas.set_limit(tx, zone, (kind, name, resource, limit))
            case ["calculate-usage", *_]:
                quotas.calculate(tx)
            case _:
                raise IrodsError(Code.CAT_INVALID_ARGUMENT)
    _change_root(session, words)
    return Reply(stack=stack)


def _change_root(session: Session, words: list[str]) -> None:
    """Make or remove the collection of a remote zone.

    As in iRODS a step of its own: when it fails, the zone's entry is made or gone all the same.
    """
    if words[1:2] != ["zone"] or words[0] not in ("add", "rm"):
        return
    with session.catalogue.write() as tx:
        if words[0] == "add":
            zones.create_root(tx, words[2], session.user)
        else:
            zones.remove_root(tx, words[2])


@api(714, "USER_ADMIN_AN")
def user_admin(session: Session, message: Message) -> Reply:
    """Carry out what users may do to their own password, and group administrators to users and groups."""
    words = arguments(message)
    zone = session.config.zone
    user = session.user
    group_admin = user.type in ("groupadmin", "rodsadmin")
    with session.catalogue.write() as tx:
        own = users.password_of(tx, user)
        match words:
            case ["userpw", name, "password", hidden, *_]:
                if name != user.name:
                    raise IrodsError(Code.CAT_INSUFFICIENT_PRIVILEGE_LEVEL)
                users.set_password(
                    tx, zone, name, passwords.reveal_new_password(hidden, own, session.signature)
                )
            case ["mkuser", name, hidden, *_] if group_admin:
                users.create(tx, zone, name, "rodsuser")
                if hidden:
                    users.set_password(tx, zone, name, passwords.reveal_initial_password(hidden, own))
            case ["mkgroup", name, *_] if group_admin:
                users.create(tx, zone, name, "rodsgroup")
            case ["modify", "group", group, operation, member, member_zone, *_] if group_admin:
                if not user.admin and not users.may_administer_group(tx, user, zone, group):
                    raise IrodsError(Code.CAT_INSUFFICIENT_PRIVILEGE_LEVEL)
                users.change_member(tx, zone, (group, operation, member, member_zone))
            case ["mkuser" | "mkgroup" | "modify", *_]:
                raise IrodsError(Code.CAT_INSUFFICIENT_PRIVILEGE_LEVEL)
            case _:
                raise IrodsError(Code.CAT_INVALID_ARGUMENT)
    return Reply()
