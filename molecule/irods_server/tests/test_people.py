"""Logins by `pam_password` of people whom LDAP knows; the consumer hands them on to the provider."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from irods.auth.pam_password import ENSURE_SSL_IS_ACTIVE
from irods.exception import (
    CAT_INVALID_AUTHENTICATION,
    PAM_AUTH_PASSWORD_FAILED,
    NetworkException,
    iRODSException,
)
from testinfra.host import Host
from zone import ADDRESSES, REFUSE_TLS, log_in, session

SCHEME = {"irods_authentication_scheme": "pam_password"}
PROVIDER = "mol-irods-provider"


@pytest.fixture(autouse=True)
def people(secrets: dict[str, str], authority: Path) -> Iterator[None]:
    """Accounts in the zone, without passwords of their own, for those whom LDAP knows."""
    names = ("pamela", "paul")
    with session(ADDRESSES[PROVIDER], secrets["irods_admin_password"], authority) as irods:
        for name in names:
            irods.users.create(name, "rodsuser")
    yield
    with session(ADDRESSES[PROVIDER], secrets["irods_admin_password"], authority) as irods:
        for name in names:
            irods.users.get(name).remove()


def test_password_in_ldap_lets_in(address: str, secrets: dict[str, str], authority: Path) -> None:
    log_in(session(address, secrets["ldap_pamela"], authority, user="pamela", **SCHEME))


@pytest.mark.parametrize("password", ["wrong", ""])
def test_wrong_password_is_refused(address: str, authority: Path, password: str) -> None:
    with pytest.raises(PAM_AUTH_PASSWORD_FAILED):
        log_in(session(address, password, authority, user="pamela", **SCHEME))


def test_who_is_not_let_in_by_the_filter_is_refused(
    address: str, secrets: dict[str, str], authority: Path
) -> None:
    with pytest.raises(PAM_AUTH_PASSWORD_FAILED):
        log_in(session(address, secrets["ldap_paul"], authority, user="paul", **SCHEME))


def test_password_in_ldap_is_none_of_the_zone(address: str, secrets: dict[str, str], authority: Path) -> None:
    with pytest.raises(CAT_INVALID_AUTHENTICATION):
        log_in(session(address, secrets["ldap_pamela"], authority, user="pamela"))


def test_password_is_never_asked_for_in_plaintext(
    address: str, secrets: dict[str, str], authority: Path
) -> None:
    irods = session(address, secrets["ldap_pamela"], authority, REFUSE_TLS, user="pamela", **SCHEME)
    irods.set_auth_option_for_scheme("pam_password", ENSURE_SSL_IS_ACTIVE, False)
    with pytest.raises((iRODSException, NetworkException)):
        log_in(irods)


def test_people_are_no_accounts_of_the_host(host: Host) -> None:
    assert host.run("getent passwd pamela").rc == 2
    for service in ("common-auth", "login", "sshd", "su"):
        stack = host.file(f"/etc/pam.d/{service}")
        assert not stack.exists or "pam_ldap" not in stack.content_string


def test_nothing_set_uid_is_needed(host: Host) -> None:
    assert host.file("/usr/sbin/irodsPamAuthCheck").mode == 0o755


def test_only_the_provider_asks_ldap(host: Host) -> None:
    provider = host.check_output("hostname") == PROVIDER
    assert host.service("nslcd").is_running == provider
    assert ("pam_ldap" in host.file("/etc/pam.d/irods").content_string) == provider
    if provider:
        assert (host.file("/etc/nslcd.conf").user, host.file("/etc/nslcd.conf").group) == ("root", "nslcd")
        assert host.file("/etc/nslcd.conf").mode == 0o640
        exposure = host.check_output("systemd-analyze security --no-pager nslcd.service | tail -1")
        assert float(re.findall(r"\d+\.\d", exposure)[0]) < 2.0


def test_ldap_server_with_another_certificate_is_not_asked(
    host: Host, secrets: dict[str, str], authority: Path
) -> None:
    if host.check_output("hostname") != PROVIDER:
        pytest.skip("only the provider asks LDAP")
    login = session(ADDRESSES[PROVIDER], secrets["ldap_pamela"], authority, user="pamela", **SCHEME)
    host.check_output("cp -a /etc/nslcd.conf /root/nslcd.conf")
    try:
        other = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=Other"
        host.check_output(f"{other} -keyout /dev/null -out /etc/ldap/other.crt 2>/dev/null")
        host.check_output("sed -i 's,^tls_cacertfile .*,tls_cacertfile /etc/ldap/other.crt,' /etc/nslcd.conf")
        host.check_output("systemctl restart nslcd.service")
        with pytest.raises(PAM_AUTH_PASSWORD_FAILED):
            log_in(login)
    finally:
        host.check_output("mv /root/nslcd.conf /etc/nslcd.conf && rm -f /etc/ldap/other.crt")
        host.check_output("systemctl restart nslcd.service")
    log_in(login)
