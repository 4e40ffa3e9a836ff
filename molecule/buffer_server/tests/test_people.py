"""What people get at a buffer server: their teams' folders, by SFTP and with their password in LDAP."""

from __future__ import annotations

import stat
import subprocess
import time
from pathlib import Path

import paramiko
import pytest
from entrances import OTHER_TEAM, TEAM, ControlPlane, Entrance
from testinfra.host import Host

pytest_plugins = ["common_fixtures"]
testinfra_hosts = ["ansible://mol-buffer"]
pytestmark = pytest.mark.usefixtures("people")

IMAGE = f"/{TEAM}/image.tif"


def write(sftp: paramiko.SFTPClient, path: str, text: str = "pixels") -> None:
    with sftp.open(path, "w") as file:
        file.write(text)


def read(sftp: paramiko.SFTPClient, path: str) -> str:
    with sftp.open(path) as file:
        return file.read().decode()


def ends(transport: paramiko.Transport, seconds: float = 5) -> bool:
    """Whether a connection ends by itself."""
    until = time.monotonic() + seconds
    while transport.is_active() and time.monotonic() < until:
        time.sleep(0.1)
    return not transport.is_active()


def test_contributors_write_and_collaborators_read(entrance: Entrance) -> None:
    marie, louis = entrance.sftp("marie"), entrance.sftp("louis")
    write(marie, IMAGE)
    marie.mkdir(f"/{TEAM}/run-1")
    write(marie, f"/{TEAM}/run-1/image.tif")
    assert read(louis, IMAGE) == read(louis, f"/{TEAM}/run-1/image.tif") == "pixels"
    for path in (IMAGE, f"/{TEAM}/new.tif", f"/{TEAM}/run-1/new.tif"):
        with pytest.raises(PermissionError):
            write(louis, path)
    with pytest.raises(PermissionError):
        louis.remove(IMAGE)
    assert read(marie, IMAGE) == "pixels"


def test_contributors_change_what_others_made(control: ControlPlane, entrance: Entrance) -> None:
    control.group(TEAM, ["marie", "louis"], writers=["marie", "louis"])
    marie, louis = entrance.sftp("marie"), entrance.sftp("louis")
    marie.mkdir(f"/{TEAM}/run-1")
    write(marie, f"/{TEAM}/run-1/image.tif")
    write(louis, f"/{TEAM}/run-1/image.tif", "better pixels")
    louis.rename(f"/{TEAM}/run-1/image.tif", f"/{TEAM}/run-1/renamed.tif")
    assert read(marie, f"/{TEAM}/run-1/renamed.tif") == "better pixels"


def test_what_a_client_asked_to_keep_private_is_closed_to_strangers_alone(
    control: ControlPlane, entrance: Entrance
) -> None:
    marie = entrance.sftp("marie")
    write(marie, IMAGE)
    marie.chmod(IMAGE, 0o666)
    control.group(TEAM, ["marie"], writers=["marie"])
    with pytest.raises(PermissionError):
        read(entrance.sftp("louis"), IMAGE)


def test_folder_of_another_team_is_closed(host: Host, entrance: Entrance) -> None:
    host.check_output(f"echo pixels >/srv/buffer/{OTHER_TEAM}/image.tif")
    marie = entrance.sftp("marie")
    with pytest.raises(PermissionError):
        marie.listdir(f"/{OTHER_TEAM}")
    with pytest.raises(PermissionError):
        read(marie, f"/{OTHER_TEAM}/image.tif")
    with pytest.raises(PermissionError):
        write(marie, f"/{OTHER_TEAM}/new.tif")


def test_nothing_of_the_host_is_seen(entrance: Entrance) -> None:
    marie = entrance.sftp("marie")
    assert set(marie.listdir("/")) == {"nantes", TEAM, OTHER_TEAM}
    marie.symlink("/etc/passwd", f"/{TEAM}/link")
    for path in ("/etc/passwd", "/../../etc/passwd", f"/{TEAM}/link"):
        with pytest.raises(FileNotFoundError):
            read(marie, path)
    with pytest.raises(PermissionError):
        marie.mkdir("/new")


def test_wrong_passwords_are_refused(entrance: Entrance) -> None:
    assert entrance.refuses("marie", "wrong")
    assert entrance.refuses("marie", "")
    assert entrance.refuses("marie", entrance.passwords["louis"])
    assert entrance.refuses("curie", entrance.passwords["marie"])
    assert not entrance.refuses("marie")


def test_there_is_no_shell_and_no_way_on(entrance: Entrance) -> None:
    marie = entrance.connect("marie")
    channel = marie.open_session()
    with pytest.raises(paramiko.SSHException):
        channel.get_pty()
    command = marie.open_session()
    command.exec_command("id")
    command.shutdown_write()
    assert b"uid" not in command.recv(1000)
    with pytest.raises(paramiko.ChannelException):
        marie.open_channel("direct-tcpip", ("127.0.0.1", 22), ("127.0.0.1", 0))
    with pytest.raises(paramiko.SSHException):
        marie.request_port_forward("127.0.0.1", 0)


def test_whoever_leaves_a_team_is_out_at_once(control: ControlPlane, entrance: Entrance) -> None:
    marie, louis = entrance.sftp("marie"), entrance.sftp("louis")
    write(marie, IMAGE)
    writing = marie.open(f"/{TEAM}/big.tif", "w")
    assert control.group(TEAM, ["louis"]) > 0
    assert ends(marie.get_channel().get_transport())
    with pytest.raises(OSError, match="closed"):
        writing.stat()
    assert read(louis, IMAGE) == "pixels", "the other one's connection stays"
    again = entrance.sftp("marie")
    for path in (f"/{TEAM}", IMAGE):
        with pytest.raises(PermissionError):
            again.listdir(path)
    assert control.group(TEAM, ["marie", "louis"], ["marie"]) == 0
    assert read(entrance.sftp("marie"), IMAGE) == "pixels"


