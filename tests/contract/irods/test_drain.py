"""A storage resource is emptied and taken out of its zone, on the server under test."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from facility_site import Site, described
from irods.exception import NetworkException, PycommandsException, iRODSException
from irods.keywords import DEST_RESC_NAME_KW
from irods.models import Resource
from irods.session import iRODSSession
from typer.testing import CliRunner
from zone_under_test import open_session

from controlplane.cli.main import app
from controlplane.errors import BadInputError
from controlplane.state import Key
from controlplane.systems.irods import calls
from controlplane.systems.irods.client import Client
from controlplane.systems.irods.drain import Drained, Left, prepare
from controlplane.systems.irods.resources import STORAGE_RESOURCE


@pytest.fixture
def site(site: Site) -> Iterator[Site]:
    """A site whose zone has a replication resource with two folders, and the facility's own folder."""
    site.edit_platform(
        "    ca_file:",
        f"""    storage_resources:
      {{id}}-tree: {{{{type: replication, children: [{{id}}-one, {{id}}-two]}}}}
      {{id}}-one: {{{{host: {site.host}, vault: /var/lib/irods/{{id}}-one}}}}
      {{id}}-two: {{{{host: {site.host}, vault: /var/lib/irods/{{id}}-two}}}}
    ca_file:""",
    )
    site.settle()
    with open_session(site.server) as session:
        try:
            session.collections.create(home(site))
            yield site
        finally:
            session.cleanup()
            with suppress(iRODSException, PycommandsException):
                session.collections.remove(home(site), recurse=True, force=True)
            for name in ("one", "two"):
                with suppress(iRODSException, PycommandsException, KeyError):
                    session.resources.remove_child(f"{site.id}-tree", f"{site.id}-{name}")
            for name in ("tree", "one", "two"):
                with suppress(iRODSException, PycommandsException, KeyError):
                    session.resources.remove(f"{site.id}-{name}")


def home(site: Site) -> str:
    return f"/{site.server.zone}/home/{site.server.user}/{site.id}"


def put(session: iRODSSession, path: str, on: str, content: bytes = b"data") -> None:
    with session.data_objects.open(path, "w", **{DEST_RESC_NAME_KW: on}) as file:
        file.write(content)


def where(session: iRODSSession, path: str) -> list[str]:
    return sorted(replica.resource_name for replica in session.data_objects.get(path).replicas)


