"""Which errors of an OMERO server pass by themselves, and how they are told."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import Glacier2
import Ice
import omero
import omero.clients
import omero.cmd
import pytest

from controlplane.systems.omero import client as clients
from controlplane.systems.omero.client import Client
from controlplane.systems.omero.connection import Connection, Endpoint
from controlplane.systems.omero.errors import LONGEST, LoginError, OmeroError, explain, failed

SERVER = Endpoint("omero.example", 4064, "root", "secret", Path("ca.crt"))
LOST = " Wrapped Exception: (org.hibernate.exception.JDBCConnectionException):\ncould not inspect"


def test_an_endpoint_does_not_show_its_password() -> None:
    assert "secret" not in repr(SERVER)


@pytest.mark.parametrize(
    ("error", "transient", "usable"),
    [
        (omero.ValidationException("", "", "could not insert"), False, True),
        (omero.SecurityViolation("", "", "no"), False, True),
        (omero.InternalException("", "", "a bug"), False, True),
        (omero.InternalException("", "", LOST), True, True),
        (omero.OptimisticLockException("", "", "changed", 500), True, True),
        (omero.DatabaseBusyException("", "", "cannot create transaction", 5000), True, True),
        (omero.RemovedSessionException("", "", "gone"), True, False),
        (omero.ShutdownInProgress("", "", "going down"), True, False),
        (Ice.ConnectionRefusedException(), True, False),
        (Ice.ConnectionLostException(), True, False),
        (Ice.InvocationTimeoutException(), True, False),
        (Ice.ObjectNotExistException(), True, False),
        (Ice.OperationNotExistException(), False, False),
        (Ice.SecurityException("certificate verify failed"), False, False),
        (Ice.UnknownException("a bug"), False, False),
        (omero.ClientError("Obtained null object prox"), True, False),
        (Glacier2.PermissionDeniedException("Password check failed"), False, False),
        (omero.AuthenticationException("Authentication exception."), False, False),
        (omero.WrappedCreateSessionException("no database", False, -1, "x"), True, False),
        (ValueError("an answer that cannot be read"), False, False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_what_may_pass_by_itself_is_known(error: Exception, transient: bool, usable: bool) -> None:
    found = explain(SERVER, error)
    assert (found.transient, found.usable) == (transient, usable)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            omero.ValidationException("stack", "", "could not insert\n\tat ome.logic.AdminImpl"),
            "ValidationException: could not insert",
        ),
        (
            omero.InternalException("", "", LOST),
            "InternalException: Wrapped Exception: (org.hibernate.exception.JDBCConnectionException):"
            " could not inspect",
        ),
        (omero.ResourceError("", "", ""), "ResourceError"),
        (
            Glacier2.PermissionDeniedException("Password check failed"),
            "it does not let root in: Password check failed",
        ),
        (
            Ice.SecurityException("IceSSL: failure:\nit is for another name\nSubject DN: cn=x"),
            "its certificate is not accepted: IceSSL: failure: it is for another name",
        ),
        (Ice.UnknownException("a bug"), "UnknownException: a bug"),
        (Ice.ObjectNotExistException(), "the login has ended"),
        (Ice.InvocationTimeoutException(), "no answer within 30 s"),
        (Ice.ConnectionRefusedException(111), "ConnectionRefusedException: Connection refused"),
        (Ice.ConnectionLostException(), "ConnectionLostException"),
        (KeyError("answer"), "KeyError: 'answer'"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_errors_are_one_line_that_names_the_server(error: Exception, text: str) -> None:
    assert str(explain(SERVER, error)) == f"omero.example:4064: {text}"


def test_a_long_message_is_cut() -> None:
    text = str(explain(SERVER, omero.ValidationException("", "", "x" * 1000)))
    assert len(text) < LONGEST + 100
    assert text.endswith("x…")


def test_a_request_that_the_server_could_not_carry_out_is_told() -> None:
    response = omero.cmd.ERR("::omero::cmd::CurrentSessionsRequest", "internal", {"message": "no\nat x"})
    error = failed(SERVER, response)
    assert str(error) == "omero.example:4064: ::omero::cmd::CurrentSessionsRequest internal: no"
    assert (error.transient, error.usable) == (False, True)


class FakeConnection:
    """Counts what is made of it and what is left behind."""

    made: list["FakeConnection"]

    def __init__(self, server: Endpoint) -> None:
        self.made.append(self)
        self.end = ""

    def close(self) -> None:
        self.end = "closed"

    def abandon(self) -> None:
        self.end = "abandoned"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[FakeConnection]:
    """The connections that a client makes instead of real ones."""
    FakeConnection.made = []
    monkeypatch.setattr(clients, "Connection", FakeConnection)
    return FakeConnection.made


def failing(*errors: Exception) -> Callable[[Connection], str]:
    """Work that fails with these errors, one after the other, and then succeeds."""
    left = list(errors)

    def work(connection: Connection) -> str:
        if left:
            raise left.pop(0)
        return "done"

    return work


def test_a_connection_is_used_again_and_closed_at_the_end(made: list[FakeConnection]) -> None:
    with Client(SERVER) as client:
        assert [client.call(failing()), client.call(failing())] == ["done", "done"]
    assert [each.end for each in made] == ["closed"]


def test_a_refusal_is_told_at_once_and_spoils_nothing(made: list[FakeConnection]) -> None:
    with Client(SERVER) as client:
        with pytest.raises(OmeroError, match="ValidationException: no"):
            client.call(failing(omero.ValidationException("", "", "no")), patience=60)
        client.call(failing())
    assert [each.end for each in made] == ["closed"]


def test_what_passes_by_itself_is_tried_again_on_a_new_connection(made: list[FakeConnection]) -> None:
    errors = Ice.ConnectionLostException(), omero.RemovedSessionException("", "", "gone")
    with Client(SERVER) as client:
        assert client.call(failing(*errors), patience=60) == "done"
    assert [each.end for each in made] == ["abandoned", "abandoned", "closed"]


def test_a_conflict_with_somebody_else_s_change_is_tried_again_on_the_same_connection(
    made: list[FakeConnection],
) -> None:
    with Client(SERVER) as client:
        assert client.call(failing(omero.OptimisticLockException("", "", "no", 5)), patience=60) == "done"
    assert [each.end for each in made] == ["closed"]


def test_without_patience_nothing_is_tried_again(made: list[FakeConnection]) -> None:
    with Client(SERVER) as client, pytest.raises(OmeroError):
        client.call(failing(Ice.ConnectionLostException()))
    assert [each.end for each in made] == ["abandoned"]


def test_work_that_is_interrupted_leaves_no_connection_that_may_be_in_use(made: list[FakeConnection]) -> None:
    def work(connection: Connection) -> None:
        raise KeyboardInterrupt

    with Client(SERVER) as client, pytest.raises(KeyboardInterrupt):
        client.call(work)
    assert [each.end for each in made] == ["abandoned"]


@pytest.mark.parametrize(
    ("text", "reason"), [(None, "No such file or directory"), ("nothing", "it is not a PEM certificate")]
)
def test_an_authority_that_cannot_be_read_is_named(tmp_path: Path, text: str | None, reason: str) -> None:
    file = tmp_path / "ca.crt"
    if text is not None:
        file.write_text(text)
    expected = f"the certificate authority {file} cannot be read: {reason}"
    with Client(replace(SERVER, ca_file=file)) as client, pytest.raises(LoginError, match=f"^{expected}$"):
        client.call(failing())
