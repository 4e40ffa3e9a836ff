"""The session variables of the rule language: who asks, and the data object that it is about."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from .access import split
from .rulequeries import rows
from .rulescope import Scope
from .rulevalues import Value

IDENTITY = (
    "userNameClient", "rodsZoneClient", "privClient", "userNameProxy", "rodsZoneProxy", "privProxy",
    "clientAddr", "status",
)  # fmt: skip
_OBJECT = {
    "dataSize": "DATA_SIZE",
    "rescName": "DATA_RESC_NAME",
    "filePath": "DATA_PATH",
    "chksum": "DATA_CHECKSUM",
    "replNum": "DATA_REPL_NUM",
    "replStatus": "DATA_REPL_STATUS",
    "dataOwner": "DATA_OWNER_NAME",
    "dataOwnerZone": "DATA_OWNER_ZONE",
    "dataId": "DATA_ID",
    "dataType": "DATA_TYPE_NAME",
    "dataCreate": "DATA_CREATE_TIME",
    "dataModify": "DATA_MODIFY_TIME",
    "collId": "COLL_ID",
}
_CONVERT: dict[str, Callable[[str], Value]] = {"dataSize": float, "replNum": int, "replStatus": int}
_GIVEN = ("objPath", "collName", "collParentName", "writeFlag")
NAMES = frozenset((*IDENTITY, *_OBJECT, *_GIVEN))
"""All session variables that a rule can read, without the dollar."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a connection acts for, and through whom."""

    client: str
    client_zone: str
    proxy: str
    proxy_zone: str
    privilege: int
    proxy_privilege: int
    address: str

    def variables(self) -> dict[str, Value]:
        """Return the session variables about it."""
        return {
            "userNameClient": self.client,
            "rodsZoneClient": self.client_zone,
            "privClient": self.privilege,
            "userNameProxy": self.proxy,
            "rodsZoneProxy": self.proxy_zone,
            "privProxy": self.proxy_privilege,
            "clientAddr": self.address,
            "status": 0,
        }


class Variables(Mapping[str, Value]):
    """Session variables; those that only the catalogue knows are asked for when a rule reads them."""

    def __init__(self, given: Mapping[str, Value]) -> None:
        self._given = given
        self._object: dict[str, Value] | None = None
        self.scope: Scope | None = None

    def __getitem__(self, name: str) -> Value:
        """Return a variable's value; `KeyError` without one."""
        if name in self._given:
            return self._given[name]
        if name in _OBJECT and "objPath" in self._given:
            return self._of_object()[name]
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        """Return the names of the variables that have a value."""
        return iter({**self._given, **self._of_object()})

    def __len__(self) -> int:
        """Return how many variables have a value."""
        return len(list(iter(self)))

    def _of_object(self) -> dict[str, Value]:
        if self._object is None:
            self._object = {}
            collection, name = split(str(self._given.get("objPath", "")))
            if name and self.scope is not None:
                columns = ",".join(_OBJECT.values())
                found = rows(self.scope, columns, {"COLL_NAME": collection, "DATA_NAME": name})
                for row in found[:1]:
                    self._object = {
                        variable: _CONVERT.get(variable, str)(row[column])
                        for variable, column in _OBJECT.items()
                    }
        return self._object
