#!/usr/bin/python
"""Ansible module: log in at an iRODS server as a client would, and report what it says."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.irods_zone import FAILURES, TLS, explain, module_with, session

DOCUMENTATION = r"""
module: irods_login
short_description: Log in at an iRODS server over TLS
description:
  - Logs in with native authentication over TLS, verifying the server's certificate and name, and disconnects.
  - >-
    Meant for the control host: C(delegate_to: localhost) with the Python that runs the playbook, which has
    python-irodsclient. It changes nothing, in check mode neither.
options:
  host:
    description: Name or address of the server, as it stands in its certificate.
    type: str
    required: true
  port:
    description: TCP port of the zone.
    type: int
    default: 1247
  zone:
    description: Name of the zone.
    type: str
    required: true
  user:
    description: Name of the user.
    type: str
    required: true
  password:
    description: Password of the user.
    type: str
    required: true
  ca_file:
    description: The authority of the server's certificate, a PEM file.
    type: path
    required: true
  timeout:
    description: Seconds that one exchange with the server may take.
    type: int
    default: 30
  refuses_plaintext:
    description: >-
      Try without TLS too, both asking for plaintext and asking nothing, and fail when the server lets either
      in.
    type: bool
    default: false
  storage_resource:
    description: Name of a storage resource to look up.
    type: str
requirements:
  - python-irodsclient >= 3.3
attributes:
  check_mode:
    support: full
    description: Does the same in check mode.
author:
  - BioImage Cloud
"""

EXAMPLES = r"""
- name: Log in over TLS, and see plaintext refused
  irods_login:
    host: icat.example.org
    zone: exampleZone
    user: rods
    password: "{{ irods_admin_password }}"
    ca_file: .state/pki/ca.crt
    refuses_plaintext: true
  delegate_to: localhost
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
"""

RETURN = r"""
server_version:
  description: The version that the server answers with.
  type: str
  returned: success
  sample: 5.0.2
storage_resource:
  description: Name, host and vault of the storage resource, or null where the zone has none of this name.
  type: dict
  returned: when storage_resource is given
  sample: {name: demoResc, host: icat.example.org, vault: /var/lib/irods/Vault}
"""

try:
    from irods.exception import ResourceDoesNotExist
except ImportError:
    # Said below, where the other names are missing too.
    ResourceDoesNotExist = LookupError

#: The two ways to ask for plaintext: refusing TLS in the negotiation, and not negotiating.
PLAINTEXT: tuple[dict[str, str], ...] = (
    {"client_server_negotiation": "request_server_negotiation", "client_server_policy": "CS_NEG_REFUSE"},
    {},
)


def log_in(parameters: dict[str, Any]) -> dict[str, Any]:
    """Log in over TLS and return what the module returns. Raises what the client library raises."""
    with session(parameters, TLS) as irods:
        found: dict[str, Any] = {"server_version": ".".join(str(part) for part in irods.server_version)}
        if parameters["storage_resource"]:
            try:
                resource = irods.resources.get(parameters["storage_resource"])
            except ResourceDoesNotExist:
                found["storage_resource"] = None
            else:
                found["storage_resource"] = {
                    "name": resource.name,
                    "host": resource.location,
                    "vault": resource.vault_path,
                }
        return found


def lets_plaintext_in(parameters: dict[str, Any]) -> bool:
    """Tell whether the server lets a client in that does not use TLS."""
    for policy in PLAINTEXT:
        try:
            with session(parameters, policy) as irods:
                # A query needs a login, where the version may be had without.
                irods.users.get(parameters["user"])
        except FAILURES:
            continue
        return True
    return False


def main() -> None:
    """Run the module."""
    module = module_with(
        {
            "refuses_plaintext": {"type": "bool", "default": False},
            "storage_resource": {"type": "str"},
        }
    )
    parameters = module.params
    try:
        found = log_in(parameters)
    except FAILURES as error:
        module.fail_json(msg=explain(parameters, error), error_code=getattr(error, "code", None))
    if parameters["refuses_plaintext"] and lets_plaintext_in(parameters):
        module.fail_json(
            msg=f"{parameters['host']} lets clients in without TLS. Its rule bases are not in force: "
            "look for 'error parsing rule' in its journal.",
            **found,
        )
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
