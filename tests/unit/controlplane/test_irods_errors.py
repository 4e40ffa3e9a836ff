"""Which errors of a server pass by themselves, and how they are told."""

import ssl
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from irods.exception import CAT_INVALID_AUTHENTICATION, CAT_SQL_ERR, NetworkException

from controlplane.systems.irods.client import Client, Endpoint, IrodsError, explain, nominal

SERVER = Endpoint("icat.example", 1247, "oneZone", "rods", "secret", Path("ca.crt"))


def stranger_s_certificate() -> ssl.SSLCertVerificationError:
    """What Python raises for a certificate of another authority."""
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


def test_an_endpoint_does_not_show_its_password() -> None:
    assert "secret" not in repr(SERVER)


@pytest.mark.parametrize(
    ("code", "expected"), [(-305111, -305000), (-806000, -806000), (-1, 0), (0, 0), (-26999, -26000)]
)
def test_codes_lose_the_system_s_error_number(code: int, expected: int) -> None:
    assert nominal(code) == expected


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (CAT_SQL_ERR("x"), True),
        (KeyError(-824000), True),
        (KeyError(-305111), True),
        (NetworkException("gone"), True),
        (TimeoutError(), True),
        (ConnectionResetError(), True),
        (EOFError(), True),
        (CAT_INVALID_AUTHENTICATION("x"), False),
        (KeyError(-1830000), False),
        (ValueError("an answer that cannot be read"), False),
        (stranger_s_certificate(), False),
    ],
)
def test_what_may_pass_by_itself_is_known(error: Exception, transient: bool) -> None:
    assert explain(SERVER, error).transient is transient


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (CAT_SQL_ERR("None"), "CAT_SQL_ERR (-806000)"),
        (CAT_SQL_ERR("the   disk\nis full"), "CAT_SQL_ERR (-806000): the disk is full"),
        (KeyError(-1830000), "iRODS error -1830000"),
        (TimeoutError(), "icat.example:1247: no answer within 30 s"),
    ],
)
def test_an_error_is_one_line(error: Exception, text: str) -> None:
    assert str(explain(SERVER, error)) == text


def test_what_is_transient_is_tried_again_and_what_is_not_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    class Session:
        def __init__(self, _server: object) -> None:
            self.pool = SimpleNamespace(get_connection=nullcontext)

        def cleanup(self) -> None:
            closed.append(self)

    closed: list[Session] = []
    client = Client(SERVER, connections=1)
    monkeypatch.setattr("controlplane.systems.irods.client.open_session", Session)
    errors: list[Exception] = [CAT_SQL_ERR("x"), NetworkException("gone")]

    def work(session: object) -> str:
        if errors:
            raise errors.pop(0)
        return "done"

    assert client.call(work, patience=20.0) == "done"
    # Each attempt had a connection of its own; the one that worked stays for the next call.
    assert len(closed) == 2
    errors = [CAT_INVALID_AUTHENTICATION("x"), CAT_SQL_ERR("x")]
    with pytest.raises(IrodsError, match="CAT_INVALID_AUTHENTICATION"):
        client.call(work, patience=20.0)
    assert len(errors) == 1
    with pytest.raises(IrodsError, match="CAT_SQL_ERR"):
        client.call(work)
    client.close()


def test_an_old_session_is_replaced_where_a_younger_one_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "controlplane.systems.irods.client.open_session",
        lambda _server: SimpleNamespace(
            pool=SimpleNamespace(get_connection=nullcontext), cleanup=lambda: None
        ),
    )
    client = Client(SERVER, connections=1)
    first = client.call(lambda session: session)
    assert client.call(lambda session: session) is first
    assert client.call(lambda session: session, since=time.monotonic()) is not first
