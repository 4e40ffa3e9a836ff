"""Tickets: made by users, used by whoever has them, ended when their maker's access ends."""

import secrets
from collections.abc import Callable

import pytest
from facility_site import PASSWORD, WRITER, Site
from irods.exception import (
    CAT_INSUFFICIENT_PRIVILEGE_LEVEL,
    CAT_NO_ACCESS_PERMISSION,
    CAT_TICKET_INVALID,
    CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME,
)
from irods.models import TicketQuery
from irods.session import iRODSSession
from irods.ticket import Ticket
from zone_under_test import open_session

from controlplane.access.reach import Reach
from controlplane.state import Action
from controlplane.systems.irods.access import reaches, standings


@pytest.fixture
def team(site: Site, log_in: Callable[[str], None]) -> Site:
    """A settled facility whose people can log in."""
    site.settle()
    for user in ("writer", "reader", "pi"):
        log_in(user)
    return site


@pytest.fixture
def log_in(site: Site) -> Callable[[str], None]:
    """Gives a user of the facility a password."""

    def give(user: str) -> None:
        with open_session(site.server) as session:
            session.users.modify(f"{site.id}.{user}", "password", PASSWORD)

    return give


def put(session: iRODSSession, path: str, content: bytes = b"cells") -> None:
    with session.data_objects.open(path, "w", allow_redirect=False) as file:
        file.write(content)


def read(session: iRODSSession, path: str) -> bytes:
    with session.data_objects.open(path, "r", allow_redirect=False) as file:
        content: bytes = file.read()
    return content


def strings(session: iRODSSession) -> list[str]:
    """The tickets that a user sees."""
    return [row[TicketQuery.Ticket.string] for row in session.query(TicketQuery.Ticket)]


def string() -> str:
    return f"t{secrets.token_hex(8)}"


def test_a_ticket_opens_what_it_is_for_and_nothing_else(team: Site) -> None:
    home, opened, other = team.home(f"{team.id}-cells"), string(), string()
    with team.session_of("writer") as writer:
        put(writer, f"{home}/image")
        put(writer, f"{home}/other", b"other")
        Ticket(writer, opened).issue("read", f"{home}/image")
        with pytest.raises(CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME):
            Ticket(writer, opened).issue("read", f"{home}/image")
        assert strings(writer) == [opened]
    with team.session_of("reader") as reader:
        assert strings(reader) == []
        with pytest.raises(CAT_NO_ACCESS_PERMISSION):
            Ticket(reader, other).issue("read", f"{home}/image")
        with pytest.raises(CAT_TICKET_INVALID):
            Ticket(reader, opened).delete()
        with pytest.raises(CAT_INSUFFICIENT_PRIVILEGE_LEVEL):
            Ticket(reader, opened).delete(irodsAdmin="")
        Ticket(reader, opened).supply()
        assert read(reader, f"{home}/image") == b"cells"
        with pytest.raises(CAT_TICKET_INVALID):
            read(reader, f"{home}/other")


def test_a_ticket_of_a_person_who_left_ends_with_the_next_apply_and_the_data_stay(team: Site) -> None:
    home, opened, kept = team.home(f"{team.id}-cells"), string(), string()
    with team.session_of("writer") as writer, team.session_of("pi") as pi:
        put(writer, f"{home}/image")
        Ticket(writer, opened).issue("read", f"{home}/image")
        put(pi, f"{home}/plan")
        Ticket(pi, kept).issue("read", f"{home}/plan")
    assert team.plan().changes == ()
    team.edit(WRITER, "")
    plan = team.plan()
    ended = [change for change in plan.changes if change.key.kind == "ticket"]
    assert [(change.action, change.key.name.partition(" of ")[2]) for change in ended] == [
        (Action.DELETE, f"{team.id}.writer")
    ]
    assert opened not in str(plan.as_json())
    report = team.apply(plan)
    assert report.ok, report.failed
    assert team.plan().changes == ()
    with team.session_of("reader") as reader:
        Ticket(reader, opened).supply()
        with pytest.raises(CAT_TICKET_INVALID):
            read(reader, f"{home}/image")
    with team.session_of("reader") as reader:
        assert read(reader, f"{home}/image") == b"cells"
        Ticket(reader, kept).supply()
        assert read(reader, f"{home}/plan") == b"cells"


def test_an_administrator_sees_and_ends_tickets_of_all(team: Site) -> None:
    opened = string()
    with team.session_of("writer") as writer:
        Ticket(writer, opened).issue("read", team.home(f"{team.id}.writer"))
    with open_session(team.server) as session:
        query = session.query(TicketQuery.Ticket.string, TicketQuery.Owner.name, TicketQuery.Collection.name)
        rows = [
            (row[TicketQuery.Owner.name], row[TicketQuery.Collection.name])
            for row in query.filter(TicketQuery.Ticket.string == opened)
        ]
        assert rows == [(f"{team.id}.writer", team.home(f"{team.id}.writer"))]
        with pytest.raises(CAT_TICKET_INVALID):
            Ticket(session, opened).delete()
        Ticket(session, opened).delete(irodsAdmin="")
        with pytest.raises(CAT_TICKET_INVALID):
            Ticket(session, opened).delete(irodsAdmin="")


def test_who_reaches_a_collection_and_what_somebody_reaches(team: Site) -> None:
    group = f"{team.id}-cells"
    home, opened = team.home(group), string()
    with team.session_of("writer") as writer:
        put(writer, f"{home}/image")
        Ticket(writer, opened).issue("read", f"{home}/image")
    (granted,) = reaches(team.platform, home)
    found = set(granted.ways)
    assert Reach(f"{team.id}.pi", "own", "") in found
    assert Reach(f"{team.id}.writer", "write", "") in found
    assert Reach(f"{team.id}.reader", "read", group) in found
    assert not any(reach.account == f"{team.id}.ref" for reach in found)
    assert [reach.through for reach in found if "ticket" in reach.account] == [f"ticket of {team.id}.writer"]
    assert opened not in str(found)
    (standing,) = standings(team.platform, f"{team.id}.writer")
    assert standing.exists
    assert standing.groups == (team.id, group)
    assert Reach(home, "write", "") in standing.collections
    assert Reach(home, "read", group) in standing.collections
    assert standing.tickets == 1
    (nobody,) = standings(team.platform, "nobody.at.all")
    assert not nobody.exists
