"""OMERO.server on a host: who is let in, what is open, what stays, and what the role refuses."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import os
import secrets as random
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import certifi
import Glacier2
import Ice
import omero
import pytest
from conftest import converge, eventually, reachable, said
from omero.model import ExperimenterGroupI, ExperimenterI
from omero.rtypes import rbool, rlong, rstring
from omero_login import LogIn, session
from testinfra.host import Host

UNIT = "omero-server"
OMERO = "/opt/omero/server/OMERO.server"
USER_GROUP = 1
TEAM = "team of the scenario"


@pytest.fixture
def secrets(state_dir: Path) -> dict[str, str]:
    """The scenario's secrets by name."""
    return {path.name: path.read_text().strip() for path in (state_dir / "secrets").iterdir()}


@pytest.fixture
def log_in(address: str, authority: Path) -> LogIn:
    """Logs in as somebody with a password, until the session is left."""
    return functools.partial(session, address, authority)


def answers(log_in: LogIn, password: str) -> bool:
    """Whether root gets in; a server that is not there yet is none that refuses."""
    try:
        with log_in("root", password):
            return True
    except (Ice.Exception, omero.ClientError) as error:
        raise ConnectionError(str(error)) from error


def group_of_the_scenario(admin: Any) -> ExperimenterGroupI:
    """A group for people to be in beside `user`."""
    try:
        return ExperimenterGroupI(admin.lookupGroup(TEAM).getId().getValue(), False)
    except omero.ApiUsageException:
        group = ExperimenterGroupI()
        group.name, group.ldap = rstring(TEAM), rbool(False)
        return ExperimenterGroupI(admin.createGroup(group), False)


@pytest.fixture
def olga(log_in: LogIn, secrets: dict[str, str]) -> str:
    """A person of the directory whose account the administrator made, with a password that nobody knows."""
    with log_in("root", secrets["omero_root"]) as services:
        admin = services.getAdminService()
        try:
            admin.lookupExperimenter("olga")
        except omero.ApiUsageException:
            person = ExperimenterI()
            person.omeName, person.firstName, person.lastName = rstring("olga"), rstring("Olga"), rstring("O")
            person.ldap = rbool(False)
            number = admin.createExperimenterWithPassword(
                person,
                rstring(random.token_urlsafe(40)),
                group_of_the_scenario(admin),
                [ExperimenterGroupI(USER_GROUP, False)],
            )
            # Afterwards: with LDAP, OMERO sets no passwords.
            services.getLdapService().setDN(rlong(number), "true")
    return "olga"


def test_root_logs_in_over_tls(log_in: LogIn, secrets: dict[str, str]) -> None:
    with log_in("root", secrets["omero_root"]) as services:
        context = services.getAdminService().getEventContext()
        assert (context.userName, context.isAdmin) == ("root", True)
    with pytest.raises(Glacier2.PermissionDeniedException), log_in("root", "another password"):
        pass


def test_another_authority_is_not_believed(address: str, secrets: dict[str, str]) -> None:
    with (
        pytest.raises((Ice.Exception, omero.ClientError)) as error,
        session(address, Path(certifi.where()), "root", secrets["omero_root"]),
    ):
        pass
    assert not isinstance(error.value, Glacier2.PermissionDeniedException)


def test_a_person_of_the_directory_logs_in_with_its_password_alone(
    log_in: LogIn, secrets: dict[str, str], olga: str
) -> None:
    with log_in(olga, secrets["ldap_olga"]) as services:
        assert services.getAdminService().getEventContext().userName == olga
    for wrong in ("wrong", " ", secrets["ldap_oskar"]):
        with pytest.raises(Ice.Exception), log_in(olga, wrong):
            pass


def test_a_login_makes_no_account(log_in: LogIn, secrets: dict[str, str]) -> None:
    with pytest.raises(Ice.Exception), log_in("oskar", secrets["ldap_oskar"]):
        pass
    with log_in("root", secrets["omero_root"]) as services:
        names = {
            person.getOmeName().getValue() for person in services.getAdminService().lookupExperimenters()
        }
    assert "root" in names
    assert "oskar" not in names


def test_nothing_is_open_without_tls(address: str, host: Host) -> None:
    assert reachable(address, 4064)
    # 4063 is OMERO without TLS, 4061 the registry of its parts.
    assert not reachable(address, 4063)
    assert not reachable(address, 4061)
    listening = host.check_output("ss --no-header --listening --tcp --numeric")
    assert "0.0.0.0:4064" in listening
    assert "0.0.0.0:4061" not in listening


def test_nobody_else_reads_its_secrets(host: Host, secrets: dict[str, str]) -> None:
    processes = host.check_output("ps -eo args")
    journal = host.check_output("journalctl --no-pager")
    for name in ("omero_root", "omero_database", "ldap_omero"):
        assert secrets[name] not in processes
        assert secrets[name] not in journal
    settings = host.file("/opt/omero/server/config/10-bic.omero")
    assert (settings.user, settings.mode) == ("omero-server", 0o600)
    assert secrets["omero_database"] in settings.content_string
    for path in (f"{OMERO}/etc/grid/config.xml", "/srv/omero", "/var/lib/omero-server/tls/server.p12"):
        assert host.run("runuser -u nobody -- cat %s", path).rc != 0
        assert host.run("runuser -u nobody -- ls %s", path).rc != 0
    # Root's password is nowhere on the host.
    assert host.run("grep -rqF %s /opt/omero /var/lib/omero-server /etc", secrets["omero_root"]).rc == 1