def drain(site: Site, name: str, to: str) -> Drained:
    told = []
    with Client(site.endpoint) as client:
        ready = prepare(client, f"{site.id}-{name}", f"{site.id}-{to}")
        outcome = ready.run(lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == list(range(1, len(told) + 1))
    assert all(done <= total for done, total in told)
    return outcome


def test_what_is_in_use_is_drained_retired_and_gone(site: Site) -> None:
    one, two, raw = f"{site.id}-one", f"{site.id}-two", f"{site.id}-raw"
    contents = {f"{home(site)}/it's {number} é.bin": os.urandom(3000) for number in range(3)}
    trashed = f"{home(site)}/trashed"
    with open_session(site.server) as session:
        for path, content in contents.items():
            put(session, path, f"{site.id}-tree", content)
            assert where(session, path) == [one, two]
        put(session, f"{home(site)}/elsewhere", f"{site.id}-tree")
        session.data_objects.replicate(f"{home(site)}/elsewhere", resource=raw)
        put(session, trashed, f"{site.id}-tree")
        session.data_objects.unlink(trashed)
    with pytest.raises(BadInputError, match=rf"{one} is below {site.id}-tree"):
        drain(site, "one", "raw")
    site.edit_platform("[{id}-one, {id}-two]", "[{id}-two]")
    site.settle()
    site.edit_platform("      {id}-one: {{host: " + site.host + ", vault: /var/lib/irods/{id}-one}}\n", "")
    plan = site.plan()
    assert plan.changes == ()
    (note,) = [note for note in plan.kept if note.key == Key(STORAGE_RESOURCE, one)]
    assert note.reason.startswith("it holds 5 replicas of data objects, ")
    outcome = drain(site, "one", "raw")
    assert outcome == Drained(moved=4, removed=1, bytes=3 * 3000 + 4)
    with open_session(site.server) as session:
        for path, content in contents.items():
            assert where(session, path) == [raw, two]
            with session.data_objects.open(path, "r", **{DEST_RESC_NAME_KW: raw}) as file:
                assert file.read() == content
        assert where(session, f"{home(site)}/elsewhere") == [raw, two]
    assert drain(site, "one", "raw") == Drained()
    assert [change[:2] for change in described(site.plan())] == [("delete", one)]
    site.settle()
    with open_session(site.server) as session:
        assert one not in [row[0] for row in calls.rows(session, (Resource.name,))]


def test_a_tree_without_data_is_taken_out_with_its_root(site: Site) -> None:
    tree = [f"{site.id}-{name}" for name in ("tree", "one", "two")]
    text = (site.folder / "platform.yml").read_text()
    begin, end = text.index("    storage_resources:"), text.index("    ca_file:")
    (site.folder / "platform.yml").write_text(text[:begin] + text[end:])
    assert sorted(change[:2] for change in described(site.plan())) == [
        ("delete", name) for name in sorted(tree)
    ]
    site.settle()
    with open_session(site.server) as session:
        assert not set(tree) & {row[0] for row in calls.rows(session, (Resource.name,))}


def test_what_has_no_good_copy_or_is_being_written_stays(site: Site) -> None:
    raw, tree = f"{site.id}-raw", f"{site.id}-tree"
    bad, stale, open_ = (f"{home(site)}/{name}" for name in ("bad", "stale", "open"))
    break_off(site, bad, raw)
    with open_session(site.server) as session:
        put(session, stale, tree)
        session.data_objects.replicate(stale, resource=raw)
        put(session, stale, tree, b"newer")
        assert status(session, stale, raw) == "0"
        with session.data_objects.open(open_, "w", **{DEST_RESC_NAME_KW: raw}):
            outcome = drain(site, "raw", "two")
        assert sorted(outcome.left, key=lambda left: left.path) == [
            Left(bad, "none of its replicas is good"),
            Left(open_, "it is open for writing"),
        ]
        assert (outcome.moved, outcome.removed) == (0, 1)
        assert where(session, stale) == [f"{site.id}-one", f"{site.id}-two"]
        assert drain(site, "raw", "two").left == [Left(bad, "none of its replicas is good")]
        assert where(session, open_) == [f"{site.id}-two"]


def status(session: iRODSSession, path: str, on: str) -> str:
    (found,) = [
        replica.status for replica in session.data_objects.get(path).replicas if replica.resource_name == on
    ]
    return str(found)


def break_off(site: Site, path: str, on: str) -> None:
    """Leave a data object whose only replica is not good, as an upload does that loses its connection."""
    with open_session(site.server) as session:
        file = session.data_objects.open(path, "w", **{DEST_RESC_NAME_KW: on})
        file.raw.conn.socket.shutdown(socket.SHUT_RDWR)
        with suppress(NetworkException, OSError):
            file.close()
    end = time.monotonic() + 60
    with open_session(site.server) as session:
        while status(session, path, on) != "0":
            assert time.monotonic() < end, "the server does not notice that the client has gone"
            time.sleep(0.1)


@pytest.mark.parametrize(
    ("name", "to", "message"),
    [
        ("no_such", "raw", "the zone has no storage resource"),
        ("tree", "raw", "coordinates others"),
        ("raw", "tree", "coordinates others"),
        ("raw", "raw", "cannot be drained to itself"),
        ("raw", "two", "is down"),
    ],
)
def test_a_drain_that_makes_no_sense_is_refused(site: Site, name: str, to: str, message: str) -> None:
    site.edit_platform("vault: /var/lib/irods/{id}-two", "vault: /var/lib/irods/{id}-two, status: down")
    site.settle()
    with pytest.raises(BadInputError, match=message):
        drain(site, name, to)


def test_the_command_says_what_became_of_everything(site: Site) -> None:
    run = CliRunner()
    words = ["-i", str(site.folder), "storage", "drain", f"{site.id}-raw", "--to", f"{site.id}-two"]
    with open_session(site.server) as session:
        put(session, f"{home(site)}/one", f"{site.id}-raw", b"12345")
        asked = run.invoke(app, words)
        assert "there is nobody to ask; add --yes to go on" in str(asked.exception)
        with session.data_objects.open(f"{home(site)}/[open]", "w", **{DEST_RESC_NAME_KW: f"{site.id}-raw"}):
            left = run.invoke(app, [*words, "--yes"])
    assert left.exit_code == 1, left.output
    assert left.stdout.splitlines() == [
        f"  {home(site)}/[open]: it is open for writing",
        f"{site.id}-raw: 1 replica moved to {site.id}-two (5 B), 0 removed that are elsewhere, 1 left",
        "Mend what is named above and run this again.",
    ]
    done = run.invoke(app, [*words, "--yes", "--zone", site.server.zone])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1].startswith(f"It is empty: take {site.id}-raw out of the inventory")
    wrong = run.invoke(app, [*words, "--zone", "elsewhere"])
    assert f"there is no zone 'elsewhere'; known: {site.server.zone}" in str(wrong.exception)
