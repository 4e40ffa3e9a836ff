"""What a run does when a zone fails: the rest proceeds, the report names what failed, the next run mends it.

`bic` runs as it is, but for its patience, which is shortened so that the tests do not take minutes.
"""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from call_log import Call
from forker import Forker
from local_zone import ADDRESSES, Pki, free_port, make_pki
from proxy import proxied
from site_under_test import Run, Site

from controlplane.generate.nation import Nation
from sandbox.standins.irods.faults import Fault

ONE = Nation(facilities=1, people=12, teams=3)
TWO = Nation(facilities=2, people=16, teams=4, zones=2)

PATIENCE = {
    "controlplane.systems.irods.apply.PATIENCE": 3.0,
    "controlplane.systems.irods.observe.PATIENCE": 1.0,
}

QUERIES = frozenset({702, 10221})
CHANGES = frozenset({701, 706, 707, 20002})
CATALOGUE_IS_AWAY = -806000
INTERNAL_ERROR = -154000

MakeSite = Callable[..., Site]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def forker() -> Iterator[Forker]:
    forker = Forker(PATIENCE)
    yield forker
    forker.close()


@pytest.fixture
def make_site(tmp_path: Path, pki: Pki, forker: Forker) -> Iterator[MakeSite]:
    sites: list[Site] = []

    def make(nation: Nation = ONE) -> Site:
        sites.append(Site(tmp_path, nation, pki, forker))
        return sites[-1]

    yield make
    for site in sites:
        site.close()


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site()


def deletions(calls: list[Call]) -> list[Call]:
    """Calls that take something away, other than the claims that an apply gives up."""
    return [
        call
        for call in calls
        if call.changed
        and "bic:claim" not in str(call.arguments)
        and (
            call.arguments[0] in ("rm", "rmchildfromresc", "rmw")
            or (call.arguments[:1] == ("modify",) and call.arguments[3:4] == ("remove",))
            or call.name == "RM_COLL_AN"
            or (call.name == "MOD_ACCESS_CONTROL_AN" and call.arguments[1] == "null")
        )
    ]


def planned(site: Site, kind: str) -> list[str]:
    """Names of the objects of a kind that a plan changes."""
    keys = [change["key"].split("/")[-2:] for change in site.run("plan", "--json").document["changes"]]
    return [name for of_kind, name in keys if of_kind == kind]


def assert_settled(site: Site) -> None:
    """Nothing is left to do."""
    plan = site.run("plan", "--json")
    assert plan.code == 0, plan.output
    assert (plan.document["changes"], plan.document["conflicts"], plan.document["errors"]) == ([], [], [])


def assert_mended(site: Site) -> Run:
    """One more run does the rest and deletes nothing."""
    for zone in site.zones.values():
        zone.faults.arm()
    run = site.run("apply", "--yes")
    assert run.code == 0, run.output
    assert deletions(run.calls) == []
    assert_settled(site)
    return run


def test_a_zone_that_is_down_has_no_plan_and_is_not_emptied(site: Site) -> None:
    assert site.run("apply", "--yes").code == 0
    site.zone.stop()
    for arguments in (("plan",), ("apply", "--yes")):
        run = site.run(*arguments)
        assert run.code == 1, run.output
        assert "iRODS zone bicZone" in run.output
        assert "left out" in run.output
        assert f"127.0.0.1:{site.zone.port}" in run.output
        assert "Traceback" not in run.output
    document = site.run("plan", "--json").document
    assert document["changes"] == []
    assert [error["system"] for error in document["errors"]] == ["irods/bicZone"]
    site.zone.start()
    assert_settled(site)


def test_a_zone_that_comes_back_while_it_is_read_is_read(site: Site) -> None:
    assert site.run("apply", "--yes").code == 0
    site.zone.faults.arm([Fault(code=CATALOGUE_IS_AWAY, apis=QUERIES)])
    threading.Timer(0.5, site.zone.faults.arm).start()
    assert_settled(site)


