"""What the platform relies on beyond the recording: many clients at once, restarts, several servers, data."""

import json
import os
import socket
import struct
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from irods.exception import (
    CAT_NO_ACCESS_PERMISSION,
    SYS_RESC_QUOTA_EXCEEDED,
    NetworkException,
    get_exception_by_code,
)
from irods.message import GeneralAdminRequest, iRODSMessage
from irods.models import Collection, CollectionMeta, DataObject, Group, Resource, User
from throwaway_pki import create_authority, issue
from zone_under_test import open_session, standin_server

from sandbox.standins.irods import package
from sandbox.standins.irods.config import TlsClient
from sandbox.standins.irods.launcher import Options, core_rules, running

HEARTBEAT = b"<MsgHeader_PI><type>HEARTBEAT</type></MsgHeader_PI>"


@pytest.fixture
def zone(tmp_path: Path):
    with standin_server(tmp_path) as server:
        yield server


def test_many_clients_make_users_while_others_read(zone):
    done = threading.Event()

    def create(worker: int) -> None:
        with open_session(zone) as session:
            for number in range(25):
                session.users.create(f"user{worker}x{number}", "rodsuser")

    def read() -> int:
        with open_session(zone) as session:
            reads = 0
            while not done.is_set() or not reads:
                names = [row[User.name] for row in session.query(User.name)]
                assert len(names) == len(set(names))
                reads += 1
            return reads

    with ThreadPoolExecutor(6) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        for writer in [pool.submit(create, worker) for worker in range(4)]:
            writer.result()
        done.set()
        assert all(reader.result() > 0 for reader in readers)
    with open_session(zone) as session:
        # Each user is a member of itself and of public.
        assert len(list(session.query(Group.name, User.name))) == 2 * 101 + 1


def test_idle_connections_do_not_keep_others_out(zone):
    idle = [socket.create_connection((zone.host, zone.port)) for _ in range(60)]
    try:
        with open_session(zone) as session:
            assert session.users.get("rods").name == "rods"
    finally:
        for connection in idle:
            connection.close()


def test_catalogue_and_data_outlive_a_restart(tmp_path: Path):
    with standin_server(tmp_path) as server, open_session(server) as session:
        session.groups.create("team")
        with session.data_objects.open("/tempZone/home/rods/kept", "w") as file:
            file.write(b"kept")
    with standin_server(tmp_path) as server, open_session(server) as session:
        assert session.groups.get("team").name == "team"
        with session.data_objects.open("/tempZone/home/rods/kept", "r") as file:
            assert file.read() == b"kept"


def test_consumer_serves_clients_and_keeps_data_in_its_own_vault(tmp_path: Path):
    authority = create_authority(tmp_path / "pki")
    tls = issue(authority, tmp_path / "pki")
    common = {
        "policy": "CS_NEG_REQUIRE",
        "tls_server": tls,
        "tls_client": TlsClient("hostname", str(authority.ca_file)),
    }
    provider_options = Options(tmp_path / "provider", **common)
    with running(provider_options) as provider:
        # Both are on this machine, so no file goes over a server connection: the test below is about that.
        consumer_options = Options(
            tmp_path / "consumer",
            host="consumer.test",
            provider=("localhost", provider.port),
            default_resource="consumerResource",
            **common,
        )
        with running(consumer_options) as consumer:
            server = _server(authority.ca_file, consumer.port)
            with open_session(server) as session:
                vault = tmp_path / "consumer" / "Vault"
                session.resources.create("consumerResource", "unixfilesystem", "localhost", str(vault))
                with session.data_objects.open("/tempZone/home/rods/here", "w") as file:
                    file.write(b"here")
                assert (
                    session.data_objects.get("/tempZone/home/rods/here").resource_name == "consumerResource"
                )
                session.users.create("alice", "rodsuser")
                session.users.modify("alice", "password", "through the consumer")
            assert (vault / "home/rods/here").read_bytes() == b"here"
            with open_session(server, user="alice", password="through the consumer") as session:
                assert session.users.get("alice").type == "rodsuser"
        stranger = replace(consumer_options, directory=tmp_path / "stranger", zone_key="ANOTHER_ZONE_KEY")
        with (
            running(stranger) as consumer,
            open_session(_server(authority.ca_file, consumer.port)) as session,
            pytest.raises(KeyError, match="-147000"),  # A code that the client library does not know.
        ):
            session.users.get("rods")


