"""Two federated zones through the client: remote users, data of the other zone, and keys that differ."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from irods.access import iRODSAccess
from irods.exception import CAT_NO_ACCESS_PERMISSION, CollectionDoesNotExist
from irods.models import Collection
from irods.session import iRODSSession
from throwaway_pki import Authority, create_authority, issue
from zone_under_test import IrodsServer, open_session

from controlplane.health.port import CheckFailedError
from controlplane.systems.irods import calls
from controlplane.systems.irods.client import Endpoint, IrodsError
from controlplane.systems.irods.probes import check_federation
from sandbox.standins.irods.config import FederatedZone, TlsClient
from sandbox.standins.irods.launcher import Options, running

FEDERATION_KEY = "the_key_of_the_federation_000000"
ADDRESSES = {"westZone": "127.0.0.1", "southZone": "127.0.0.2"}
MISMATCH = "-147000"
"""The code ZONE_KEY_SIGNATURE_MISMATCH, which the client library does not know: it raises a KeyError."""


class Zones:
    """westZone and southZone, one server each, which know each other."""

    def __init__(self, folder: Path) -> None:
        self.authority: Authority = create_authority(folder / "pki")
        tls = issue(self.authority, folder / "pki")
        self.options = {
            name: Options(
                folder / name,
                zone=name,
                host=address,
                address=address,
                policy="CS_NEG_REQUIRE",
                tls_server=tls,
                tls_client=TlsClient("hostname", str(self.authority.ca_file)),
                zone_key=f"{name}_KEY",
                negotiation_key=f"{name:_<32}",
                federation=tuple(
                    FederatedZone(other, f"{other}_KEY", FEDERATION_KEY, (at,))
                    for other, at in ADDRESSES.items()
                    if other != name
                ),
            )
            for name, address in ADDRESSES.items()
        }

    @contextlib.contextmanager
    def running(self) -> Iterator[dict[str, IrodsServer]]:
        """Both zones, each with an entry for the other."""
        with contextlib.ExitStack() as stack:
            servers = {}
            for name, options in self.options.items():
                port = stack.enter_context(running(options)).port
                servers[name] = IrodsServer(
                    options.address, port, name, "rods", "rods", self.authority.ca_file, is_standin=True
                )
            for name, server in servers.items():
                (other,) = set(servers) - {name}
                with open_session(server) as session:
                    where = f"{servers[other].host}:{servers[other].port}"
                    calls.administer(session, "add", "zone", other, "remote", where, "")
            yield servers


@pytest.fixture
def zones(tmp_path: Path) -> Zones:
    return Zones(tmp_path)


@pytest.fixture
def west(zones: Zones) -> Iterator[dict[str, IrodsServer]]:
    """Both zones; anna of southZone reads in /westZone/home/cells, ben of southZone writes there."""
    with zones.running() as servers:
        with open_session(servers["westZone"]) as admin:
            admin.collections.create("/westZone/home/cells")
            with admin.data_objects.open("/westZone/home/cells/image", "w") as file:
                file.write(b"pixels")
            for name, level in (("anna", "read"), ("ben", "write")):
                calls.administer(admin, "add", "user", f"{name}#southZone", "rodsuser", "", "")
                access = iRODSAccess(level, "/westZone/home/cells", name, "southZone")
                admin.acls.set(access, recursive=True)
        with open_session(servers["southZone"]) as admin:
            for name in ("anna", "ben", "cleo"):
                admin.users.create(name, "rodsuser")
                admin.users.modify(name, "password", name)
        yield servers


def visit(servers: dict[str, IrodsServer], name: str) -> contextlib.AbstractContextManager[iRODSSession]:
    """A session of somebody in southZone."""
    return open_session(servers["southZone"], user=name, password=name)


def test_a_remote_user_reads_and_lists_through_its_own_zone(west: dict[str, IrodsServer]) -> None:
    with visit(west, "anna") as session:
        with session.data_objects.open("/westZone/home/cells/image", "r") as file:
            assert file.read() == b"pixels"
        found = session.collections.get("/westZone/home/cells")
        assert [data.name for data in found.data_objects] == ["image"]
        with pytest.raises(CAT_NO_ACCESS_PERMISSION):
            session.data_objects.create("/westZone/home/cells/other")
        # What is of the own zone stays there.
        with session.data_objects.open("/southZone/home/anna/note", "w") as file:
            file.write(b"mine")
    with open_session(west["southZone"]) as admin:
        assert admin.query(Collection.name).filter(Collection.name == "/southZone/home/anna").all().rows


def test_a_remote_user_writes_and_removes(west: dict[str, IrodsServer]) -> None:
    with visit(west, "ben") as session:
        with session.data_objects.open("/westZone/home/cells/more", "w") as file:
            file.write(b"many more pixels")
            file.seek(5)
            file.write(b"MORE")
        with session.data_objects.open("/westZone/home/cells/more", "r") as file:
            assert file.read() == b"many MORE pixels"
        assert session.data_objects.get("/westZone/home/cells/more").owner_zone == "southZone"
        session.data_objects.unlink("/westZone/home/cells/more", force=True)
        session.collections.create("/westZone/home/cells/new")
    with open_session(west["westZone"]) as admin:
        assert admin.collections.exists("/westZone/home/cells/new")
        assert not admin.data_objects.exists("/westZone/home/cells/more")


def test_descriptors_of_both_zones_are_told_apart(west: dict[str, IrodsServer]) -> None:
    with (
        visit(west, "ben") as session,
        session.data_objects.open("/southZone/home/ben/here", "w") as here,
        session.data_objects.open("/westZone/home/cells/there", "w") as there,
    ):
        here.write(b"here")
        there.write(b"there")
    with visit(west, "ben") as session:
        for path, text in (("/southZone/home/ben/here", b"here"), ("/westZone/home/cells/there", b"there")):
            with session.data_objects.open(path, "r") as file:
                assert file.read() == text


def test_a_consumer_leads_to_the_other_zone_too(
    zones: Zones, west: dict[str, IrodsServer], tmp_path: Path
) -> None:
    south = zones.options["southZone"]
    provider = (south.address, west["southZone"].port)
    options = replace(south, directory=tmp_path / "consumer", provider=provider, port=0)
    with running(options) as consumer:
        server = replace(west["southZone"], port=consumer.port)
        with (
            open_session(server, user="anna", password="anna") as session,
            session.data_objects.open("/westZone/home/cells/image", "r") as file,
        ):
            assert file.read() == b"pixels"


def test_whom_the_zone_does_not_know_sees_nothing(west: dict[str, IrodsServer]) -> None:
    with visit(west, "cleo") as session, pytest.raises(CollectionDoesNotExist):
        session.collections.get("/westZone/home/cells")


def test_nobody_from_elsewhere_administers_a_zone(west: dict[str, IrodsServer]) -> None:
    with open_session(west["westZone"]) as admin:
        calls.administer(admin, "add", "user", "rods#southZone", "rodsadmin", "", "")
    with (
        open_session(west["southZone"]) as session,
        pytest.raises(CAT_NO_ACCESS_PERMISSION),
    ):
        session.acls.set(iRODSAccess("own", "/westZone/home/cells", "ben", "southZone"), admin=True)


@pytest.mark.parametrize("of", ["westZone", "southZone"])
@pytest.mark.parametrize("part", ["zone_key", "negotiation_key"])
def test_keys_that_differ_are_refused_on_either_side(zones: Zones, of: str, part: str) -> None:
    (known,) = zones.options[of].federation
    wrong = replace(known, **{part: f"{'another':_<32}"})
    zones.options[of] = replace(zones.options[of], federation=(wrong,))
    with (
        zones.running() as servers,
        open_session(servers["southZone"]) as session,
        pytest.raises(KeyError, match=MISMATCH),
    ):
        session.collections.get("/westZone/home")


def test_a_server_that_the_federation_does_not_list_gets_the_wrong_key(zones: Zones) -> None:
    (known,) = zones.options["southZone"].federation
    zones.options["southZone"] = replace(
        zones.options["southZone"], federation=(replace(known, hosts=("icat.west.example",)),)
    )
    with (
        zones.running() as servers,
        open_session(servers["southZone"]) as session,
        pytest.raises(KeyError, match=MISMATCH),
    ):
        session.collections.get("/westZone/home")


def test_a_certificate_of_another_authority_is_refused(zones: Zones, tmp_path: Path) -> None:
    stranger = create_authority(tmp_path / "stranger")
    west = zones.options["westZone"]
    zones.options["southZone"] = replace(
        zones.options["southZone"], tls_client=TlsClient("hostname", str(stranger.ca_file))
    )
    assert west.tls_server is not None
    with (
        zones.running() as servers,
        open_session(servers["southZone"]) as session,
        pytest.raises(KeyError, match="-162000"),
    ):
        session.collections.get("/westZone/home")


def test_health_tells_whether_a_federation_works(zones: Zones) -> None:
    with zones.running() as servers:
        assert check_federation(entrance(servers), "southZone") == "southZone answers, and the keys agree"
        with open_session(servers["southZone"]) as admin:
            calls.administer(admin, "rm", "zone", "westZone")
        with pytest.raises(CheckFailedError, match="southZone answers, but has no entry for westZone"):
            check_federation(entrance(servers), "southZone")
        with pytest.raises(IrodsError):
            check_federation(entrance(servers), "northZone")


def test_health_names_keys_that_differ(zones: Zones) -> None:
    (known,) = zones.options["westZone"].federation
    wrong = replace(known, negotiation_key=f"{'another':_<32}")
    zones.options["westZone"] = replace(zones.options["westZone"], federation=(wrong,))
    message = "southZone does not accept this server: zone_key or negotiation_key differ"
    with zones.running() as servers, pytest.raises(CheckFailedError, match=message):
        check_federation(entrance(servers), "southZone")


def entrance(servers: dict[str, IrodsServer]) -> Endpoint:
    """The control plane's way into westZone."""
    server = servers["westZone"]
    assert server.ca_file is not None
    return Endpoint(server.host, server.port, server.zone, server.user, server.password, server.ca_file)