def test_whoever_writes_no_longer_still_reads(control: ControlPlane, entrance: Entrance) -> None:
    marie = entrance.sftp("marie")
    write(marie, IMAGE)
    assert control.group(TEAM, ["marie", "louis"]) > 0
    assert ends(marie.get_channel().get_transport())
    again = entrance.sftp("marie")
    assert read(again, IMAGE) == "pixels"
    with pytest.raises(PermissionError):
        write(again, f"/{TEAM}/new.tif")


def test_closed_account_lets_nobody_in(control: ControlPlane, entrance: Entrance, host: Host) -> None:
    marie = entrance.connect("marie")
    entrance.sftp("louis")
    assert control.user("marie", opened=False) > 0
    assert ends(marie)
    assert entrance.refuses("marie")
    uid = host.check_output("id -u marie")
    assert control.user("marie") == 0
    assert not entrance.refuses("marie")
    assert host.check_output("id -u marie") == uid


def test_what_a_killed_request_left_open_is_ended_by_the_next(
    control: ControlPlane, entrance: Entrance, host: Host
) -> None:
    marie = entrance.connect("marie")
    entrance.sftp("louis")
    group = "/var/lib/extrausers/group"
    host.check_output(f"sed -i '/^{TEAM}/{{s/,marie$//; s/:marie$/:/}}' {group}")
    assert "marie" not in control.done(do="read")["groups"][TEAM]["members"]
    assert ends(marie), host.check_output(f"cat {group}")


def test_passwords_are_of_no_use_without_ldap(host: Host, entrance: Entrance, control: ControlPlane) -> None:
    host.check_output("systemctl stop nslcd.service")
    try:
        assert entrance.refuses("marie")
        assert control.done(do="read")
        assert host.check_output("id -un") == "root"
    finally:
        host.check_output("systemctl start nslcd.service")
    assert not entrance.refuses("marie")


def test_only_logins_of_people_ask_ldap(host: Host) -> None:
    for service in ("common-auth", "login", "su", "sudo"):
        stack = host.file(f"/etc/pam.d/{service}")
        assert not stack.exists or "pam_ldap" not in stack.content_string
    assert (host.file("/etc/nslcd.conf").group, host.file("/etc/nslcd.conf").mode) == ("nslcd", 0o640)


def test_operators_log_in_with_their_keys_alone(host: Host, address: str, entrance: Entrance) -> None:
    key = str(host.ansible.get_variables()["ansible_private_key_file"])
    words = ["-oBatchMode=yes", "-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-i", key]
    for name in ("ada", "root"):
        told = subprocess.run(
            ["ssh", *words, f"{name}@{address}", "id", "-un"], capture_output=True, text=True, check=False
        )
        assert told.stdout.strip() == name, told.stderr
        with pytest.raises(paramiko.BadAuthenticationType):
            entrance.connect(name, entrance.passwords["ada"])


def test_a_key_lets_nobody_of_the_people_in(host: Host, address: str, entrance: Entrance) -> None:
    transport = paramiko.Transport((address, 22))
    entrance.opened.append(transport)
    transport.start_client()
    key = paramiko.Ed25519Key.from_private_key_file(
        str(host.ansible.get_variables()["ansible_private_key_file"])
    )
    with pytest.raises(paramiko.BadAuthenticationType) as refused:
        transport.auth_publickey("marie", key)
    assert refused.value.allowed_types == ["password"]


@pytest.mark.parametrize(("place", "wanted"), [("10.79.0.77", "yes"), ("192.0.2.1", "no")])
def test_people_come_from_where_they_may_alone(host: Host, place: str, wanted: str) -> None:
    allowed = host.check_output(f"sshd -T -C user=marie,host=x,addr={place}").splitlines()
    assert f"passwordauthentication {wanted}" in allowed
    assert {"chrootdirectory /srv/buffer", "forcecommand internal-sftp", "permittty no"} <= set(allowed)


def test_team_that_is_gone_keeps_its_data(control: ControlPlane, entrance: Entrance, host: Host) -> None:
    write(entrance.sftp("marie"), IMAGE)
    control.group(TEAM, [])
    with pytest.raises(PermissionError):
        entrance.sftp("marie").listdir(f"/{TEAM}")
    assert host.file(f"/srv/buffer{IMAGE}").content_string == "pixels"


def test_all_is_the_same_after_a_loss_of_power(
    control: ControlPlane, entrance: Entrance, host: Host, state_dir: Path
) -> None:
    write(entrance.sftp("marie"), IMAGE)
    control.user("louis", opened=False)
    before = control.done(do="read")
    control.close()
    fleet = ["bic", "--inventory", str(state_dir.parents[2] / "molecule/nation"), "sandbox"]
    for action in ("stop", "start"):
        subprocess.run([*fleet, action, "mol-buffer"], check=True, capture_output=True, timeout=120)
    assert control.done(do="read") == before
    marie = entrance.sftp("marie")
    marie.listdir(f"/{TEAM}")
    assert stat.S_ISREG(marie.stat(IMAGE).st_mode or 0)
    with pytest.raises(PermissionError):
        marie.listdir(f"/{OTHER_TEAM}")
    assert entrance.refuses("louis")