def _server(ca_file: Path, port: int):
    from zone_under_test import IrodsServer

    return IrodsServer("localhost", port, "tempZone", "rods", "rods", ca_file, is_standin=True)


def test_files_of_another_host_go_over_a_server_connection(tmp_path: Path):
    from sandbox.standins.irods import handshake
    from sandbox.standins.irods.errors import IrodsError
    from sandbox.standins.irods.handshake import NEGOTIATE, PEER_OPTION, Startup
    from sandbox.standins.irods.launcher import configuration
    from sandbox.standins.irods.peer import RemoteVault

    with running(Options(tmp_path / "server")) as server:
        options = Options(tmp_path / "other", provider=("localhost", server.port))
        us = Startup("rods", "tempZone", "rods", "tempZone", f"{PEER_OPTION};{NEGOTIATE}")
        channel = handshake.connect(configuration(options), "localhost", server.port, us)
        vault = RemoteVault(channel)
        path = str(tmp_path / "vault" / "deep" / "file")
        file = vault.open(path, os.O_RDWR | os.O_CREAT)
        assert file.write(b"hello world") == 11
        assert file.seek(6, os.SEEK_SET) == 6
        assert file.read(100) == b"world"
        file.close()
        assert vault.size(path) == 11
        assert vault.checksum(path, "SHA256").startswith("sha2:")
        vault.rename(path, f"{path}2")
        assert (vault.size(path), vault.size(f"{path}2")) == (-1, 11)
        vault.unlink(f"{path}2")
        vault.unlink(f"{path}2")
        assert vault.size(f"{path}2") == -1
        vault.disconnect()
        # A connection that carries a client's requests must not reach files, whatever the client sends.
        channel = handshake.connect(
            configuration(options), "localhost", server.port, us, purpose=handshake.CLIENT
        )
        with pytest.raises(IrodsError) as error:
            RemoteVault(channel).open(path, os.O_RDWR | os.O_CREAT)
        assert error.value.code == -13000
        channel.close()


def test_heartbeat_is_answered(zone):
    with socket.create_connection((zone.host, zone.port), timeout=5) as connection:
        connection.sendall(struct.pack(">i", len(HEARTBEAT)) + HEARTBEAT)
        assert connection.recv(256) == b"HEARTBEAT"


def test_garbage_ends_only_its_own_connection(zone):
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 64, struct.pack(">i", 10) + b"0123456789"):
        with socket.create_connection((zone.host, zone.port), timeout=5) as connection:
            connection.sendall(garbage)
            assert connection.recv(256) == b""
    with open_session(zone) as session:
        assert session.users.get("rods").name == "rods"


def test_unknown_api_is_the_protocols_own_error(zone):
    with open_session(zone) as session, session.pool.get_connection() as connection:
        connection.send(iRODSMessage("RODS_API_REQ", msg=GeneralAdminRequest(), int_info=724))
        with pytest.raises(get_exception_by_code(-12000).__class__):
            connection.recv()


