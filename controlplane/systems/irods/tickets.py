"""Tickets: strings that open a data object or collection to whoever has them.

A ticket goes on working when its maker has lost all access, since iRODS looks at the ticket alone. So those
of people who must not give access any more are ended. The string itself is a secret, and nothing here keeps
or shows it: a ticket is known by its number.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from irods.column import Column, Criterion
from irods.message import TicketAdminRequest
from irods.models import TicketQuery
from irods.session import iRODSSession

from controlplane.systems.irods import calls
from controlplane.systems.irods.calls import Row

_ID, _STRING = TicketQuery.Ticket.id, TicketQuery.Ticket.string
_OWNER = (TicketQuery.Owner.name, TicketQuery.Owner.zone)

OBJECT_KIND: Column = TicketQuery.Ticket.object_type
"""What a ticket is for."""

COLLECTION_COLUMNS: tuple[Column, ...] = (_ID, *_OWNER, TicketQuery.Collection.name)
"""Number, owner, owner's zone and path of tickets for collections."""

DATA_COLUMNS: tuple[Column, ...] = (_ID, *_OWNER, TicketQuery.DataObject.coll)
"""Number, owner, owner's zone and collection of tickets for data objects."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket, without what it opens with."""

    number: str
    owner: str
    """The account that made it; one of another zone as name#zone."""
    collection: str
    """The path of the collection that it opens, or that holds the data object that it opens."""


def tickets(rows: Sequence[Row], zone: str) -> Iterator[Ticket]:
    """Tickets from rows of the columns above."""
    for number, owner, owner_zone, path in rows:
        yield Ticket(number, owner if owner_zone == zone else f"{owner}#{owner_zone}", path)


def end(session: iRODSSession, number: str) -> None:
    """Delete a ticket of anybody, in two requests; one that is gone is no error."""
    found = calls.rows(session, (_STRING,), (Criterion("=", _ID, number),))
    if found:
        body = TicketAdminRequest("delete", found[0][0], irodsAdmin="")
        calls.request(session, "TICKET_ADMIN_AN", body)
