"""Keys of providers, and what is signed with them."""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey, RSAKey

Row = Mapping[str, Any]


class BadTokenError(Exception):
    """A token is not one that was signed with this key."""


def key_id(key_data: str) -> str:
    """The id of a private key (PEM), as upstream makes it."""
    return base64.urlsafe_b64encode(hashlib.sha512(key_data.encode()).digest()).decode().rstrip("=")


class SigningKey:
    """The key of a provider: its RSA key pair, or without one its client secret (HS256), as upstream."""

    def __init__(self, pair: Row | None, client_secret: str) -> None:
        self._pair = pair if pair and pair["key_data"] else None
        self._key: RSAKey | OctKey
        if self._pair is None:
            self.algorithm = "HS256"
            self._key = OctKey.import_key(client_secret or "-")
        else:
            self.algorithm = "RS256"
            self._key = RSAKey.import_key(str(self._pair["key_data"]))

    def sign(self, claims: Mapping[str, Any], kind: str = "JWT") -> str:
        """A signed token with these claims."""
        header = {"alg": self.algorithm, "typ": kind}
        if self._pair is not None:
            header["kid"] = key_id(str(self._pair["key_data"]))
        return jwt.encode(header, dict(claims), self._key)

    def read(self, token: str) -> dict[str, Any]:
        """The claims of a token of ours, expired or not; raises `BadTokenError`."""
        try:
            return dict(jwt.decode(token, self._key, algorithms=[self.algorithm]).claims)
        except (JoseError, ValueError) as problem:
            raise BadTokenError(str(problem)) from problem

    def public_keys(self) -> dict[str, Any]:
        """The key set that anybody may read; empty without a key pair."""
        if self._pair is None:
            return {}
        key_data = str(self._pair["key_data"])
        private = load_pem_private_key(key_data.encode(), None)
        if not isinstance(private, RSAPrivateKey):
            return {}
        numbers = private.public_key().public_numbers()
        certificate = x509.load_pem_x509_certificate(str(self._pair["certificate_data"]).encode())
        encoded = certificate.public_bytes(Encoding.DER)
        entry = {
            "alg": "RS256",
            "kid": key_id(key_data),
            "kty": "RSA",
            "use": "sig",
            "n": _number(numbers.n),
            "e": _number(numbers.e),
            "x5c": [base64.b64encode(encoded).decode()],
            "x5t": _digest(hashlib.sha1(encoded, usedforsecurity=False).digest()),
            "x5t#S256": _digest(hashlib.sha256(encoded).digest()),
        }
        return {"keys": [entry]}


def half_hash(text: str) -> str:
    """What `at_hash` says of an access token: the left half of its SHA-256."""
    return _digest(hashlib.sha256(text.encode()).digest()[:16])


def _number(value: int) -> str:
    return _digest(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _digest(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")
