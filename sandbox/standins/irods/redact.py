"""The arguments of requests that change the catalogue, as they may be shown."""

import json

from .handshake import json_body
from .wire import Message, Node

# The fields of the structures that these APIs take, by API number; JSON ones come as one text.
_TEN = tuple(f"arg{number}" for number in range(10))
_FIELDS = {
    701: _TEN,
    714: _TEN,
    706: _TEN,
    707: ("recursiveFlag", "accessLevel", "userName", "zone", "path"),
    681: ("collName",),
    679: ("collName",),
}
_JSON = (20002,)


def arguments(message: Message) -> list[str]:
    """Return the arguments of a request that changes the catalogue; of any other request, none.

    Raises `ProtocolError` when it is malformed.
    """
    number = message.int_info
    if number in _JSON:
        return [json.dumps(json_body(message), sort_keys=True)]
    if number not in _FIELDS:
        return []
    node = Node.parse(message.body)
    return [node.get(field) for field in _FIELDS[number]]


def without_secrets(words: list[str]) -> list[str]:
    """Return the arguments, up to the last that is not empty, with what may hold a password replaced."""
    shown = list(words)
    if shown[:2] == ["modify", "user"] and shown[3] == "password":
        shown[4] = "***"
    if shown[:1] == ["userpw"]:
        shown[3] = "***"
    if shown[:1] == ["mkuser"] and shown[2]:
        shown[2] = "***"
    while shown and not shown[-1]:
        shown.pop()
    return shown
