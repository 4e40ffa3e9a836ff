"""The program that gives files on a buffer server to their teams: what it changes, and what it leaves."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from programs import Killed, die_at, load

FILES = Path(__file__).parents[3] / "roles/buffer_server/files"
ACCOUNTS, PROGRAM = FILES / "buffer-accounts", FILES / "buffer-ownership"
MARK = "sandbox/nantes"
TEAM, OTHER_TEAM = "nantes-cells", "nantes-mice"
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"


program = load(PROGRAM)


def read_acl(path: Path, kind: str = ACCESS) -> dict[str, str]:
    """An ACL in words, with the numbers that the kernel's header gives."""
    words = {1: "user", 4: "group", 8: "group", 16: "mask", 32: "other"}
    value = os.getxattr(path, kind, follow_symlinks=False)
    found = {}
    for tag, bits, number in program.ENTRY.iter_unpack(value[4:]):
        name = words[tag] if number == 0xFFFFFFFF else f"{words[tag]} {number}"
        found[name] = "".join(letter if bits & bit else "-" for letter, bit in (("r", 4), ("w", 2), ("x", 1)))
    return found


def group(name: str, members: Sequence[str], writers: Sequence[str] = ()) -> dict[str, object]:
    """A request that says who is in a group, and who may write there."""
    members, writers = list(members), list(writers)
    return {"do": "set_group", "name": name, "members": members, "writers": writers, "mark": MARK}


