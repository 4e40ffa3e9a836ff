"""The files from which the server takes its certificate and whom it trusts, made anew at each start.

Ice reads a certificate with its key as PKCS#12, and Java its authorities as a key store. Both are made from
the PEM files of this host, so that a renewed certificate is in use after a restart.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from .errors import ToolError

CERTIFICATE_STORE = "server.p12"
TRUST_STORE = "trust-store"
#: It protects nothing that the key beside it does not show; Ice and Java want one.
PASSWORD = "secret"  # noqa: S105
SECONDS = 60

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def run(certificate: Path, key: Path, authorities: Path | None, folder: Path) -> str:
    """Make the stores in a folder; returns what was made. Raises ToolError.

    The trust store is Java's where the host has Java, and else the PEM file itself.
    """
    made = [_replace(folder / CERTIFICATE_STORE, lambda path: _pkcs12(certificate, key, path))]
    if authorities is not None:
        made.append(_replace(folder / TRUST_STORE, lambda path: _trust(authorities, path)))
    return ", ".join(str(path) for path in made)


def _replace(target: Path, make: Callable[[Path], None]) -> Path:
    """Let `make` write a file, and put that in place as a whole."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-") as scratch:
        new = Path(scratch) / target.name
        make(new)
        new.chmod(0o600)
        os.replace(new, target)
    return target


def _pkcs12(certificate: Path, key: Path, target: Path) -> None:
    command = ["openssl", "pkcs12", "-export", "-name", "server", "-passout", f"pass:{PASSWORD}"]
    _do([*command, "-in", str(certificate), "-inkey", str(key), "-out", str(target)])


def _trust(authorities: Path, target: Path) -> None:
    if shutil.which("keytool") is None:
        shutil.copyfile(authorities, target)
        return
    try:
        certificates = _CERTIFICATE.findall(authorities.read_text())
    except OSError as error:
        raise ToolError(f"the authorities cannot be read: {error}") from error
    if not certificates:
        raise ToolError(f"{authorities} holds no certificate in PEM: name the authority's file")
    command = ["keytool", "-importcert", "-noprompt", "-storetype", "PKCS12", "-storepass", PASSWORD]
    for number, text in enumerate(certificates):
        _do([*command, "-alias", f"authority-{number}", "-keystore", str(target)], text)


def _do(command: Sequence[str], given: str = "") -> None:
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"{command[0]} cannot be run: {error}") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["it said nothing"]
        raise ToolError(f"{command[0]} {command[1]} failed: {said[-1]}")