def test_unit_is_confined(host: Host) -> None:
    # In tenths: systemd calls up to 3.0 well protected.
    host.run_expect([0], f"systemd-analyze security --threshold=30 {UNIT}.service")
    process = host.check_output("systemctl show --property=MainPID --value %s", UNIT)
    users = host.check_output("ps -o user:20= -p %s --ppid %s", process, process).split()
    assert set(users) == {"omero-server"}
    assert "CapEff:\t0000000000000000" in host.check_output("cat /proc/%s/status", process)


def test_its_own_command_line_sees_it(host: Host) -> None:
    command = (
        "cd /var/lib/omero-server && env OMERODIR=%s OMERO_TMPDIR=/var/lib/omero-server/tmp "
        "PATH=/opt/ice-3.6.5/bin:/opt/omero/python/current/bin:/usr/bin:/bin "
        "/usr/sbin/runuser -u omero-server -- omero admin status"
    )
    host.run_expect([0], command, OMERO)


def test_it_comes_back_after_a_kill_with_all_that_it_knew(
    host: Host, log_in: LogIn, secrets: dict[str, str], olga: str
) -> None:
    before = host.check_output("systemctl show --property=MainPID --value %s", UNIT)
    host.check_output("systemctl kill --signal=KILL %s", UNIT)

    def again() -> bool:
        now = host.check_output("systemctl show --property=MainPID --value %s", UNIT)
        return now not in {"0", before} and answers(log_in, secrets["omero_root"])

    assert eventually(again, 120)
    with log_in(olga, secrets["ldap_olga"]):
        pass


def test_the_database_is_filled_once(host: Host) -> None:
    query = "select count(*), max(message) from dbpatch"
    said = host.check_output("cd / && runuser -u postgres -- psql -XAt -c %s omero", query)
    assert said == "1|Database ready."


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"omero_server_version": "5.6.3"}, "OMERO does not go back"),
        ({"omero_server_version": "5.5.1"}, "must be of the 5.6 series"),
        ({"omero_server_checksum": "md5:0"}, "must be sha256: and 64 hexadecimal digits"),
        ({"omero_server_root_password": "short"}, "must be at least 20 letters, digits"),
        ({"omero_server_root_password": "w" * 20}, "does not let root in with this password"),
        ({"omero_server_database_password": "wrong"}, "cannot be used as omero over TLS"),
        ({"omero_server_ice_wheel": "/nowhere.whl"}, "must be a file on the control host"),
    ],
    ids=["older", "other series", "checksum", "short", "other root", "database", "wheel"],
)
def test_what_cannot_be_is_said_and_changes_nothing(
    host: Host, log_in: LogIn, secrets: dict[str, str], given: dict[str, str], told: str
) -> None:
    before = host.check_output("systemctl show --property=MainPID --value %s", UNIT)
    result = converge(**given)
    assert result.returncode != 0
    assert told in said(result)
    assert host.check_output("systemctl show --property=MainPID --value %s", UNIT) == before
    assert answers(log_in, secrets["omero_root"])


def test_a_directory_that_does_not_answer_is_said(host: Host) -> None:
    ldap = {
        "uri": "ldaps://mol-omero.mol.example:9636",
        "base": "ou=people,dc=mol,dc=example",
        "bind_dn": "cn=omero,dc=mol,dc=example",
        "bind_password": "wrong",
        "ca_file": "/etc/bic/pki/ca.crt",
    }
    result = converge(omero_server_ldap=ldap)
    assert result.returncode != 0
    assert "cannot search ou=people,dc=mol,dc=example at ldaps://mol-omero.mol.example:9636" in said(result)


@contextlib.contextmanager
def published(address: str, folder: Path) -> Iterator[str]:
    """Serve a folder to the scenario's host, from the first address of its network; gives the URL."""
    gateway = f"{address.rpartition('.')[0]}.1"
    handler = functools.partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer((gateway, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://{gateway}:{server.server_port}"
        server.shutdown()
        thread.join()


def as_version(version: str, archive: Path, folder: Path) -> Path:
    """The same OMERO.server as if it were of another version."""
    target = folder / f"OMERO.server-{version}-ice36.zip"
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            entry.filename = f"{target.stem}/{entry.filename.partition('/')[2]}"
            new.writestr(entry, content)
    return target


def test_a_newer_version_takes_over_and_is_not_given_up(
    host: Host, address: str, log_in: LogIn, secrets: dict[str, str], tmp_path: Path
) -> None:
    archive = tmp_path / "installed.zip"
    name = host.check_output("ls /opt/omero/archives/ | grep zip")
    content = host.check_output("base64 --wrap=0 /opt/omero/archives/%s", name)
    archive.write_bytes(base64.b64decode(content))
    newer = as_version("5.6.99", archive, tmp_path)
    with published(address, tmp_path) as url:
        result = converge(
            omero_server_version="5.6.99",
            omero_server_url=f"{url}/{newer.name}",
            omero_server_checksum=f"sha256:{hashlib.sha256(newer.read_bytes()).hexdigest()}",
        )
    assert result.returncode == 0, said(result)
    assert host.check_output("readlink -f %s", OMERO).endswith("/OMERO.server-5.6.99-ice36")
    with log_in("root", secrets["omero_root"]):
        pass
    result = converge()
    assert result.returncode != 0
    assert "runs OMERO.server 5.6.99, and omero_server_version is 5.6.17" in said(result)


def test_a_power_cut_takes_nothing_away(
    host: Host, log_in: LogIn, secrets: dict[str, str], olga: str
) -> None:
    project = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
    bic = [str(Path(sys.executable).parent / "bic"), "--inventory", str(project / "molecule/nation")]
    for command in ("stop", "start"):
        subprocess.run([*bic, "sandbox", command, "mol-omero"], check=True, capture_output=True)
    assert eventually(lambda: answers(log_in, secrets["omero_root"]), 180)
    with log_in(olga, secrets["ldap_olga"]):
        pass
