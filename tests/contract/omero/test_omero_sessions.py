"""Sessions of people whose access ends: they end, and those of others go on."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import omero
import pytest
from omero_calls import Calls, watch_calls
from omero_site import READER, WRITER, Site
from omero_under_test import is_open, joined, logged_in, opened_for

from controlplane.state import Action, Key
from controlplane.sync.part import people_part
from controlplane.systems.omero.access import reaches, standings
from controlplane.systems.omero.client import Client
from controlplane.systems.omero.resources import SESSION, USER
from controlplane.systems.omero.sessions import open_sessions

Open = Callable[..., str]


@pytest.fixture
def team(site: Site) -> Site:
    """A settled facility."""
    site.settle()
    return site


@pytest.fixture
def session_of(site: Site) -> Iterator[Open]:
    """Opens sessions of people, each of which several programs may have joined, and gives their UUIDs."""
    with ExitStack() as stack:
        root = stack.enter_context(logged_in(site.server))

        def opened(user: str, group: str = "", joins: int = 0) -> str:
            uuid = opened_for(root, user, group)
            for _ in range(joins):
                # Whoever joins a session is a reference to it.
                stack.enter_context(joined(site.server, uuid))
            return uuid

        yield opened


def test_who_is_closed_is_logged_out_and_others_are_not(team: Site, session_of: Open) -> None:
    theirs = [session_of(team.name("reader"), joins=joins) for joins in (0, 2)]
    others = [session_of(team.name("writer")), session_of("root")]
    assert team.plan().changes == ()
    team.closed = {"reader"}
    plan = team.plan()
    ended = [change for change in plan.changes if change.key.kind == SESSION]
    assert [change.action for change in ended] == [Action.DELETE] * 2
    assert {change.key.name.partition(" of ")[2] for change in ended} == {team.name("reader")}
    # Ended after the account is closed: else whoever has the password opens another.
    assert all(change.depends_on == {Key(USER, team.name("reader"))} for change in ended)
    assert not [uuid for uuid in theirs if uuid in str(plan.as_json()) + repr(plan)]
    report = team.apply(plan)
    assert report.ok, report.failed
    assert [is_open(team.server, uuid) for uuid in theirs] == [False, False]
    assert [is_open(team.server, uuid) for uuid in others] == [True, True]
    team.settled()


def test_a_session_opened_after_the_plan_ends_with_the_account(team: Site, session_of: Open) -> None:
    team.closed = {"reader"}
    plan = team.plan()
    assert not any(change.key.kind == SESSION for change in plan.changes)
    late, others = session_of(team.name("reader")), session_of(team.name("writer"))
    # The change of the account alone: who is in no group has to be logged out, too.
    system = team.system()
    system.begin(plan.changes)
    system.apply(next(change for change in plan.changes if change.key.kind == USER))
    system.close()
    assert [is_open(team.server, uuid) for uuid in (late, others)] == [False, True]


def test_a_session_that_a_killed_apply_left_is_ended_by_the_next(team: Site, session_of: Open) -> None:
    team.closed = {"reader"}
    team.settle()
    left = session_of(team.name("reader"), team.ours)
    plan = team.plan()
    assert [change.key.kind for change in plan.changes] == [SESSION]
    (item,) = [item for item in plan.changes[0].fields if item.name == "client"]
    assert item.before == "OMERO.sudo"
    # It follows from people, so a sync does it.
    assert people_part(team.system(), plan).changes == plan.changes
    team.settle()
    assert not is_open(team.server, left)


def test_a_session_that_is_gone_before_it_is_ended_is_no_error(team: Site, session_of: Open) -> None:
    team.closed = {"reader"}
    team.settle()
    with logged_in(team.server) as root:
        uuid = opened_for(root, team.name("reader"), team.ours)
        plan = team.plan()
        with joined(team.server, uuid):
            pass
        root.destroySession(uuid)
    report = team.apply(plan)
    assert (report.failed, report.error) == ([], "")


def test_who_is_taken_out_of_one_team_is_logged_out_once(team: Site, session_of: Open) -> None:
    theirs, others = session_of(team.name("writer"), joins=1), session_of(team.name("reader"))
    team.edit(WRITER, "")
    team.settle()
    assert not is_open(team.server, theirs)
    assert is_open(team.server, others)
    # Who is still in a team logs in again, without the group.
    again = session_of(team.name("writer"))
    with joined(team.server, again) as client:
        context = client.sf.getAdminService().getEventContext()
        cells = team.members(team.group("cells"))
        assert team.name("writer") not in cells
        with logged_in(team.server) as root:
            number = root.sf.getAdminService().lookupGroup(team.group("cells")).id.val
        assert number not in context.memberOfGroups
    assert team.plan().changes == ()
    assert is_open(team.server, again)


def test_who_does_not_own_a_group_any_more_is_logged_out(team: Site, session_of: Open) -> None:
    theirs, new = session_of(team.name("pi")), session_of(team.name("writer"))
    old = "pi: {{user: {id}.pi, name: Ada Investigator, email: p@x.example}}"
    team.edit(old, "pi: {{user: {id}.writer, name: Will Writer, email: w@x.example}}")
    former = WRITER.replace(
        "{id}.writer, name: Will Writer, email: w@", "{id}.pi, name: Ada Investigator, email: p@"
    )
    team.edit(WRITER, former)
    team.settle()
    assert [is_open(team.server, uuid) for uuid in (theirs, new)] == [False, True]


def test_a_stranger_who_is_taken_out_of_a_team_keeps_their_session(team: Site, session_of: Open) -> None:
    with logged_in(team.server) as root:
        admin = root.sf.getAdminService()
        cells = admin.lookupGroup(team.group("cells"))
        admin.addGroups(
            omero.model.ExperimenterI(0, False), [omero.model.ExperimenterGroupI(cells.id.val, False)]
        )
        mine = session_of("root")
        team.settle()
        assert "root" not in team.members(team.group("cells"))
        assert is_open(team.server, mine)
        assert admin.getEventContext().userName == "root"


def test_sessions_are_listed_in_few_requests_and_without_their_secrets(
    team: Site, session_of: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuids = [session_of(team.name("writer")) for _ in range(10)]
    calls = Calls()
    watch_calls(monkeypatch, calls)
    with Client(team.server.endpoint) as client:
        found = client.call(open_sessions)
    assert {session.uuid for session in found} >= set(uuids)
    assert not [uuid for uuid in uuids if uuid in repr(found)]
    assert calls.made["submit"] == calls.made["close"] == 1
    assert calls.made["getResponse"] < 10


def test_who_sees_a_team_s_images_is_told(team: Site, session_of: Open) -> None:
    cells = team.group("cells")
    (granted,) = reaches(team.platform, f"/oneZone/home/{cells}")
    assert (granted.system, granted.levels, granted.error) == ("OMERO server dc1-omero", ("read", "own"), "")
    assert {(way.account, way.level, way.through) for way in granted.ways} == {
        (team.name("pi"), "own", cells),
        (team.name("writer"), "read", cells),
        (team.name("reader"), "read", cells),
    }
    assert list(reaches(team.platform, f"/oneZone/home/{team.id}")) == []
    assert list(reaches(team.platform, f"/oneZone/home/{team.group('notes')}")) == []
    session_of(team.name("writer"))
    session_of(team.name("writer"))
    (standing,) = standings(team.platform, team.name("writer"))
    assert (standing.exists, standing.closed, standing.sessions, standing.error) == (True, False, 2, "")
    assert standing.groups == (cells, team.group("roots"))
    (nobody,) = standings(team.platform, team.name("scribe"))
    assert (nobody.exists, nobody.closed, nobody.groups, nobody.sessions) == (False, False, (), 0)


def test_who_cannot_log_in_sees_nothing(team: Site) -> None:
    team.edit(READER, "")
    plan = team.plan()
    # The account is closed, and the apply is cut off before the group is changed.
    system = team.system()
    system.begin(plan.changes)
    system.apply(next(change for change in plan.changes if change.key.kind == USER))
    system.close()
    assert team.name("reader") in team.members(team.group("cells"))
    (granted,) = reaches(team.platform, f"/oneZone/home/{team.group('cells')}")
    assert team.name("reader") not in {way.account for way in granted.ways}
    (standing,) = standings(team.platform, team.name("reader"))
    assert (standing.exists, standing.closed) == (True, True)


def test_a_team_whose_group_is_missing_is_told_as_such(site: Site) -> None:
    (granted,) = reaches(site.platform, f"/oneZone/home/{site.group('cells')}")
    assert granted.ways == ()


def test_a_server_that_cannot_be_asked_says_why(team: Site) -> None:
    (team.folder / "password").write_text("wrong")
    (granted,) = reaches(team.platform, f"/oneZone/home/{team.group('cells')}")
    (standing,) = standings(team.platform, team.name("writer"))
    assert "does not let root in" in granted.error
    assert "does not let root in" in standing.error
