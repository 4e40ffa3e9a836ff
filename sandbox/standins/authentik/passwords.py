"""Hashes of passwords, in Django's own form."""

import base64
import hashlib
import hmac
import secrets

# Far below what a real server takes: logins of tests should not cost half a second each.
_ITERATIONS = 60_000
UNUSABLE = "!"


def _digest(password: str, salt: str, iterations: int) -> str:
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), iterations)
    return base64.b64encode(digest).decode()


def make(password: str) -> str:
    """Return the hash of a password."""
    salt = secrets.token_urlsafe(16)
    return f"pbkdf2_sha256${_ITERATIONS}${salt}${_digest(password, salt, _ITERATIONS)}"


def check(password: str, kept: str) -> bool:
    """Whether a password belongs to a hash; a hash of another form belongs to none."""
    parts = kept.split("$")
    if len(parts) != 4 or parts[0] != "pbkdf2_sha256" or not parts[1].isdigit():
        return False
    return hmac.compare_digest(_digest(password, parts[2], int(parts[1])), parts[3])
