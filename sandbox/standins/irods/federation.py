"""Requests about other zones: passed on to a server of that zone, in the name of the client.

The zone is that of the path, or of the query's zone or path. What iRODS does with two connections, one to the
catalog provider and one to the server that holds the data, is one connection to the catalog provider here.
The keys are checked as iRODS does: each side proves that it has its own zone's key and the federation's, and
a server signs with the federation's key only for hosts that its `federation` lists.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from . import handshake
from .access import Client, find_user
from .catalogue import Transaction
from .dataobjects import FIRST_DESCRIPTOR, LAST_DESCRIPTOR
from .errors import Code, IrodsError
from .handshake import NEGOTIATE, PEER_OPTION, Startup
from .wire import Channel, Message, Node, ProtocolError

if TYPE_CHECKING:
    from .session import Session

_OPENING = (601, 602)
_CLOSE = 673
_WITH_DESCRIPTOR = (_CLOSE, 674, 675, 676)
_DESCRIPTOR = re.compile(rb"<l1descInx>\s*(\d+)\s*</l1descInx>")
_PATH_COLUMNS = ("501", "502")
"""GenQuery1's columns that hold a collection's path, its own and its parent's."""
_IN_CONDITION = re.compile(r"'(/[^'/%]+)")
_NOBODY = -1
"""The id of a client whom the catalogue does not know; nothing belongs to it."""


def _path(field: str) -> Callable[[Node], str]:
    return lambda node: node.get(field)


def _first_object(node: Node) -> str:
    return node.children("DataObjInp_PI")[0].get("objPath")


def _queried(node: Node) -> str:
    """The zone of a GenQuery1 request as a path: by its keyword, or by the paths that it asks for."""
    if zone := node.keywords().get("zone"):
        return f"/{zone}"
    conditions = node.child("InxValPair_PI")
    for column, value in zip(conditions.texts("inx"), conditions.texts("svalue"), strict=False):
        if column in _PATH_COLUMNS and (found := _IN_CONDITION.search(value)):
            return found[1]
    return ""


def _described(node: Node) -> str:
    return node.get("arg2") if node.get("arg1") in ("-d", "-C") else ""


_PATHS: dict[int, Callable[[Node], str]] = {
    601: _path("objPath"),
    602: _path("objPath"),
    615: _path("objPath"),
    627: _first_object,
    629: _path("objPath"),
    679: _path("collName"),
    681: _path("collName"),
    696: _first_object,
    702: _queried,
    706: _described,
    707: _path("path"),
    10221: lambda node: f"/{node.get('zone')}",
}
"""Where the requests that can be about another zone say so, by API number."""


class Federation:
    """One session's connections to other zones and what it has open there."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._channels: dict[str, Channel] = {}
        self._objects: dict[int, tuple[str, int]] = {}
        """Zone and descriptor there of each data object that is open elsewhere, by the descriptor here."""

    def answer(self, message: Message) -> Message | None:
        """Return the reply of another zone to a request about it; None for a request about this zone.

        Raises what `handshake.connect` raises.
        """
        number = message.int_info
        if number in _WITH_DESCRIPTOR:
            return self._with_object(message)
        extract = _PATHS.get(number)
        zone = extract(Node.parse(message.body)).split("/")[1:2] if extract else []
        if not zone or not zone[0] or zone[0] == self._session.config.zone:
            return None
        address = self._address(zone[0])
        if address is None:
            return None
        reply = self._exchange(zone[0], address, message)
        if number in _OPENING and reply.int_info >= FIRST_DESCRIPTOR:
            here = self._free_descriptor()
            self._objects[here] = zone[0], reply.int_info
            return Message(reply.type, reply.body, reply.error, reply.bs, here)
        return reply

    def _with_object(self, message: Message) -> Message | None:
        found = _DESCRIPTOR.search(message.body)
        elsewhere = self._objects.get(int(found[1])) if found else None
        if elsewhere is None or found is None:
            return None
        zone, descriptor = elsewhere
        if message.int_info == _CLOSE:
            del self._objects[int(found[1])]
        body = _DESCRIPTOR.sub(b"<l1descInx>%d</l1descInx>" % descriptor, message.body)
        there = Message(message.type, body, message.error, message.bs, message.int_info)
        return self._exchange(zone, "", there)

    def _free_descriptor(self) -> int:
        # From the end, where the session's own are never in practice.
        for number in range(LAST_DESCRIPTOR, FIRST_DESCRIPTOR, -1):
            if number not in self._objects and number not in self._session.objects:
                return number
        raise IrodsError(Code.SYS_FILE_DESC_OUT_OF_RANGE)

    def _address(self, zone: str) -> str | None:
        """Return `host:port` of a remote zone's catalog provider, or None for an unknown zone."""
        with self._session.catalogue.read() as tx:
            found = tx.value(
                "select zone_conn_string from r_zone_main where zone_name = ? and zone_type_name = 'remote'",
                (zone,),
            )
        return None if found is None else str(found)

    def _exchange(self, zone: str, address: str, message: Message) -> Message:
        if zone not in self._channels:
            config, client = self._session.config, self._session.user
            host, _, port = address.partition(":")
            us = Startup(
                config.zone_user, config.zone, client.name, client.zone, f"{PEER_OPTION};{NEGOTIATE}"
            )
            self._channels[zone] = handshake.connect(
                config, host, int(port or config.port), us, purpose=handshake.FEDERATION
            )
        try:
            self._channels[zone].write(message)
            return self._channels[zone].read()
        except (OSError, ProtocolError) as error:
            self._channels.pop(zone).close()
            raise IrodsError(Code.SYS_SOCK_CONNECT_ERR, f"zone {zone}: {error}") from error

    def close(self) -> None:
        """End the connections."""
        for channel in self._channels.values():
            channel.close()


def remote_client(tx: Transaction, startup: Startup, zone: str) -> Client:
    """Return the user in whose name a server of `zone` sends requests.

    One whom this zone does not know may do nothing, and nobody from another zone administers this one. Raises
    -39000 for a user of a third zone, for whom that server cannot speak.
    """
    if startup.client_zone != zone:
        raise IrodsError(Code.SYS_PROXYUSER_NO_PRIV)
    found = find_user(tx, startup.client_user, zone)
    return Client(found.user_id if found else _NOBODY, startup.client_user, zone, "rodsuser")
