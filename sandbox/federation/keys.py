"""Signing keys of the outside world: private keys with self-signed certificates, as federations use them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

_BITS = 3072
_DAYS = 3650


@dataclass(frozen=True)
class KeyPair:
    """Where a private key and its certificate are, both PEM files."""

    key: Path
    certificate: Path

    @property
    def body(self) -> str:
        """The certificate as SAML metadata writes it: base64 without the lines around it."""
        return "".join(self.certificate.read_text().splitlines()[1:-1])


def key_pair(folder: Path, name: str, days: int = _DAYS) -> KeyPair:
    """Return the pair called `name` in `folder`; made when there is none, for `days`."""
    pair = KeyPair(folder / f"{name}.key", folder / f"{name}.crt")
    if not pair.certificate.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make(pair, name, days)
    return pair


def _make(pair: KeyPair, name: str, days: int) -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=days))
        .sign(private, hashes.SHA256())
    )
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write(pair.key, secret, 0o600)
    # Written last: with it, the pair is whole.
    write(pair.certificate, certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def write(path: Path, content: bytes, mode: int) -> None:
    """Replace a file by `content`, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    temporary.replace(path)