@pytest.mark.parametrize("cut", ["before", "after", "amid"])
@pytest.mark.parametrize("number", [2, 5, 8])
def test_an_answer_that_breaks_off_while_reading_is_asked_for_again(
    site: Site, cut: str, number: int
) -> None:
    assert site.run("apply", "--yes").code == 0
    site.zone.faults.arm([Fault(cut=cut, number=number)])
    assert_settled(site)


def test_half_a_reading_is_never_a_plan(site: Site) -> None:
    assert site.run("apply", "--yes").code == 0
    reading = len([call for call in site.run("plan").calls if call.number in QUERIES])
    for number in range(1, reading + 1, 3):
        # From this query on there is nothing but silence or refusal.
        faults = [Fault(number=later, code=CATALOGUE_IS_AWAY, apis=QUERIES) for later in range(number, 500)]
        site.zone.faults.arm(faults)
        run = site.run("plan", "--json")
        assert run.code == 1, run.output
        assert run.document["changes"] == []
        assert len(run.document["errors"]) == 1
    site.zone.faults.arm()
    assert_settled(site)


def test_one_object_that_fails_does_not_stop_the_others(site: Site) -> None:
    team = planned(site, "group")[-1]
    site.zone.faults.arm([Fault(code=INTERNAL_ERROR, names=team, apis=CHANGES - {20002})])
    run = site.run("apply", "--yes")
    assert run.code == 1, run.output
    assert "failed" in run.output
    assert any(team in line and "-154000" in line for line in run.output.splitlines()), run.output
    assert "Traceback" not in run.output
    left = site.run("plan", "--json").document["changes"]
    assert [change["key"].split("/")[-1] for change in left] == [team]
    assert_mended(site)


def test_what_depends_on_a_failure_is_not_attempted_and_says_because_of_what(site: Site) -> None:
    user = planned(site, "user")[0]
    site.zone.faults.arm([Fault(code=INTERNAL_ERROR, names=user, apis=frozenset({701}))])
    run = site.run("apply", "--yes")
    assert run.code == 1, run.output
    lines = [line for line in run.output.splitlines() if user in line]
    assert any("-154000" in line for line in lines), run.output
    assert any("group nantes" in line for line in lines), run.output
    assert not [call for call in run.calls if call.changed and call.arguments[2:4] == ("nantes", "rodsgroup")]
    assert_mended(site)


def test_a_catalogue_that_is_away_for_a_moment_costs_time_alone(site: Site) -> None:
    site.zone.faults.arm([Fault(code=CATALOGUE_IS_AWAY, number=number) for number in range(40, 60)])
    run = site.run("apply", "--yes")
    assert run.code == 0, run.output
    assert deletions(run.calls) == []
    assert_settled(site)


def test_a_catalogue_that_stays_away_ends_the_run_and_the_rest_is_not_attempted(site: Site) -> None:
    # Early enough that more is left than what the connections have in hand.
    site.zone.faults.arm([Fault(code=CATALOGUE_IS_AWAY, number=number) for number in range(30, 20_000)])
    begun = time.monotonic()
    run = site.run("apply", "--yes")
    assert time.monotonic() - begun < 60
    assert run.code == 1, run.output
    assert "not attempted" in run.output, run.output
    assert "bicZone" in run.output
    assert deletions(run.calls) == []
    assert_mended(site)


def test_a_server_that_goes_away_in_the_middle_is_named_and_finished_later(site: Site) -> None:
    stop, stopped = threading.Event(), threading.Event()

    def stop_later() -> None:
        stop.wait(60)
        site.zone.stop()
        stopped.set()

    def hold() -> None:
        # This call is not answered while there is a server, however late the other thread gets to run.
        stop.set()
        stopped.wait(60)

    stopper = threading.Thread(target=stop_later)
    stopper.start()
    site.zone.faults.arm([Fault(number=70, action=hold)])
    run = site.run("apply", "--yes")
    stopper.join()
    assert run.code == 1, run.output
    assert f"127.0.0.1:{site.zone.port}" in run.output
    assert "Traceback" not in run.output
    site.zone.start()
    assert_mended(site)


