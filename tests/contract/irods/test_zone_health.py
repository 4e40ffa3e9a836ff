"""What health says of a zone as a whole."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import pytest
from facility_site import Site
from replicating_tree import replicating_tree
from zone_under_test import open_session

from controlplane.health.port import FindingError
from controlplane.systems.irods import calls, zone_probes
from controlplane.systems.irods.client import Client


@pytest.fixture
def client(site: Site) -> Iterator[Client]:
    with Client(site.endpoint, 1) as opened:
        yield opened


@pytest.fixture
def copied(site: Site) -> Iterator[str]:
    """A data object in a storage resource of the zone's own that keeps two copies; its path."""
    with replicating_tree(site) as tree, open_session(site.server) as session:
        path = f"/{site.server.zone}/home/{site.server.user}/{site.id}-copied"
        with session.data_objects.open(path, "w", destRescName=tree) as file:
            file.write(b"pixels")
        try:
            yield path
        finally:
            session.data_objects.unlink(path, force=True)


def test_copies_that_are_missing_are_found(
    site: Site, client: Client, copied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Replicas count as soon as they are there.
    monkeypatch.setattr(zone_probes, "SETTLED", (-timedelta(hours=1), -timedelta(hours=2)))
    resources = site.platform.storage_resources_of(site.server.zone)
    tree = zone_probes.branches(resources, f"{site.id}-tree")
    assert tree == {f"{site.id}-one": [f"{site.id}-one"], f"{site.id}-through": [f"{site.id}-two"]}
    check = partial(zone_probes.check_copies, {f"{site.id}-tree": tree}, client)
    assert check() == "1 data objects have all their copies"
    with open_session(site.server) as session:
        session.data_objects.trim(copied, replNum="1", copies="1")
    with pytest.raises(FindingError, match=rf"{site.id}-tree differ: .*-one \d, .*-through \d replicas"):
        check()
    monkeypatch.setattr(zone_probes, "SETTLED", (timedelta(hours=1), timedelta(hours=2)))
    assert check() == "0 data objects have all their copies"


def test_a_stale_replica_is_found(client: Client, site: Site) -> None:
    site.settle()
    path = f"/{site.server.zone}/home/{site.server.user}/{site.id}-stale"
    with open_session(site.server) as session:
        with session.data_objects.open(path, "w", destRescName=f"{site.id}-raw") as file:
            file.write(b"before")
        try:
            session.data_objects.replicate(path, resource="demoResc")
            assert zone_probes.check_stale(client) == "no replica is stale"
            # Whoever writes to one replica leaves the others behind.
            with session.data_objects.open(path, "w", destRescName=f"{site.id}-raw") as file:
                file.write(b"afterwards")
            with pytest.raises(FindingError, match="1 replicas of 6 bytes are stale"):
                zone_probes.check_stale(client)
        finally:
            session.data_objects.unlink(path, force=True)


def test_a_delay_queue_that_does_not_move_is_found(
    client: Client, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    hint = f"<INST_NAME>{calls.RULE_ENGINE}</INST_NAME><PLUSET>3600s</PLUSET>"
    with client.session() as session:
        calls.run_rule(session, f'delay("{hint}") {{ writeLine("serverLog", "{site.id}"); }}')
    assert zone_probes.check_delay_queue(client).endswith("in the delay queue")
    # As it would be in two hours if the server that runs the jobs had stopped now.
    real = zone_probes.time.time
    monkeypatch.setattr(zone_probes.time, "time", lambda: real() + 7200)
    with pytest.raises(FindingError, match=r"1 of 1 jobs wait past their time, one for (59|60) minutes"):
        zone_probes.check_delay_queue(client)


def test_the_version_of_a_zone_is_told(site: Site) -> None:
    platform = site.platform
    assert zone_probes.check_versions(platform, platform.zones[site.server.zone]).startswith("all run 5.")
