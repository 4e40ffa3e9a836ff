"""What the control plane manages on a buffer server, and how it is written as resources.

- A **user** is an account by which somebody enters over SFTP, with the password of the login server. Its
  field `open` says whether they get in.
- A **group** is a facility's or a team's: two Unix groups, `<name>` whose members read and `<name>.write`
  whose members write, and the folder `/srv/buffer/<name>` that these open.

Both carry a mark, the platform and the facility, which the server's program `buffer-accounts` writes with the
object itself: there is nothing unmarked to claim. What has no mark is not ours.
"""

import re
from collections.abc import Iterable

from controlplane.state import Fields, Key, Resource, Value, make_fields

USER = "user"
GROUP = "group"

FOLDERS = "/srv/buffer"
"""Where the groups' folders are on a buffer server."""

KEPT_USER = "accounts are not deleted by a plan"
KEPT_GROUP = "its folder may hold data"

RETIRED_USER = make_fields({"open": False})
RETIRED_GROUP = make_fields({"members": (), "writers": ()})
"""A group whose data stay gives nobody access to them."""

# What buffer-accounts takes.
_USER = re.compile(r"(?![0-9]+\Z)[A-Za-z0-9_][A-Za-z0-9_.@-]{0,62}")


def writers_group(name: str) -> str:
    """The Unix group of those who may write into the folder of a group."""
    return f"{name}.write"


def is_user_name(name: str) -> bool:
    """Whether a buffer server can have an account of this name; iRODS allows a few more."""
    return _USER.fullmatch(name) is not None


def user_fields(*, mark: str, is_open: bool) -> Fields:
    """The fields of an account. Accounts that are alike share them."""
    return make_fields({"mark": mark, "open": is_open})


def user(name: str, fields: Fields, *, facility: str, owned: bool = True) -> Resource:
    """An account with `user_fields`."""
    return Resource(
        Key(USER, name), fields, facility=facility, owned=owned, keep=KEPT_USER, retired=RETIRED_USER
    )


def group(
    name: str,
    *,
    mark: str,
    members: Iterable[str],
    writers: Iterable[str],
    folder: bool,
    facility: str,
    team: str = "",
    depends_on: Iterable[Key] = (),
    owned: bool = True,
) -> Resource:
    """A group and its folder; `folder` says whether the latter exists."""
    fields: dict[str, Value] = {
        "mark": mark,
        "members": tuple(members),
        "writers": tuple(writers),
        "folder": folder,
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
