"""Making a plan's changes on a buffer server.

A change is one request, and the program makes an object and its mark in one step. Each request says the
whole of what should be, so it may be repeated, and a change can be cut off anywhere: the next observation
sees what came of it.
"""

from collections.abc import Mapping

from controlplane.reconcile.port import ChangeError, SystemDownError
from controlplane.state import Action, Change, parse_mark
from controlplane.systems.buffer.client import BufferServerError, Client, RefusedError
from controlplane.systems.buffer.contents import Account, Contents, TeamGroup
from controlplane.systems.buffer.resources import USER

PATIENCE = 60.0
"""Seconds to go on trying a change while the server may come back."""

USER_FIELDS = ("open", "mark")
GROUP_FIELDS = ("members", "writers", "mark")
"""What a request says of an object. The program makes a group's folder by itself."""


def request(change: Change, found: Contents, platform: str) -> dict[str, object]:
    """The request that makes a change; pure.

    A change may hold some fields alone, such as those that follow from people. The others stay as they are
    in `found`. Raises ChangeError when what is there is not what was planned for.
    """
    kind, name = change.key
    objects: Mapping[str, Account | TeamGroup] = found.users if kind == USER else found.groups
    before = objects.get(name)
    if before is None and change.action is not Action.CREATE:
        raise ChangeError("it is gone since it was planned; plan again")
    # Another run of ours may have made it.
    if before and change.action is Action.CREATE and parse_mark(before.mark)[0] != platform:
        raise ChangeError("somebody made it since it was planned; plan again")
    values: dict[str, object] = before.model_dump() if before else {}
    values |= {item.name: item.after for item in change.fields}
    do, fields = ("set_user", USER_FIELDS) if kind == USER else ("set_group", GROUP_FIELDS)
    return {"do": do, "name": name, **{field: values[field] for field in fields}}


class Applier:
    """Makes changes on one server, one at a time."""

    def __init__(self, client: Client, found: Contents, platform: str) -> None:
        """Change a server that holds `found`, as the platform of that name."""
        self.client = client
        self._found = found
        self._platform = platform
        self._down = ""

    def apply(self, change: Change) -> str:
        """Make one change and return a remark.

        Raises ChangeError when the server refuses, SystemDownError when it is not there.
        """
        if self._down:
            raise SystemDownError(self._down)
        try:
            answer = self.client.ask(request(change, self._found, self._platform), patience=PATIENCE)
        except RefusedError as error:
            raise ChangeError(str(error)) from error
        except BufferServerError as error:
            self._down = str(error)
            raise SystemDownError(self._down) from error
        ended = answer.get("ended")
        if not ended:
            return ""
        return f"{ended} process{'' if ended == 1 else 'es'} of people who lost access ended"
