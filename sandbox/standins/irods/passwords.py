"""iRODS's ways of hiding passwords: on the wire, in the .irodsA file, and the digest of native
authentication.

Ported by behaviour from what python-irodsclient sends; none of it is encryption, so TLS has to protect
it.
"""

import base64
import hashlib
import secrets
import string

_WHEEL = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!\"#$%&'()*+,-./"
_PADDING = "1gCBizHWbwIYyWLoysGzTe6SyzqFKMniZX05faZHWAwQKXf6Fs"
_V2_MARK = ".ObfV2"
_MAX = 50


def digest(challenge: str, password: str) -> str:
    """Return the base64 answer to a challenge: MD5 over it and the password padded with zero bytes."""
    raw = password.encode()[:_MAX].ljust(_MAX, b"\0")
    answer = hashlib.md5(challenge.encode() + raw, usedforsecurity=False).digest().replace(b"\0", b"\1")
    return base64.b64encode(answer).decode()


def random_password() -> str:
    """Return a password as iRODS makes it for a login through PAM: 42 letters and digits."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(_MAX - 8))


def signature(challenge: str) -> str:
    """Return what keys the passwords sent in a session: the challenge's first 16 bytes in hex."""
    return challenge.encode()[:16].hex()


def _ring(key: str) -> bytes:
    padded = key.ljust(100, "\0")[:100].encode("latin-1", "replace")
    first = hashlib.md5(padded, usedforsecurity=False).digest()
    second = hashlib.md5(first, usedforsecurity=False).digest()
    third = hashlib.md5(first + second, usedforsecurity=False).digest()
    return first + second + third + third


def _unscramble(hidden: str, key: str, *, chained: bool) -> str:
    ring, chain, plain = _ring(key), 0, []
    for index, char in enumerate(hidden):
        position = _WHEEL.find(char)
        if position < 0:
            plain.append(char)
            continue
        plain.append(_WHEEL[(position - ring[index % 61] - chain) % len(_WHEEL)])
        if chained:
            chain = ord(char) & 0xFF
    return "".join(plain)


def _strip_padding(padded: str) -> str:
    for end in range(len(padded)):
        rest = padded[end:]
        if len(rest) > 15 and _PADDING.startswith(rest):
            return padded[:end]
    return padded


def reveal_new_password(hidden: str, own_password: str, session_signature: str) -> str | None:
    """Return the new password that an administrator or user sent, or None when it was hidden with another
    key.

    The key is the sender's own password and the signature of the session.
    """
    key = (own_password[:90] + session_signature[:100]).ljust(100, "\0")
    hashed = hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()
    plain = _unscramble(hidden, hashed, chained=True)
    if plain[1 : 1 + len(_V2_MARK)] != _V2_MARK:
        return None
    return _strip_padding(plain[1 + len(_V2_MARK) :])


def reveal_initial_password(hidden: str, own_password: str) -> str:
    """Return the first password of a user whom a group administrator makes, keyed by the maker's password."""
    return _strip_padding(_unscramble(hidden, own_password, chained=False))


def _turn(text: str, uid: int, direction: int) -> str:
    """Turn the characters of an `.irodsA` file forth (1) or back (-1), each by its own number of steps."""
    shift, turned = 0, []
    for char in text:
        offset = ((0xD768B678 >> shift) & 0x1F) + (uid & 0xF5F)
        shift = 0 if shift + 3 > 28 else shift + 3
        position = _WHEEL.find(char)
        turned.append(char if position < 0 else _WHEEL[(position + direction * offset) % len(_WHEEL)])
    return "".join(turned)


def encode_irodsa(password: str, uid: int, mtime: int) -> str:
    """Return the content of a `.irodsA` file for a user id, as clients of that account read it back."""
    plain = "S" + "".join(chr(((mtime >> shift) & 0xF) + ord("a")) for shift in (4, 0, 12, 8)) + password
    encoded = "." + _turn(plain, uid, 1)
    return encoded[:6] + "e" + encoded[6:] + "\0"


def decode_irodsa(content: str, uid: int) -> str:
    """Return the password in a `.irodsA` file of a user id."""
    encoded = content.rstrip("\0")
    return _turn(encoded[1:6] + encoded[7:], uid, -1)[5:]
