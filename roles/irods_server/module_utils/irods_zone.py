"""What this role's modules have in common: a session with an iRODS server, over TLS."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    from irods.exception import PycommandsException, iRODSException
    from irods.session import iRODSSession
except ImportError as error:
    MISSING: ImportError | None = error
    PycommandsException = iRODSException = OSError
else:
    MISSING = None

#: The parameters with which a module logs in.
LOGIN: dict[str, dict[str, Any]] = {
    "host": {"type": "str", "required": True},
    "port": {"type": "int", "default": 1247},
    "zone": {"type": "str", "required": True},
    "user": {"type": "str", "required": True},
    "password": {"type": "str", "required": True, "no_log": True},
    "ca_file": {"type": "path", "required": True},
    "timeout": {"type": "int", "default": 30},
}
TLS = {"client_server_negotiation": "request_server_negotiation", "client_server_policy": "CS_NEG_REQUIRE"}
#: What the client library raises when a server refuses, breaks off or is not there.
FAILURES = (iRODSException, PycommandsException, OSError)


def module_with(options: dict[str, dict[str, Any]]) -> AnsibleModule:
    """Return a module with a login among its options; it fails at once where no login could be tried."""
    module = AnsibleModule(argument_spec=LOGIN | options, supports_check_mode=True)
    if MISSING is not None:
        module.fail_json(msg=missing_required_lib("python-irodsclient"), exception=str(MISSING))
    # The client library logs failures that the modules report.
    logging.getLogger("irods").setLevel(logging.CRITICAL + 1)
    authority = module.params["ca_file"]
    if not Path(authority).is_file():
        module.fail_json(msg=f"There is no certificate authority at {authority} on this host.")
    return module


def session(parameters: dict[str, Any], policy: dict[str, str], scheme: str = "native") -> iRODSSession:
    """Return a session that has not connected yet."""
    return iRODSSession(
        host=parameters["host"],
        port=parameters["port"],
        zone=parameters["zone"],
        user=parameters["user"],
        password=parameters["password"],
        irods_authentication_scheme=scheme,
        connection_timeout=parameters["timeout"],
        ssl_verify_server="hostname",
        ssl_ca_certificate_file=parameters["ca_file"],
        encryption_algorithm="AES-256-CBC",
        encryption_key_size=32,
        encryption_num_hash_rounds=16,
        encryption_salt_size=8,
        **policy,
    )


def explain(parameters: dict[str, Any], error: Exception) -> str:
    """Return one sentence for a person: what was tried, what the server said."""
    said = " ".join(str(part) for part in (type(error).__name__, getattr(error, "code", None)) if part)
    if error.args and error.args[0] is not None:
        said += f": {error}"
    return (
        f"Cannot work at {parameters['host']}:{parameters['port']} as {parameters['user']} of "
        f"{parameters['zone']} over TLS: {said}"
    )
