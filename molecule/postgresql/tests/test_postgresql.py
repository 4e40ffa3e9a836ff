"""The PostgreSQL role: who can log in and how, what the server is told, and what its metrics say."""

from __future__ import annotations

import socket
import ssl
import struct
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from conftest import reachable
from testinfra.host import Host


@pytest.fixture
def password(state_dir: Path) -> str:
    return (state_dir / "secrets/irods").read_text().strip()


def login(host: Host, address: str, password: str, options: str) -> tuple[int, str]:
    """Log in with psql from the host itself, by its address; return the exit code and who the server sees."""
    connection = f"host={address} user=irods dbname=ICAT connect_timeout=5 {options}"
    result = host.run("PGPASSWORD=%s psql -At -c 'select current_user' %s", password, connection)
    return result.rc, str(result.stdout if result.rc == 0 else result.stderr).strip()


def first_answer(address: str, tls: ssl.SSLContext, user: str, database: str) -> bytes:
    """Ask the server from here for a session and return its answer: ``R`` wants a password, ``E`` refuses."""
    with socket.create_connection((address, 5432), 5) as plain:
        plain.sendall(struct.pack("!ii", 8, 80877103))  # SSLRequest
        assert plain.recv(1) == b"S"
        with tls.wrap_socket(plain, server_hostname=address) as encrypted:
            start = b"user\0%b\0database\0%b\0\0" % (user.encode(), database.encode())
            encrypted.sendall(struct.pack("!ii", len(start) + 8, 196608) + start)
            return encrypted.recv(4096)


def query(host: Host, sql: str, database: str = "postgres") -> str:
    return str(host.check_output("runuser -u postgres -- psql -At -c %s %s", sql, database))


def test_login_over_tls(host: Host, address: str, password: str) -> None:
    options = "sslmode=verify-full sslrootcert=/etc/bic/pki/ca.crt"
    assert login(host, address, password, options) == (0, "irods")


def test_wrong_password_is_refused(host: Host, address: str) -> None:
    rc, message = login(host, address, "wrong", "sslmode=require")
    assert rc != 0
    assert "password authentication failed" in message


def test_plaintext_is_refused(host: Host, address: str, password: str) -> None:
    rc, message = login(host, address, password, "sslmode=disable")
    assert rc != 0
    assert "no encryption" in message


def test_socket_asks_for_the_system_account(host: Host) -> None:
    result = host.run("runuser -u nobody -- psql -At -U irods -c 'select 1' ICAT")
    assert "Peer authentication failed" in result.stderr


def test_network_is_let_in_by_role_and_database_and_asked_for_scram(
    address: str, tls: ssl.SSLContext
) -> None:
    answer = first_answer(address, tls, "irods", "ICAT")
    assert answer[:1] == b"R"
    assert b"SCRAM-SHA-256" in answer
    for user, database in (("reader", "ICAT"), ("irods", "postgres"), ("postgres", "postgres")):
        answer = first_answer(address, tls, user, database)
        assert answer[:1] == b"E"
        assert b"no pg_hba.conf entry" in answer


def test_rules_for_logins_hold_no_error(host: Host) -> None:
    assert query(host, "select count(*) from pg_hba_file_rules where error is not null") == "0"


def test_passwords_are_kept_as_scram(host: Host) -> None:
    kept = query(host, "select rolname from pg_authid where rolpassword not like 'SCRAM-SHA-256$%'")
    assert kept == ""
    assert query(host, "select rolname from pg_authid where rolpassword is not null order by 1").split() == [
        "irods",
        "reader",
    ]


def test_roles_have_no_rights_that_nobody_gave_them(host: Host) -> None:
    mighty = query(
        host,
        "select rolname from pg_roles"
        " where rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls",
    )
    assert mighty == "postgres"
    groups = "select roleid::regrole from pg_auth_members where member = 'prometheus'::regrole"
    assert query(host, groups) == "pg_monitor"


def test_database(host: Host) -> None:
    row = query(
        host,
        "select pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate"
        " from pg_database where datname = 'ICAT'",
    )
    assert row == "irods|UTF8|C.UTF-8"
    assert query(host, "show data_checksums") == "on"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("shared_buffers", "128MB"),
        ("effective_cache_size", "384MB"),
        ("work_mem", "4MB"),
        ("maintenance_work_mem", "64MB"),
        ("max_connections", "50"),
        ("log_min_duration_statement", "1s"),
        ("password_encryption", "scram-sha-256"),
        ("ssl_min_protocol_version", "TLSv1.2"),
    ],
)
def test_settings_are_in_effect(host: Host, setting: str, value: str) -> None:
    assert query(host, f"show {setting}") == value


def test_metrics_over_tls(address: str, prometheus: urllib.request.OpenerDirector) -> None:
    with prometheus.open(f"https://{address}:9187/metrics", timeout=10) as answer:
        metrics = answer.read().decode()
    assert "pg_up 1" in metrics.splitlines()
    assert 'pg_database_size_bytes{datname="ICAT",' in metrics


def test_nobody_reads_metrics_without_the_password(address: str, tls: ssl.SSLContext) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"https://{address}:9187/metrics", context=tls, timeout=10)


def test_metrics_refuse_plaintext(address: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(f"http://{address}:9187/metrics", timeout=10)


def test_only_its_ports_are_open(address: str) -> None:
    assert reachable(address, 5432)
    assert not reachable(address, 5433)


def test_no_password_is_readable_or_logged(host: Host, password: str) -> None:
    assert host.run("grep -rlF -e %s /etc /var/log /root /tmp", password).stdout == ""
    assert host.run("journalctl --no-pager --output=cat | grep -cF -e %s", password).stdout.strip() == "0"


def test_unit_is_hardened_and_starts_at_boot(host: Host) -> None:
    unit = host.service("postgresql@15-main")
    assert unit.is_running
    assert unit.is_enabled
    assert unit.systemd_properties["NoNewPrivileges"] == "yes"