@pytest.mark.parametrize("cut", ["before", "after", "amid"])
def test_connections_that_break_off_lose_nothing_and_do_nothing_twice(site: Site, cut: str) -> None:
    site.zone.faults.arm([Fault(cut=cut, number=number) for number in range(7, 5000, 23)])
    site.run("apply", "--yes")
    assert_mended(site)


@pytest.mark.parametrize("limit", [1500, 4000, 9000])
def test_a_network_that_cuts_every_connection_is_no_reason_to_delete(site: Site, limit: int) -> None:
    """Each connection ends after some thousand bytes, be it in the middle of TLS, a header or an answer."""
    port, zone = site.zone.port, site.zone
    zone.stop()
    zone.port = free_port()
    zone.start()
    with proxied("127.0.0.1", port, zone.port) as network:
        network.cut_after = limit
        runs = [site.run("apply", "--yes") for _ in range(2)]
        assert all("Traceback" not in run.output for run in runs)
        assert all(run.code in (0, 1) for run in runs), runs[-1].output
        assert deletions([call for run in runs for call in run.calls]) == []
        network.cut_after = None
        assert_mended(site)


def test_a_zone_that_accepts_and_never_answers_is_given_up(site: Site) -> None:
    """Takes as long as the client waits for an answer: half a minute."""
    port, zone = site.zone.port, site.zone
    zone.stop()
    with proxied("127.0.0.1", port, zone.port) as network:
        network.silent = True
        begun = time.monotonic()
        run = site.run("plan")
        assert run.code == 1, run.output
        assert f"127.0.0.1:{port}: no answer within 30 s" in run.output
        assert time.monotonic() - begun < 90
        assert network.connections


def test_a_slow_zone_is_waited_for(site: Site) -> None:
    site.zone.faults.arm([Fault(seconds=0.05)])
    run = site.run("apply", "--yes")
    assert run.code == 0, run.output
    assert_settled(site)


def test_of_two_zones_the_one_that_is_down_does_not_hold_up_the_other(make_site: MakeSite) -> None:
    site = make_site(TWO)
    site.zones["dc2Zone"].stop()
    run = site.run("apply", "--yes")
    assert run.code == 1, run.output
    assert any("dc2Zone" in line and "left out" in line for line in run.output.splitlines()), run.output
    assert f"{ADDRESSES['dc2-irods']}:{site.zones['dc2Zone'].port}" in run.output
    assert any("done" in line and "dc1Zone" in line for line in run.output.splitlines()), run.output
    assert site.run("plan", "--system", "irods/dc1Zone").code == 0
    site.zones["dc2Zone"].start()
    assert_mended(site)


def test_of_two_zones_the_one_that_fails_in_the_middle_does_not_hold_up_the_other(
    make_site: MakeSite,
) -> None:
    site = make_site(TWO)
    faults = [Fault(code=CATALOGUE_IS_AWAY, number=number) for number in range(30, 20_000)]
    site.zones["dc1Zone"].faults.arm(faults)
    run = site.run("apply", "--yes")
    assert run.code == 1, run.output
    assert site.run("plan", "--system", "irods/dc2Zone").code == 0
    assert_mended(site)


def test_of_two_applies_at_once_the_second_says_who_holds_the_lock(
    site: Site, pki: Pki, tmp_path: Path
) -> None:
    site.zone.faults.arm([Fault(seconds=0.1)])
    other = Forker(PATIENCE)
    output = tmp_path / "first"
    arguments = ["--inventory", str(site.inventory), "apply", "--yes"]
    first = other.start(arguments, site.environment, output)
    deadline = time.monotonic() + 60
    while site.zone.faults.calls < 30 and time.monotonic() < deadline:
        time.sleep(0.02)
    second = site.run("apply", "--yes", "--wait-for-lock", "0")
    assert second.code == 1, second.output
    assert str(first) in second.output
    assert "bic apply" in second.output
    waiting = site.run("apply", "--yes", "--wait-for-lock", "100")
    assert other.wait(120) == 0, output.read_text("utf-8")
    other.close()
    assert waiting.code == 0, waiting.output
    assert_settled(site)
