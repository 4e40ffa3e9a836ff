"""The control plane's adapter for buffer servers: what it plans, what it makes, what it leaves alone."""

import subprocess

import pytest
from buffer_site import FACILITY, READER, ROOTS, WRITER, Site, described, members

from controlplane.access.reach import Granted, Reach
from controlplane.health.port import Severity
from controlplane.state import Action, Key
from controlplane.systems.buffer import access, probes, system
from controlplane.systems.buffer.resources import GROUP, USER

PASSWD, UNIX_GROUPS = "var/lib/extrausers/passwd", "var/lib/extrausers/group"
PEOPLE = ("creader", "ppi", "rref", "wwriter")


def test_a_facility_is_made_and_then_nothing_is_left_to_do(site: Site) -> None:
    plan = site.plan()
    assert {change.action for change in plan.changes} == {Action.CREATE}
    assert {change.key for change in plan.changes} == {
        *(Key(USER, name) for name in PEOPLE),
        *(Key(GROUP, name) for name in ("nantes", "nantes-cells", "nantes-roots")),
    }
    site.settle()
    groups = site.lines(UNIX_GROUPS)
    assert members(groups, "nantes") == set(PEOPLE)
    assert members(groups, "nantes.write") == {"rref"}
    assert members(groups, "nantes-cells") == {"ppi", "wwriter", "creader"}
    assert members(groups, "nantes-cells.write") == {"ppi", "wwriter"}
    assert all("!bic_managed=bic/nantes" in line for line in groups)
    assert {folder.name for folder in (site.root / "srv/buffer").iterdir()} == {
        "nantes",
        "nantes-cells",
        "nantes-roots",
    }
    assert sorted(line.split(":")[0] for line in site.lines(PASSWD)) == sorted(PEOPLE)


def test_a_plan_needs_one_connection_and_a_second_apply_changes_nothing(site: Site) -> None:
    site.settle()
    before, starts = site.lines(UNIX_GROUPS), len(site.started)
    assert site.plan().changes == ()
    assert len(site.started) == starts + 1
    assert site.apply(site.plan()).ok
    # An apply without changes does not even connect.
    assert len(site.started) == starts + 2
    assert site.lines(UNIX_GROUPS) == before


def test_who_leaves_and_who_gets_another_role_lose_what_they_had(site: Site) -> None:
    site.settle()
    site.edit(WRITER, WRITER.replace("contributor", "collaborator"))
    assert described(site.plan()) == [("update", "group", "nantes-cells", ("writers",))]
    site.settle()
    groups = site.lines(UNIX_GROUPS)
    assert members(groups, "nantes-cells") == {"ppi", "wwriter", "creader"}
    assert members(groups, "nantes-cells.write") == {"ppi"}
    site.edit(READER, "")
    assert described(site.plan()) == [
        ("update", "group", "nantes", ("members",)),
        ("update", "group", "nantes-cells", ("members",)),
        ("update", "user", "creader", ("open",)),
    ]
    site.settle()
    assert members(site.lines(UNIX_GROUPS), "nantes-cells") == {"ppi", "wwriter"}
    assert not site.contents.users["creader"].open
    assert site.contents.users["wwriter"].open


def test_who_comes_back_has_the_account_of_before(site: Site) -> None:
    site.settle()
    (before,) = (line for line in site.lines(PASSWD) if line.startswith("creader:"))
    site.edit(READER, "")
    site.settle()
    site.edit(WRITER, f"{WRITER}{READER}")
    assert ("update", "user", "creader", ("open",)) in described(site.plan())
    site.settle()
    assert before in site.lines(PASSWD)


def test_a_team_that_leaves_keeps_its_folder_and_nobody_reaches_it(site: Site) -> None:
    site.settle()
    (site.root / "srv/buffer/nantes-roots/kept.tif").write_text("pixels")
    site.edit(ROOTS, "")
    plan = site.plan()
    assert described(plan) == [("update", "group", "nantes-roots", ("members", "writers"))]
    assert plan.changes[0].retires
    assert [(note.key.name, note.reason) for note in plan.kept] == [
        ("nantes-roots", "its folder may hold data")
    ]
    site.settle()
    groups = site.lines(UNIX_GROUPS)
    assert members(groups, "nantes-roots") == members(groups, "nantes-roots.write") == set()
    assert (site.root / "srv/buffer/nantes-roots/kept.tif").read_text() == "pixels"


def test_a_closed_account_gets_in_nowhere_and_its_processes_end(site: Site) -> None:
    site.settle()
    (uid,) = (line.split(":")[2] for line in site.lines(PASSWD) if line.startswith("wwriter:"))
    (gid,) = (line.split(":")[2] for line in site.lines(UNIX_GROUPS) if line.startswith("nantes-cells:"))
    transfer = subprocess.Popen(["sleep", "600"])
    try:
        status = site.root / "proc" / str(transfer.pid) / "status"
        status.parent.mkdir()
        status.write_text(
            f"State:\tS (sleeping)\nPid:\t{transfer.pid}\nUid:\t{uid}\t{uid}\nGid:\t19999\t19999\n"
            f"Groups:\t19999 {gid}\n"
        )
        assert site.plan().changes == ()
        site.inactive.add("wwriter")
        plan = site.plan()
        assert transfer.poll() is None
        report = site.apply(plan)
        assert transfer.wait(5) != 0
    finally:
        transfer.kill()
        transfer.wait()
    assert report.ok
    assert {text for _, text in report.remarks} == {"1 process of people who lost access ended"}
    assert not site.contents.users["wwriter"].open
    assert "wwriter" not in members(site.lines(UNIX_GROUPS), "nantes-cells")
    assert site.plan().changes == ()


