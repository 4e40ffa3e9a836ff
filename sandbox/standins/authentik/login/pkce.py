"""Proof keys for code exchange (RFC 7636), for codes that we give out and for codes that we ask for."""

import base64
import hashlib
import hmac
import re
import secrets

S256, PLAIN = "S256", "plain"
_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")
_CHALLENGE = re.compile(r"[A-Za-z0-9\-_]{43}")


def make_verifier() -> str:
    """A new verifier of 64 characters."""
    return secrets.token_urlsafe(48)


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a verifier."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def is_challenge(text: str) -> bool:
    """Whether the text can be an S256 challenge at all."""
    return _CHALLENGE.fullmatch(text) is not None


def proves(verifier: str, challenge: str, method: str) -> bool:
    """Whether the verifier is a legal one and belongs to the challenge."""
    if _VERIFIER.fullmatch(verifier) is None:
        return False
    computed = challenge_of(verifier) if method == S256 else verifier
    return hmac.compare_digest(computed.encode(), challenge.encode())
