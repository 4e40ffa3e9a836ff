"""Small parts of the iRODS stand-in: passwords, configuration, database watch, catalogue."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from irods import password_obfuscation
from irods_configuration import configuration

from sandbox.standins.irods import database, handshake, install, passwords, setup, users
from sandbox.standins.irods.catalogue import Catalogue
from sandbox.standins.irods.config import ConfigError
from sandbox.standins.irods.errors import IrodsError
from sandbox.standins.irods.wire import Node, ProtocolError


@pytest.mark.parametrize(
    "new", ["abc", "geheim", "a" * 25, "a" * 26, "x" * 42, "1gCBizHWbwIYyWLo", "sp ace'&\"é<>"]
)
def test_new_passwords_are_revealed_as_clients_hide_them(new):
    mark = passwords.signature("c" * 64)
    hidden = password_obfuscation.obfuscate_new_password(new, "own password", mark)
    assert passwords.reveal_new_password(hidden, "own password", mark) == new
    assert passwords.reveal_new_password(hidden, "another password", mark) is None


def test_initial_passwords_are_revealed():
    hidden = password_obfuscation.obfuscate_new_password_with_key("first password", "own password")
    assert passwords.reveal_initial_password(hidden, "own password") == "first password"


def test_password_file_is_readable_by_clients():
    content = passwords.encode_irodsa("geheim!", 1001, 1_700_000_000)
    assert password_obfuscation.decode(content.rstrip("\0"), 1001) == "geheim!"
    assert passwords.decode_irodsa(content, 1001) == "geheim!"


@pytest.mark.parametrize(
    ("ours", "theirs", "result"),
    [
        ("CS_NEG_REQUIRE", "CS_NEG_REQUIRE", "CS_NEG_USE_SSL"),
        ("CS_NEG_REQUIRE", "CS_NEG_DONT_CARE", "CS_NEG_USE_SSL"),
        ("CS_NEG_REQUIRE", "CS_NEG_REFUSE", "CS_NEG_FAILURE"),
        ("CS_NEG_DONT_CARE", "CS_NEG_DONT_CARE", "CS_NEG_USE_SSL"),
        ("CS_NEG_REFUSE", "CS_NEG_DONT_CARE", "CS_NEG_USE_TCP"),
        ("CS_NEG_REFUSE", "CS_NEG_REFUSE", "CS_NEG_USE_TCP"),
    ],
)
def test_negotiation(ours, theirs, result):
    assert handshake.agree(ours, theirs) == handshake.agree(theirs, ours) == result


@pytest.mark.parametrize("body", [b"<a>", b"", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'])
def test_malformed_structures_are_refused(body):
    with pytest.raises(ProtocolError):
        Node.parse(body)


@pytest.mark.parametrize("byte", range(1, 0x20))
def test_control_characters_arrive_as_they_were_sent(byte: int) -> None:
    value = f"a{chr(byte)}b"
    assert Node.parse(f"<M_PI><x>{value}</x></M_PI>".encode()).get("x") == value


def test_interrupted_change_leaves_nothing(tmp_path):
    catalogue = Catalogue(tmp_path / "catalogue.db")
    catalogue.create("tempZone", "rods", "password")
    with pytest.raises(IrodsError), catalogue.write() as tx:
        assert tx.execute("delete from r_user_main") + tx.execute("not sql")
    with catalogue.read() as tx:
        assert tx.value("select count(*) from r_user_main") == 2
    assert not catalogue.create("tempZone", "rods", "password")
    with pytest.raises(ValueError, match="holds the catalogue of zone tempZone"):
        catalogue.create("otherZone", "rods", "password")
    assert oct(catalogue.path.stat().st_mode & 0o777) == "0o600"


def test_changes_of_many_threads_do_not_read_the_catalogue_again(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path / "catalogue.db")
    catalogue.create("tempZone", "rods", "password")
    with catalogue.write() as tx:
        for number in range(2000):
            users.create(tx, "tempZone", f"user{number * 7919 % 2000}", "rodsuser")

    def change(name: str) -> None:
        with catalogue.write() as tx:
            users.modify(tx, "tempZone", name, "comment", name)

    changes = 300
    with ExitStack() as stack:
        threads = [stack.enter_context(ThreadPoolExecutor(1)) for _ in range(3)]
        for thread in threads:
            thread.submit(change, "user0").result()
        before = _reads()
        for number in range(changes):
            threads[number % 3].submit(change, f"user{number}").result()
        assert _reads() - before < changes
    catalogue.close()


def _reads() -> int:
    """How often this process has read from files."""
    (line,) = (line for line in Path("/proc/self/io").read_text().splitlines() if line.startswith("syscr"))
    return int(line.split()[1])


class Cursor:
    def fetchone(self):
        return (1,)


@dataclass
class Fake:
    """A database that can be stopped."""

    up: bool = True
    connections: int = 0

    def connect(self):
        if not self.up:
            raise ConnectionError("refused")
        self.connections += 1
        return self

    def execute(self, _sql):
        if not self.up:
            raise ConnectionError("went away")
        return Cursor()


def test_operations_fail_while_the_database_is_away_and_work_again_after():
    fake, changes = Fake(), []
    watch = database.Watch(fake.connect, changes.append)
    with pytest.raises(IrodsError):
        watch.available()
    assert watch.probe()
    watch.available()
    fake.up = False
    assert not watch.probe()
    with pytest.raises(IrodsError) as error:
        watch.available()
    assert error.value.code == -806000
    assert not watch.probe()
    fake.up = True
    assert watch.probe()
    watch.available()
    assert fake.connections == 2
    assert changes == [None, "went away", None]


def test_database_is_reached_by_data_source_or_driver():
    settings = {
        "odbc_driver": "PostgreSQL Unicode",
        "host": "db",
        "port": 5432,
        "name": "ICAT",
        "username": "irods",
        "password": "secret",
    }
    assert database.connection_string(settings, {"iRODS Catalog": "PostgreSQL"}) == (
        "DSN=iRODS Catalog;UID=irods;PWD=secret"
    )
    with_tls = settings | {"sslmode": "verify-full", "sslrootcert": "/ca.crt"}
    assert database.connection_string(with_tls, {}) == (
        "DRIVER={PostgreSQL Unicode};SERVER=db;PORT=5432;DATABASE=ICAT;UID=irods;PWD=secret;"
        "SSLmode=verify-full;pqopt={sslrootcert=/ca.crt}"
    )


def test_good_configuration_is_accepted(layout):
    layout.server_config.write_text(json.dumps(configuration()))
    config = install.load_configuration(layout)
    assert (config.host, config.port, config.provider) == ("res.test", 1247, False)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"zone_port": "1247"}, "zone_port"),
        ({"host": "localhost"}, "host"),
        ({"zone_key": "has-hyphen"}, "zone_key"),
        ({"negotiation_key": "short"}, "negotiation_key"),
        ({"catalog_service_role": "provider"}, "missing: database"),
        ({"tls_server": {"certificate_chain_file": "x"}}, "dh_params_file"),
        ({"encryption": {}}, "encryption: missing"),
    ],
)
def test_faults_of_a_configuration_are_named_without_values(layout, changes, said):
    layout.server_config.write_text(json.dumps(configuration(**changes)))
    with pytest.raises(ConfigError, match=said) as error:
        install.load_configuration(layout)
    assert "TEMPORARY_ZONE_KEY" not in str(error.value)


def test_configuration_that_is_missing_or_no_json_is_one_message(layout):
    with pytest.raises(ConfigError, match="cannot be read"):
        install.load_configuration(layout)
    layout.server_config.write_text("{")
    with pytest.raises(ConfigError, match="not JSON"):
        install.load_configuration(layout)


def test_setup_needs_a_complete_input(tmp_path):
    path = tmp_path / "input.json"
    path.write_text(json.dumps({"admin_password": "x"}))
    with pytest.raises(setup.SetupError, match="missing: default_resource_name"):
        setup.read_input(path)


def test_files_with_secrets_are_replaced_at_once_and_private(tmp_path):
    path = tmp_path / "secrets" / "file"
    setup.commit(path, "one", 0o600)
    setup.commit(path, "two", 0o600)
    assert path.read_text() == "two"
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]
