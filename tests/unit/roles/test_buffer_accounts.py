"""The program of a buffer server: what it writes, what it refuses, and that it can be killed anywhere."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from programs import Killed, die_at, load

PROGRAM = Path(__file__).parents[3] / "roles/buffer_server/files/buffer-accounts"
MARK = "sandbox/nantes"
PEOPLE_GID = 998
PASSWD = "root:x:0:0:root:/root:/bin/bash\nada:x:1000:1000::/home/ada:/bin/bash\nbad line\n"
GROUP = f"root:x:0:\nsudo:x:27:ada\nnogroup:x:65534:\nbuffer-people:x:{PEOPLE_GID}:\n"


program = load(PROGRAM)


class Host:
    """The folder of a host's files, and the program on it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("etc", "var/lib/extrausers", "srv/buffer"):
            (root / folder).mkdir(parents=True)
        (root / "etc/passwd").write_text(PASSWD)
        (root / "etc/group").write_text(GROUP)
        self.ours = root / "var/lib/extrausers"
        self.buffer = root / "srv/buffer"

    def ask(self, **request: object) -> dict[str, Any]:
        """The answer to a request, as a new program gives it."""
        answer = program.Server(self.root).answer(json.dumps(request).encode())
        return dict(json.loads(json.dumps(answer)))

    def read(self) -> dict[str, Any]:
        """What there is."""
        answer = self.ask(do="read")
        assert answer.pop("ok"), answer
        return answer

    def user(self, name: str, opened: bool = True, mark: str = MARK) -> dict[str, Any]:
        return self.ask(do="set_user", name=name, open=opened, mark=mark)

    def group(
        self, name: str, members: list[str] | None = None, writers: list[str] | None = None, mark: str = MARK
    ) -> dict[str, Any]:
        return self.ask(do="set_group", name=name, members=members or [], writers=writers or [], mark=mark)

    def files(self) -> dict[str, str]:
        """All that a request could change."""
        found = {path.name: path.read_text(errors="replace") for path in self.ours.glob("[a-z]*")}
        return found | {f"/{path.name}": str(path.lstat().st_mode) for path in self.buffer.iterdir()}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    host = Host(tmp_path / "host")
    try:
        os.setxattr(host.buffer, program.ACLS[1], program.acl(*[program.Group("x", 20_000, (), MARK)] * 2))
        os.removexattr(host.buffer, program.ACLS[1])
    except OSError as problem:
        pytest.skip(f"the file system of {tmp_path} has no POSIX ACLs: {problem}")
    return host


def test_nothing_is_there_at_first(host: Host) -> None:
    taken = ["ada", "buffer-people", "nogroup", "root", "sudo"]
    assert host.read() == {"version": 1, "users": {}, "groups": {}, "taken": taken}


def test_people_and_groups_are_as_they_were_set(host: Host) -> None:
    assert host.user("acurie") == {"ok": True, "ended": 0}
    assert host.user("ppasteur", opened=False) == {"ok": True, "ended": 0}
    assert host.group("nantes-cells", ["ppasteur", "acurie"], ["acurie"]) == {"ok": True, "ended": 0}
    read = host.read()
    assert read["users"] == {
        "acurie": {"uid": 20000, "open": True, "mark": MARK},
        "ppasteur": {"uid": 20001, "open": False, "mark": MARK},
    }
    assert read["groups"] == {
        "nantes-cells": {
            "gid": 20000,
            "members": ["acurie", "ppasteur"],
            "writers": ["acurie"],
            "mark": MARK,
            "folder": True,
        }
    }
    assert host.files()["passwd"] == (
        f"acurie:*:20000:{PEOPLE_GID}:bic_managed={MARK}:/:/usr/sbin/nologin\n"
        f"ppasteur:*:20001:65534:bic_managed={MARK}:/:/usr/sbin/nologin\n"
    )
    assert host.files()["group"] == (
        f"nantes-cells:!bic_managed={MARK}:20000:acurie,ppasteur\n"
        f"nantes-cells.write:!bic_managed={MARK}:20001:acurie\n"
    )
    assert {(host.ours / name).stat().st_mode & 0o777 for name in ("passwd", "group")} == {0o644}


def test_folder_is_for_its_group_alone(host: Host) -> None:
    host.group("nantes-cells")
    folder = host.buffer / "nantes-cells"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o2770
    entries = {"user::rwx", "group::---", "group:20000:r-x", "group:20001:rwx", "mask::rwx", "other::---"}
    for kind in ("system.posix_acl_access", "system.posix_acl_default"):
        assert decoded(os.getxattr(folder, kind)) == entries


