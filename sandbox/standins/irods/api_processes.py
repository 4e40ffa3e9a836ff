"""The API that tells which agents a server has, as `ips` shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .api import Reply, api
from .errors import Code, IrodsError
from .genquery1 import output
from .handshake import Startup
from .session import Session
from .wire import Message, Node

if TYPE_CHECKING:
    from .server import State

PROC_STAT = 690
_LOCALLY = "execLocally"

# The numbers under which the server's answer has process, start, client, proxy, both ends and program.
_COLUMNS = [*range(1000001, 1000008), 1000009, 1000008]
# The real server writes -1: there are never further pages.
_NO_MORE = -1


@dataclass(frozen=True, slots=True)
class Agent:
    """What serves one connection; `began` in Unix seconds."""

    process: int
    began: float
    startup: Startup
    address: str
    """Where the client is."""


def is_local(message: Message) -> bool:
    """Whether a request is for the server itself that gets it, and not for the catalog provider."""
    return message.int_info == PROC_STAT and _LOCALLY in Node.parse(message.body).keywords()


def answer(state: State) -> Reply:
    """Tell this server's agents, the one that answers among them."""
    rows = [
        (
            agent.process,
            int(agent.began),
            agent.startup.client_user,
            agent.startup.client_zone,
            agent.startup.proxy_user,
            agent.startup.proxy_zone,
            agent.address,
            state.config.host,
            agent.startup.option,
        )
        for agent in state.agents()
    ]
    return Reply(body=output(_COLUMNS, rows, _NO_MORE, 0))


@api(PROC_STAT, "PROC_STAT_AN")
def processes(session: Session, message: Message) -> Reply:
    """Tell the agents of this server. Raises -66000 where another server's or zone's are asked for."""
    node = Node.parse(message.body)
    keywords = node.keywords()
    if not keywords.keys() <= {_LOCALLY} or (
        _LOCALLY not in keywords and (node.get("addr") or node.get("rodsZone"))
    ):
        raise IrodsError(Code.SYS_NOT_SUPPORTED)
    return answer(session.state)