def test_a_pi_who_is_closed_writes_nowhere(site: Site) -> None:
    site.settle()
    site.inactive.add("ppi")
    site.settle()
    groups = site.lines(UNIX_GROUPS)
    assert members(groups, "nantes-cells.write") == members(groups, "nantes-roots") == {"wwriter"}


def test_people_follow_by_themselves_and_folders_do_not(site: Site) -> None:
    # A first sync makes accounts; teams' folders wait for an apply.
    assert site.sync().ok
    assert (sorted(site.contents.users), list(site.contents.groups)) == (sorted(PEOPLE), [])
    site.settle()
    newcomer = WRITER.replace("wwriter", "newcomer").replace("w@", "n@")
    site.edit(READER, newcomer)
    # A narrowed change holds the members alone where the writers change in the same group too.
    report = site.sync()
    assert report.ok, (report.failed, report.error)
    groups = site.lines(UNIX_GROUPS)
    assert members(groups, "nantes-cells") == {"ppi", "wwriter", "newcomer"}
    assert members(groups, "nantes-cells.write") == {"ppi", "wwriter", "newcomer"}
    assert members(groups, "nantes.write") == {"rref"}


def test_what_was_changed_by_hand_is_changed_back(site: Site) -> None:
    site.settle()
    file = site.root / UNIX_GROUPS
    text = file.read_text("utf-8")
    file.write_text(text.replace("rref\n", "rref,creader\n", 1), "utf-8")
    (site.root / "srv/buffer/nantes-roots").rmdir()
    plan = site.plan()
    assert {(kind, fields) for _, kind, _, fields in described(plan)} == {
        (GROUP, ("writers",)),
        (GROUP, ("folder",)),
    }
    site.settle()
    assert (site.root / "srv/buffer/nantes-roots").is_dir()


def test_a_folder_that_is_not_ours_is_not_touched(site: Site) -> None:
    stranger = site.root / "srv/buffer/nantes-cells"
    stranger.mkdir(mode=0o755)
    report = site.apply(site.plan())
    assert [(change.key.name, "move it away" in text) for change, text in report.failed] == [
        ("nantes-cells", True)
    ]
    assert stranger.stat().st_mode & 0o7777 == 0o755
    assert {change.key.name for change in report.done} == {*PEOPLE, "nantes", "nantes-roots"}


def test_names_that_the_server_has_are_refused_and_others_do_not_wait_for_them(site: Site) -> None:
    site.edit(READER, READER.replace("creader", "backup"))
    file = site.root / "etc/group"
    file.write_text(f"{file.read_text('utf-8')}nantes-roots.write:x:991:\n", "utf-8")
    plan = site.plan()
    reasons = {note.key: note.reason for note in plan.conflicts}
    assert reasons.keys() == {Key(USER, "backup"), Key(GROUP, "nantes-roots")}
    assert "an account or group backup that is not ours" in reasons[Key(USER, "backup")]
    assert "nantes-roots.write" in reasons[Key(GROUP, "nantes-roots")]
    report = site.apply(plan)
    assert (report.failed, report.skipped, report.error) == ([], [], "")
    assert members(site.lines(UNIX_GROUPS), "nantes-cells") == {"ppi", "wwriter"}
    # Who leaves is out, whatever else is refused.
    site.edit(WRITER, "")
    assert site.apply(site.plan()).failed == []
    assert members(site.lines(UNIX_GROUPS), "nantes-cells") == {"ppi"}
    assert {note.key for note in site.plan().conflicts} == reasons.keys()


def test_a_name_that_no_unix_account_can_have_is_refused(site: Site) -> None:
    site.edit(READER, READER.replace("creader", "-reader"))
    plan = site.plan()
    assert [(note.key, "begin with a letter" in note.reason) for note in plan.conflicts] == [
        (Key(USER, "-reader"), True)
    ]
    assert site.apply(plan).failed == []


def test_what_has_no_mark_of_ours_is_left_alone(site: Site) -> None:
    folder = site.root / "var/lib/extrausers"
    (folder / "passwd").write_text(
        "guest:*:20500:20500:by hand:/:/usr/sbin/nologin\n"
        "ppi:*:20501:65534:bic_managed=other/brest:/:/usr/sbin/nologin\n",
        "utf-8",
    )
    (folder / "group").write_text("guests:*:20500:guest\n", "utf-8")
    for adopt in (False, True):
        plan = site.plan(adopt=adopt)
        assert [note.key for note in plan.conflicts] == [Key(USER, "ppi")]
        assert {change.action for change in plan.changes} == {Action.CREATE}
    assert "ppi that is not ours" in plan.conflicts[0].reason
    assert site.apply(plan).failed == []
    # Whoever that is gets no access from us.
    assert members(site.lines(UNIX_GROUPS), "nantes-cells") == {"wwriter", "creader"}
    assert site.lines(PASSWD)[:2] == [
        "guest:*:20500:20500:by hand:/:/usr/sbin/nologin",
        "ppi:*:20501:65534:bic_managed=other/brest:/:/usr/sbin/nologin",
    ]
    assert site.lines(UNIX_GROUPS)[0] == "guests:*:20500:guest"


