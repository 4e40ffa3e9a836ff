"""Whom files on a buffer server belong to, once their makers may no longer write there or have moved them."""

from __future__ import annotations

import time

import paramiko
import pytest
from conftest import converge, eventually, said
from entrances import OTHER_TEAM, TEAM, ControlPlane, Entrance
from testinfra.host import Host

pytest_plugins = ["common_fixtures"]
testinfra_hosts = ["ansible://mol-buffer"]
pytestmark = pytest.mark.usefixtures("people")

PATHS = (f"/{TEAM}/image.tif", f"/{TEAM}/private.tif", f"/{TEAM}/run/image.tif")


def write(sftp: paramiko.SFTPClient, path: str, text: str = "pixels", mode: int = 0o644) -> None:
    """Make or replace a file as OpenSSH's client does, which asks for a mode."""
    with sftp.open(path, "w") as file:
        file.write(text)
    sftp.chmod(path, mode)


def read(sftp: paramiko.SFTPClient, path: str) -> str:
    with sftp.open(path) as file:
        return file.read().decode()


def rests(host: Host) -> bool:
    """Whether the program has done what it was started for."""
    return host.run("systemctl is-active buffer-ownership.service").stdout.strip() == "inactive"


def owner(host: Host, path: str) -> str:
    return str(host.file(f"/srv/buffer{path}").user)


def make(marie: paramiko.SFTPClient) -> None:
    marie.mkdir(f"/{TEAM}/run")
    for path in PATHS:
        write(marie, path, mode=0o600 if "private" in path else 0o644)


def test_whoever_becomes_a_collaborator_only_reads_what_they_made(
    control: ControlPlane, entrance: Entrance, host: Host
) -> None:
    make(entrance.sftp("marie"))
    control.group(TEAM, ["marie", "louis"], writers=["louis"])
    assert eventually(lambda: {owner(host, path) for path in (*PATHS, f"/{TEAM}/run")} == {"root"}, 60)
    assert eventually(lambda: rests(host), 60)
    marie, louis = entrance.sftp("marie"), entrance.sftp("louis")
    for path in PATHS:
        assert read(marie, path) == "pixels"
        with pytest.raises(PermissionError):
            marie.open(path, "a")
        with pytest.raises(PermissionError):
            marie.chmod(path, 0o666)
        with pytest.raises(PermissionError):
            marie.remove(path)
        assert read(louis, path) == "pixels"
        with louis.open(path, "w") as file:
            file.write("better pixels")
        assert read(marie, path) == "better pixels"
    with pytest.raises(PermissionError):
        write(marie, f"/{TEAM}/run/new.tif")
    with pytest.raises(PermissionError):
        marie.chmod(f"/{TEAM}/run", 0o777)
    write(louis, f"/{TEAM}/run/new.tif")
    louis.remove(f"/{TEAM}/run/image.tif")


def test_files_of_who_left_are_the_teams(control: ControlPlane, entrance: Entrance, host: Host) -> None:
    make(entrance.sftp("marie"))
    control.user("marie", opened=False)
    control.group(TEAM, ["louis"], writers=["louis"])
    assert eventually(lambda: {owner(host, path) for path in PATHS} == {"root"}, 60)
    assert eventually(lambda: rests(host), 60)
    louis = entrance.sftp("louis")
    for path in PATHS:
        write(louis, f"{path}.copy", read(louis, path))
        louis.remove(path)


def test_changes_one_soon_after_the_other_are_all_followed(
    control: ControlPlane, entrance: Entrance, host: Host
) -> None:
    control.group(OTHER_TEAM, ["marie"], writers=["marie"])
    marie = entrance.sftp("marie")
    for team in (TEAM, OTHER_TEAM):
        write(marie, f"/{team}/image.tif")
    for _ in range(10):
        control.group(OTHER_TEAM, ["marie"])
        time.sleep(0.3)
        control.group(OTHER_TEAM, ["marie"], writers=["marie"])
        time.sleep(0.3)
    control.group(OTHER_TEAM, ["marie"])
    control.group(TEAM, ["marie", "louis"])
    assert eventually(
        lambda: {owner(host, f"/{team}/image.tif") for team in (TEAM, OTHER_TEAM)} == {"root"}, 60
    )
    assert host.check_output("systemctl is-active buffer-ownership.path") == "active"
    assert eventually(lambda: rests(host), 60)


def test_what_is_moved_to_another_team_is_let_in_by_the_next_run(
    control: ControlPlane, entrance: Entrance, host: Host
) -> None:
    control.group(OTHER_TEAM, ["marie", "louis"], writers=["marie"])
    assert eventually(lambda: rests(host), 60)
    marie, louis = entrance.sftp("marie"), entrance.sftp("louis")
    make(marie)
    moved = [f"/{OTHER_TEAM}/image.tif", f"/{OTHER_TEAM}/run/image.tif"]
    for name in ("image.tif", "run"):
        marie.rename(f"/{TEAM}/{name}", f"/{OTHER_TEAM}/{name}")
    host.check_output("systemctl start buffer-ownership.service")
    for path in moved:
        assert read(louis, path) == "pixels"
        assert owner(host, path) == "marie"
    write(marie, moved[0], "better pixels")
    told = host.check_output("journalctl --no-pager -u buffer-ownership.service -n 20")
    assert "4 files looked at, 3 given to their team in" in told


def test_processes_that_hold_too_much_are_ended_too(entrance: Entrance, host: Host) -> None:
    assert eventually(lambda: rests(host), 60)
    marie = entrance.connect("marie")
    entrance.sftp("louis")
    # As by hand, without the control plane.
    host.check_output(f"sed -i '/^{TEAM}/{{s/,marie$//; s/:marie$/:/}}' /var/lib/extrausers/group")
    assert eventually(lambda: not marie.is_active(), 30)


def test_where_all_is_right_it_changes_nothing(entrance: Entrance, host: Host) -> None:
    assert eventually(lambda: rests(host), 60)
    make(entrance.sftp("marie"))
    times = "find /srv/buffer -printf '%p %C@ %u %m\\n' | sort"
    before = host.check_output(times)
    host.check_output("systemctl start buffer-ownership.service")
    assert host.check_output(times) == before


def test_what_cannot_be_changed_is_a_failed_unit(
    control: ControlPlane, entrance: Entrance, host: Host
) -> None:
    make(entrance.sftp("marie"))
    place = f"/srv/buffer{PATHS[0]}"
    host.check_output(f"chattr +i {place}")
    try:
        control.group(TEAM, ["marie", "louis"])
        assert eventually(lambda: owner(host, PATHS[1]) == "root", 60)
        failed = "systemctl is-failed --quiet buffer-ownership.service"
        assert eventually(lambda: host.run(failed).rc == 0, 60)
        told = host.check_output("journalctl --no-pager -u buffer-ownership.service -n 20")
        assert f"'{place}': Operation not permitted" in told
        result = converge()
        assert result.returncode != 0
        assert "Not all files on mol-buffer belong to their teams: see journalctl" in said(result)
    finally:
        host.check_output(f"chattr -i {place}")
    host.check_output("systemctl start buffer-ownership.service")
    assert owner(host, PATHS[0]) == "root"
    assert rests(host)


def test_it_gets_what_it_needs_and_no_more(host: Host) -> None:
    told = host.check_output("systemd-analyze security --no-pager buffer-ownership.service | tail -1")
    assert float(told.split(":")[1].split()[0]) < 2, told
