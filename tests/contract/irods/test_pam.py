"""Logins by the scheme `pam_password`, and the settings in the catalogue that they follow.

The stand-in asks the PAM of this machine, with a service of the test's own. A real server is asked with the
account that `BIC_CONTRACT_IRODS_PAM` names as `USER:PASSWORD`, percent-encoded: one that its PAM knows and
the zone does not.
"""

import os
import sys
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from irods.auth import CLIENT_GET_REQUEST_RESULT
from irods.auth.pam_password import AUTH_TTL_KEY, ENSURE_SSL_IS_ACTIVE
from irods.exception import (
    CAT_INVALID_AUTHENTICATION,
    CAT_INVALID_USER,
    CAT_NO_ROWS_FOUND,
    CAT_PASSWORD_EXPIRED,
    PAM_AUTH_PASSWORD_FAILED,
    SYS_NO_API_PRIV,
    SYS_NOT_ALLOWED,
    iRODSException,
)
from irods.message import Message, StringProperty, iRODSMessage
from irods.session import iRODSSession
from zone_under_test import VARIABLE, IrodsServer, named_server, open_session, standin_server

from sandbox.standins.irods import pam_check
from sandbox.standins.irods.launcher import Options, running

PAM_VARIABLE = "BIC_CONTRACT_IRODS_PAM"
PASSWORD = "right one; with = and ü"


@dataclass(frozen=True)
class Account:
    """Somebody whom PAM knows."""

    name: str
    password: str


class GridConfiguration(Message):
    """A value of the grid configuration."""

    _name = "GridConfigurationInp_PI"
    name_space = StringProperty()
    option_name = StringProperty()
    option_value = StringProperty()


class GridValue(Message):
    """The answer with one."""

    _name = "GridConfigurationOut_PI"
    option_value = StringProperty()


def ask(session: iRODSSession, number: int, *words: str) -> Any:
    """Send a request about the grid configuration; return the answer."""
    name_space, option, value = (*words, "")[:3]
    request = GridConfiguration(name_space=name_space, option_name=option, option_value=value)
    with session.pool.get_connection() as connection:
        connection.send(iRODSMessage("RODS_API_REQ", msg=request, int_info=number))
        return connection.recv()


def setting(session: iRODSSession, name_space: str, option: str) -> str:
    """Return a value of the grid configuration."""
    return str(ask(session, 20009, name_space, option).get_main_message(GridValue).option_value or "")


def pam_service(directory: Path) -> tuple[str, ...]:
    """A service of PAM that knows one account; returns the program that asks it."""
    judge = directory / "judge"
    judge.write_text(
        '#!/bin/sh\nread -r word || true\n[ "$PAM_USER" = pamela ] && [ "$word" = "' + PASSWORD + '" ]\n'
    )
    judge.chmod(0o755)
    (directory / "irods").write_text(f"auth required pam_exec.so quiet expose_authtok {judge}\n")
    return (sys.executable, pam_check.__file__, "--directory", str(directory))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IrodsServer]:
    """A server that asks PAM."""
    if value := os.environ.get(VARIABLE):
        if PAM_VARIABLE not in os.environ:
            pytest.skip(f"{PAM_VARIABLE} names no account that the PAM of the server under test knows")
        yield named_server(value)
        return
    directory = tmp_path_factory.mktemp("pam")
    with standin_server(directory / "zone", pam_check=pam_service(directory)) as started:
        yield started


@pytest.fixture(scope="module")
def stranger() -> Account:
    """Somebody whom PAM knows, and the zone does not."""
    name, _, password = os.environ.get(PAM_VARIABLE, "pamela:" + urllib.parse.quote(PASSWORD)).partition(":")
    return Account(urllib.parse.unquote(name), urllib.parse.unquote(password))


@pytest.fixture
def administrator(server: IrodsServer) -> Iterator[iRODSSession]:
    """The administrator's session; the settings are put back afterwards."""
    names = ("password_min_time", "password_max_time", "password_extend_lifetime")
    with open_session(server) as session:
        before = {name: setting(session, "authentication", name) for name in names}
        yield session
        for name, value in before.items():
            ask(session, 20010, "authentication", name, value)


@pytest.fixture
def account(administrator: iRODSSession, stranger: Account) -> Iterator[Account]:
    """Somebody whom both know, without a native password."""
    administrator.users.create(stranger.name, "rodsuser")
    yield stranger
    administrator.users.get(stranger.name).remove()


