"""The way in: TLS with a verified certificate, or none at all."""

import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import omero
import pytest
from omero.rtypes import rstring
from omero_site import HOST, Site
from omero_under_test import OmeroServer, account, group, group_proxy, logged_in
from throwaway_pki import create_authority

from controlplane.health.port import FindingError
from controlplane.membership.roster import Roster
from controlplane.reconcile.port import ObservationError
from controlplane.reconcile.run import plan_all
from controlplane.systems.omero.client import Client
from controlplane.systems.omero.connection import Connection
from controlplane.systems.omero.errors import LoginError, OmeroError
from controlplane.systems.omero.probes import probes
from controlplane.systems.omero.sessions import open_sessions
from controlplane.systems.omero.system import systems

PROJECT = Path(__file__).parents[3]


def test_the_administrator_logs_in_and_leaves_no_session_behind(omero_server: OmeroServer) -> None:
    with Client(omero_server.endpoint) as client:
        assert client.call(lambda connection: connection.version).startswith("5.")
        number = next(session.number for session in client.call(open_sessions) if session.client == "bic")
    with Client(omero_server.endpoint) as client:
        assert number not in [session.number for session in client.call(open_sessions)]


def test_a_certificate_of_another_authority_is_refused(omero_server: OmeroServer, tmp_path: Path) -> None:
    other = create_authority(tmp_path)
    client = Client(replace(omero_server.endpoint, ca_file=other.ca_file))
    with client, pytest.raises(LoginError, match="certificate is not accepted") as caught:
        client.call(lambda connection: connection.version, patience=30)
    assert not caught.value.transient


def test_a_certificate_for_another_name_is_refused(omero_server: OmeroServer) -> None:
    if not omero_server.is_standin:
        pytest.skip("another name of the server under test is not known")
    # The same address in a form that the certificate does not hold.
    client = Client(replace(omero_server.endpoint, host="127.1"))
    with client, pytest.raises(LoginError, match=r"127\.1:\d+: its certificate is not accepted"):
        client.call(lambda connection: connection.version)


def test_the_environment_does_not_say_how_to_connect(
    omero_server: OmeroServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = "Ice.Default.Router=OMERO.Glacier2/router:ssl -p 1 -h 127.0.0.1"
    (tmp_path / "ice.config").write_text(f"IceSSL.VerifyPeer=0\nIceSSL.CheckCertName=0\n{elsewhere}\n")
    monkeypatch.setenv("ICE_CONFIG", str(tmp_path / "ice.config"))
    with Client(omero_server.endpoint) as client:
        assert client.call(lambda connection: connection.version)
    other = create_authority(tmp_path / "other")
    client = Client(replace(omero_server.endpoint, ca_file=other.ca_file))
    with client, pytest.raises(LoginError, match="certificate is not accepted"):
        client.call(lambda connection: connection.version)


def test_a_wrong_password_is_told_and_not_tried_again(omero_server: OmeroServer) -> None:
    client = Client(replace(omero_server.endpoint, password="another one"))
    begun = time.monotonic()
    with client, pytest.raises(LoginError, match="does not let root in") as caught:
        client.call(lambda connection: connection.version, patience=30)
    assert "another one" not in str(caught.value)
    assert time.monotonic() - begun < 15


def test_a_refused_login_that_is_remembered_does_not_spoil_the_end_of_the_process(
    omero_server: OmeroServer,
) -> None:
    server = omero_server
    script = f"""
from pathlib import Path
from controlplane.systems.omero.client import Client
from controlplane.systems.omero.connection import Endpoint
remembered = []
for port in ({server.port}, 1):
    try:
        server = Endpoint({server.host!r}, port, "root", "wrong", Path({str(server.ca_file)!r}))
        with Client(server) as client:
            client.call(lambda connection: connection.version)
    except Exception as error:
        remembered.append(error)
print(len(remembered))
"""
    command = [sys.executable, "-W", "ignore", "-c", script]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROJECT)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "2\n", "")


