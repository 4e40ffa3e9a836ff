"""Certificates and their keys."""

import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509.oid import NameOID

from .models.fields import Invalid


def generate(name: str, days: int, algorithm: str, alternative_names: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the values of a new key pair with a self-signed certificate; `algorithm` is rsa or ecdsa."""
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    if algorithm == "ecdsa":
        key = ec.generate_private_key(ec.SECP256R1())
    else:
        key = rsa.generate_private_key(
            public_exponent=65537, key_size=4096 if algorithm == "rsa4096" else 2048
        )
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "authentik"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Self-signed"),
        ]
    )
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=days))
    )
    if alternative_names:
        names = x509.SubjectAlternativeName([x509.DNSName(item) for item in alternative_names])
        builder = builder.add_extension(names, critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    return {
        "name": name,
        "certificate_data": certificate.public_bytes(serialization.Encoding.PEM).decode(),
        "key_data": key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
    }


def check(certificate: str | None, key: str | None) -> None:
    """Check that texts are a certificate and its key.

    Raises:
        Invalid: with errors by field.
    """
    loaded = None
    if certificate is not None:
        try:
            loaded = x509.load_pem_x509_certificate(certificate.encode())
        except ValueError:
            raise Invalid({"certificate_data": ["Unable to load certificate."]}) from None
    if not key:
        return
    try:
        private = serialization.load_pem_private_key(key.encode(), password=None)
    except (TypeError, ValueError):
        raise Invalid({"key_data": ["Unable to load private key."]}) from None
    if loaded is not None and _public(loaded.public_key()) != _public(private.public_key()):
        raise Invalid({"key_data": ["Private key does not belong to the certificate."]})


def _public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def details(certificate_data: str) -> dict[str, Any]:
    """Return what the API shows of a certificate."""
    certificate = x509.load_pem_x509_certificate(certificate_data.encode())
    kinds = {
        rsa.RSAPublicKey: "rsa",
        ec.EllipticCurvePublicKey: "ec",
        ed25519.Ed25519PublicKey: "ed25519",
        ed448.Ed448PublicKey: "ed448",
    }
    kind = next((name for cls, name in kinds.items() if isinstance(certificate.public_key(), cls)), None)
    expiry = certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "fingerprint_sha256": certificate.fingerprint(hashes.SHA256()).hex(":"),
        "fingerprint_sha1": certificate.fingerprint(hashes.SHA1()).hex(":"),  # noqa: S303 - it is shown only
        "cert_expiry": expiry,
        "cert_subject": certificate.subject.rfc4514_string(),
        "key_type": kind,
    }