def log_in(server: IrodsServer, account: Account, password: str, **options: Any) -> str:
    """Log in through PAM and ask something; return the password that the server gave for further logins."""
    given: list[str] = []
    scheme = "pam_password"
    with open_session(
        server, user=account.name, password=password, irods_authentication_scheme=scheme
    ) as session:
        for key, value in ({CLIENT_GET_REQUEST_RESULT: given} | options).items():
            session.set_auth_option_for_scheme(scheme, key, value)
        assert session.users.get(account.name).name == account.name
    return given[0]


def log_in_natively(server: IrodsServer, account: Account, password: str) -> None:
    """Log in by the native scheme and ask something."""
    with open_session(server, user=account.name, password=password) as session:
        assert session.users.get(account.name).name == account.name


def test_right_password_logs_in(server: IrodsServer, account: Account) -> None:
    given = log_in(server, account, account.password)
    assert given not in ("", account.password)
    assert log_in(server, account, account.password) == given
    log_in_natively(server, account, given)


@pytest.mark.parametrize("password", ["wrong", "", "right one"])
def test_wrong_password_is_refused(server: IrodsServer, account: Account, password: str) -> None:
    with pytest.raises(PAM_AUTH_PASSWORD_FAILED):
        log_in(server, account, password)


def test_who_is_not_in_the_zone_is_refused(server: IrodsServer, stranger: Account) -> None:
    with pytest.raises(CAT_INVALID_USER):
        log_in(server, stranger, stranger.password)


def test_password_of_pam_is_none_of_the_zone(server: IrodsServer, account: Account) -> None:
    log_in(server, account, account.password)
    with pytest.raises(CAT_INVALID_AUTHENTICATION):
        log_in_natively(server, account, account.password)


def test_password_lives_as_long_as_the_zone_says(
    server: IrodsServer, administrator: iRODSSession, account: Account
) -> None:
    ask(administrator, 20010, "authentication", "password_min_time", "3600")
    given = log_in(server, account, account.password)
    log_in_natively(server, account, given)
    ask(administrator, 20010, "authentication", "password_min_time", "1")
    # A further login lets it live anew, and now for a second.
    log_in(server, account, account.password)
    time.sleep(3)
    with pytest.raises(CAT_PASSWORD_EXPIRED):
        log_in_natively(server, account, given)
    assert log_in(server, account, account.password) != given


@pytest.mark.parametrize(("hours", "refusal"), [("2", None), ("3", -994000), ("soon", -130000)])
def test_longer_life_is_given_up_to_a_limit(
    server: IrodsServer, administrator: iRODSSession, account: Account, hours: str, refusal: int | None
) -> None:
    ask(administrator, 20010, "authentication", "password_max_time", "7200")
    if refusal is None:
        assert log_in(server, account, account.password, **{AUTH_TTL_KEY: hours})
        return
    with pytest.raises(iRODSException) as refused:
        log_in(server, account, account.password, **{AUTH_TTL_KEY: hours})
    assert refused.value.code == refusal


def test_no_password_is_taken_without_tls(tmp_path: Path, stranger: Account) -> None:
    if VARIABLE in os.environ:
        pytest.skip("only a server of the test's own can be made to work without TLS")
    with running(Options(tmp_path / "zone", pam_check=pam_service(tmp_path))) as started:
        plain = IrodsServer("127.0.0.1", started.port, "tempZone", "rods", "rods", None, True)
        with pytest.raises(SYS_NOT_ALLOWED):
            log_in(plain, stranger, stranger.password, **{ENSURE_SSL_IS_ACTIVE: False})


def test_settings_that_do_not_exist_or_are_protected_are_refused(administrator: iRODSSession) -> None:
    for number in (20009, 20010):
        with pytest.raises(CAT_NO_ROWS_FOUND):
            ask(administrator, number, "authentication", "colour", "red")
    for name_space, option in (("delay_server", "leader"), ("database", "schema_version")):
        with pytest.raises(SYS_NOT_ALLOWED):
            ask(administrator, 20010, name_space, option, "x")


def test_settings_are_for_administrators(server: IrodsServer, account: Account) -> None:
    given = log_in(server, account, account.password)
    with open_session(server, user=account.name, password=given) as session, pytest.raises(SYS_NO_API_PRIV):
        setting(session, "authentication", "password_min_time")
