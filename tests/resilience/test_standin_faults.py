"""The faults of the stand-in meet the calls that they name, and no others."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from irods.exception import CAT_INVALID_USER, CAT_SQL_ERR, NetworkException
from irods.models import User
from irods.session import iRODSSession
from local_zone import PASSWORD, make_pki, serving

from controlplane.systems.irods.client import Endpoint, open_session
from sandbox.standins.irods.faults import Fault, Faults
from sandbox.standins.irods.handshake import NEGOTIATE, USE_TLS, Startup, negotiation
from sandbox.standins.irods.wire import Channel, Message

AWAY = -806000

Sessions = Callable[[], AbstractContextManager[iRODSSession]]


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def sessions(tmp_path: Path, faults: Faults) -> Iterator[Sessions]:
    pki = make_pki(tmp_path / "pki")
    with serving(tmp_path / "server", pki, faults=faults) as server:
        yield lambda: open_session(
            Endpoint("127.0.0.1", server.port, "bicZone", "rods", PASSWORD, pki.ca_file)
        )


def users(session: iRODSSession) -> set[str]:
    return {row[User.name] for row in session.query(User.name).filter(User.type == "rodsuser")}


def test_a_name_is_met_whole_and_in_changes_only(sessions: Sessions, faults: Faults) -> None:
    faults.arm([Fault(code=AWAY, names="ada")])
    with sessions() as session:
        for name in ("ada2", "ada.b", "lada"):
            session.users.create(name, "rodsuser")
        with pytest.raises(CAT_SQL_ERR):
            session.users.create("ada", "rodsuser")
        assert users(session) == {"ada2", "ada.b", "lada"}


def test_a_number_is_met_once_and_counted_from_arming(sessions: Sessions, faults: Faults) -> None:
    with sessions() as session:
        assert users(session) == set()
        faults.arm([Fault(code=AWAY, number=2)])
        assert users(session) == set()
        with pytest.raises(CAT_SQL_ERR):
            users(session)
        assert users(session) == set()
        assert faults.calls == 3


@pytest.mark.parametrize(("cut", "done"), [("before", False), ("after", True), ("amid", True)])
def test_a_cut_connection_leaves_the_call_undone_or_done(
    sessions: Sessions, faults: Faults, cut: str, done: bool
) -> None:
    called: list[str] = []
    faults.arm([Fault(cut=cut, apis=frozenset({701}), action=lambda: called.append(cut))])
    with sessions() as session, pytest.raises((NetworkException, OSError)):
        session.users.create("ada", "rodsuser")
    assert called == [cut]
    faults.arm()
    with sessions() as session:
        assert users(session) == ({"ada"} if done else set())


def test_no_fault_is_left_after_arming_without_any(sessions: Sessions, faults: Faults) -> None:
    faults.arm([Fault(code=AWAY)])
    faults.arm()
    with sessions() as session, pytest.raises(CAT_INVALID_USER):
        session.users.modify("nobody", "type", "rodsadmin")


def test_a_connection_that_is_in_its_tls_handshake_ends_with_the_server(tmp_path: Path) -> None:
    pki = make_pki(tmp_path / "pki")
    with serving(tmp_path / "server", pki) as server:
        channel = Channel(socket.create_connection(("127.0.0.1", server.port), timeout=10))
        startup = Startup("rods", "bicZone", "rods", "bicZone", NEGOTIATE)
        channel.write(Message("RODS_CONNECT", startup.pack()))
        channel.read()
        channel.write(negotiation(1, f"cs_neg_result_kw={USE_TLS};"))
        channel.read()
        # Time for the server to get to where it waits for the handshake.
        time.sleep(0.2)
        server.stop()
        with pytest.raises((ssl.SSLError, ConnectionError)):
            channel.start_tls(ssl.create_default_context(cafile=pki.ca_file), server_hostname="127.0.0.1")
        channel.close()