def decoded(value: bytes) -> set[str]:
    """The entries of an ACL in words, as the kernel's header numbers them."""
    words = {1: "user", 2: "user", 4: "group", 8: "group", 16: "mask", 32: "other"}
    found = set()
    for start in range(4, len(value), 8):
        tag, bits, number = (
            int.from_bytes(value[start + at : start + to], "little") for at, to in ((0, 2), (2, 4), (4, 8))
        )
        name = "" if number == 0xFFFFFFFF else str(number)
        rights = "".join(letter if bits & bit else "-" for letter, bit in (("r", 4), ("w", 2), ("x", 1)))
        found.add(f"{words[tag]}:{name}:{rights}")
    return found


def test_what_is_so_already_is_not_written_again(host: Host) -> None:
    host.user("acurie")
    host.group("nantes-cells", ["acurie"])
    before = [(host.ours / name).stat().st_ino for name in ("passwd", "group")]
    host.user("acurie")
    host.group("nantes-cells", ["acurie"])
    assert [(host.ours / name).stat().st_ino for name in ("passwd", "group")] == before


def test_members_and_closing_change_nothing_else(host: Host) -> None:
    host.user("acurie")
    host.user("ppasteur")
    host.group("nantes-cells", ["acurie", "ppasteur"], ["acurie"])
    host.group("nantes-mice", ["acurie"])
    before = host.read()
    host.group("nantes-cells", ["ppasteur"])
    host.user("acurie", opened=False)
    after = host.read()
    assert after["groups"]["nantes-mice"] == before["groups"]["nantes-mice"]
    assert after["groups"]["nantes-cells"] == before["groups"]["nantes-cells"] | {
        "members": ["ppasteur"],
        "writers": [],
    }
    assert after["users"]["acurie"] == before["users"]["acurie"] | {"open": False}
    assert after["users"]["ppasteur"] == before["users"]["ppasteur"]


def test_longest_names_fit(host: Host) -> None:
    assert host.user("a" * 63)["ok"]
    assert host.group("g" * 63, ["a" * 63])["ok"]
    assert host.read()["groups"]["g" * 63]["folder"]


def test_ids_are_given_once_and_to_nobody_of_the_host(host: Host) -> None:
    (host.root / "etc/passwd").write_text(PASSWD + "eve:x:20001:20001::/:/bin/sh\n")
    for name in ("a", "b", "c"):
        host.user(name)
    host.user("c", opened=False)
    host.user("d")
    assert [user["uid"] for user in host.read()["users"].values()] == [20000, 20002, 20003, 20004]


def test_ids_come_to_an_end(host: Host) -> None:
    (host.ours / "passwd").write_text("old:*:59999:998:somebody's:/:/bin/false\n")
    assert "all ids from 20000 to 59999" in host.user("acurie")["error"]


@pytest.mark.parametrize("name", ["root", "ada", "sudo", "buffer-people"])
def test_names_of_the_host_are_refused(host: Host, name: str) -> None:
    host.user("acurie")
    before = host.files()
    assert "not ours" in host.user(name)["error"]
    assert "not ours" in host.group(name)["error"]
    assert "no accounts of ours" in host.group("nantes-cells", ["acurie", name])["error"]
    assert "no accounts of ours" in host.group("nantes-cells", [], [name])["error"]
    assert host.files() == before


def test_writers_group_with_a_name_of_the_host_is_refused(host: Host) -> None:
    (host.root / "etc/group").write_text(GROUP + "cells.write:x:30000:\n")
    assert "cells.write that is not ours" in host.group("cells")["error"]
    assert host.files() == {}


def test_lines_without_a_mark_stay_and_their_names_are_taken(host: Host) -> None:
    theirs = "# a comment\nguest:*:20007:998:Guest:/:/bin/sh\n\nbroken\n"
    (host.ours / "passwd").write_text(theirs)
    (host.ours / "group").write_bytes(b"lab:x:20009:gu\xe9st\x0bx\n")
    assert {"guest", "lab"} <= set(host.read()["taken"])
    assert "not ours" in host.user("guest")["error"]
    assert "not ours" in host.group("lab")["error"]
    assert host.user("acurie")["ok"]
    assert host.group("nantes-cells", ["acurie"])["ok"]
    assert host.files()["passwd"].startswith(theirs)
    assert (host.ours / "group").read_bytes().startswith(b"lab:x:20009:gu\xe9st\x0bx\nnantes-cells:")
    assert host.read()["users"]["acurie"]["uid"] == 20008
    assert host.read()["groups"]["nantes-cells"]["gid"] == 20010


