"""Runs that are killed, connections that break, answers that are lost, servers that refuse or are away."""

import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from buffer_site import READER, Site, members

from controlplane.reconcile.port import ChangeError, ObservationError, SystemDownError
from controlplane.systems import attempts
from controlplane.systems.buffer import apply, system
from controlplane.systems.buffer.client import BufferServerError, Client, RefusedError

UNIX_GROUPS = "var/lib/extrausers/group"
LOST = "no connection over SSH: client_loop: send disconnect: Broken pipe"
READS_OF_A_PLAN = 3
"""Requests until a plan that creates something is there: the names, the contents, the refusals."""
REQUESTS_OF_AN_APPLY = 8
"""One that reads, four people, three groups."""


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for nothing between two attempts."""
    monkeypatch.setattr(attempts, "LONGEST_WAIT", 0.05)


@pytest.mark.parametrize("fault", ["before", "after"])
@pytest.mark.parametrize("request_", range(1, REQUESTS_OF_AN_APPLY + 1))
def test_an_apply_killed_at_any_request_is_finished_by_the_next(
    site: Site, monkeypatch: pytest.MonkeyPatch, fault: str, request_: int
) -> None:
    plan = site.plan()
    site.fault(fault, request_)
    with monkeypatch.context() as patch:
        patch.setattr(apply, "PATIENCE", 0.0)
        patch.setattr(system, "PATIENCE", 0.0)
        report = site.apply(plan)
    assert not report.ok
    assert LOST in (report.error or report.failed[0][1])
    # Nothing was attempted after it.
    assert len(site.requests) == READS_OF_A_PLAN + request_
    assert site.plan().conflicts == ()
    site.settle()


@pytest.mark.parametrize("fault", ["before", "after"])
@pytest.mark.parametrize("request_", [1, 2, 6])
def test_a_connection_that_breaks_is_no_failure(site: Site, fault: str, request_: int) -> None:
    plan = site.plan()
    site.fault(fault, request_)
    report = site.apply(plan)
    assert report.ok, (report.failed, report.error)
    assert len(site.requests) == READS_OF_A_PLAN + REQUESTS_OF_AN_APPLY + 1
    assert len(site.started) == 3
    plan = site.plan()
    assert (plan.changes, plan.conflicts) == ((), ())


def test_a_server_that_restarts_while_it_is_read_is_waited_for(site: Site) -> None:
    site.fails("kex_exchange_identification: Connection closed by remote host\n", once=True)
    site.fault("before", 2)
    assert site.plan().changes
    assert len(site.started) == 3


def test_a_server_that_is_gone_stops_the_run_and_the_next_does_the_rest(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "PATIENCE", 0.3)
    plan = site.plan()
    made = site.system()
    made.begin(plan.changes)
    try:
        assert made.apply(plan.changes[0]) == ""
        site.fails("ssh: connect to host 10.77.0.21 port 22: No route to host\n")
        site.fault("before")
        with pytest.raises(SystemDownError, match="No route to host"):
            made.apply(plan.changes[1])
        starts = len(site.started)
        # The others are told at once.
        with pytest.raises(SystemDownError, match="No route to host"):
            made.apply(plan.changes[2])
        assert len(site.started) == starts
    finally:
        made.close()
    (site.folder / "says").unlink()
    assert len(site.plan().changes) == len(plan.changes) - 1
    site.settle()


def test_a_key_that_is_refused_stops_the_run_without_patience(site: Site) -> None:
    plan = site.plan()
    site.fails("bic@10.77.0.21: Permission denied (publickey).\n")
    began = time.monotonic()
    report = site.apply(plan)
    assert report.error.startswith("nothing was changed: nantes-buffer (10.77.0.21): it refuses")
    assert time.monotonic() - began < apply.PATIENCE / 4
    assert report.done == []


def test_what_the_program_refuses_fails_alone(site: Site) -> None:
    plan = site.plan()
    refusal = json.dumps({"ok": False, "error": "the disk is full"}) + "\n"
    # The first request of an apply reads, the second makes the first account.
    site.fault(refusal, 2)
    report = site.apply(plan)
    ((change, reason),) = report.failed
    assert reason == "nantes-buffer (10.77.0.21): the disk is full"
    assert change.key == plan.changes[0].key
    # Groups that need the account wait for it, all else is done on the same connection.
    assert len(report.done) + len(report.skipped) == len(plan.changes) - 1
    assert len(report.done) >= 3
    assert len(site.started) == 2
    site.settle()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("Welcome to nantes-buffer!\n", "it answers 'Welcome to nantes-buffer!'"),
        ('[]\n{"ok": true}\n', "which its program buffer-accounts would not"),
        ('{"ok": true, "version": 2}\n', "has version 2 and not 1; run site.yml for this host"),
        ('{"ok": true, "version": 1, "users": {}, "groups": {}}\n', "cannot be understood: taken: Field"),
        (
            '{"ok": true, "version": 1, "users": {"a": {"open": "yes"}}}\n',
            "cannot be understood: users.a.open",
        ),
        ('{"ok": false}\n', "it refuses and gives no reason"),
        ("\n", "it answers ''"),
    ],
)
def test_an_answer_that_is_none_gives_no_plan(site: Site, answer: str, reason: str) -> None:
    site.fault(answer)
    outcome = site.outcome()
    assert outcome.plan is None
    assert outcome.error.startswith("nantes-buffer (10.77.0.21): ")
    assert reason in outcome.error
    assert "\n" not in outcome.error


def test_a_server_that_does_not_answer_is_given_up(site: Site) -> None:
    site.fault("hang")
    with Client(replace(site.endpoint, timeout=0.5)) as asking, pytest.raises(BufferServerError) as raised:
        asking.read()
    assert str(raised.value) == "nantes-buffer (10.77.0.21): no answer within 0.5 s"
    assert raised.value.transient


def test_a_program_that_is_missing_is_named_and_not_tried_again(site: Site) -> None:
    site.fails("sudo: /usr/local/sbin/buffer-accounts: command not found\n", code=1)
    outcome = site.outcome()
    assert outcome.error == (
        "nantes-buffer (10.77.0.21): its program buffer-accounts ended: sudo: "
        "/usr/local/sbin/buffer-accounts: command not found; run site.yml for this host"
    )
    assert len(site.started) == 1


@pytest.mark.parametrize("file", ["secrets/buffer key", "pki/ssh_known_hosts"])
def test_a_file_that_is_missing_is_named(site: Site, file: str) -> None:
    path = site.folder / "the state" / file
    path.unlink()
    assert f"{path} cannot be read; run site.yml" in site.outcome().error
    assert site.started == []


def test_a_control_host_without_ssh_says_so(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(site.folder))
    assert "the program ssh cannot be started" in site.outcome().error


def test_members_that_are_not_known_give_no_plan(site: Site) -> None:
    made = site.system()

    def fail() -> None:
        raise ObservationError("login.other.example: no answer within 30 s")

    made.roster.read_from(fail)  # type: ignore[arg-type]
    with pytest.raises(ObservationError, match="members of its teams could not be read"):
        made.desired()
    made.close()


def test_what_somebody_else_made_since_the_plan_is_not_taken_over(site: Site) -> None:
    plan = site.plan()
    (site.root / "var/lib/extrausers/passwd").write_text(
        "ppi:*:20000:19999:bic_managed=other/brest:/:/usr/sbin/nologin\n", "utf-8"
    )
    made = site.system()
    made.begin(plan.changes)
    try:
        (mine,) = (change for change in plan.changes if change.key.name == "ppi")
        with pytest.raises(ChangeError, match="somebody made it"):
            made.apply(mine)
    finally:
        made.close()


def test_what_is_gone_since_the_plan_is_planned_again(site: Site) -> None:
    site.settle()
    site.edit(READER, "")
    plan = site.plan()
    for name in ("passwd", "group"):
        (site.root / "var/lib/extrausers" / name).write_text("", "utf-8")
    for folder in (site.root / "srv/buffer").iterdir():
        folder.rmdir()
    report = site.apply(plan)
    assert {text for _, text in report.failed} == {"it is gone since it was planned; plan again"}
    site.settle()


def test_a_change_of_members_leaves_the_writers_of_another_run(site: Site) -> None:
    site.settle()
    site.edit(READER, "")
    plan = site.plan()
    # Meanwhile a sync has made the writer a collaborator.
    text = (site.root / UNIX_GROUPS).read_text("utf-8")
    (before,) = (line for line in text.splitlines() if line.startswith("nantes-cells.write:"))
    after = before.replace("ppi,wwriter", "ppi")
    assert after != before
    (site.root / UNIX_GROUPS).write_text(text.replace(before, after), "utf-8")
    assert site.apply(plan).ok
    assert members(site.lines(UNIX_GROUPS), "nantes-cells") == {"ppi", "wwriter"}
    assert members(site.lines(UNIX_GROUPS), "nantes-cells.write") == {"ppi"}


def test_two_connections_at_once_wait_for_each_other(site: Site) -> None:
    site.settle()
    errors: list[str] = []

    def write(role: str) -> None:
        asked = ["ppi", "wwriter"] if role == "contributor" else ["ppi"]
        request = {
            "do": "set_group",
            "name": "nantes-cells",
            "members": ["ppi", "wwriter", "creader"],
            "writers": asked,
            "mark": "bic/nantes",
        }
        try:
            with Client(site.endpoint) as asking:
                for _ in range(10):
                    asking.ask(request)
        except BufferServerError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=write, args=(role,)) for role in ("contributor", "collaborator")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    site.settle()


def test_a_large_facility_is_one_request_and_one_answer(site: Site, tmp_path: Path) -> None:
    """More than a pipe holds, both ways."""
    names = [f"person{number:05}" for number in range(6000)]
    lines = [
        f"{name}:*:{20000 + number}:19999:bic_managed=bic/nantes:/:/usr/sbin/nologin"
        for number, name in enumerate(names)
    ]
    (site.root / "var/lib/extrausers/passwd").write_text("\n".join(lines) + "\n", "utf-8")
    group = {"do": "set_group", "name": "nantes", "members": names, "writers": [], "mark": "bic/nantes"}
    with Client(site.endpoint) as asking:
        assert asking.ask(group)["ended"] == 0
        assert asking.read().groups["nantes"].members == names
        with pytest.raises(RefusedError, match="no accounts of ours"):
            asking.ask(group | {"members": ["nobody-here"]})
        # A refusal leaves the connection as it was.
        assert len(asking.read().users) == 6000
    assert len(site.started) == 1
