"""The role irods_server: what a client of the zone sees at the provider and at the consumer."""

from __future__ import annotations

import datetime
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from irods.exception import CAT_INVALID_AUTHENTICATION, NetworkException, iRODSException
from irods.keywords import DEST_RESC_NAME_KW
from irods.session import iRODSSession
from testinfra.host import Host
from zone import ADDRESSES, REFUSE_TLS, REQUIRE_TLS, ZONE, log_in, session

STORAGE_RESOURCES = {name: f"{name.replace('-', '_')}_resource" for name in ADDRESSES}


@pytest.fixture
def other_authority(tmp_path: Path) -> Path:
    """The certificate of an authority that signed nothing here."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Another authority")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "other.crt"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def irods(address: str, secrets: dict[str, str], authority: Path) -> Iterator[iRODSSession]:
    """A session over TLS with the host under test."""
    with session(address, secrets["irods_admin_password"], authority, REQUIRE_TLS) as opened:
        yield opened


def wait_for_login(address: str, password: str, authority: Path, seconds: float = 60) -> None:
    """Log in, and try again until it works."""
    end = time.monotonic() + seconds
    while True:
        try:
            log_in(session(address, password, authority, REQUIRE_TLS))
        except NetworkException:
            if time.monotonic() > end:
                raise
            time.sleep(1)
        else:
            return


def test_administrator_logs_in_over_tls(irods: iRODSSession) -> None:
    assert irods.server_version == (5, 0, 2)
    assert irods.zone == ZONE
    assert irods.users.get("rods").type == "rodsadmin"


def test_wrong_authority_is_noticed(address: str, secrets: dict[str, str], other_authority: Path) -> None:
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        log_in(session(address, secrets["irods_admin_password"], other_authority, REQUIRE_TLS))


@pytest.mark.parametrize("policy", [REFUSE_TLS, {}], ids=["refusing TLS", "not negotiating"])
def test_plaintext_is_refused(
    address: str, secrets: dict[str, str], authority: Path, policy: dict[str, str]
) -> None:
    log_in(session(address, secrets["irods_admin_password"], authority, REQUIRE_TLS))
    with pytest.raises((iRODSException, NetworkException)):
        log_in(session(address, secrets["irods_admin_password"], authority, policy))


def test_wrong_password_is_refused(address: str, authority: Path) -> None:
    with pytest.raises(CAT_INVALID_AUTHENTICATION) as refusal:
        log_in(session(address, "not the password", authority, REQUIRE_TLS))
    assert refusal.value.code == -826000


@pytest.mark.parametrize("resource", sorted(STORAGE_RESOURCES.values()))
def test_what_is_put_here_is_got_everywhere(
    irods: iRODSSession, secrets: dict[str, str], authority: Path, tmp_path: Path, resource: str
) -> None:
    content = os.urandom(3 * 2**20)
    (tmp_path / "sent").write_bytes(content)
    path = f"/{ZONE}/home/rods/{os.urandom(6).hex()}"
    irods.data_objects.put(str(tmp_path / "sent"), path, **{DEST_RESC_NAME_KW: resource})
    try:
        assert [replica.resource_name for replica in irods.data_objects.get(path).replicas] == [resource]
        for name, address in ADDRESSES.items():
            with session(address, secrets["irods_admin_password"], authority, REQUIRE_TLS) as other:
                other.data_objects.get(path, str(tmp_path / name))
            assert (tmp_path / name).read_bytes() == content
    finally:
        irods.data_objects.unlink(path, force=True)


def test_every_server_has_its_storage_resource(irods: iRODSSession) -> None:
    found = {name: irods.resources.get(name).location for name in STORAGE_RESOURCES.values()}
    assert found == {STORAGE_RESOURCES[name]: f"{name}.mol.example" for name in ADDRESSES}


def test_service_is_active_enabled_and_confined(host: Host) -> None:
    service = host.service("irods")
    assert service.is_running
    assert service.is_enabled
    exposure = host.check_output("systemd-analyze security --no-pager irods.service | tail -1")
    assert float(re.findall(r"\d+\.\d", exposure)[0]) < 2.0


def test_server_cannot_write_where_it_need_not(host: Host) -> None:
    pid = host.check_output("systemctl show --property=MainPID --value irods.service")
    inside = f"nsenter --target {pid} --mount -- runuser -u irods --"
    assert host.run(f"{inside} touch /etc/irods/probe").rc != 0
    assert host.run(f"{inside} sh -c 'touch /srv/vault/probe && rm /srv/vault/probe'").rc == 0


def test_what_is_the_service_accounts_is_closed_to_others(host: Host) -> None:
    for path in ("/etc/irods", "/var/lib/irods", "/srv/vault"):
        assert (host.file(path).user, host.file(path).group, host.file(path).mode) == (
            "irods",
            "irods",
            0o750,
        )
    assert host.file("/var/lib/irods/.irods").mode == 0o700
    assert host.run("runuser -u nobody -- ls /etc/irods").rc != 0


def test_setup_left_no_input(host: Host) -> None:
    assert not host.file("/run/irods-setup").exists
    marker = json.loads(host.file("/etc/irods/.bic-setup-complete").content_string)
    assert marker["zone"] == ZONE


def test_setup_does_not_run_twice(host: Host, address: str, secrets: dict[str, str], authority: Path) -> None:
    before = host.file("/etc/irods/server_config.json").sha256sum
    host.check_output("systemctl start irods-setup.service")
    assert host.file("/etc/irods/server_config.json").sha256sum == before
    log_in(session(address, secrets["irods_admin_password"], authority, REQUIRE_TLS))


def test_no_secret_is_readable_by_all(host: Host, secrets: dict[str, str]) -> None:
    for path in ("/etc/irods/server_config.json", "/var/lib/irods/.irods/.irodsA", "/etc/bic/pki/irods.key"):
        assert host.file(path).user == "irods"
        assert host.file(path).mode & 0o007 == 0, path
    values = "\n".join(secrets.values())
    found = host.run(
        "printf %s | grep -rlFf /dev/stdin --devices=skip /etc /var /run /tmp /usr/local 2>/dev/null"
        " | xargs -r -d '\\n' find -perm /004",
        values,
    )
    assert found.stdout == ""


def test_broken_rule_base_is_noticed(
    host: Host, address: str, secrets: dict[str, str], authority: Path
) -> None:
    host.check_output("cp -a /etc/irods/bic-tls.re /root/bic-tls.re")
    try:
        host.check_output("printf 'acBroken { this is no rule\\n' >> /etc/irods/bic-tls.re")
        outcome = host.run("/usr/local/sbin/irods-service reload")
        assert outcome.rc == 1
        assert "error parsing rule" in outcome.stderr
    finally:
        host.check_output("mv /root/bic-tls.re /etc/irods/bic-tls.re")
        host.check_output("/usr/local/sbin/irods-service reload")
    log_in(session(address, secrets["irods_admin_password"], authority, REQUIRE_TLS))
    with pytest.raises(NetworkException):
        log_in(session(address, secrets["irods_admin_password"], authority, REFUSE_TLS))


def test_invalid_configuration_is_not_activated(
    host: Host, address: str, secrets: dict[str, str], authority: Path
) -> None:
    config = "/etc/irods/server_config.json"
    host.check_output(f"cp -a {config} /root/server_config.json")
    try:
        host.check_output(f'sed -i \'s/"zone_port": 1247/"zone_port": "1247"/\' {config}')
        candidate = host.run(f"/usr/local/sbin/irods-check-config {config}")
        assert candidate.rc == 1
        assert candidate.stderr == 'server_config.json: zone_port: must satisfy type "integer"\n'
        assert host.run("/usr/local/sbin/irods-service reload").rc == 1
        log_in(session(address, secrets["irods_admin_password"], authority, REQUIRE_TLS))
    finally:
        host.check_output(f"mv /root/server_config.json {config}")


def test_service_survives_a_restart(
    host: Host, address: str, secrets: dict[str, str], authority: Path
) -> None:
    host.check_output("systemctl restart irods.service")
    wait_for_login(address, secrets["irods_admin_password"], authority)


def test_service_comes_back_after_power_loss(
    host: Host, address: str, secrets: dict[str, str], authority: Path
) -> None:
    name = host.check_output("hostname")
    root = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
    bic = [str(root / ".venv/bin/bic"), "--inventory", str(root / "molecule/nation"), "sandbox"]
    for command in ("stop", "start"):
        subprocess.run([*bic, command, name], check=True, capture_output=True, timeout=120)
    wait_for_login(address, secrets["irods_admin_password"], authority, seconds=120)