def test_syntax_error_in_a_rule_base_drops_all_policy(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    with standin_server(tmp_path) as server:
        pass
    rules = tmp_path / "server" / "core.re"
    rules.write_text(rules.read_text() + "broken {\n")
    with (
        standin_server(tmp_path) as server,
        open_session(server, client_server_policy="CS_NEG_REFUSE") as session,
    ):
        assert session.users.get("rods").name == "rods"
    assert "parseRuleSet: error parsing rule" in capfd.readouterr().out


def test_server_without_its_dh_parameters_runs_but_fails_every_handshake(tmp_path: Path):
    with standin_server(tmp_path) as server:
        (tmp_path / "pki" / "dh.pem").unlink()
        with open_session(server) as session, pytest.raises((NetworkException, OSError)):
            session.users.get("rods")


def test_renewed_certificate_is_used_without_a_restart(tmp_path: Path):
    with standin_server(tmp_path) as server:
        other = create_authority(tmp_path / "other")
        renewed = issue(other, tmp_path / "renewed")
        for name in ("server.key", "server.crt"):
            (tmp_path / "renewed" / name).replace(tmp_path / "pki" / name)
        assert renewed.certificate_key_file.name == "server.key"
        with open_session(server, ssl_ca_certificate_file=str(other.ca_file)) as session:
            assert session.users.get("rods").name == "rods"


def test_quota_refuses_writes_where_rules_enforce_it(tmp_path: Path):
    directory = tmp_path / "server"
    directory.mkdir()
    (directory / "core.re").write_text(core_rules("CS_NEG_REQUIRE", "demoResc", quotas="on"))
    with standin_server(tmp_path) as server, open_session(server) as session:
        session.groups.create("team")
        session.groups.addmember("team", "rods")
        session.groups.set_quota("team", 10)
        with session.data_objects.open("/tempZone/home/rods/big", "w") as file:
            file.write(b"x" * 100)
        # Usage is what the last calculation found.
        with session.data_objects.open("/tempZone/home/rods/more", "w") as file:
            file.write(b"y")
        session.users.calculate_usage()
        with pytest.raises(SYS_RESC_QUOTA_EXCEEDED):
            session.data_objects.open("/tempZone/home/rods/refused", "w")


def test_replication_resource_keeps_copies(zone, tmp_path: Path):
    with open_session(zone) as session:
        session.resources.create("both", "replication")
        for name in ("first", "second"):
            session.resources.create(name, "unixfilesystem", "localhost", str(tmp_path / name))
            session.resources.add_child("both", name)
        with session.data_objects.open("/tempZone/home/rods/twice", "w", **{"destRescName": "both"}) as file:
            file.write(b"twice")
        found = session.query(
            DataObject.replica_number, DataObject.resc_hier, DataObject.replica_status
        ).filter(DataObject.name == "twice")
        assert sorted(tuple(row.values()) for row in found) == [
            (0, "both;first", "1"),
            (1, "both;second", "1"),
        ]
        assert [(tmp_path / name / "home/rods/twice").read_bytes() for name in ("first", "second")] == [
            b"twice"
        ] * 2


def test_users_see_only_what_they_may_read(zone):
    with open_session(zone) as session:
        session.users.create("alice", "rodsuser")
        session.users.modify("alice", "password", "secret of alice")
        session.collections.create("/tempZone/home/rods/hidden")
    with open_session(zone, user="alice", password="secret of alice") as session:
        names = {row[Collection.name] for row in session.query(Collection.name)}
        # Her own, and those of the group public.
        own = {
            f"/tempZone/{place}/{name}" for place in ("home", "trash/home") for name in ("alice", "public")
        }
        assert names == own
        rows = session.genquery2("select COLL_NAME")
        assert {row[0] for row in rows} == names
        with pytest.raises(CAT_NO_ACCESS_PERMISSION):
            session.data_objects.open("/tempZone/home/rods/no", "w")


def test_two_conditions_on_an_attribute_select_objects_with_both(zone):
    from irods.meta import iRODSMeta

    with open_session(zone) as session:
        for name, values in (("one", "a"), ("two", "ab")):
            path = session.collections.create(f"/tempZone/home/rods/{name}").path
            for value in values:
                session.metadata.add(Collection, path, iRODSMeta(f"has {value}", "yes"))
        query = session.query(Collection.name).filter(
            CollectionMeta.name == "has a", CollectionMeta.name == "has b"
        )
        assert [row[Collection.name] for row in query] == ["/tempZone/home/rods/two"]


def test_call_log_counts_requests_without_passwords(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    log = tmp_path / "calls.jsonl"
    monkeypatch.setenv("IRODS_STANDIN_CALL_LOG", str(log))
    with standin_server(tmp_path) as server, open_session(server) as session:
        session.users.create("alice", "rodsuser")
        session.users.modify("alice", "password", "secret of alice")
    calls = [json.loads(line) for line in log.read_text().splitlines()]
    admin = [call["arguments"] for call in calls if call["api_number"] == 701]
    assert admin == [["add", "user", "alice", "rodsuser"], ["modify", "user", "alice", "password", "***"]]
    assert {call["user"] for call in calls} == {"rods"}


def test_bulk_reads_of_a_large_zone_take_one_request_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from sandbox.standins.irods.catalogue import Catalogue

    log = tmp_path / "calls.jsonl"
    monkeypatch.setenv("IRODS_STANDIN_CALL_LOG", str(log))
    with standin_server(tmp_path) as server:
        _fill(Catalogue(tmp_path / "server" / "catalogue.db"), users=8000, groups=1600)
        with open_session(server) as session:
            users = list(session.query(User.id, User.name, User.type))
            memberships = list(session.query(Group.name, User.name))
    assert (len(users), len(memberships)) == (9602, 41602 + 1)
    queries = [json.loads(line) for line in log.read_text().splitlines() if '"api_number": 702' in line]
    # The client library asks for 500 rows at a time.
    assert len(queries) == -(-9602 // 500) + -(-41603 // 500)


def _fill(catalogue, users: int, groups: int) -> None:
    with catalogue.write() as tx:
        first = tx.value("select last from r_objectid") + 1
        rows = [(first + n, f"u{n}", "rodsuser") for n in range(users)]
        rows += [(first + users + n, f"g{n}", "rodsgroup") for n in range(groups)]
        for user_id, name, kind in rows:
            tx.execute(
                "insert into r_user_main (user_id, user_name, user_type_name, zone_name, create_ts,"
                " modify_ts) values (?, ?, ?, 'tempZone', ?, ?)",
                (user_id, name, kind, tx.now, tx.now),
            )
            tx.execute("insert into r_user_group values (?, ?, ?, ?)", (user_id, user_id, tx.now, tx.now))
        for n in range(users):
            for k in range(4):
                group = first + users + (n + k * 397) % groups
                tx.execute("insert into r_user_group values (?, ?, ?, ?)", (group, first + n, tx.now, tx.now))
        tx.execute("update r_objectid set last = ?", (first + users + groups,))
    catalogue.close()


def test_packages_say_what_they_are_and_are_reproducible(tmp_path: Path):
    first, second = package.build(tmp_path / "a"), package.build(tmp_path / "b")
    server = ("irods-runtime", "irods-server", "irods-database-plugin-postgres", "irods-icommands")
    # The plugin for Python has a version of its own, and names the server's that it was built for.
    assert [path.name for path in first] == [
        name
        for version in ("5.0.1", "5.0.2")
        for name in (
            *(f"{package}_{version}-0~bookworm_all.deb" for package in server),
            f"irods-rule-engine-plugin-python_5.0.1-0+{version}~bookworm_all.deb",
        )
    ]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    for path in first:
        fields = subprocess.run(
            ["dpkg-deb", "--info", path], check=True, capture_output=True, text=True
        ).stdout
        assert f" Version: {path.name.split('_')[1]}\n" in fields
        assert " Description: STAND-IN, not iRODS" in fields
    listing = subprocess.run(["dpkg-deb", "-c", first[1]], check=True, capture_output=True, text=True).stdout
    for installed in (
        "./usr/sbin/irodsServer",
        "./usr/sbin/irodsPamAuthCheck",
        "./var/lib/irods/scripts/setup_irods.py",
        "./var/lib/irods/packaging/irods.service.template",
        "./var/lib/irods/packaging/irods.service.pre-253.template",
        "./var/lib/irods/packaging/core.re.template",
        "./var/lib/irods/configuration_schemas/v5/server_config.json",
        "./usr/share/doc/irods-server/README",
    ):
        assert f" {installed}\n" in listing


def test_storage_resources_are_listed_for_the_host_that_has_them(zone):
    with open_session(zone) as session:
        names = {row[Resource.name] for row in session.query(Resource.name)}
    assert names == {"bundleResc", "demoResc"}
