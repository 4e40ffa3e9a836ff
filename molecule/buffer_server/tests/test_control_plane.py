"""What the control plane gets at a buffer server: one program, which keeps accounts, groups and folders."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest
from entrances import MARK, TEAM, ControlPlane
from testinfra.host import Host, get_host

pytest_plugins = ["common_fixtures"]
testinfra_hosts = ["ansible://mol-buffer"]

READ = '{"do": "read"}\n'


def run(command: list[str], given: str = READ) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=given, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize(
    "command", [[], ["id"], ["sh", "-c", "id"], ["/usr/local/sbin/buffer-accounts --root /tmp"]]
)
def test_whatever_it_asks_for_it_gets_the_program(control: ControlPlane, command: list[str]) -> None:
    told = run([*control.command, *command])
    assert '"ok": true' in told.stdout
    assert "uid=" not in told.stdout
    assert told.stderr == ""


def test_it_gets_no_terminal(control: ControlPlane) -> None:
    told = run(control.ssh("-tt"))
    assert "PTY allocation request failed" in told.stderr


def test_it_gets_no_way_on(control: ControlPlane) -> None:
    told = run(control.ssh("-W127.0.0.1:22"))
    assert (told.stdout, told.stderr) == ("", "stdio forwarding failed\n")
    assert '"ok": true' in run([*control.ssh("-s"), "sftp"]).stdout, "not SFTP, but its program"


def test_it_runs_nothing_else_as_root(host: Host) -> None:
    for command in ("id", "/usr/local/sbin/buffer-accounts --root /tmp", "/usr/bin/python3"):
        assert host.run(f"runuser -u bic -- sudo -n {command} </dev/null").rc != 0
    assert host.run("runuser -u bic -- sudo -n /usr/local/sbin/buffer-accounts </dev/null").rc == 0


def test_it_cannot_let_itself_in_otherwise(host: Host) -> None:
    keys = host.file("/etc/ssh/authorized_keys.d/bic")
    assert (keys.user, keys.group, keys.mode) == ("root", "root", 0o644)
    assert 'restrict,from="10.79.0.1" ssh-ed25519 ' in keys.content_string
    assert host.run("runuser -u bic -- touch /etc/ssh/authorized_keys.d/bic").rc != 0
    assert host.check_output("getent shadow bic").split(":")[1].startswith("!")


def test_its_key_is_refused_from_elsewhere(control: ControlPlane, address: str, state_dir: Path) -> None:
    assert run(control.command).returncode == 0
    place = f"ansible://mol-directory?ansible_inventory={os.environ['MOLECULE_INVENTORY_FILE']}"
    elsewhere = get_host(place)
    key = base64.b64encode((state_dir / "secrets/control_key").read_bytes()).decode()
    elsewhere.check_output(f"umask 077; echo {key} | base64 -d >/run/key")
    try:
        words = f"ssh -F none -oBatchMode=yes -oStrictHostKeyChecking=no -i /run/key bic@{address}"
        told = elsewhere.check_output(f"{words} 2>&1 || true")
    finally:
        elsewhere.check_output("rm /run/key")
    assert "Permission denied (publickey)" in told


@pytest.mark.parametrize("name", ["root", "ada", "bic", "nslcd", "buffer-people", "sudo"])
def test_names_of_the_host_are_refused(control: ControlPlane, host: Host, name: str) -> None:
    files = "find /etc/passwd /etc/group /var/lib/extrausers -type f -exec cat {} +"
    before = host.check_output(files)
    assert name in control.done(do="read")["taken"]
    for request in (
        {"do": "set_user", "name": name, "open": True, "mark": MARK},
        {"do": "set_group", "name": name, "members": [], "writers": [], "mark": MARK},
        {"do": "set_group", "name": "nantes-new", "members": [name], "writers": [], "mark": MARK},
    ):
        assert name in control.ask(**request)["error"]
    assert host.check_output(files) == before


def test_accounts_and_groups_are_the_hosts(control: ControlPlane, host: Host) -> None:
    control.user("marie")
    control.user("louis", opened=False)
    control.group("nantes", [])
    control.group(TEAM, ["marie", "louis"], ["marie"])
    read = control.done(do="read")
    uid, gid = read["users"]["marie"]["uid"], read["groups"][TEAM]["gid"]
    assert host.check_output("getent passwd marie").startswith(f"marie:*:{uid}:")
    assert set(host.check_output("id -nG marie").split()) == {"buffer-people", TEAM, f"{TEAM}.write"}
    assert set(host.check_output("id -nG louis").split()) == {"nogroup", TEAM}
    assert host.check_output(f"getent group {gid}").startswith(f"{TEAM}:!")
    told = host.check_output(f"getfacl --omit-header --absolute-names /srv/buffer/{TEAM}").split()
    assert {f"group:{TEAM}:r-x", f"group:{TEAM}.write:rwx", "other::---"} <= set(told)
    assert {f"default:group:{TEAM}:r-x", f"default:group:{TEAM}.write:rwx", "default:other::---"} <= set(told)


def test_a_second_one_waits_for_the_first(control: ControlPlane, host: Host) -> None:
    control.done(do="read")
    lock = "/var/lib/extrausers/.buffer-accounts.lock"
    holder = threading.Thread(target=host.check_output, args=(f"flock {lock} -c 'touch /run/held; sleep 4'",))
    holder.start()
    while not host.file("/run/held").exists:
        time.sleep(0.1)
    began = time.monotonic()
    assert control.done(do="read")
    assert time.monotonic() - began > 1
    holder.join()
    host.check_output("rm /run/held")


def test_what_it_did_is_in_the_journal(control: ControlPlane, host: Host) -> None:
    control.user("marie", opened=False)
    control.user("marie")
    control.group(TEAM, [])
    control.group(TEAM, ["marie"])
    told = host.check_output("journalctl --no-pager -t buffer-accounts -n 20")
    assert "account marie" in told
    assert f"group {TEAM}" in told
    assert "added marie" in told
