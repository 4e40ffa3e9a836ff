"""A data set's journey through the zone under test."""

import time
from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType

import pytest
from facility_site import Site
from irods.models import Collection, DataObject, User
from replicating_tree import replicating_tree
from zone_under_test import open_session

from controlplane.health.journeys import plan
from controlplane.health.run import Result, Status, run_probes
from controlplane.model import Platform
from controlplane.systems.irods import calls, journeys
from controlplane.systems.irods.client import Client
from controlplane.systems.irods.journeys import JOURNEY
from controlplane.systems.irods.synthetic import remove_left

DEADLINE = 180.0


def gone(platform: Platform) -> list[Result]:
    return run_probes(list(plan.journeys(journeys.stages(platform))), DEADLINE)


def statuses(results: list[Result]) -> dict[str, str]:
    return {result.check: result.status.value for result in results}


@pytest.fixture
def client(site: Site) -> Iterator[Client]:
    """The administrator's; after each test nothing of a journey may be left."""
    with Client(site.endpoint, 2) as opened:
        yield opened
        remove_left(opened, JOURNEY, now=time.time() + 2 * JOURNEY.old)
        assert not left(opened)


def left(client: Client) -> set[str]:
    found = {name for (name,) in client.rows(User.name) if name.startswith(JOURNEY.prefix)}
    return found | {name for (name,) in client.rows(Collection.name) if JOURNEY.prefix in name}


@pytest.fixture
def spread(site: Site) -> Iterator[Platform]:
    """The site with a storage resource whose second copy is, as the inventory says, in another place."""
    with replicating_tree(site):
        platform = site.platform
        zone = platform.zones[site.server.zone]
        host = platform.hosts[site.host]
        resources = tuple(
            replace(resource, host="elsewhere") if resource.name == f"{site.id}-two" else resource
            for resource in zone.storage_resources
        )
        yield replace(
            platform,
            hosts=MappingProxyType(
                {**platform.hosts, "elsewhere": replace(host, name="elsewhere", data_centre="dc2")}
            ),
            zones=MappingProxyType({zone.name: replace(zone, storage_resources=resources)}),
        )


def test_a_data_set_arrives_everywhere_and_leaves_nothing_behind(spread: Platform, client: Client) -> None:
    results = gone(spread)
    details = {result.check: result.detail for result in results}
    assert {result.status for result in results} == {Status.OK}, details
    assert list(details) == ["prepare", "enter", "copies", "team reads", "others do not", "clean up"]
    assert details["copies"] == "in dc1 and dc2, with checksum"
    assert details["enter"] == "1048576 bytes with checksum"
    assert all(result.seconds > 0 for result in results)
    assert not left(client)


def test_without_copies_in_two_data_centres_nothing_is_asked_of_them(site: Site, client: Client) -> None:
    results = gone(site.platform)
    assert set(statuses(results).values()) == {"ok"}
    assert "copies" not in statuses(results)


def test_a_copy_that_is_missing_or_damaged_is_found(
    spread: Platform, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(way: journeys._Way, path: str, number: str) -> str:
        return "sha2:of something else" if number == "1" else computed(way, path, number)

    computed = journeys._Way._computed
    with monkeypatch.context() as patch:
        patch.setattr(journeys._Way, "_computed", damaged)
        results = gone(spread)
    assert statuses(results)["copies"] == "failed"
    assert "is not what was put" in next(one.detail for one in results if one.check == "copies")

    enter = journeys._Way.enter

    def enter_and_lose_a_copy(way: journeys._Way, traveller: journeys.Traveller) -> str:
        said = enter(way, traveller)
        with client.session() as session:
            assert calls.trim(session, traveller.where["irods"], "1")
        return said

    monkeypatch.setattr(journeys, "COPIED_WITHIN", 0.5)
    monkeypatch.setattr(journeys._Way, "enter", enter_and_lose_a_copy)
    results = gone(spread)
    assert statuses(results) == {
        "prepare": "ok",
        "enter": "ok",
        "copies": "failed",
        "team reads": "skipped",
        "others do not": "skipped",
        "clean up": "ok",
    }
    assert not left(client)


def test_data_that_somebody_else_reads_are_found(
    site: Site, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter = journeys._Way.enter

    def enter_and_open(way: journeys._Way, traveller: journeys.Traveller) -> str:
        said = enter(way, traveller)
        with client.session() as session:
            stranger = way.accounts["stranger"]
            calls.set_access(session, way.path, (stranger.user, stranger.zone), "read")
        return said

    monkeypatch.setattr(journeys._Way, "enter", enter_and_open)
    results = gone(site.platform)
    wrong = next(one for one in results if one.check == "others do not")
    assert (wrong.status, wrong.finding) == (Status.FAILED, True)
    assert "who is not of the team" in wrong.detail
    assert statuses(results)["clean up"] == "ok"


def test_what_a_killed_journey_left_is_removed_by_a_later_one(
    site: Site, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(journeys._Way, "clean_up", lambda way, traveller: "killed before")
        gone(site.platform)
    before = left(client)
    assert len(before) >= 5
    with open_session(site.server) as session:
        assert list(session.query(DataObject.id).filter(DataObject.name == "data-set"))
    # One that is at work is left alone.
    gone(site.platform)
    assert left(client) == before
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + JOURNEY.old + 1)
    results = gone(site.platform)
    assert "1 journeys were killed before" in next(one.detail for one in results if one.check == "prepare")
    assert not left(client)
