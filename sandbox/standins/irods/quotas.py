"""Quotas of groups and the usage they are measured by.

As in iRODS, usage is what the last `calculate-usage` found; a group's usage is the sum of what its
members own. `quota_over` is usage minus limit: negative while there is room.
"""

from .access import Client, find_user
from .catalogue import Transaction
from .errors import Code, IrodsError
from .resources import find

TOTAL = 0


def set_limit(tx: Transaction, zone: str, request: tuple[str, str, str, str]) -> None:
    """Set or, with limit 0, remove a quota: `(kind, name, storage resource or "total", limit in bytes)`.

    Only groups have quotas. Raises -829000 for what is no group, -831000 for an unknown resource, -816000 for
    a limit that is no number and -169000 for a user's quota other than 0.
    """
    kind, name, resource, limit = request
    try:
        limit_bytes = int(limit)
    except ValueError as error:
        raise IrodsError(Code.CAT_INVALID_ARGUMENT) from error
    if kind not in ("user", "group") or limit_bytes < 0:
        raise IrodsError(Code.CAT_INVALID_ARGUMENT)
    if kind == "user" and limit_bytes != 0:
        raise IrodsError(Code.SYS_NOT_ALLOWED)
    resc_id = TOTAL
    if resource != "total":
        found = find(tx, resource)
        if found is None:
            raise IrodsError(Code.CAT_INVALID_RESOURCE)
        resc_id = found.resc_id
    owner_name, _, owner_zone = name.partition("#")
    owner = find_user(tx, owner_name, owner_zone or zone)
    if kind == "user" and owner is None:
        raise IrodsError(Code.CAT_INVALID_USER)
    if owner is None or (kind == "group" and owner.type != "rodsgroup"):
        raise IrodsError(Code.CAT_INVALID_GROUP)
    tx.execute("delete from r_quota_main where user_id = ? and resc_id = ?", (owner.user_id, resc_id))
    if limit_bytes:
        tx.execute(
            "insert into r_quota_main values (?, ?, ?, ?, ?)",
            (owner.user_id, resc_id, limit_bytes, -limit_bytes, tx.now),
        )
        # The others' have not changed: usage is as it was counted last.
        _update_over(tx, "user_id = ? and resc_id = ?", (owner.user_id, resc_id))


def calculate(tx: Transaction) -> None:
    """Take stock of what each user owns on each storage resource, and set how far each quota is used."""
    tx.execute("delete from r_quota_usage")
    tx.execute(
        "insert into r_quota_usage select u.user_id, d.resc_id, sum(d.data_size), ? from r_data_main d"
        " join r_user_main u on u.user_name = d.data_owner_name and u.zone_name = d.data_owner_zone"
        " group by u.user_id, d.resc_id",
        (tx.now,),
    )
    _update_over(tx)


def _update_over(tx: Transaction, which: str = "true", parameters: tuple[object, ...] = ()) -> None:
    """Set how far quotas are used: of all, or of those that a condition picks."""
    tx.execute(
        "update r_quota_main set modify_ts = ?, quota_over = (select coalesce(sum(u.quota_usage), 0)"  # noqa: S608
        " from r_user_group g join r_quota_usage u on u.user_id = g.user_id"
        " where g.group_user_id = r_quota_main.user_id"
        " and (r_quota_main.resc_id = 0 or u.resc_id = r_quota_main.resc_id)) - quota_limit"
        f" where {which}",
        (tx.now, *parameters),
    )


def check(tx: Transaction, client: Client, resc_id: int, size: int) -> None:
    """Raise -110000 when a quota of the client's groups has no room for `size` more bytes on a resource."""
    worst = tx.value(
        "select max(q.quota_over) from r_quota_main q join r_user_group g on g.group_user_id = q.user_id"
        " where g.user_id = ? and q.resc_id in (0, ?)",
        (client.user_id, resc_id),
    )
    if worst is not None and int(worst) + max(size, 0) > 0:
        raise IrodsError(Code.SYS_RESC_QUOTA_EXCEEDED)
