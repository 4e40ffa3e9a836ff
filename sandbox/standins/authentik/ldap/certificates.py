"""Certificates of the outpost: those that the server has, and a self-signed one until there is one."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto
from twisted.internet import ssl

VALID = timedelta(days=365)


def self_signed(name: str) -> tuple[bytes, bytes]:
    """A new certificate and its key (PEM)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + VALID)
        .sign(key, hashes.SHA256())
    )
    key_text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), key_text


def context_of(chain: bytes, key: bytes) -> ssl.CertificateOptions:
    """Server-side TLS, 1.2 or newer, with a chain whose first certificate is the server's.

    Raises:
        ValueError: they cannot be read, or do not belong together.
    """
    first, *others = x509.load_pem_x509_certificates(chain)
    try:
        private = crypto.load_privatekey(crypto.FILETYPE_PEM, key)
    except crypto.Error as problem:
        raise ValueError("the certificate's key cannot be read") from problem
    options = ssl.CertificateOptions(
        privateKey=private,
        certificate=crypto.X509.from_cryptography(first),
        extraCertChain=[crypto.X509.from_cryptography(other) for other in others],
        raiseMinimumTo=ssl.TLSVersion.TLSv1_2,
    )
    try:
        # Otherwise the first connection makes it, and finds out that the two do not belong together.
        options.getContext()
    except SSL.Error as problem:
        raise ValueError("certificate and key do not belong together") from problem
    return options
