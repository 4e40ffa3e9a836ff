"""Rules in Python on a server: what they get, what they give back, and what comes of their mistakes.

The stand-in alone is asked: to put such rules onto a real server is the business of a rollout.
"""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from irods.exception import CAT_INVALID_ARGUMENT, CAT_NO_ACCESS_PERMISSION, iRODSException
from irods.session import iRODSSession
from zone_under_test import open_session, standin_server

Serve = Callable[..., contextlib.AbstractContextManager[iRODSSession]]

LANGUAGE = """
pep_api_data_obj_create_pre(*INSTANCE, *COMM, *INPUT) { -816000; }
pep_api_data_obj_open_pre(*INSTANCE, *COMM, *INPUT) {
    on (*INPUT.obj_path like "*" ++ "/refused") { -816000; }
}
pep_api_data_obj_open_pre(*INSTANCE, *COMM, *INPUT) { }
siteGreet(*NAME, *TEXT) { *TEXT = "hello *NAME"; }
"""


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """A zone with a text as its core.py, before rules in the rule language."""

    @contextlib.contextmanager
    def make(text: str | None, **modules: str) -> Iterator[iRODSSession]:
        folder = tmp_path / "server"
        folder.mkdir()
        texts = modules if text is None else {"core": text, **modules}
        for name, source in texts.items():
            (folder / f"{name}.py").write_text(source)
        with (
            standin_server(tmp_path, rule_bases=(("language", LANGUAGE),), python=True) as server,
            open_session(server) as session,
        ):
            yield session

    return make


def put(session: iRODSSession, name: str) -> str:
    path = f"/{session.zone}/home/{session.username}/{name}"
    with session.data_objects.open(path, "w") as data_object:
        data_object.write(b"data")
    return path


def lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


OPEN = "def pep_api_data_obj_open_pre(rule_args, callback, rei):\n"


@pytest.mark.parametrize("answer", ["irods_errors.RULE_ENGINE_CONTINUE", "-66000"])
def test_the_rule_language_is_asked_where_a_rule_says_so(serve: Serve, answer: str) -> None:
    with serve(f"{OPEN}    return {answer}\n") as session:
        put(session, "allowed")
        with pytest.raises(CAT_INVALID_ARGUMENT):
            put(session, "refused")


@pytest.mark.parametrize("answer", ["None", "0", "'a text'"])
def test_it_is_not_asked_where_a_rule_ends_otherwise(serve: Serve, answer: str) -> None:
    with serve(f"{OPEN}    return {answer}\n") as session:
        put(session, "refused")


def test_a_negative_code_refuses(serve: Serve) -> None:
    text = f"{OPEN}    return -818000 if rule_args[2].openFlags & 64 else 5000000\n"
    with serve(text) as session, pytest.raises(CAT_NO_ACCESS_PERMISSION):
        put(session, "allowed")


def test_what_a_rule_gets_and_calls(serve: Serve, capfd: pytest.CaptureFixture[str]) -> None:
    text = (
        "import json\n"
        f"{OPEN}"
        "    user = rei.rsComm.clientUser\n"
        "    told = callback.siteGreet(str(user.userName), '')\n"
        "    given = [rule_args[0], str(rule_args[1].clientUser.rodsZone), str(rule_args[2].objPath), told]\n"
        "    callback.writeLine('serverLog', json.dumps(given))\n"
        "    return 5000000\n"
    )
    with serve(text) as session:
        path = put(session, "allowed")
        zone, user = session.zone, session.username
    written = [
        line["log_message"] for line in lines(capfd.readouterr().out) if "hello" in line["log_message"]
    ]
    told = {"code": 0, "status": True, "arguments": [user, f"hello {user}"]}
    assert json.loads(written[0].removeprefix("writeLine: inString = ")) == ["api_instance", zone, path, told]


@pytest.mark.parametrize(
    ("statement", "code", "reason"),
    [
        ("raise ValueError('by mistake')", -1, "ValueError: by mistake"),
        ("callback.msiNoSuch()", -1097000, "RuntimeError: [iRods__Error__Code:-1097000]"),
        ("callback.msiExit('-818000', 'no')", -818000, "RuntimeError: [iRods__Error__Code:-818000] no"),
    ],
)
def test_an_exception_refuses_and_is_logged(
    serve: Serve, capfd: pytest.CaptureFixture[str], statement: str, code: int, reason: str
) -> None:
    with serve(f"{OPEN}    {statement}\n") as session:
        with pytest.raises(iRODSException) as caught:
            put(session, "allowed")
        assert caught.value.code == code
    (line, *_) = [one for one in lines(capfd.readouterr().out) if "python_exception" in one]
    assert (line["log_category"], line["log_level"], line["log_message"], line["rule_engine_plugin"]) == (
        "rule_engine", "error", "caught python exception", "python",
    )  # fmt: skip
    assert reason in line["python_exception"]


@pytest.mark.parametrize(
    ("text", "modules", "reason"),
    [
        ("def f(:\n", {}, "SyntaxError"),
        (None, {}, "No module named 'core'"),
        ("import broken\n", {"broken": "import no_such_module_anywhere\n"}, "no_such_module_anywhere"),
    ],
)
def test_what_cannot_be_imported_lets_nobody_in(
    serve: Serve, capfd: pytest.CaptureFixture[str], text: str | None, modules: dict[str, str], reason: str
) -> None:
    with serve(text, **modules) as session, pytest.raises(Exception, match=r"."):
        put(session, "allowed")
    found = [one for one in lines(capfd.readouterr().out) if one["log_message"] == "caught python exception"]
    assert found
    assert reason in found[0]["python_exception"]


def test_what_is_not_carried_out_is_said(serve: Serve, capfd: pytest.CaptureFixture[str]) -> None:
    text = (
        "def pep_api_no_such_thing_pre(rule_args, callback, rei):\n    callback.msiNoSuch()\n"
        "def pep_api_touch_pre(rule_args, callback, rei):\n    callback.writeLine('serverLog', '')\n"
    )
    with serve(text):
        pass
    (line,) = [
        one["log_message"] for one in lines(capfd.readouterr().out) if "STAND-IN" in one["log_message"]
    ]
    assert line == (
        "STAND-IN: of the module core, this is not carried out: callback.msiNoSuch (unknown); "
        "pep_api_no_such_thing_pre (no such policy enforcement point here); "
        "pep_api_touch_pre (its input has no structure here)"
    )


def test_clients_run_no_python(serve: Serve) -> None:
    from irods.rule import Rule

    with serve("") as session:
        rule = Rule(
            session, body="def main(rule_args, callback, rei): pass",
            instance_name="irods_rule_engine_plugin-python-instance",
        )  # fmt: skip
        with pytest.raises(iRODSException):
            rule.execute()
