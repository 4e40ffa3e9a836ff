"""The command of the OMERO stand-in: how it starts from its configuration, or says why it does not."""

import re
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import omero
import omero.clients
import pytest
from omero.config import ConfigXml
from omero.rtypes import rstring
from omero_clients import ROOT_PASSWORD, USER_GROUP, group, groups, person
from throwaway_pki import create_authority, issue

from sandbox.standins.omero import __main__ as command
from sandbox.standins.omero.passwords import digest
from sandbox.standins.omero.settings import SettingsError, read

# Stands for the driver of PostgreSQL, with the one statement that the server asks.
DRIVER = f"""
class Error(Exception):
    pass


class Connection:
    def cursor(self):
        return self

    def execute(self, sql, values):
        assert values == (0,), values

    def fetchone(self):
        return ({digest(ROOT_PASSWORD, 0)!r},)

    def close(self):
        pass


def connect(**told):
    if told["password"] != "database secret":
        raise Error("password authentication failed")
    return Connection()
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def configure(folder: Path, **changes: object) -> dict[str, object]:
    """Do what `omero config set` does; return the settings."""
    settings = {
        "omero.data.dir": folder / "data",
        "omero.db.pass": "database secret",
        "omero.glacier2.IceSSL.Password": "bundle secret",
        "omero.ports.ssl": free_port(),
        "omero.ports.tcp": free_port(),
        **{name.replace("__", "."): value for name, value in changes.items()},
    }
    (folder / "etc/grid").mkdir(parents=True, exist_ok=True)
    config = ConfigXml(str(folder / "etc/grid/config.xml"))
    for name, value in settings.items():
        config[name] = str(value)
    config.close()
    return settings


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    path = tmp_path_factory.mktemp("driver")
    (path / "psycopg2.py").write_text(DRIVER)
    return path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A certificate as OMERO wants it."""
    folder = tmp_path_factory.mktemp("pki")
    tls = issue(create_authority(folder), folder)
    pair = map(str, ("-in", tls.certificate_chain_file, "-inkey", tls.certificate_key_file))
    made = folder / "server.p12"
    there = ("-out", str(made), "-passout", "pass:bundle secret")
    subprocess.run(["openssl", "pkcs12", "-export", *pair, *there], check=True)
    return made


@pytest.fixture
def folder(tmp_path, bundle):
    (tmp_path / "data/certs").mkdir(parents=True)
    (tmp_path / "data/certs/server.p12").write_bytes(bundle.read_bytes())
    return tmp_path


def test_a_configured_server_serves_until_it_is_told_to_stop(folder, driver):
    port = int(str(configure(folder)["omero.ports.ssl"]))
    started = [sys.executable, "-W", "ignore", "-m", "sandbox.standins.omero", "--omerodir", str(folder)]
    path = f"{driver}:{Path(__file__).parents[4]}"
    log = folder / "var/log/Blitz-0.log"
    with subprocess.Popen(started, env={"PYTHONPATH": path}, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 60
        while "now accepting connections" not in (log.read_text() if log.exists() else ""):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < until
            time.sleep(0.05)
        client = omero.client(host="localhost", port=port)
        client.createSession("root", ROOT_PASSWORD)
        uuid, admin = client.getSessionId(), client.sf.getAdminService()
        key = admin.createGroup(group("team"))
        arguments = (rstring("secret word"), *groups(key), groups(USER_GROUP))
        admin.createExperimenterWithPassword(person("ada"), *arguments)
        with pytest.raises(omero.RemovedSessionException):
            client.sf.getSessionService().getSession(uuid.replace("-", "-0")[:36])
        client.closeSession()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    text = log.read_text()
    assert "OMERO.blitz stopped" in text
    assert "IAdmin.createExperimenterWithPassword by root" in text
    for secret in (
        ROOT_PASSWORD,
        "secret word",
        "database secret",
        "bundle secret",
        digest(ROOT_PASSWORD, 0),
    ):
        assert secret not in text
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", text)
    assert stat.S_IMODE((folder / "data/omero.sqlite").stat().st_mode) == 0o600


@pytest.fixture
def start(monkeypatch, driver, capsys):
    """Starts a server that is expected not to; returns what it says."""
    monkeypatch.syspath_prepend(driver)
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    def run(folder: Path) -> str:
        monkeypatch.setattr(sys, "argv", ["omero_standin", "--omerodir", str(folder)])
        assert command.main() == 1
        return capsys.readouterr().err

    return run


def test_a_port_that_is_taken_is_said(folder, start):
    with socket.create_server(("", 0)) as server:
        configure(folder, omero__ports__ssl=server.getsockname()[1])
        assert "Error: the server cannot listen" in start(folder)


def test_a_certificate_that_is_not_there_is_said(folder, start):
    (folder / "data/certs/server.p12").unlink()
    configure(folder)
    assert "Error: the server cannot listen" in start(folder)


def test_without_its_database_a_server_does_not_start(folder, start):
    configure(folder, omero__db__pass="wrong secret")
    said = start(folder)
    assert (
        "Error: the database omero on localhost:5432 as omero cannot be used: password authentication" in said
    )
    assert "secret" not in said


def test_a_folder_that_was_not_configured_is_said(tmp_path, start):
    assert "has not been configured with `omero config`" in start(tmp_path)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"omero.ports.ssl": "x"}, "omero.ports.ssl"),
        ({"omero.ldap.config": "true", "omero.ldap.urls": "http://x"}, "omero.ldap.urls"),
        ({"omero.ldap.config": "true", "omero.ldap.sync_on_login": "true"}, "omero.ldap.sync_on_login"),
        ({"omero.ldap.config": "true", "omero.ldap.user_mapping": "x=y"}, "omero.ldap.user_mapping"),
        ({"omero.ldap.config": "true", "omero.security.trustStore": "/no/such"}, "omero.security.trustStore"),
    ],
)
def test_settings_that_cannot_be_used_are_named(settings, named):
    with pytest.raises(SettingsError, match=re.escape(named)):
        read(settings)


def test_ports_have_their_prefix():
    assert read({"omero.ports.prefix": "1"}).ssl_port == 14064
