"""A reload as an outage, rule bases that fail open, logins that a host without an address slows."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from irods.exception import CAT_NO_ACCESS_PERMISSION, NetworkException
from policy_zone import HOME, Zone, policy_zone, put
from zone_under_test import open_session, standin_server

from sandbox.standins.irods import resources
from sandbox.standins.irods.server import Server

LOCKED = "pep_api_data_obj_unlink_pre(*I, *C, *IN) { -818000; }"


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def reloading(server: Server) -> Iterator[threading.Thread]:
    """Reload in the background, as the daemon does in its main thread; wait for the end afterwards."""
    thread = threading.Thread(target=server.reload, args=(server.state.config,))
    thread.start()
    try:
        yield thread
    finally:
        thread.join(timeout=60)
        assert not thread.is_alive()


def wait_until_closed(port: int) -> None:
    end = time.monotonic() + 60
    while listens(port):
        assert time.monotonic() < end, "the port stays open"
        time.sleep(0.02)


def wait_until_nobody_is_connected(server: Server) -> None:
    end = time.monotonic() + 60
    while server.connections:
        assert time.monotonic() < end, "a connection stays"
        time.sleep(0.02)


def own_rules(tmp_path: Path) -> Path:
    return tmp_path / "server" / "own.re"


def test_rules_are_read_at_a_reload_and_not_before(tmp_path: Path) -> None:
    # Nobody is connected, so the time that clients have is waited for by nobody.
    with policy_zone(tmp_path, "", grace_seconds=3600) as zone:
        own_rules(tmp_path).write_text(LOCKED)
        with zone.session() as ada:
            put(ada, f"{HOME}/x")
            ada.data_objects.unlink(f"{HOME}/x", force=True)
            put(ada, f"{HOME}/x")
        wait_until_nobody_is_connected(zone.server)
        with reloading(zone.server):
            pass
        with zone.session() as ada, pytest.raises(CAT_NO_ACCESS_PERMISSION):
            ada.data_objects.unlink(f"{HOME}/x", force=True)


def test_the_port_is_closed_until_the_last_client_has_left(tmp_path: Path) -> None:
    with policy_zone(tmp_path, "") as zone:
        port = zone.server.port
        own_rules(tmp_path).write_text(LOCKED)
        with reloading_while_connected(zone) as (thread, ada):
            # The client is served as before, with the rules of before, while nobody else gets in.
            put(ada, f"{HOME}/x")
            ada.data_objects.unlink(f"{HOME}/x", force=True)
            assert not listens(port)
            assert thread.is_alive()
        assert zone.server.port == port
        assert listens(port)


@contextlib.contextmanager
def reloading_while_connected(zone: Zone) -> Iterator[tuple[threading.Thread, object]]:
    with zone.session() as ada:
        ada.collections.get(HOME)
        with reloading(zone.server) as thread:
            wait_until_closed(zone.where.port)
            yield thread, ada
            ada.cleanup()


def test_a_client_that_does_not_leave_is_cut_off(tmp_path: Path) -> None:
    with policy_zone(tmp_path, "", grace_seconds=0.5) as zone, zone.session() as ada:
        ada.collections.get(HOME)
        with ada.pool.get_connection() as connection:
            begun = time.monotonic()
            with reloading(zone.server):
                wait_until_closed(zone.where.port)
            assert time.monotonic() - begun >= 0.5
            connection.socket.settimeout(60)
            assert connection.socket.recv(1) == b""
            connection.release(destroy=True)
        with zone.session() as again:
            assert again.collections.exists(HOME)


def test_a_reload_can_be_interrupted_by_a_stop(tmp_path: Path) -> None:
    with policy_zone(tmp_path, "") as zone, zone.session() as ada:
        ada.collections.get(HOME)
        assert not zone.server.reload(zone.server.state.config, lambda: True)


def test_a_broken_rule_base_fails_open_and_says_so_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with policy_zone(tmp_path, LOCKED) as zone:
        with zone.session() as ada:
            put(ada, f"{HOME}/x")
        own_rules(tmp_path).write_text(LOCKED + "\nbroken { a( }\n")
        assert zone.server.reload(zone.server.state.config)
        with zone.session() as ada:
            ada.data_objects.unlink(f"{HOME}/x", force=True)
    lines = [line for line in capfd.readouterr().out.splitlines() if "error parsing rule" in line]
    assert len(lines) == 1
    assert (
        '"log_message": "parseRuleSet: error parsing rule.\\nline 1, col 13, rule base own\\n'
        "broken { a( }\\n             ^\\n\\n" in lines[0]
    )
    assert '"log_category": "rule_engine", "log_level": "error"' in lines[0]


def test_the_policy_that_is_built_in_refuses_tls(tmp_path: Path) -> None:
    with standin_server(tmp_path, rule_bases=(("own", "broken {"),)) as server:
        with open_session(server) as session, pytest.raises(NetworkException):
            session.users.get("rods")
        with open_session(replace(server, ca_file=None)) as session:
            assert session.users.get("rods").name == "rods"


def test_a_rule_about_connections_that_fails_lets_nobody_in(tmp_path: Path) -> None:
    rules = "acPreConnect(*OUT) { fail(-806000); }"
    with (
        standin_server(tmp_path, rule_bases=(("own", rules),)) as server,
        open_session(replace(server, ca_file=None)) as session,
        pytest.raises(NetworkException),
    ):
        session.users.get("rods")


def test_a_storage_host_without_address_slows_every_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve, asked = resources.resolves, []

    def counted(host: str) -> bool:
        if host == "ghost.example":
            asked.append(host)
            return False
        return resolve(host)

    monkeypatch.setattr(resources, "resolves", counted)
    with policy_zone(tmp_path, "", resolve_attempts=6) as zone:
        with zone.session("rods") as rods:
            rods.resources.create("ghostResource", "unixfilesystem", "ghost.example", "/vault")
        asked.clear()
        for attempts in (6, 12):
            begun = time.monotonic()
            with zone.session() as ada:
                ada.collections.get(HOME)
            assert time.monotonic() - begun >= 6 * resources.KnownHosts.PAUSE_SECONDS
            assert len(asked) == attempts