def test_who_reaches_a_folder_and_what_somebody_reaches(site: Site) -> None:
    platform = site.platform
    (granted,) = access.reaches(platform, "/zone/home/nantes-cells")
    assert granted == Granted("buffer server nantes-buffer", (), ("read", "write"))
    assert list(access.standings(platform, "ppi")) == []
    site.settle()
    (granted,) = access.reaches(platform, "/zone/home/nantes-cells")
    assert set(granted.ways) == {
        Reach("ppi", "write", "nantes-cells"),
        Reach("wwriter", "write", "nantes-cells"),
        Reach("creader", "read", "nantes-cells"),
    }
    (standing,) = access.standings(platform, "wwriter")
    assert (standing.system, standing.exists, standing.closed) == ("buffer server nantes-buffer", True, False)
    assert standing.groups == ("nantes", "nantes-cells", "nantes-roots")
    assert set(standing.collections) == {
        Reach("/srv/buffer/nantes", "read", "nantes"),
        Reach("/srv/buffer/nantes-cells", "write", "nantes-cells"),
        Reach("/srv/buffer/nantes-roots", "write", "nantes-roots"),
    }
    for elsewhere in ("/zone/home/nantes-cells/raw", "/other/home/nantes", "/zone/home/brest", "nantes"):
        assert list(access.reaches(platform, elsewhere)) == []


def test_a_closed_account_and_a_team_that_is_gone_reach_nothing(site: Site) -> None:
    site.settle()
    file = site.root / PASSWD
    file.write_text(file.read_text("utf-8").replace(":19999:", ":65534:"), "utf-8")
    (granted,) = access.reaches(site.platform, "/zone/home/nantes-roots")
    assert granted.ways == ()
    (standing,) = access.standings(site.platform, "rref")
    assert (standing.exists, standing.closed) == (True, True)
    assert (standing.groups, standing.collections) == (("nantes",), ())
    site.edit(ROOTS, "")
    # Its group is still asked for by its name.
    assert len(list(access.reaches(site.platform, "/zone/home/nantes-roots"))) == 1


def test_a_server_that_cannot_be_asked_is_named_by_all_who_ask(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "PATIENCE", 0.0)
    monkeypatch.setattr(access, "PATIENCE", 0.0)
    site.fails("ssh: connect to host 10.77.0.21 port 22: No route to host\n")
    reason = "nantes-buffer (10.77.0.21): no connection over SSH: ssh: connect to host 10.77.0.21 port 22:"
    (granted,) = access.reaches(site.platform, "/zone/home/nantes")
    assert (granted.error.startswith(reason), granted.ways) == (True, ())
    (standing,) = access.standings(site.platform, "ppi")
    assert (standing.error.startswith(reason), standing.exists) == (True, False)
    outcome = site.outcome()
    assert outcome.plan is None
    assert outcome.error.startswith(reason)


def test_health_asks_each_server_that_is_entered(site: Site) -> None:
    site.settle()
    (probe,) = probes.probes(site.platform)
    assert (probe.target, probe.needs) == ("nantes-buffer", ("host nantes-buffer",))
    assert probe.serves == {"nantes"}
    (check,) = probe.checks
    assert check.severity is Severity.WARNING
    assert check.run() == "4 open accounts, 3 groups"
    site.edit("buffer: {host: nantes-buffer, address: 10.77.0.21}\n", "")
    assert list(probes.probes(site.platform)) == []


@pytest.mark.parametrize("missing", ["buffer: {host: nantes-buffer, address: 10.77.0.21}\n", ""])
def test_without_a_buffer_server_or_a_way_in_there_is_no_system(site: Site, missing: str) -> None:
    assert missing in FACILITY
    if missing:
        site.edit(missing, "")
    else:
        file = site.folder / "inventory/platform.yml"
        lines = file.read_text("utf-8").splitlines(keepends=True)
        file.write_text("".join(line for line in lines if not line.startswith("buffers:")), "utf-8")
    with pytest.raises(ValueError, match="not enough values"):
        site.system()
    assert list(access.reaches(site.platform, "/zone/home/nantes")) == []
    assert list(access.standings(site.platform, "ppi")) == []


def test_a_closed_account_follows_by_itself_and_a_gone_team_does_not(site: Site) -> None:
    site.settle()
    site.inactive.add("wwriter")
    assert site.sync().ok
    assert not site.contents.users["wwriter"].open
    assert site.plan().changes == ()
    site.edit(ROOTS, "")
    site.sync()
    assert site.contents.groups["nantes-roots"].members == ["ppi"]
