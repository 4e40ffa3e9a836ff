"""Who may read metrics: HTTP basic authentication (RFC 7617), the one kind that every exporter here knows."""

import base64
import binascii
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

CHALLENGE = b'Basic realm="metrics", charset="UTF-8"'
"""What a request without the right credentials is told to bring."""


@dataclass(frozen=True)
class Gate:
    """The credentials that a request must carry; shown nowhere."""

    credentials: bytes

    @classmethod
    def of(cls, user: str, password: str) -> "Gate":
        """A gate for one user."""
        return cls(f"{user}:{password}".encode())

    def admits(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a request with these headers, named in lower case, may read.

        How long that takes tells nothing of how much was right.
        """
        scheme, _, encoded = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"basic":
            return False
        try:
            given = base64.b64decode(encoded.strip(), validate=True)
        except binascii.Error:
            return False
        return secrets.compare_digest(given, self.credentials)

    def __repr__(self) -> str:
        """Nothing of the credentials, wherever it may be printed."""
        return "Gate()"
