"""The control plane on a zone that others are federated with, and on storage resources that are taken out."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from facility_site import Site, described
from irods import keywords as kw
from irods.column import Column, String
from irods.exception import USER_FILE_TOO_LARGE, PycommandsException, iRODSException
from irods.models import Group, Resource, User
from zone_under_test import open_session

from controlplane.systems.irods import calls
from controlplane.systems.irods.free_space import measure_all

FAR = """
  {id}Zone:
    catalog_provider: far
    administrator: {{password: {{file: password}}}}
    federation: [{zone}]
"""

FREE_SPACE = Column(String, "RESC_FREE_SPACE", 308)
ACCESS = "access_from: [{{data_centre: dc2, access: write}}]\n"


@pytest.fixture
def federated(site: Site) -> Iterator[Site]:
    """The facility's people reach its data from a second data centre, with a zone of its own."""
    site.edit_platform("Nantes}}}}", "Nantes}}, dc2: {{title: Two, city: Nice}}}}")
    far = "  far: {{data_centre: dc2, address: 127.0.0.9, services: [irods_catalog_provider]}}\n"
    site.edit_platform("zones:\n", f"{far}zones:\n")
    site.edit_platform("    ca_file:", f"    federation: [{site.id}Zone]\n    ca_file:")
    file = site.folder / "platform.yml"
    file.write_text(file.read_text() + FAR.format(id=site.id, zone=site.server.zone))
    site.edit("storage_resources:", f"{ACCESS}storage_resources:")
    yield site
    with open_session(site.server) as session:
        for name in ("ref", "pi", "writer", "reader"):
            with suppress(iRODSException, PycommandsException):
                calls.administer(session, "rm", "user", f"{site.id}.{name}#{site.id}Zone", "")
        with suppress(iRODSException, PycommandsException):
            calls.administer(session, "rm", "zone", f"{site.id}Zone")


def test_remote_users_come_and_lose_their_access(federated: Site) -> None:
    site, zone = federated, f"{federated.id}Zone"
    site.settle()
    with open_session(site.server) as session:
        where = (Group.name == f"{site.id}-cells", User.zone == zone)
        members = {row[0] for row in calls.rows(session, (User.name,), where)}
        assert members == {f"{site.id}.{name}" for name in ("pi", "writer", "reader")}
        access = session.acls.get(session.collections.get(site.home(f"{site.id}-cells")))
        levels = {(found.user_name, found.user_zone): found.access_name for found in access}
    assert levels[f"{site.id}.writer", zone] == "modify_object"
    assert levels[f"{site.id}.pi", zone] == "modify_object"
    assert (f"{site.id}.reader", zone) not in levels
    site.edit(ACCESS, "")
    plan = site.plan()
    assert described(plan) == [
        ("update", site.id, ("acl", "members")),
        ("update", f"{site.id}-cells", ("acl", "members")),
        ("update", f"{site.id}-roots", ("acl", "members")),
    ]
    assert {kept.key.name for kept in plan.kept} == {
        f"{site.id}.{name}#{zone}" for name in ("ref", "pi", "writer", "reader")
    }
    site.settle()


def test_a_zone_is_known_before_its_users_are_made(federated: Site) -> None:
    names = [change.key.name for change in federated.plan().changes]
    zone = names.index(f"{federated.id}Zone")
    assert all(zone < place for place, name in enumerate(names) if "#" in name)


def test_a_storage_resource_is_taken_out_and_brought_back(site: Site) -> None:
    site.settle()
    for before, status in (("up", "down"), ("down", "up")):
        if status == "down":
            site.edit(", vault:", ", status: down, vault:")
        else:
            site.edit("status: down", "status: up")
        plan = site.plan()
        (change,) = plan.changes
        (item,) = change.fields
        assert (item.name, item.before, item.after) == ("status", before, status)
        site.settle()
        with open_session(site.server) as session:
            found = calls.rows(session, (Resource.status,), (Resource.name == f"{site.id}-raw",))
        assert found == [(status,)]


