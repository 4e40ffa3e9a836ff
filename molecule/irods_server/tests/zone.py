"""The zone of the scenario and how to enter it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from irods.session import iRODSSession

ZONE = "molZone"
ADDRESSES = {"mol-irods-provider": "10.79.0.14", "mol-irods-consumer": "10.79.0.15"}
NEGOTIATE = {"client_server_negotiation": "request_server_negotiation"}
REQUIRE_TLS = NEGOTIATE | {"client_server_policy": "CS_NEG_REQUIRE"}
REFUSE_TLS = NEGOTIATE | {"client_server_policy": "CS_NEG_REFUSE"}


def session(
    address: str, password: str, authority: Path, policy: dict[str, str] = REQUIRE_TLS, **account: Any
) -> iRODSSession:
    """A session that has not connected yet: of the administrator, unless an account is given."""
    return iRODSSession(
        host=address,
        port=1247,
        zone=ZONE,
        password=password,
        connection_timeout=60,
        ssl_verify_server="hostname",
        ssl_ca_certificate_file=str(authority),
        encryption_algorithm="AES-256-CBC",
        encryption_key_size=32,
        encryption_num_hash_rounds=16,
        encryption_salt_size=8,
        **({"user": "rods"} | account | policy),
    )


def log_in(irods: iRODSSession) -> None:
    """Do the least that needs a login."""
    with irods:
        assert irods.users.get(irods.username).name == irods.username
