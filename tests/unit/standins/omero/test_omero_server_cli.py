"""omero-py's own command line at the OMERO stand-in."""

import re

import omero
import pytest
from omero.cli import CLI
from omero.rtypes import unwrap
from omero_clients import ROOT_PASSWORD, add_group, add_person


@pytest.fixture
def command(server, tmp_path, monkeypatch, capsys):
    """Runs a command as root, or in the session of the login before; returns exit code and output."""
    monkeypatch.setenv("OMERO_USERDIR", str(tmp_path))

    def run(*arguments: str, password: str | None = ROOT_PASSWORD) -> tuple[int, str]:
        cli = CLI()
        cli.loadplugins()
        login = () if password is None else ("-s", f"localhost:{server.port}", "-u", "root", "-w", password)
        try:
            cli.invoke(["-q", *arguments, *login], strict=False)
            return cli.rv, "".join(capsys.readouterr())
        finally:
            cli.close()

    return run


def test_groups_and_people_are_added_and_listed(command):
    code, said = command("group", "add", "team", "--type", "read-only")
    assert code == 0, said
    assert "Added group team" in said
    assert re.search(r"\| *team *\| rwr--- \|", command("group", "list", "--long")[1])
    added = ("user", "add", "ada", "Ada", "Example", "-P", "secret", "--group-name", "team")
    assert "Added user ada" in command(*added)[1]
    code, said = command(*added)
    assert code != 0
    assert "User exists: ada" in said
    assert re.search(r"ada *\| Ada *\| Example *\| *\| Yes *\| False", command("user", "list")[1])


def test_people_join_and_leave_groups(command, server):
    with server.client() as root:
        add_person(root, "bob", add_group(root, "first"))
        add_group(root, "second")
    assert command("user", "joingroup", "--name", "bob", "--group-name", "second", "--as-owner")[0] == 0
    assert re.search(r"second *\| rwr--- \| False *\| 1 *\| 0 ", command("group", "list")[1])
    assert command("user", "leavegroup", "--name", "bob", "--group-name", "first")[0] == 0
    assert re.search(r"first *\| rwr--- \| False *\| 0 *\| 0 ", command("group", "list")[1])


def test_a_wrong_password_is_refused(command):
    code, said = command("login", password="wrong")
    assert code != 0
    assert "Password check failed" in said


def test_a_login_is_remembered_and_its_session_ended(command, server):
    code, said = command("login")
    assert code == 0, said
    code, said = command("sessions", "who", password=None)
    assert code == 0, said
    assert re.search(r"root *\| system *\| .*\(\*\) *\| OMERO.sessions", said)
    with server.client() as root:
        service = root.sf.getSessionService()
        # The newest comes first; each command before left one of its own.
        before = service.getMyOpenAgentSessions("OMERO.sessions")[0]
        assert command("logout", password=None)[0] == 0
        with pytest.raises(omero.RemovedSessionException):
            service.getSession(unwrap(before.uuid))