def test_a_storage_resource_may_be_down_from_the_start(site: Site) -> None:
    site.edit(", vault: /var/lib/irods/{id}", ", status: down, vault: /var/lib/irods/{id}")
    site.settle()
    with open_session(site.server) as session:
        assert calls.rows(session, (Resource.status,), (Resource.name == f"{site.id}-raw",)) == [("down",)]


def test_the_room_is_known_before_it_counts(site: Site, tmp_path: Path) -> None:
    """A server refuses every data object on a storage resource with a minimum whose room it does not know."""
    site.edit("/var/lib/irods/{id}", f"{tmp_path}, minimum_free_space: 1 GB")
    before = free(tmp_path)
    site.settle()
    columns = (Resource.context, FREE_SPACE)
    with open_session(site.server) as session:
        [(context, room)] = calls.rows(session, columns, (Resource.name == f"{site.id}-raw",))
    assert context == "minimum_free_space_for_create_in_bytes=1000000000"
    assert int(room) == pytest.approx(before, rel=0.2)
    site.edit("minimum_free_space: 1 GB", "minimum_free_space: 2 GB")
    with open_session(site.server) as session:
        calls.administer(session, "modify", "resource", f"{site.id}-raw", "free_space", "1")
    site.settle()
    with open_session(site.server) as session:
        [(_, room)] = calls.rows(session, columns, (Resource.name == f"{site.id}-raw",))
    assert int(room) == pytest.approx(before, rel=0.2)


def test_the_room_of_all_storage_resources_is_measured(site: Site, tmp_path: Path) -> None:
    site.edit("/var/lib/irods/{id}", str(tmp_path))
    site.edit(
        "storage_resources:", "storage_resources:\n  {id}-off: {{host: " + site.host + ", vault: /nowhere}}"
    )
    (missing, unmade) = measure_all(site.platform)
    assert (missing.free, missing.error) == (None, "it is not in the zone yet")
    assert unmade.free is None
    site.settle()
    nowhere, measured = measure_all(site.platform)
    assert (nowhere.name, measured.name) == (f"{site.id}-off", f"{site.id}-raw")
    assert nowhere.free is None
    assert "-526002" in nowhere.error
    assert measured.free == pytest.approx(free(tmp_path), rel=0.2)
    with open_session(site.server) as session:
        [(room,)] = calls.rows(session, (FREE_SPACE,), (Resource.name == measured.name,))
        assert int(room) == measured.free
        session.resources.remove(nowhere.name)


def test_a_minimum_does_not_count_before_the_room_is_known(site: Site, tmp_path: Path) -> None:
    """An apply that cannot ask for the room leaves a storage resource that takes data."""
    vault = tmp_path / "vault"
    site.edit("/var/lib/irods/{id}", f"{vault}, minimum_free_space: 1 GB")
    report = site.apply(site.plan())
    ((_, error),) = report.failed
    assert "-526002" in error
    assert described(site.plan()) == [("update", f"{site.id}-raw", ("context",))]
    vault.mkdir()
    site.settle()


def free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def test_a_data_object_that_leaves_too_little_room_is_refused(site: Site, tmp_path: Path) -> None:
    """With what the server knows of the room, whether that is true or not."""
    site.edit("/var/lib/irods/{id}", f"{tmp_path}, minimum_free_space: 1 GB")
    site.settle()
    small = tmp_path / "small"
    small.write_bytes(b"some pixels")
    with open_session(site.server) as session:
        path = f"/{site.server.zone}/home/{site.server.user}/{site.id}"
        options = {kw.DEST_RESC_NAME_KW: f"{site.id}-raw", kw.FORCE_FLAG_KW: ""}
        session.data_objects.put(str(small), path, **options)
        session.data_objects.unlink(path, force=True)
        for room in ("1000000010", "0"):
            calls.administer(session, "modify", "resource", f"{site.id}-raw", "free_space", room)
            with pytest.raises(USER_FILE_TOO_LARGE):
                session.data_objects.put(str(small), path, **options)
