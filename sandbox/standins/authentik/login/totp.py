"""Time-based one-time passwords (RFC 6238), as Authentik's TOTP devices have them: SHA-1, 30 seconds."""

import base64
import secrets
from urllib.parse import quote

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

STEP_SECONDS = 30
# Upstream's `tolerance`: one step before and after, for clocks that are off.
TOLERANCE = 1


def make_secret() -> str:
    """A new secret of 160 bits, in base32."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def matching_step(secret: str, code: str, now: float, digits: int = 6, after_step: int = -1) -> int | None:
    """The time step for which the code is right, or None.

    `after_step` is the last step that was used: that one and earlier ones are refused, so a code counts once.
    """
    if not (code.isascii() and code.isdigit() and len(code) == digits):
        return None
    generator = HOTP(base64.b32decode(secret), digits, SHA1())  # noqa: S303 - what authenticator apps speak
    current = int(now) // STEP_SECONDS
    for step in range(current - TOLERANCE, current + TOLERANCE + 1):
        if step > after_step and secrets.compare_digest(generator.generate(step), code.encode()):
            return step
    return None


def provisioning_uri(secret: str, account: str, issuer: str, digits: int = 6) -> str:
    """What an authenticator app reads from a QR code."""
    label = quote(f"{issuer}:{account}")
    return (
        f"otpauth://totp/{label}?secret={secret}&issuer={quote(issuer)}&digits={digits}&period={STEP_SECONDS}"
    )
