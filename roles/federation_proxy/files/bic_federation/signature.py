"""The cryptography of a feed's signature, by xmlsec1 with pinned certificates alone."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from .envelope import Envelope, RefusedError

_SECONDS = 300


def verify(path: Path, envelope: Envelope, certificates: Sequence[Path]) -> int:
    """The place (from 1) among `certificates` of the one that signed the file. Raises RefusedError."""
    for number, certificate in enumerate(certificates, 1):
        command = ["xmlsec1", "--verify"]
        # A key that the feed itself brings must not count: without this, xmlsec1 takes it.
        command += ["--enabled-key-data", "raw-x509-cert", "--pubkey-cert-pem", str(certificate)]
        command += ["--id-attr:ID", envelope.root, str(path)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
        if ended.returncode == 0:
            return number
    which = "its certificate" if len(certificates) == 1 else f"any of its {len(certificates)} certificates"
    raise RefusedError(f"its signature is not by {which}")
