"""Who gets a connection: TLS, passwords, users."""

import gc
import ssl
from pathlib import Path

import pytest
from irods.exception import CAT_INVALID_AUTHENTICATION, CAT_INVALID_USER, NetworkException
from open_connections import connections_to
from throwaway_pki import create_authority
from zone_under_test import open_session

from controlplane.systems.irods.client import Client, Endpoint, LoginError


def test_administrator_logs_in(irods_session):
    with irods_session() as session:
        assert session.users.get(session.username).type == "rodsadmin"


def test_wrong_password_is_refused(irods_session):
    with irods_session(password="wrong") as session, pytest.raises(CAT_INVALID_AUTHENTICATION):
        session.users.get("rods")


def test_unknown_user_is_refused(irods_session):
    with irods_session(user="nobody9") as session, pytest.raises(CAT_INVALID_USER):
        session.users.get("rods")


def test_plaintext_is_refused_where_tls_is_required(irods_server, irods_session):
    if irods_server.ca_file is None:
        pytest.skip("the server under test does not use TLS")
    with irods_session(client_server_policy="CS_NEG_REFUSE") as session, pytest.raises(NetworkException):
        session.users.get(irods_server.user)


def test_client_without_negotiation_is_refused_where_tls_is_required(irods_server, irods_session):
    if irods_server.ca_file is None:
        pytest.skip("the server under test does not use TLS")
    with irods_session(client_server_negotiation="off") as session, pytest.raises(NetworkException):
        session.users.get(irods_server.user)


def test_certificate_of_another_authority_is_refused(irods_server, irods_session, tmp_path: Path):
    if irods_server.ca_file is None:
        pytest.skip("the server under test does not use TLS")
    stranger = create_authority(tmp_path, "stranger")
    with (
        irods_session(ssl_ca_certificate_file=str(stranger.ca_file)) as session,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        session.users.get(irods_server.user)


def test_connection_is_encrypted(irods_server):
    if irods_server.ca_file is None:
        pytest.skip("the server under test does not use TLS")
    with open_session(irods_server) as session, session.pool.get_connection() as connection:
        assert connection.socket.cipher() is not None


def test_a_refused_login_leaves_no_connection(irods_server):
    if irods_server.ca_file is None:
        pytest.skip("the control plane enters a zone only over TLS, which the server under test does not use")
    place = irods_server.host, irods_server.port, irods_server.zone, irods_server.user
    before = connections_to(irods_server.port)
    gc.disable()
    try:
        with Client(Endpoint(*place, "wrong", irods_server.ca_file), 1) as client:
            for _ in range(3):
                with pytest.raises(LoginError):
                    client.call(lambda session: session.users.get(irods_server.user))
                assert connections_to(irods_server.port) <= before
    finally:
        gc.enable()
