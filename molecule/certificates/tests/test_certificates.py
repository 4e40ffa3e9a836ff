"""The certificates role: what is issued, what issues it again, and where the authority's key stays."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from testinfra.host import Host

CERTIFICATE = "/etc/bic/pki/example.crt"
KEY = "/etc/bic/pki/example.key"
HOST = "mol-certificates"


def converge(**settings: object) -> subprocess.CompletedProcess[str]:
    """Run the scenario's playbook again, as an administrator would after changing settings."""
    return playbook("--extra-vars", json.dumps(settings))


def playbook(*arguments: str) -> subprocess.CompletedProcess[str]:
    inventory = Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent
    path = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"]) / "converge.yml"
    return subprocess.run(
        ["ansible-playbook", "--inventory", str(inventory), *arguments, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )


def certificate(host: Host) -> x509.Certificate:
    return x509.load_pem_x509_certificate(host.file(CERTIFICATE).content)


def restarted(host: Host) -> bool:
    """Whether the calling role's handler ran since the last time this was asked."""
    return bool(host.run("rm /run/example-restarted").rc == 0)


@pytest.fixture(autouse=True)
def _forget_restarts(host: Host) -> None:
    host.run("rm -f /run/example-restarted")


def test_names_and_use(host: Host, address: str) -> None:
    extensions = certificate(host).extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["mol-certificates.mol.example", "mol-certificates"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == [address]
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_chain_is_trusted_by_the_host(host: Host) -> None:
    host.check_output(
        "openssl verify -CAfile /etc/bic/pki/ca.crt -verify_hostname mol-certificates %s", CERTIFICATE
    )
    host.check_output("openssl verify -CApath /etc/ssl/certs -purpose sslserver %s", CERTIFICATE)
    assert host.run("openssl verify -no-CAfile -no-CApath -no-CAstore %s", CERTIFICATE).rc != 0


def test_key_belongs_to_the_certificate_and_to_the_service(host: Host) -> None:
    key = host.file(KEY)
    assert (key.user, key.group, key.mode) == ("root", "www-data", 0o640)
    of_key = host.check_output("openssl pkey -pubout -in %s", KEY)
    assert of_key == host.check_output("openssl x509 -noout -pubkey -in %s", CERTIFICATE)


def test_authority_signs_no_further_authorities(authority: Path) -> None:
    certificate = x509.load_pem_x509_certificate(authority.read_bytes())
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)
    years = (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days / 365
    assert 9.9 < years < 10.1


def test_authority_key_is_private_and_never_left_the_control_host(host: Host, authority: Path) -> None:
    key = authority.with_name("ca.key")
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700
    secret = key.read_text().splitlines()[1]
    assert host.run("grep -rlF -e %s /etc /root /home /tmp /var /usr/local", secret).stdout == ""


def test_renewal_issues_again_restarts_the_service_and_mends_the_trust_store(host: Host) -> None:
    host.check_output("rm /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/bic.pem")
    before = certificate(host)
    kept = host.file(KEY).sha256sum
    result = converge(certificates_renew_before_days=366)
    assert result.returncode == 0, result.stdout
    after = certificate(host)
    assert after.serial_number != before.serial_number
    assert after.not_valid_after_utc >= before.not_valid_after_utc
    assert host.file(KEY).sha256sum == kept
    host.check_output("openssl verify -CAfile /etc/ssl/certs/ca-certificates.crt %s", CERTIFICATE)
    host.check_output("openssl verify -no-CAfile -no-CAstore -CApath /etc/ssl/certs %s", CERTIFICATE)
    assert restarted(host)


def test_other_names_issue_again(host: Host) -> None:
    result = converge(certificates_subject_alt_names=["DNS:other.mol.example"])
    assert result.returncode == 0, result.stdout
    value = certificate(host).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert value.get_values_for_type(x509.DNSName) == ["other.mol.example"]
    assert restarted(host)


def test_another_authority_issues_again(host: Host, state_dir: Path) -> None:
    result = converge(certificates_authority_dir=f"{state_dir}/other-pki")
    assert result.returncode == 0, result.stdout
    host.check_output("openssl verify -CApath /etc/ssl/certs %s", CERTIFICATE)
    assert host.file("/etc/bic/pki/ca.crt").content == (state_dir / "other-pki/ca.crt").read_bytes()
    assert restarted(host)


def test_dry_run_creates_no_authority(state_dir: Path) -> None:
    result = playbook("--check", "--extra-vars", f"certificates_authority_dir={state_dir}/never")
    assert result.returncode == 0, result.stdout
    assert not (state_dir / "never").exists()


def test_authority_that_ends_too_soon_is_refused(state_dir: Path) -> None:
    result = converge(certificates_days=4000)
    assert result.returncode != 0
    assert "lower certificates_days, or replace the authority" in " ".join(result.stdout.split())


def test_authority_that_lost_its_key_is_not_replaced(state_dir: Path, authority: Path) -> None:
    folder = state_dir / "keyless"
    folder.mkdir()
    shutil.copy(authority, folder / "ca.crt")
    result = converge(certificates_authority_dir=str(folder))
    assert result.returncode != 0
    assert "restore the key from your backup" in " ".join(result.stdout.split())
    assert [item.name for item in folder.iterdir()] == ["ca.crt"]


class Brought:
    """Certificates that somebody else's authority signed, in the folder that the role reads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = datetime.datetime.now(datetime.UTC)
        self.authority_key = ec.generate_private_key(ec.SECP256R1())
        self.authority = self._sign(
            "Brought authority", self.authority_key, "Brought authority", authority=True
        )
        (folder / HOST).mkdir(parents=True)
        self._write("ca.crt", self.authority.public_bytes(serialization.Encoding.PEM))
        key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign(HOST, key, "Brought authority", authority=False)
        self._write(f"{HOST}/example.crt", self.certificate.public_bytes(serialization.Encoding.PEM))
        self.write_key(key)

    def write_key(self, key: ec.EllipticCurvePrivateKey) -> None:
        """Put this key beside the certificate, be it the right one or not."""
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        self._write(f"{HOST}/example.key", key.private_bytes(*form))

    def _write(self, name: str, content: bytes) -> None:
        (self.folder / name).write_bytes(content)

    def _sign(
        self, name: str, key: ec.EllipticCurvePrivateKey, issuer: str, *, authority: bool
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - datetime.timedelta(hours=1))
            .not_valid_after(self.now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        return builder.sign(self.authority_key, hashes.SHA256())


@pytest.fixture
def brought(state_dir: Path) -> Iterator[Brought]:
    folder = state_dir / "brought"
    shutil.rmtree(folder, ignore_errors=True)
    yield Brought(folder)
    shutil.rmtree(folder)


def test_brought_certificates_are_installed(host: Host, brought: Brought) -> None:
    result = converge(certificates_provided_dir=str(brought.folder))
    assert result.returncode == 0, result.stdout
    assert certificate(host) == brought.certificate
    host.check_output("openssl verify -CApath /etc/ssl/certs %s", CERTIFICATE)
    assert restarted(host)

    again = converge(certificates_provided_dir=str(brought.folder))
    assert again.returncode == 0, again.stdout
    assert "changed=0" in again.stdout


def test_brought_certificate_that_is_missing_is_named(brought: Brought) -> None:
    missing = brought.folder / HOST / "example.crt"
    missing.unlink()
    result = converge(certificates_provided_dir=str(brought.folder))
    assert result.returncode != 0
    assert f"there is no {missing}" in " ".join(result.stdout.split())


def test_brought_key_of_another_certificate_is_refused(host: Host, brought: Brought) -> None:
    before = certificate(host)
    brought.write_key(ec.generate_private_key(ec.SECP256R1()))
    result = converge(certificates_provided_dir=str(brought.folder))
    assert result.returncode != 0
    assert certificate(host) == before
