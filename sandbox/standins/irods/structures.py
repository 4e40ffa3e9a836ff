"""What rules in Python get at policy enforcement points: iRODS's structures, with the names of their fields.

The plugin shows C's structures as objects (src/types of irods_rule_engine_plugin_python). Their arrays of
characters are no texts there: `str()` makes one of them. So it is here, for rules to be written for both.
"""

from collections.abc import Mapping
from types import SimpleNamespace

from .wire import Node


class Chars:
    """An array of characters."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        """Return it as a text."""
        return self._text

    def __len__(self) -> int:
        """Return how many characters there are."""
        return len(self._text)

    def __getitem__(self, position: int) -> str:
        """Return one of them."""
        return self._text[position]


class KeyValPair:
    """A key-value list."""

    def __init__(self, pairs: Mapping[str, str]) -> None:
        self._pairs = dict(pairs)
        self.len = len(self._pairs)
        self.key = [Chars(key) for key in self._pairs]
        self.value = [Chars(value) for value in self._pairs.values()]

    def __getitem__(self, key: str) -> str:
        """Return a key's value; `KeyError` without one."""
        if key not in self._pairs:
            raise KeyError(f"{key} was not found in the list of keys.")
        return self._pairs[key]


def _keywords(node: Node) -> KeyValPair:
    return KeyValPair({name: value or "" for name, value in node.keywords().items()})


def data_object(node: Node) -> SimpleNamespace:
    """Return a `DataObjInp`."""
    names = ("createMode", "openFlags", "offset", "dataSize", "numThreads", "oprType")
    numbers = {name: node.number(name) for name in names}
    return SimpleNamespace(objPath=Chars(node.get("objPath")), **numbers, condInput=_keywords(node))


def two_objects(node: Node) -> SimpleNamespace:
    """Return a `DataObjCopyInp`."""
    source, target = node.children("DataObjInp_PI")
    return SimpleNamespace(srcDataObjInp=data_object(source), destDataObjInp=data_object(target))


def collection(node: Node) -> SimpleNamespace:
    """Return a `CollInp`."""
    numbers = {name: node.number(name) for name in ("flags", "oprType")}
    return SimpleNamespace(collName=Chars(node.get("collName")), **numbers, condInput=_keywords(node))


def connection(client: tuple[str, str], proxy: tuple[str, str], address: str) -> SimpleNamespace:
    """Return an `RsComm` of two accounts, each a name and a zone."""
    users = [SimpleNamespace(userName=Chars(name), rodsZone=Chars(zone)) for name, zone in (client, proxy)]
    return SimpleNamespace(clientUser=users[0], proxyUser=users[1], clientAddr=Chars(address))