def test_what_is_another_facilitys_is_refused(host: Host) -> None:
    host.user("acurie")
    host.group("nantes-cells")
    before = host.files()
    assert "belongs to sandbox/nantes" in host.user("acurie", mark="sandbox/caen")["error"]
    assert "belongs to sandbox/nantes" in host.group("nantes-cells", mark="sandbox/caen")["error"]
    assert host.files() == before


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"hello",
        b"[]",
        b'"read"',
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"do": "stop"}',
        b'{"do": ["read"]}',
        b'{"do": "read", "more": 1}',
        b'{"name": "a"}',
        b'{"do": "set_user", "name": "a", "open": 1, "mark": "s/n"}',
        b'{"do": "set_user", "name": "a", "open": true}',
        b'{"do": "set_user", "name": ["a"], "open": true, "mark": "s/n"}',
        b'{"do": "set_group", "name": "a", "members": "ab", "writers": [], "mark": "s/n"}',
        b'{"do": "set_group", "name": "a", "members": [1], "writers": [], "mark": "s/n"}',
        b'{"do": "set_group", "name": "a", "members": [], "writers": [null], "mark": "s/n"}',
    ],
)
def test_bad_requests_change_nothing(host: Host, line: bytes) -> None:
    answer = program.Server(host.root).answer(line)
    assert answer["ok"] is False
    assert len(answer["error"]) < 500
    assert host.files() == {}


@pytest.mark.parametrize(
    "name", ["", "-a", ".a", "@a", "a:b", "a,b", "a b", "a\n", "a/b", "é", "123", "a" * 64, "a\x00"]
)
def test_bad_names_of_people_are_refused(host: Host, name: str) -> None:
    assert "cannot be" in host.user(name)["error"]
    assert "cannot be" in host.group("nantes-cells", [name])["error"]
    assert host.files() == {}


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a.write", "a/b", "A", "-a", "1a", "a_b", "a\n", "a:b", "g" * 64]
)
def test_bad_names_of_groups_are_refused(host: Host, name: str) -> None:
    assert "cannot be" in host.group(name)["error"]
    assert host.files() == {}


@pytest.mark.parametrize(
    "mark", ["", "nantes", "s/", "/n", "s/n/m", "s:n/a", "s/n\n", "s/n,", "s" * 64 + "/n"]
)
def test_bad_marks_are_refused(host: Host, mark: str) -> None:
    assert "cannot be" in host.user("acurie", mark=mark)["error"]
    assert host.files() == {}


def foreign_folder(folder: Path) -> None:
    folder.mkdir()
    (folder / "data").write_text("theirs")


def link_to_elsewhere(folder: Path) -> None:
    (folder.parents[1] / "elsewhere").mkdir()
    folder.symlink_to("../elsewhere")


@pytest.mark.parametrize("make", [foreign_folder, link_to_elsewhere, lambda folder: folder.write_text("x")])
def test_folder_that_is_not_ours_is_not_touched(host: Host, make: Callable[[Path], object]) -> None:
    folder = host.buffer / "nantes-cells"
    make(folder)
    before = host.files()
    assert "exists already" in host.group("nantes-cells")["error"]
    assert host.files() == before
    assert host.read()["groups"] == {}


def test_folder_that_was_changed_is_told_and_keeps_no_access_open(host: Host) -> None:
    host.user("acurie")
    host.group("nantes-cells", ["acurie"])
    (host.buffer / "nantes-cells").chmod(0o2750)
    assert host.read()["groups"]["nantes-cells"]["folder"] is False
    assert "is not as this program makes it" in host.group("nantes-cells")["error"]
    assert host.read()["groups"]["nantes-cells"]["members"] == []
    assert stat.S_IMODE((host.buffer / "nantes-cells").stat().st_mode) == 0o2750


def test_folder_that_is_gone_is_made_again(host: Host) -> None:
    host.group("nantes-cells")
    (host.buffer / "nantes-cells").rmdir()
    assert host.read()["groups"]["nantes-cells"]["folder"] is False
    host.group("nantes-cells")
    assert host.read()["groups"]["nantes-cells"]["folder"] is True