class Host:
    """The folder of a host's files, with accounts, groups and folders as the control plane makes them."""

    def __init__(self, root: Path) -> None:
        self.root, self.buffer = root, root / "srv/buffer"
        for folder in ("etc", "var/lib/extrausers", "srv/buffer"):
            (root / folder).mkdir(parents=True)
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
        (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\nbuffer-people:x:998:\n")
        *_, answer = self.ask(
            *(
                {"do": "set_user", "name": name, "open": True, "mark": MARK}
                for name in ("marie", "louis", "irene")
            ),
            group(TEAM, ["marie", "louis", "irene"], ["marie", "irene"]),
            group(OTHER_TEAM, ["marie", "louis"], ["marie"]),
            {"do": "read"},
        )
        self.uids: dict[str, int] = {name: user["uid"] for name, user in answer["users"].items()}
        self.gids: dict[str, int] = {name: group["gid"] for name, group in answer["groups"].items()}

    def ask(self, *requests: dict[str, object]) -> list[dict[str, Any]]:
        """The answers to requests."""
        done = subprocess.run(
            [sys.executable, ACCOUNTS, "--root", self.root],
            input="".join(f"{json.dumps(request)}\n" for request in requests),
            capture_output=True,
            text=True,
            check=True,
        )
        answers: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
        assert [answer["ok"] for answer in answers] == [True] * len(requests), answers
        return answers

    def make(self, path: str, owner: str | int, mode: int = 0o644, text: str = "pixels") -> Path:
        """Make a file as an SFTP client does."""
        place = self.buffer / path
        number = os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
        with open(number, "w") as file:
            file.write(text)
        return self.owned(place, owner)

    def make_folder(self, path: str, owner: str | int, mode: int = 0o755) -> Path:
        """Make a folder as an SFTP client does."""
        (self.buffer / path).mkdir(mode)
        return self.owned(self.buffer / path, owner)

    def owned(self, place: Path, owner: str | int) -> Path:
        os.chown(place, owner if isinstance(owner, int) else self.uids[owner], -1, follow_symlinks=False)
        return place

    def can(self, name: str, command: str, path: str, teams: Sequence[str], writes: bool = False) -> bool:
        """Whether somebody who logs in with these groups gets a command through."""
        gids = [self.gids[team] + more for team in teams for more in (range(2) if writes else range(1))]
        done = subprocess.run(
            ["sh", "-c", command, "sh", path],
            cwd=self.buffer,
            user=self.uids[name],
            group=998,
            extra_groups=gids,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        return done.returncode == 0

    def state(self) -> dict[str, tuple[object, ...]]:
        """All that the program could change, and that it did: the time of the inode."""
        found: dict[str, tuple[object, ...]] = {}
        for place in sorted(self.buffer.rglob("*")):
            about = place.lstat()
            kinds = [] if place.is_symlink() else [ACCESS, *([DEFAULT] if place.is_dir() else [])]
            acls = []
            for kind in kinds:
                with contextlib.suppress(OSError):
                    acls.append(tuple(sorted(read_acl(place, kind).items())))
            found[str(place)] = (about.st_uid, about.st_gid, about.st_mode, *acls)
        return found

    def times(self) -> dict[str, int]:
        """When each inode was changed."""
        return {str(place): place.lstat().st_ctime_ns for place in self.buffer.rglob("*")}


READ, WRITE, CHMOD, REMOVE = 'cat "$1"', 'echo more >>"$1"', 'chmod 600 "$1"', 'rm -f "$1"'


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    monkeypatch.setattr(program, "QUIET_SECONDS", 0.0)
    try:
        os.getxattr(tmp_path, DEFAULT)
    except OSError as problem:
        if problem.errno != program.errno.ENODATA:
            pytest.skip(f"the file system of {tmp_path} has no POSIX ACLs: {problem}")
    return Host(tmp_path / "host")


def demote(host: Host) -> None:
    """Make Marie a collaborator of the first team."""
    host.ask(group(TEAM, ["marie", "louis", "irene"], ["irene"]))


def run(host: Host) -> int:
    """Run the program, and return its exit code."""
    return int(program.run(host.root))


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """What it says at its end."""
    return capsys.readouterr().out.splitlines()[-1]


def test_whoever_may_write_keeps_files_and_modes(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.make(f"{TEAM}/private", "marie", 0o600)
    host.make(f"{TEAM}/usual", "irene", 0o644)
    host.make(f"{TEAM}/script", "irene", 0o755)
    host.make_folder(f"{TEAM}/run", "marie", 0o700)
    host.make(f"{TEAM}/run/open", "irene", 0o666)
    before, times = host.state(), host.times()
    assert run(host) == 0
    assert (host.state(), host.times()) == (before, times)
    assert said(capsys).startswith("5 files looked at, 0 given to their team in ")


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o000, 0o666])
def test_collaborators_only_read_what_they_made(host: Host, mode: int) -> None:
    file = host.make(f"{TEAM}/image.tif", "marie", mode)
    group = file.stat().st_gid
    demote(host)
    assert host.can("marie", CHMOD, f"{TEAM}/image.tif", [TEAM])
    file.chmod(mode)
    assert run(host) == 0
    assert (file.stat().st_uid, file.stat().st_gid) == (0, group)
    for command in (WRITE, CHMOD, REMOVE):
        assert not host.can("marie", command, f"{TEAM}/image.tif", [TEAM])
    assert host.can("marie", READ, f"{TEAM}/image.tif", [TEAM])
    assert host.can("irene", READ, f"{TEAM}/image.tif", [TEAM], writes=True)
    assert host.can("irene", WRITE, f"{TEAM}/image.tif", [TEAM], writes=True)
    assert not host.can("louis", READ, f"{TEAM}/image.tif", [])
    assert file.read_text() == "pixels" + "more\n"


def test_collaborators_change_nothing_in_folders_that_they_made(host: Host) -> None:
    outer = host.make_folder(f"{TEAM}/run", "marie", 0o700)
    inner = host.make_folder(f"{TEAM}/run/one", "marie", 0o755)
    host.make(f"{TEAM}/run/one/image.tif", "marie")
    theirs = host.make(f"{TEAM}/run/one/theirs.tif", "irene", 0o600)
    demote(host)
    assert run(host) == 0
    for command in (REMOVE, WRITE):
        assert not host.can("marie", command, f"{TEAM}/run/one/image.tif", [TEAM])
    assert not host.can("marie", 'touch "$1"', f"{TEAM}/run/one/new.tif", [TEAM])
    assert host.can("marie", READ, f"{TEAM}/run/one/image.tif", [TEAM])
    assert host.can("irene", 'mkdir "$1"', f"{TEAM}/run/new", [TEAM], writes=True)
    top = host.buffer / TEAM
    for folder in (outer, inner):
        assert read_acl(folder) == read_acl(top)
        assert read_acl(folder, DEFAULT) == read_acl(top, DEFAULT)
        assert folder.stat().st_mode & stat.S_ISGID
    assert theirs.stat().st_uid == host.uids["irene"]
    assert stat.S_IMODE(theirs.stat().st_mode) == 0o600


def test_nothing_becomes_a_program(host: Host) -> None:
    data = host.make(f"{TEAM}/data", "marie", 0o644)
    script = host.make(f"{TEAM}/script", "marie", 0o4755)
    demote(host)
    assert run(host) == 0
    assert stat.S_IMODE(data.stat().st_mode) == 0o660
    assert stat.S_IMODE(script.stat().st_mode) == 0o770, "a program still, and nobody's setuid"


def test_files_of_who_left_or_was_closed_are_their_teams(host: Host) -> None:
    left = host.make(f"{TEAM}/left", "marie", 0o600)
    stranger = host.make(f"{TEAM}/stranger", "louis", 0o600)
    marie: dict[str, object] = {"do": "set_user", "name": "marie", "mark": MARK}
    host.ask(group(TEAM, ["irene"], ["irene"]), marie | {"open": False})
    assert run(host) == 0
    assert {left.stat().st_uid, stranger.stat().st_uid} == {0}
    assert host.can("irene", WRITE, f"{TEAM}/left", [TEAM], writes=True)
    host.ask(marie | {"open": True})
    assert not host.can("marie", READ, f"{TEAM}/left", [])


def test_what_of_somebody_is_elsewhere_stays_theirs(host: Host) -> None:
    file = host.make(f"{OTHER_TEAM}/image.tif", "marie", 0o600)
    demote(host)
    before = host.state()
    assert run(host) == 0
    assert host.state() == before
    assert file.stat().st_uid == host.uids["marie"]


def test_files_of_the_host_stay_the_hosts(host: Host) -> None:
    host.make(f"{TEAM}/of-root", 0, 0o600)
    host.make(f"{TEAM}/of-an-operator", 1000, 0o640)
    # An id of the people's range that nobody has.
    host.make(f"{TEAM}/of-nobody", 23_456, 0o600)
    demote(host)
    before = host.state()
    assert run(host) == 0
    assert host.state() == before


def test_what_was_moved_is_the_new_teams(host: Host) -> None:
    host.make(f"{TEAM}/image.tif", "marie", 0o644)
    host.make(f"{TEAM}/private.tif", "marie", 0o600)
    host.make_folder(f"{TEAM}/run", "marie", 0o755)
    host.make(f"{TEAM}/run/image.tif", "marie", 0o644)
    host.make(f"{TEAM}/of-irene.tif", "irene", 0o600)
    for name in ("image.tif", "private.tif", "run", "of-irene.tif"):
        (host.buffer / TEAM / name).rename(host.buffer / OTHER_TEAM / name)
    moved = [f"{OTHER_TEAM}/{name}" for name in ("image.tif", "run/image.tif")]
    assert not any(host.can("louis", READ, path, [OTHER_TEAM]) for path in moved)
    assert run(host) == 0
    assert all(host.can("louis", READ, path, [OTHER_TEAM]) for path in moved)
    assert not host.can("irene", READ, moved[0], [TEAM], writes=True), "the old team has it no more"
    folder = host.buffer / OTHER_TEAM / "run"
    assert read_acl(folder, DEFAULT) == read_acl(host.buffer / OTHER_TEAM, DEFAULT)
    assert folder.stat().st_uid == host.uids["marie"]
    private = host.buffer / OTHER_TEAM / "private.tif"
    assert (private.stat().st_uid, stat.S_IMODE(private.stat().st_mode)) == (host.uids["marie"], 0o600)
    strangers = host.buffer / OTHER_TEAM / "of-irene.tif"
    assert strangers.stat().st_uid == 0
    assert host.can("louis", READ, f"{OTHER_TEAM}/of-irene.tif", [OTHER_TEAM])


def test_what_an_operator_moved_in_is_the_teams(host: Host) -> None:
    (host.buffer / "elsewhere").mkdir()
    host.make("elsewhere/image.tif", 0, 0o600).rename(host.buffer / TEAM / "image.tif")
    host.make_folder("elsewhere/run", 1000, 0o700).rename(host.buffer / TEAM / "run")
    assert run(host) == 0
    file, folder = host.buffer / TEAM / "image.tif", host.buffer / TEAM / "run"
    assert (file.stat().st_uid, folder.stat().st_uid) == (0, 1000)
    assert host.can("irene", WRITE, f"{TEAM}/image.tif", [TEAM], writes=True)
    assert host.can("louis", 'ls "$1"', f"{TEAM}/run", [TEAM])
    assert read_acl(folder, DEFAULT) == read_acl(host.buffer / TEAM, DEFAULT)


def test_default_acl_of_a_folder_is_mended_by_itself(host: Host) -> None:
    folder = host.make_folder(f"{TEAM}/run", "marie", 0o755)
    before = read_acl(folder)
    os.removexattr(folder, DEFAULT)
    assert run(host) == 0
    assert read_acl(folder, DEFAULT) == read_acl(host.buffer / TEAM, DEFAULT)
    assert read_acl(folder) == before


def test_file_with_several_links_keeps_its_groups(host: Host) -> None:
    file = host.make(f"{TEAM}/image.tif", "irene", 0o644)
    os.link(file, host.buffer / OTHER_TEAM / "image.tif")
    within = host.make(f"{TEAM}/twice.tif", "marie", 0o600)
    os.link(within, host.buffer / TEAM / "again.tif")
    demote(host)
    assert run(host) == 0
    assert {file.stat().st_uid, within.stat().st_uid} == {0}, "neither may write in both teams"
    assert host.can("irene", WRITE, f"{TEAM}/image.tif", [TEAM], writes=True)
    assert host.can("marie", READ, f"{TEAM}/image.tif", [TEAM])
    assert host.can("irene", WRITE, f"{TEAM}/twice.tif", [TEAM], writes=True)
    after = host.times()
    assert run(host) == 0
    assert host.times() == after, "no tug-of-war between two teams"


def test_file_with_several_links_and_no_acl_only_gets_an_owner(host: Host) -> None:
    (host.buffer / "elsewhere").mkdir()
    file = host.make("elsewhere/image.tif", "louis", 0o640)
    os.link(file, host.buffer / TEAM / "image.tif")
    assert run(host) == 0
    assert (file.stat().st_uid, stat.S_IMODE(file.stat().st_mode)) == (0, 0o640)


def test_links_are_not_followed(host: Host, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    target = host.owned(tmp_path / "outside", "marie")
    (target / "file").write_text("theirs")
    host.owned(target / "file", "marie")
    (host.buffer / TEAM / "to-folder").symlink_to(target)
    (host.buffer / TEAM / "to-file").symlink_to(target / "file")
    (host.buffer / TEAM / "to-nothing").symlink_to("nowhere")
    links = [host.owned(host.buffer / TEAM / f"to-{name}", "marie") for name in ("folder", "file", "nothing")]
    demote(host)
    before = [(place.stat().st_uid, place.stat().st_ctime_ns) for place in (target, target / "file")]
    assert run(host) == 0
    assert {link.lstat().st_uid for link in links} == {0}
    assert [(place.stat().st_uid, place.stat().st_ctime_ns) for place in (target, target / "file")] == before


def test_what_is_no_file_is_given_too(host: Host) -> None:
    os.mkfifo(host.buffer / TEAM / "pipe", 0o600)
    pipe = host.owned(host.buffer / TEAM / "pipe", "marie")
    demote(host)
    assert run(host) == 0
    assert pipe.stat().st_uid == 0
    assert stat.S_IMODE(pipe.stat().st_mode) == 0o660


def test_folder_of_a_team_itself_stays(host: Host) -> None:
    demote(host)
    places = [host.buffer, host.buffer / TEAM, host.buffer / OTHER_TEAM]
    before = [place.stat().st_ctime_ns for place in places]
    assert run(host) == 0
    assert [place.stat().st_ctime_ns for place in places] == before


def test_folder_that_is_not_as_it_was_made_is_left_alone(host: Host) -> None:
    file = host.make(f"{TEAM}/image.tif", "marie", 0o600)
    other = host.make(f"{OTHER_TEAM}/image.tif", "louis", 0o600)
    demote(host)
    (host.buffer / TEAM).chmod(0o2750)
    assert run(host) == 0
    assert file.stat().st_uid == host.uids["marie"]
    assert other.stat().st_uid == 0


def test_a_second_run_changes_nothing(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    populate(host)
    assert run(host) == 0
    assert said(capsys).startswith("9 files looked at, 7 given to their team")
    before, times = host.state(), host.times()
    assert run(host) == 0
    assert (host.state(), host.times()) == (before, times)
    assert said(capsys).startswith("9 files looked at, 0 given to their team")


def test_folders_are_closed_again(host: Host) -> None:
    populate(host)
    before = os.listdir("/proc/self/fd")
    assert run(host) == 0
    assert os.listdir("/proc/self/fd") == before


def populate(host: Host) -> None:
    """Some of all that there can be to do."""
    host.make_folder(f"{TEAM}/run", "marie", 0o700)
    host.make(f"{TEAM}/run/image.tif", "marie", 0o600)
    host.make(f"{TEAM}/run/kept.tif", "irene", 0o600)
    (host.buffer / TEAM / "link").symlink_to("run")
    host.owned(host.buffer / TEAM / "link", "marie")
    host.make_folder(f"{TEAM}/moved", "marie", 0o755)
    host.make(f"{TEAM}/moved/image.tif", "marie", 0o644)
    host.make(f"{TEAM}/moved/strange.tif", "irene", 0o600)
    (host.buffer / TEAM / "moved").rename(host.buffer / OTHER_TEAM / "moved")
    host.make(f"{OTHER_TEAM}/twice.tif", "louis", 0o600)
    host.make(f"{OTHER_TEAM}/root.tif", 0, 0o600)
    demote(host)


#: How often it asks who may write where, sets an ACL or changes an owner for all that.
CALLS = 18


@pytest.mark.parametrize("point", range(CALLS + 1))
def test_killed_anywhere_the_next_run_does_what_is_left(
    host: Host, tmp_path: Path, point: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    populate(host)
    with monkeypatch.context() as patched:
        die_at(patched, point, (os, "setxattr"), (os, "chown"), (program, "read"))
        if point < CALLS:
            with pytest.raises(Killed):
                run(host)
        else:
            assert run(host) == 0
    assert run(host) == 0
    whole = Host(tmp_path / "whole")
    populate(whole)
    assert run(whole) == 0
    told = {key.removeprefix(str(host.buffer)): value for key, value in host.state().items()}
    assert told == {key.removeprefix(str(whole.buffer)): value for key, value in whole.state().items()}
    assert host.can("irene", WRITE, f"{TEAM}/run/image.tif", [TEAM], writes=True)


def test_owner_who_changes_it_meanwhile_has_no_luck(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    file = host.make(f"{TEAM}/image.tif", "marie", 0o644)
    demote(host)
    real = os.chown

    def chown(*given: Any, **named: Any) -> None:
        file.chmod(0o000)
        real(*given, **named)

    monkeypatch.setattr(os, "chown", chown)
    assert run(host) == 0
    assert host.can("louis", READ, f"{TEAM}/image.tif", [TEAM])


def test_folder_is_listed_when_its_owner_can_put_nothing_more_into_it(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = host.make_folder(f"{TEAM}/run", "marie", 0o755)
    demote(host)
    real = os.chown

    def chown(*given: Any, **named: Any) -> None:
        if not (folder / "late.tif").exists():
            host.make(f"{TEAM}/run/late.tif", 0)
            real(folder / "late.tif", host.uids["marie"], -1)
        real(*given, **named)

    monkeypatch.setattr(os, "chown", chown)
    assert run(host) == 0
    assert (folder / "late.tif").stat().st_uid == 0


@pytest.mark.parametrize("swapped", ["file", "folder"])
def test_what_is_swapped_for_a_link_meanwhile_leads_nowhere(
    host: Host, tmp_path: Path, swapped: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "image.tif").write_text("theirs")
    places = [host.owned(outside, "marie"), host.owned(outside / "image.tif", "marie")]
    before = [place.stat().st_ctime_ns for place in places]
    host.make_folder(f"{TEAM}/run", "marie", 0o755)
    host.make(f"{TEAM}/run/image.tif", "marie", 0o600)
    demote(host)
    place = host.buffer / TEAM / ("run" if swapped == "folder" else "run/image.tif")
    target = outside if swapped == "folder" else outside / "image.tif"
    away = host.buffer / TEAM / "away"

    def swap() -> None:
        if not away.exists():
            place.rename(away)
            place.symlink_to(target)

    real_fstat, real_listdir = os.fstat, os.listdir
    inode = place.stat().st_ino

    def fstat(number: int) -> os.stat_result:
        about = real_fstat(number)
        if about.st_ino == inode:
            swap()
        return about

    def listdir(folder: str) -> list[str]:
        names = real_listdir(folder)
        if place.name in names:
            swap()
        return names

    for name, patch in (("fstat", fstat), ("listdir", listdir)):
        with monkeypatch.context() as patched:
            patched.setattr(program.os, name, patch)
            assert run(host) == 0
        assert [place.stat().st_ctime_ns for place in places] == before
        if name == "fstat":
            assert away.stat().st_uid == 0, "what it began with"
        assert place.is_symlink()
        place.unlink()
        away.rename(place)
        os.chown(place, host.uids["marie"], -1)


def test_what_vanishes_meanwhile_is_no_error(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    host.make_folder(f"{TEAM}/run", "marie")
    host.make(f"{TEAM}/run/image.tif", "marie")
    host.make(f"{TEAM}/image.tif", "marie")
    demote(host)
    real = os.listdir

    def listdir(folder: str) -> list[str]:
        names = real(folder)
        if "run" in names:
            shutil.rmtree(host.buffer / TEAM / "run")
        return names

    monkeypatch.setattr(program.os, "listdir", listdir)
    assert run(host) == 0
    assert capsys.readouterr().err == ""
    assert (host.buffer / TEAM / "image.tif").stat().st_uid == 0


def immutable(place: Path) -> Iterator[None]:
    """Let nothing of a file change."""
    if subprocess.run(["chattr", "+i", place], capture_output=True, check=False).returncode != 0:
        pytest.skip("files cannot be made immutable here")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", place], check=True)


def test_what_cannot_be_changed_is_named_and_the_rest_is_done(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = host.make_folder(f"{TEAM}/fixed\n", "marie", 0o755)
    inside = host.make(f"{TEAM}/fixed\n/image.tif", "marie", 0o600)
    after = host.make(f"{TEAM}/last.tif", "marie", 0o600)
    other = host.make(f"{OTHER_TEAM}/image.tif", "louis", 0o600)
    demote(host)
    with contextlib.contextmanager(immutable)(folder):
        assert run(host) == 1
    told = capsys.readouterr()
    assert told.err == f"{str(folder)!r}: Operation not permitted\n"
    assert told.out.startswith("4 files looked at, 3 given to their team in ")
    assert {place.stat().st_uid for place in (inside, after, other)} == {0}
    assert run(host) == 0
    assert folder.stat().st_uid == 0


def test_many_that_cannot_be_changed_are_counted(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(25):
        host.make(f"{TEAM}/{number}", "marie")
    demote(host)

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(program.os, "setxattr", refuse)
    assert run(host) == 1
    told = capsys.readouterr()
    lines = told.err.splitlines()
    assert len(lines) == 21
    assert all(line.endswith("': Read-only file system") for line in lines[:20])
    assert lines[-1] == "and 5 more"
    assert told.out.startswith("25 files looked at, 0 given")


def test_acl_that_cannot_be_read_is_not_taken_for_none(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = host.make(f"{TEAM}/image.tif", "irene", 0o640)
    inode, real = file.stat().st_ino, os.getxattr

    def getxattr(place: str | Path, kind: str) -> bytes:
        if os.stat(place).st_ino == inode:
            raise OSError(5, "Input/output error")
        return real(place, kind)

    with monkeypatch.context() as patched:
        patched.setattr(program.os, "getxattr", getxattr)
        assert run(host) == 1
    assert capsys.readouterr().err == f"{str(file)!r}: Input/output error\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_folders_may_be_nested_deeper_than_paths_are_long(host: Host) -> None:
    number = os.open(host.buffer / TEAM, os.O_RDONLY)
    try:
        for _ in range(2500):
            os.mkdir("d", dir_fd=number)
            lower = os.open("d", os.O_RDONLY, dir_fd=number)
            os.close(number)
            number = lower
        os.fchown(number, host.uids["marie"], -1)
        demote(host)
        done = run_program(host.root)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("2500 files looked at, 1 given to their team in ")
        assert os.fstat(number).st_uid == 0
    finally:
        os.close(number)
        # Whoever cleans up after tests would not get so deep.
        subprocess.run(["rm", "-rf", host.buffer / TEAM / "d"], check=True)


def test_change_of_who_may_write_is_followed_while_it_looks(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = host.make(f"{TEAM}/image.tif", "marie", 0o600)
    changes = [lambda: demote(host)]
    real = program.Walk.team

    def team(walk: Any, path: str, given: Any) -> None:
        real(walk, path, given)
        if given.name == OTHER_TEAM and changes:
            changes.pop()()

    monkeypatch.setattr(program.Walk, "team", team)
    assert run(host) == 0
    assert file.stat().st_uid == 0
    assert "changed meanwhile: looking again" in capsys.readouterr().out


def test_change_and_its_contrary_are_noticed_while_it_looks(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = [0]
    real = program.Walk.team

    def team(walk: Any, path: str, given: Any) -> None:
        real(walk, path, given)
        if given.name == TEAM:
            times[0] += 1
            if times[0] == 1:
                host.ask(group(TEAM, ["louis"], ["louis"]))
                host.make(f"{TEAM}/image.tif", "louis", 0o600)
                host.ask(group(TEAM, ["marie", "louis", "irene"], ["marie", "irene"]))

    monkeypatch.setattr(program.Walk, "team", team)
    assert run(host) == 0
    assert times == [2]
    assert (host.buffer / TEAM / "image.tif").stat().st_uid == 0


def test_it_waits_until_nothing_changes(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    file = host.make(f"{TEAM}/image.tif", "marie", 0o600)
    monkeypatch.setattr(program, "QUIET_SECONDS", 1.5)
    slept: list[float] = []
    real = time.sleep

    def sleep(seconds: float) -> None:
        # Who waits for a process sleeps too.
        if seconds != 1.5:
            real(seconds)
            return
        slept.append(seconds)
        if len(slept) == 1:
            demote(host)

    monkeypatch.setattr(program.time, "sleep", sleep)
    assert run(host) == 0
    assert slept == [1.5, 1.5]
    assert file.stat().st_uid == 0


def test_progress_is_told_now_and_then(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        host.make(f"{TEAM}/{number}", "marie")
    monkeypatch.setattr(program, "PROGRESS_SECONDS", -1.0)
    assert run(host) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" in ")[0] for line in lines] == [
        *(f"so far {number} files looked at, 0 given to their team" for number in (1, 2, 3)),
        "3 files looked at, 0 given to their team",
    ]


def run_program(root: Path, program: Path = PROGRAM) -> subprocess.CompletedProcess[str]:
    """What the program as such says."""
    return subprocess.run(
        # With as few open files as one may have who starts it by hand.
        ["sh", "-c", 'ulimit -Sn 512; exec "$@"', "sh", sys.executable, "-I", program, "--root", root],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def answering(folder: Path, text: str) -> Path:
    """The program beside another buffer-accounts."""
    shutil.copy(PROGRAM, folder)
    (folder / "buffer-accounts").write_text(f"#!/bin/sh\ncat >/dev/null\ncat <<'EOF'\n{text}\nEOF\n")
    (folder / "buffer-accounts").chmod(0o755)
    return folder / PROGRAM.name


@pytest.mark.parametrize(
    ("answer", "code", "told"),
    [
        (
            '{"ok": false, "error": "another buffer-accounts has been at work"}',
            1,
            ": another buffer-accounts",
        ),
        ('{"ok": true, "version": 2, "users": {}, "groups": {}}', 2, "has version 2, not 1: apply its role"),
        ('{"ok": true, "version": 1}', 2, "what is not understood: b'{"),
        ('{"ok": true, "version": 1, "users": {"a": 1}, "groups": {}}', 2, "what is not understood"),
        ('{"ok": true, "version": 1, "users": {"a": {"uid": "x"}}, "groups": {}}', 2, "not understood"),
        ("[]", 2, "what is not understood: b'[]"),
        ("[" * 100_000, 2, "what is not understood"),
        ("Segmentation fault", 2, "what is not understood: b'Segmentation"),
        ("", 2, "what is not understood"),
    ],
)
def test_answers_that_are_of_no_use_are_told(tmp_path: Path, answer: str, code: int, told: str) -> None:
    done = run_program(tmp_path, answering(tmp_path, answer))
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("buffer-ownership: ")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert len(done.stderr) < 600


def test_last_words_of_buffer_accounts_are_told(tmp_path: Path) -> None:
    beside = answering(tmp_path, "")
    beside.with_name("buffer-accounts").write_text("#!/bin/sh\necho cannot import json >&2\nexit 1\n")
    done = run_program(tmp_path, beside)
    assert done.returncode == 2
    assert "not understood: b'cannot import json" in done.stderr


def test_writer_without_an_account_is_nobody(tmp_path: Path) -> None:
    group = {"writers": ["marie", "gone"], "folder": True}
    answer = {"ok": True, "version": 1, "users": {"marie": {"uid": 20_000}}, "groups": {TEAM: group}}
    team = program.Team(TEAM, frozenset([20_000]), frozenset())
    assert program.teams_of(json.dumps(answer).encode()) == [team]


def test_missing_buffer_accounts_is_told(tmp_path: Path) -> None:
    shutil.copy(PROGRAM, tmp_path)
    done = run_program(tmp_path, tmp_path / PROGRAM.name)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"buffer-ownership: {tmp_path}/buffer-accounts cannot be run: No such file or directory\n"
    )


def test_buffer_accounts_that_does_not_answer_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = answering(tmp_path, "").with_name("buffer-accounts")
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(program, "ACCOUNTS", slow)
    monkeypatch.setattr(program, "ACCOUNTS_SECONDS", 0.2)
    with pytest.raises(program.Refusal, match=r"did not answer in 0\.2 s"):
        program.run(tmp_path)


def test_without_teams_there_is_nothing_to_do(tmp_path: Path) -> None:
    done = run_program(tmp_path, answering(tmp_path, '{"ok": true, "version": 1, "users": {}, "groups": {}}'))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "0 files looked at, 0 given to their team in 2 s\n"
