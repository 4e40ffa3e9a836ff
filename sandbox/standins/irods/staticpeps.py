"""The policy enforcement points with names of their own (`acPostProcForPut`, ...), and what each is about.

Which arguments and session variables a rule gets, and whether its failure refuses the operation, is as in
iRODS 5.0.2. Removing a collection comes to the points of each data object in it.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

from .access import split
from .rulequeries import rows
from .rulescope import Effects, Scope
from .rulevalues import Value
from .wire import Message, Node

BEFORE, AFTER = "before", "after"
CREATE, OPEN, UNLINK, RENAME, CLOSE, WRITE = 601, 602, 615, 627, 673, 676
REMOVE_COLLECTION, CREATE_COLLECTION, REPLICATE, COPY = 679, 681, 695, 696
METADATA, ACCESS = 706, 707
OPENING = (CREATE, OPEN)
_PUT = 1
_NO_TRASH = 1


@dataclass(slots=True)
class Opening:
    """How a descriptor was opened, and whether bytes were written to it."""

    path: str
    flags: int
    operation: int
    created: bool
    written: bool = False

    @property
    def variables(self) -> dict[str, Value]:
        """The session variables about the data object."""
        return {"objPath": self.path, "writeFlag": "0" if self.flags & os.O_ACCMODE == os.O_RDONLY else "1"}


class Descriptors:
    """The data objects that a connection has open: later requests name them by descriptor alone."""

    def __init__(self) -> None:
        self._open: dict[int, Opening] = {}

    def opened(self, number: int, message: Message, descriptor: int, *, created: bool) -> None:
        """Keep how a descriptor was opened."""
        node = Node.parse(message.body)
        flags = node.number("openFlags") if number == OPEN else os.O_RDWR | os.O_CREAT
        self._open[descriptor] = Opening(node.get("objPath"), flags, node.number("oprType"), created)

    def written(self, message: Message) -> None:
        """Note that bytes were written."""
        found = self._open.get(Node.parse(message.body).number("l1descInx"))
        if found is not None:
            found.written = True

    def closing(self, message: Message) -> Opening | None:
        """Return how the descriptor that a request closes was opened, and forget it."""
        return self._open.pop(Node.parse(message.body).number("l1descInx"), None)


Subject = tuple[list[Value], dict[str, Value]]
"""What a rule is called with: its arguments, and session variables."""

Subjects = Callable[[Message, Opening | None, Scope], list[Subject]]


@dataclass(frozen=True)
class StaticPoint:
    """One point: its rule, when it comes, what it is about, and whether its failure refuses the operation."""

    rule: str
    when: str
    subjects: Subjects
    refuses: bool = True
    change: Callable[[Effects, Message], Message] | None = None


def exists(message: Message, scope: Scope) -> bool:
    """Return whether the data object that a request opens is there."""
    collection, name = split(Node.parse(message.body).get("objPath"))
    return bool(rows(scope, "DATA_ID", {"COLL_NAME": collection, "DATA_NAME": name}))


def _data_object(message: Message, _opening: Opening | None, _scope: Scope) -> list[Subject]:
    return [([], {"objPath": Node.parse(message.body).get("objPath")})]


def _existing(message: Message, _opening: Opening | None, scope: Scope) -> list[Subject]:
    node = Node.parse(message.body)
    reading = node.number("openFlags") & os.O_ACCMODE == os.O_RDONLY
    given: dict[str, Value] = {"objPath": node.get("objPath"), "writeFlag": "0" if reading else "1"}
    return [([], given)] if exists(message, scope) else []


def _destination(message: Message, _opening: Opening | None, _scope: Scope) -> list[Subject]:
    _, target = Node.parse(message.body).children("DataObjInp_PI")
    return [([], {"objPath": target.get("objPath")})]


def _new_destination(message: Message, opening: Opening | None, scope: Scope) -> list[Subject]:
    _, target = Node.parse(message.body).children("DataObjInp_PI")
    return [] if "forceFlag" in target.keywords() else _destination(message, opening, scope)


def _removed(message: Message, opening: Opening | None, scope: Scope) -> list[Subject]:
    """What is removed for good: something in the trash, or whatever the client insists on."""
    return _data_object(message, opening, scope) if _for_good(message) else []


def _for_good(message: Message) -> bool:
    node = Node.parse(message.body)
    path = node.get("objPath") or node.get("collName")
    return "forceFlag" in node.keywords() or path.split("/")[2:3] == ["trash"]


def _trashed(message: Message, _opening: Opening | None, _scope: Scope) -> list[Subject]:
    node = Node.parse(message.body)
    if _for_good(message):
        return []
    path = node.get("objPath")
    return [([], {"objPath": path} if path else {"collName": node.get("collName")})]


def _members(message: Message, _opening: Opening | None, scope: Scope) -> list[Subject]:
    path = Node.parse(message.body).get("collName")
    below = {"COLL_NAME": f"= '{path}' || like '{path}/%'"}
    found = rows(scope, "COLL_NAME,DATA_NAME", {}, below)
    return [([], {"objPath": f"{row['COLL_NAME']}/{row['DATA_NAME']}"}) for row in found]


def _collection(message: Message, _opening: Opening | None, _scope: Scope) -> list[Subject]:
    path = Node.parse(message.body).get("collName")
    return [([], {"collName": path, "collParentName": split(path)[0]})]


def _paths(message: Message, _opening: Opening | None, _scope: Scope) -> list[Subject]:
    source, target = Node.parse(message.body).children("DataObjInp_PI")
    return [([source.get("objPath"), target.get("objPath")], {})]


def _words(*fields: str) -> Subjects:
    def subjects(message: Message, _opening: Opening | None, _scope: Scope) -> list[Subject]:
        node = Node.parse(message.body)
        return [([node.get(name) for name in fields], {})]

    return subjects


def _created(_message: Message, opening: Opening | None, _scope: Scope) -> list[Subject]:
    return [([], opening.variables)] if opening is not None and opening.created else []


def _opened(_message: Message, opening: Opening | None, _scope: Scope) -> list[Subject]:
    return [([], opening.variables)] if opening is not None and not opening.created else []


def _put(_message: Message, opening: Opening | None, _scope: Scope) -> list[Subject]:
    if opening is None or not (opening.operation == _PUT or opening.created or opening.written):
        return []
    return [([], opening.variables)]


def _without_trash(effects: Effects, message: Message) -> Message:
    """Remove for good where the rule has said that there is no trash."""
    if effects.status != _NO_TRASH:
        return message
    keyword = b"<KeyValPair_PI><keyWord>forceFlag</keyWord><svalue></svalue>"
    body = message.body.replace(b"<KeyValPair_PI>", keyword, 1)
    return Message(message.type, body, message.error, message.bs, message.int_info)


_AVU = _words(*(f"arg{number}" for number in range(6)))
_RIGHTS = _words("recursiveFlag", "accessLevel", "userName", "zone", "path")
STATIC: dict[int, tuple[StaticPoint, ...]] = {
    OPEN: (StaticPoint("acPreprocForDataObjOpen", BEFORE, _existing),),
    CLOSE: (
        StaticPoint("acPostProcForCreate", AFTER, _created, refuses=False),
        StaticPoint("acPostProcForOpen", AFTER, _opened, refuses=False),
        StaticPoint("acPostProcForPut", AFTER, _put, refuses=False),
    ),
    UNLINK: (
        StaticPoint("acDataDeletePolicy", BEFORE, _data_object),
        StaticPoint("acTrashPolicy", BEFORE, _trashed, change=_without_trash),
        StaticPoint("acPostProcForDelete", AFTER, _removed, refuses=False),
    ),
    REMOVE_COLLECTION: (
        StaticPoint("acPreprocForRmColl", BEFORE, _collection),
        StaticPoint("acDataDeletePolicy", BEFORE, _members),
        StaticPoint("acTrashPolicy", BEFORE, _trashed, change=_without_trash),
        StaticPoint("acPostProcForRmColl", AFTER, _collection, refuses=False),
    ),
    RENAME: (
        StaticPoint("acPreProcForObjRename", BEFORE, _paths),
        StaticPoint("acPostProcForObjRename", AFTER, _paths),
    ),
    CREATE_COLLECTION: (
        StaticPoint("acPreprocForCollCreate", BEFORE, _collection),
        StaticPoint("acPostProcForCollCreate", AFTER, _collection, refuses=False),
    ),
    REPLICATE: (StaticPoint("acPostProcForRepl", AFTER, _data_object, refuses=False),),
    COPY: (
        StaticPoint("acPostProcForCreate", AFTER, _new_destination, refuses=False),
        StaticPoint("acPostProcForCopy", AFTER, _destination, refuses=False),
    ),
    METADATA: (
        StaticPoint("acPreProcForModifyAVUMetadata", BEFORE, _AVU),
        StaticPoint("acPostProcForModifyAVUMetadata", AFTER, _AVU),
    ),
    ACCESS: (
        StaticPoint("acPreProcForModifyAccessControl", BEFORE, _RIGHTS),
        StaticPoint("acPostProcForModifyAccessControl", AFTER, _RIGHTS),
    ),
}
"""The points around each API, in the order in which they come."""
