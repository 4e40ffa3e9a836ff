"""Ansible filter: a password as the web configuration of Prometheus's exporters keeps it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

import bcrypt
from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: bcrypt_hash
short_description: Hash a password with bcrypt, the same each time for one place
description:
  - The salt follows from where the hash is kept, so that a second run changes nothing and no two places have
    the same hash.
positional: _input, place
options:
  _input:
    description: The password, of at most 72 bytes.
    type: str
    required: true
  place:
    description: Where the hash is kept, such as a host and a service.
    type: str
    required: true
"""

EXAMPLES = r"""
hash: "{{ password | bcrypt_hash(inventory_hostname ~ ' node_exporter') }}"
"""

RETURN = r"""
_value:
  description: The hash, such as C($2b$10$...).
  type: str
"""

ROUNDS = 10
"""The cost, 2 to this power: an exporter pays it once, and whoever guesses passwords for each of them."""

LONGEST = 72
"""Bytes of a password that bcrypt looks at."""

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BCRYPT = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def bcrypt_hash(password: str, place: str) -> str:
    """The hash of a password for one place. Raises AnsibleFilterError when bcrypt would cut it off."""
    secret = password.encode()
    if len(secret) > LONGEST:
        raise AnsibleFilterError(f"a password that is hashed with bcrypt has at most {LONGEST} bytes")
    salt = base64.b64encode(hashlib.sha256(place.encode()).digest()[:16]).rstrip(b"=")
    text = salt.translate(bytes.maketrans(_BASE64, _BCRYPT))
    return bcrypt.hashpw(secret, b"$2b$%d$%s" % (ROUNDS, text)).decode()


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """The filters by name."""
        return {"bcrypt_hash": bcrypt_hash}