def test_a_server_that_is_not_there_is_named(omero_server: OmeroServer) -> None:
    client = Client(replace(omero_server.endpoint, port=1))
    with client, pytest.raises(LoginError, match=f"{omero_server.host}:1: ConnectionRefused") as caught:
        client.call(lambda connection: connection.version)
    assert caught.value.transient


def test_a_server_that_says_nothing_is_given_up(omero_server: OmeroServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        endpoint = replace(omero_server.endpoint, host="127.0.0.1", port=port, timeout=0.5)
        begun = time.monotonic()
        with (
            Client(endpoint) as client,
            pytest.raises(LoginError, match=rf"127\.0\.0\.1:{port}: no answer within 0\.5 s"),
        ):
            client.call(lambda connection: connection.version)
        assert time.monotonic() - begun < 10


def test_logins_are_bounded_in_number_and_used_again(omero_server: OmeroServer) -> None:
    at_once, most, lock = 0, 0, threading.Lock()
    used: set[int] = set()

    def work(connection: Connection) -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
            used.add(id(connection))
        assert connection.version
        time.sleep(0.02)
        with lock:
            at_once -= 1

    with Client(omero_server.endpoint, connections=2) as client, ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: client.call(work), range(12)))
    assert most == len(used) == 2


def test_a_session_that_has_ended_is_replaced(omero_server: OmeroServer) -> None:
    with Client(omero_server.endpoint, connections=1) as client:
        mine = client.call(lambda connection: connection.admin.getEventContext().sessionUuid)
        with logged_in(omero_server) as root:
            named = omero.model.SessionI()
            named.uuid = rstring(mine)
            while root.sf.getSessionService().closeSession(named) > 0:
                pass
        assert client.call(lambda connection: connection.version, patience=10)
        assert client.call(lambda connection: connection.admin.getEventContext().sessionUuid) != mine


def test_a_server_that_cannot_be_read_gets_no_plan_and_gives_no_names(site: Site) -> None:
    system = site.system(Client(replace(site.server.endpoint, password="wrong")))
    (outcome,) = plan_all([system], lambda label: lambda done, total: None)
    assert outcome.plan is None
    assert "does not let root in" in outcome.error
    (site.folder / "password").write_text("wrong")
    (named,) = systems(site.platform, Roster(site.platform))
    with pytest.raises(ObservationError, match=r"OMERO server dc1-omero: .* does not let root in"):
        named.account_names()


def test_names_that_any_account_has_are_taken(site: Site) -> None:
    with logged_in(site.server) as root:
        admin = root.sf.getAdminService()
        stranger = account(site.name("stranger"))
        groups = [group_proxy(admin.lookupGroup("user").id.val)]
        other = admin.createGroup(group(site.group("private")))
        admin.createExperimenterWithPassword(stranger, rstring("x" * 40), group_proxy(other), groups)
    roster = Roster(site.platform)
    (system,) = systems(site.platform, roster)
    assert (system.id, system.title) == ("omero/dc1-omero", "OMERO server dc1-omero")
    assert {site.name("stranger"), "root"} <= roster.names_taken()


def test_health_asks_for_port_login_and_certificate(site: Site) -> None:
    (probe,) = probes(site.platform)
    assert (probe.title, probe.serves) == (f"OMERO {HOST}", frozenset({site.id}))
    assert probe.provides == f"omero_server on {HOST}"
    assert probe.needs == (f"host {HOST}", "postgresql on dc1-icat")
    checks = {check.name: check for check in probe.checks}
    assert list(checks) == ["port", "login", "certificate"]
    assert checks["port"].run() == f"port {site.server.port} answers"
    assert checks["login"].run().startswith("OMERO 5.")
    if site.server.is_standin:
        # The throw-away certificate lasts a day.
        with pytest.raises(FindingError, match="the certificate ends on"):
            checks["certificate"].run()
    (site.folder / "password").write_text("wrong")
    with pytest.raises(OmeroError, match="does not let root in"):
        checks["login"].run()
