"""A throw-away certificate authority and certificates for stand-ins on the loopback interface."""

import datetime
import ipaddress
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sandbox.standins.irods.config import TlsServer


@dataclass(frozen=True)
class Authority:
    """A certificate authority whose certificate is `ca_file`."""

    ca_file: Path
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
    )


def create_authority(directory: Path, name: str = "test authority") -> Authority:
    """Make an authority; its certificate is written to `ca.crt` in the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_name(name), _name(name), key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    ca_file = directory / "ca.crt"
    ca_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return Authority(ca_file, certificate, key)


def issue(authority: Authority, directory: Path) -> TlsServer:
    """Make a certificate for localhost, 127.0.0.1 and 127.0.0.2, with key and Diffie-Hellman parameters."""
    directory.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    addresses = [x509.IPAddress(ipaddress.ip_address(f"127.0.0.{last}")) for last in (1, 2)]
    names = [x509.DNSName("localhost"), *addresses]
    certificate = (
        _builder(_name("localhost"), authority.certificate.subject, key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    files = TlsServer(directory / "server.crt", directory / "server.key", directory / "dh.pem")
    files.certificate_chain_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files.certificate_key_file.touch(mode=0o600)
    files.certificate_key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    command = ["openssl", "genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048"]
    subprocess.run([*command, "-out", files.dh_params_file], check=True, capture_output=True)
    return files