@pytest.mark.parametrize(
    ("group", "told"),
    [
        ("root:x:0:\nnogroup:x:65534:\n", "no group buffer-people"),
        ("nogroup:x:65534:\nbuffer-people:x:499:\n", "the gid of the group buffer-people is 499"),
    ],
)
def test_host_that_is_not_set_up_is_told(host: Host, group: str, told: str) -> None:
    (host.root / "etc/group").write_text(group)
    assert told in host.user("acurie")["error"]
    assert host.files() == {}


def test_missing_folders_are_told(host: Host) -> None:
    host.buffer.rmdir()
    assert "srv/buffer does not exist: apply the role" in host.ask(do="read")["error"]
    host.buffer.mkdir()
    host.ours.rmdir()
    assert "No such file or directory" in host.ask(do="read")["error"]


def test_file_system_without_acls_is_told(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(program.os, "getxattr", refuse)
    assert "has no POSIX ACLs (Operation not supported)" in host.group("nantes-cells")["error"]
    assert host.files() == {}


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets the program die before its nth change of anything."""

    def at(number: int) -> None:
        names = ("fsync", "replace", "mkdir", "chown", "setxattr", "chmod", "rename", "rmdir")
        die_at(monkeypatch, number, *((os, name) for name in names), (program, "end_stale"))

    return at


@pytest.mark.parametrize("point", range(14))
def test_killed_anywhere_the_next_run_does_what_is_left(
    host: Host, point: int, dying: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    host.user("acurie")
    host.group("nantes-mice", ["acurie"])
    before = host.read()
    dying(point)
    try:
        host.group("nantes-cells", ["acurie"], ["acurie"])
        survived = True
    except Killed:
        survived = False
    monkeypatch.undo()
    assert survived is (point >= 12)
    between = host.read()
    assert between["users"] == before["users"]
    assert between["groups"]["nantes-mice"] == before["groups"]["nantes-mice"]
    assert set(between["groups"]) <= {"nantes-mice", "nantes-cells"}
    if "nantes-cells" in between["groups"]:
        assert between["groups"]["nantes-cells"]["writers"] == ["acurie"], "both groups or none"
    assert host.group("nantes-cells", ["acurie"], ["acurie"]) == {"ok": True, "ended": 0}
    after = host.read()["groups"]["nantes-cells"]
    assert after["folder"] is True
    assert after["gid"] == 20002
    assert sorted(path.name for path in host.buffer.iterdir()) == ["nantes-cells", "nantes-mice"]
    assert not list(host.ours.glob(".*.draft"))


def status(pid: int, uid: int, groups: str, state: str = "S (sleeping)") -> str:
    """What /proc says of a process."""
    return (
        f"Name:\tsshd\nState:\t{state}\nPid:\t{pid}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n"
        f"Gid:\t{PEOPLE_GID}\t{PEOPLE_GID}\t{PEOPLE_GID}\t{PEOPLE_GID}\nGroups:\t{groups} \n"
    )


def test_processes_that_hold_what_their_owner_lost_are_stale(host: Host) -> None:
    host.user("acurie")
    host.user("ppasteur", opened=False)
    host.group("nantes-cells", ["acurie"])
    accounts = program.Files(host.root).read()

    def stale(uid: int, groups: str) -> bool:
        return bool(accounts.stale(program.process_of(status(7, uid, groups))))

    assert not stale(20000, f"{PEOPLE_GID} 20000")
    assert not stale(20000, f"{PEOPLE_GID} 27 30000"), "groups that are not ours do not matter"
    assert stale(20000, f"{PEOPLE_GID} 20000 20001"), "a writer no longer"
    assert stale(20001, f"{PEOPLE_GID}"), "a closed account"
    assert not stale(0, "0 20000 20001"), "never one of root"
    assert not stale(20005, "20000 20001"), "never one of somebody unknown"
    assert program.process_of(status(7, 20000, "", "Z (zombie)")) is None


@pytest.fixture
def processes(host: Host) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts processes of people, which the host has."""
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    (host.root / "proc").symlink_to("/proc")
    running: list[subprocess.Popen[bytes]] = []

    def start(uid: int, groups: list[int], program: str = "sleep 60") -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            ["sh", "-c", f"echo; exec {program}"],
            user=uid,
            group=PEOPLE_GID,
            extra_groups=groups,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        running.append(process)
        assert process.stdout
        process.stdout.readline()
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


#: Ids of people whom no other process of this machine has.
START = 54_321


def test_processes_of_who_is_removed_end(
    host: Host, processes: Callable[..., subprocess.Popen[bytes]]
) -> None:
    (host.ours / "passwd").write_text(f"first:*:{START}:998:bic_managed={MARK}:/:/usr/sbin/nologin\n")
    (host.ours / "group").write_text(f"first:!bic_managed={MARK}:{START}:\n")
    host.user("acurie")
    host.user("ppasteur")
    host.group("nantes-cells", ["acurie", "ppasteur"], ["acurie"])
    acurie, ppasteur = START + 1, START + 2
    cells, writers = START + 1, START + 2
    hers, his = processes(acurie, [cells, writers]), processes(ppasteur, [cells])
    unrelated = processes(START + 77, [cells, writers])
    stubborn = processes(acurie, [cells], "sh -c 'trap \"\" TERM; read never'")
    time.sleep(0.2)
    assert host.group("nantes-cells", ["ppasteur"])["ended"] == 2
    assert hers.wait(5) == -15
    assert stubborn.wait(5) == -9
    assert (his.poll(), unrelated.poll()) == (None, None)
    assert host.user("ppasteur", opened=False)["ended"] == 1
    assert his.wait(5) == -15
    assert unrelated.poll() is None


def test_the_next_request_ends_what_a_killed_one_left(
    host: Host, processes: Callable[..., subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (host.ours / "passwd").write_text(f"first:*:{START}:998:bic_managed={MARK}:/:/usr/sbin/nologin\n")
    host.user("acurie")
    hers = processes(START + 1, [])

    def die(*_: object) -> int:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(program, "end_stale", die)
        with pytest.raises(Killed):
            host.user("acurie", opened=False)
    assert hers.poll() is None
    assert host.read()["users"]["acurie"]["open"] is False
    assert hers.wait(5) == -15


def test_a_second_one_waits_and_says_when_it_waited_in_vain(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.read()
    with (host.ours / ".buffer-accounts.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with monkeypatch.context() as patched:
            patched.setattr(program, "LOCK_SECONDS", 0.1)
            assert "another buffer-accounts" in host.user("acurie")["error"]
        answers: list[dict[str, Any]] = []
        waiting = threading.Thread(target=lambda: answers.append(host.user("acurie")))
        waiting.start()
        time.sleep(0.2)
        assert answers == []
        assert "passwd" not in host.files()
    waiting.join(5)
    assert answers == [{"ok": True, "ended": 0}]


def run(host: Host, *lines: str) -> tuple[int, list[dict[str, Any]]]:
    """What the program as such answers, and its exit code."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "--root", str(host.root)],
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_each_line_is_answered_by_one(host: Host) -> None:
    code, answers = run(host, '{"do": "read"}', "x", '{"do": "read"}')
    assert code == 0
    assert [answer["ok"] for answer in answers] == [True, False, True]


def test_a_line_without_an_end_is_not_taken(host: Host) -> None:
    code, answers = run(host, '{"do": "read"}', "[" * (program.LONGEST_REQUEST + 5), '{"do": "read"}')
    assert code == 1
    assert [answer["ok"] for answer in answers] == [True, False]


def test_two_programs_at_once_lose_nothing(host: Host) -> None:
    def fill(letter: str) -> None:
        lines = [
            json.dumps({"do": "set_user", "name": f"{letter}{number}", "open": True, "mark": MARK})
            for number in range(25)
        ]
        assert all(answer["ok"] for answer in run(host, *lines)[1])

    threads = [threading.Thread(target=fill, args=(letter,)) for letter in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    users = host.read()["users"]
    assert len(users) == 75
    assert sorted(user["uid"] for user in users.values()) == list(range(20000, 20075))


def test_what_changed_is_told_to_the_log(host: Host) -> None:
    before = program.Files(host.root).read()
    host.user("acurie")
    host.group("nantes-cells", ["acurie"])
    between = program.Files(host.root).read()
    assert program.changes(before, between) == [
        "account acurie (20000): open",
        "group nantes-cells (20000): added acurie, removed nobody",
        "group nantes-cells.write (20001): added nobody, removed nobody",
    ]
    host.group("nantes-cells")
    after = program.Files(host.root).read()
    assert program.changes(between, after) == ["group nantes-cells (20000): added nobody, removed acurie"]
