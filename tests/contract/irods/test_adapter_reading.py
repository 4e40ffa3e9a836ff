"""What the adapter reads of a zone: in both query languages, page by page, with how many requests."""

from collections import Counter

import pytest
from facility_site import Site
from irods.connection import Connection
from irods.models import Collection, User
from irods.session import iRODSSession
from zone_under_test import open_session

from controlplane.state import State
from controlplane.systems.irods import calls, observe
from controlplane.systems.irods.client import Client, IrodsError
from controlplane.systems.irods.queries import queries

MORE_TEAMS = 12


def observed(site: Site, *, genquery2: bool | None) -> State:
    """The zone under test as the adapter reads it."""
    with Client(site.endpoint) as client:
        wanted = site.system().desired()
        return observe.observe(client, site.id, wanted, (), lambda done, total: None, genquery2=genquery2)


def ours(site: Site, state: State) -> dict[object, object]:
    """What is the site's in a state: other tests may be at work beside this one."""
    return {key: found for key, found in state.items() if key.name.startswith(site.id)}


def test_both_query_languages_tell_the_same(site: Site) -> None:
    site.edit("title: Facility\n", "title: Facility\nquota: {{total: 3 TiB}}\n")
    site.settle()
    with open_session(site.server) as session:
        # A group without members, a home that nobody has access to, an account without a mark.
        session.groups.create(f"{site.id}-alone", group_admin=False)
        home = site.home(f"{site.id}-alone")
        calls.set_access(session, home, (f"{site.id}-alone", site.server.zone), "null")
        session.users.create(f"{site.id}.other", "rodsuser")
    try:
        one, two = observed(site, genquery2=False), observed(site, genquery2=True)
        assert len(ours(site, one)) == 10
        assert ours(site, one) == ours(site, two) == ours(site, observed(site, genquery2=None))
    finally:
        with open_session(site.server) as session:
            session.groups.remove(f"{site.id}-alone")
            session.users.remove(f"{site.id}.other")


@pytest.mark.parametrize("page", [2, 3, 5, 1000])
def test_pages_of_any_size_give_all_rows_once(site: Site, page: int) -> None:
    site.settle()
    with open_session(site.server) as session:
        whole = calls.rows(session, (User.id, User.name))
        assert len(whole) >= 8
        assert Counter(calls.rows(session, (User.id, User.name), page=page)) == Counter(whole)
        if calls.has_genquery2(session):
            assert Counter(calls.rows_2(session, "USER_ID, USER_NAME", "USER_ID", page)) == Counter(whole)


def test_rows_that_change_between_pages_are_noticed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_session(site.server) as session, open_session(site.server) as other:
        if not calls.has_genquery2(session):
            pytest.skip("the server under test has no GenQuery2")
        request = calls.request
        pages = 0

        def request_and_disturb(session: iRODSSession, api: str, body: object) -> object:
            nonlocal pages
            pages += 1
            if pages == 2:
                # The first page has it: the rows after it move up.
                calls.administer(other, "rm", "user", f"0{site.id}")
            return request(session, api, body)

        calls.administer(other, "add", "user", f"0{site.id}", "rodsuser", "", "")
        with monkeypatch.context() as patch:
            patch.setattr(calls, "request", request_and_disturb)
            with pytest.raises(calls.TornAnswerError):
                calls.rows_2(session, "USER_NAME, USER_ID", "USER_NAME, USER_ID", 3)


def test_no_answer_is_taken_for_less_than_it_is(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def torn(*arguments: object, **keywords: object) -> None:
        raise calls.TornAnswerError("rows were added or removed while they were read")

    monkeypatch.setattr(calls, "rows_2", torn)
    monkeypatch.setattr(observe, "PATIENCE", 0.2)
    with pytest.raises(IrodsError, match="rows were added or removed"):
        observed(site, genquery2=True)


@pytest.mark.parametrize("genquery2", [False, True])
def test_the_number_of_requests_does_not_grow_with_the_zone(
    site: Site, monkeypatch: pytest.MonkeyPatch, genquery2: bool
) -> None:
    sent: list[int] = []
    send = Connection.send

    def counted(self: Connection, message: object) -> None:
        if getattr(message, "int_info", 0) in (702, 10221):
            sent.append(1)
        send(self, message)

    monkeypatch.setattr(Connection, "send", counted)
    observed(site, genquery2=genquery2)
    before = len(sent)
    assert before == len(queries(site.server.zone, genquery2=genquery2))
    pi = f"pi: {{user: {site.id}.pi, name: Investigator, email: p@x.example}}"
    teams = "".join(f"  - {{id: t{number}, title: T, {pi}}}\n" for number in range(MORE_TEAMS))
    file = site.folder / "facilities" / f"{site.id}.yml"
    file.write_text(file.read_text("utf-8") + teams, "utf-8")
    site.settle()
    sent.clear()
    state = observed(site, genquery2=genquery2)
    assert len(ours(site, state)) == 8 + MORE_TEAMS
    assert len(sent) == before
    with open_session(site.server) as session:
        for number in range(MORE_TEAMS):
            session.groups.remove(f"{site.id}-t{number}")


def test_amounts_count_what_is_below(site: Site) -> None:
    site.settle()
    home = site.home(site.id)
    sizes = [1, 1234, 5000]
    with open_session(site.server) as session:
        calls.set_access(session, home, (site.server.user, site.server.zone), "own")
        assert calls.amount(session, Collection.name == home) == (0, 0)
        for number, size in enumerate(sizes):
            with session.data_objects.open(f"{home}/{number}", "w") as file:
                file.write(b"x" * size)
        assert calls.amount(session, Collection.name == home) == (3, sum(sizes))
