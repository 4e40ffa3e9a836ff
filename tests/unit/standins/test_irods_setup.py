"""Setup of the packaged iRODS stand-in, without root and with SQLite for the zone's PostgreSQL."""

import contextlib
import json
import socket

import pytest
from irods_configuration import configuration

from sandbox.standins.irods import database, setup
from sandbox.standins.irods.catalogue import Catalogue
from sandbox.standins.irods.launcher import Options, running

SETTINGS = {
    "technology": "postgres",
    "host": "db.test",
    "port": 5432,
    "name": "ICAT",
    "odbc_driver": "PostgreSQL Unicode",
    "username": "irods",
    "password": "of the database",
}


@pytest.fixture(autouse=True)
def without_accounts(monkeypatch):
    """Stay who we are: making users and becoming one is for an installed system."""
    monkeypatch.setattr(setup, "_service_account", lambda *_: None)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def document(layout, role: str, port: int, **changes):
    plugins = configuration()["plugin_configuration"]
    if role == "provider":
        plugins["database"] = SETTINGS
    server_config = configuration(
        catalog_service_role=role,
        plugin_configuration=plugins,
        host="127.0.0.1",
        catalog_provider_hosts=["127.0.0.1"],
        zone_port=port,
    )
    return {
        "admin_password": "rods",
        "default_resource_name": f"{role}Resource",
        "default_resource_directory": str(layout.home / "Vault"),
        "host_system_information": {
            "service_account_user_name": "irods",
            "service_account_group_name": "irods",
        },
        "server_config": server_config | changes,
        "service_account_environment": {"irods_host": "127.0.0.1"},
    }


def test_provider_is_set_up_and_may_be_again(layout, postgres):
    port = free_port()
    setup.set_up(layout, document(layout, "provider", port))
    assert 'msiSetDefaultResc("providerResource","null")' in (layout.etc / "core.re").read_text()
    assert json.loads(layout.server_config.read_text())["zone_port"] == port
    assert oct(layout.server_config.stat().st_mode & 0o777) == "0o600"
    assert oct(layout.authentication_file.stat().st_mode & 0o777) == "0o600"
    layout.server_config.write_text("{}")
    setup.set_up(layout, document(layout, "provider", port))
    assert json.loads(layout.server_config.read_text())["zone_name"] == "tempZone"
    with socket.socket() as sock:
        assert sock.connect_ex(("127.0.0.1", port)) != 0


def test_new_database_gets_a_new_catalogue_and_the_old_one_is_kept(layout, postgres):
    setup.set_up(layout, document(layout, "provider", free_port()))
    catalogue = Catalogue(layout.catalogue)
    with catalogue.write() as tx:
        tx.execute("update r_user_main set r_comment = 'old' where user_name = 'rods'")
    catalogue.close()
    postgres.unlink()
    setup.set_up(layout, document(layout, "provider", free_port()))
    kept = Catalogue(layout.catalogue.with_name(f"{layout.catalogue.name}.of-another-database"))
    for found, comment in ((Catalogue(layout.catalogue), ""), (kept, "old")):
        with found.read() as tx:
            assert tx.value("select r_comment from r_user_main where user_name = 'rods'") == comment
        found.close()


def test_unreachable_database_is_one_message_after_the_account_and_configuration(layout, monkeypatch):
    def refuse(_settings, **_options):
        raise database.DatabaseError("cannot connect to the catalog database ICAT on db.test:5432 as irods")

    monkeypatch.setattr(database, "connect", refuse)
    with pytest.raises(setup.SetupError, match="cannot connect to the catalog database"):
        setup.set_up(layout, document(layout, "provider", free_port()))
    assert layout.server_config.exists()
    assert layout.environment.exists()
    assert not layout.catalogue.exists()


def test_configuration_with_a_fault_is_refused(layout, postgres):
    broken = document(layout, "provider", free_port(), zone_key="has-hyphen")
    with pytest.raises(Exception, match="zone_key"):
        setup.set_up(layout, broken)


def test_consumer_makes_its_storage_resource_once(layout, tmp_path, monkeypatch):
    monkeypatch.setattr(setup, "_running", lambda *_: contextlib.nullcontext())
    with running(Options(tmp_path / "provider")) as provider:
        wanted = document(layout, "consumer", provider.port)
        setup.set_up(layout, wanted)
        with pytest.raises(setup.SetupError, match=r"iadmin mkresc consumerResource .* -809000"):
            setup.set_up(layout, wanted)
        stranger = document(layout, "consumer", provider.port, zone_key="ANOTHER_ZONE_KEY")
        with pytest.raises(setup.SetupError, match="-147000"):
            setup.set_up(layout, stranger)


def test_vault_that_cannot_be_made_is_one_message(layout, postgres):
    impossible = document(layout, "provider", free_port()) | {"default_resource_directory": "/proc/vault"}
    with pytest.raises(setup.SetupError, match="/proc/vault"):
        setup.set_up(layout, impossible)
