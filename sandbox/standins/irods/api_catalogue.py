"""The APIs that work on the catalogue alone: queries, metadata, permissions."""

import json

from . import access, genquery2, metadata, tickets
from .api import Reply, api
from .errors import Code, IrodsError
from .genquery1 import Request
from .handshake import json_body
from .session import Session
from .wire import Message, Node, binary_json, element, leaf


@api(702, "GEN_QUERY_AN")
def gen_query(session: Session, message: Message) -> Reply:
    """Answer a GenQuery1 request."""
    node = Node.parse(message.body)
    if node.keywords().get("zone", session.config.zone) != session.config.zone:
        raise IrodsError(Code.CAT_INVALID_ZONE)
    with session.catalogue.read() as tx:
        return Reply(body=session.cursors.answer(tx, session.user, Request.parse(node)))


@api(10221, "GENQUERY2_AN")
def gen_query2(session: Session, message: Message) -> Reply:
    """Answer a GenQuery2 request."""
    node = Node.parse(message.body)
    if node.get("zone", session.config.zone) != session.config.zone:
        raise IrodsError(Code.CAT_INVALID_ZONE)
    with session.catalogue.read() as tx:
        answer = genquery2.answer(
            tx,
            session.user,
            node.get("query_string"),
            sql_only=node.number("sql_only") == 1,
            column_mappings=node.number("column_mappings") == 1,
        )
    return Reply(body=element("STR_PI", leaf("myStr", answer)))


@api(706, "MOD_AVU_METADATA_AN")
def modify_metadata(session: Session, message: Message) -> Reply:
    """Change AVUs."""
    node = Node.parse(message.body)
    words = [node.get(f"arg{number}") for number in range(10)]
    with session.catalogue.write() as tx:
        metadata.modify(
            tx, session.user, session.config.zone, words, admin_mode="irodsAdmin" in node.keywords()
        )
    return Reply()


@api(20002, "ATOMIC_APPLY_METADATA_OPERATIONS_APN")
def apply_metadata(session: Session, message: Message) -> Reply:
    """Change several AVUs of one object at once."""
    try:
        with session.catalogue.write() as tx:
            metadata.apply_atomic(tx, session.user, session.config.zone, json_body(message))
    except IrodsError as error:
        if error.body:
            raise IrodsError(error.code, body=binary_json(error.body)) from error
        raise
    return Reply(body=binary_json(json.dumps({})))


@api(707, "MOD_ACCESS_CONTROL_AN")
def modify_access(session: Session, message: Message) -> Reply:
    """Change permissions and inheritance."""
    node = Node.parse(message.body)
    request = (
        node.number("recursiveFlag") == 1,
        node.get("accessLevel"),
        node.get("userName"),
        node.get("zone"),
        node.get("path"),
    )
    with session.catalogue.write() as tx:
        access.modify(tx, session.user, session.config.zone, request)
    return Reply()


@api(723, "TICKET_ADMIN_AN")
def ticket_admin(session: Session, message: Message) -> Reply:
    """Change tickets, or give the ticket by which this connection gets in from now on."""
    node = Node.parse(message.body)
    words = [node.get(f"arg{number}") for number in range(1, 7)]
    if words[0] == "session":
        # Whether it is good for anything shows when it is used.
        session.take_ticket(words[1])
        return Reply()
    with session.catalogue.write() as tx:
        tickets.administer(tx, session.user, words, admin_mode=tickets.ADMIN in node.keywords())
    return Reply()
