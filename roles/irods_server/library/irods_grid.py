#!/usr/bin/python
"""Ansible module: the settings of a zone that are kept in its catalogue, and where its delay server runs."""

from __future__ import annotations

import time
from typing import Any

from ansible.module_utils.irods_zone import FAILURES, TLS, explain, module_with, session

DOCUMENTATION = r"""
module: irods_grid
short_description: Set a zone's grid configuration and place its delay server
description:
  - Compares what is in the catalogue with what is wanted, and sets what differs.
  - >-
    Meant for the control host: C(delegate_to: localhost) with the Python that runs the playbook, which has
    python-irodsclient.
options:
  host:
    description: Name or address of a server of the zone, as it stands in its certificate.
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
    description: Name of an administrator of the zone.
    type: str
    required: true
  password:
    description: Password of the administrator.
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
  configuration:
    description: Values by namespace and option. An option that the zone does not know is an error.
    type: dict
    default: {}
  delay_server:
    description: Name of the server that is to run the delay server. Without it, it stays where it is.
    type: str
  delay_server_timeout:
    description: Seconds to wait until that server has taken it over.
    type: int
    default: 120
requirements:
  - python-irodsclient >= 3.3
attributes:
  check_mode:
    support: full
    description: Says what would change.
author:
  - BioImage Cloud
"""

EXAMPLES = r"""
- name: Let passwords of PAM live for eight hours
  irods_grid:
    host: icat.example.org
    zone: exampleZone
    user: rods
    password: "{{ irods_admin_password }}"
    ca_file: .state/pki/ca.crt
    configuration:
      authentication: {password_min_time: 28800}
    delay_server: irods2.example.org
  delegate_to: localhost
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
"""

RETURN = r"""
changes:
  description: What was set, or would be.
  type: list
  elements: str
  returned: success
  sample: ["authentication.password_min_time: 121 -> 28800"]
"""

# Numbers and structures of 5.0.2's API plugins; python-irodsclient has no names for them.
GET_GRID_CONFIGURATION, SET_GRID_CONFIGURATION, SET_DELAY_SERVER_MIGRATION = 20009, 20010, 20011
#: What leaves a name as it is.
IGNORE = "ignore"
POLL = 2.0

try:
    from irods.message import Message, StringProperty, iRODSMessage
except ImportError:
    # Said below, where more is missing.
    Message = object

    def StringProperty() -> None:
        """Stand in the place of a field."""


class NotTakenOverError(Exception):
    """The delay server is still where its text says."""


class GridConfiguration(Message):
    """A value in the catalogue's grid configuration."""

    _name = "GridConfigurationInp_PI"
    name_space = StringProperty()
    option_name = StringProperty()
    option_value = StringProperty()


class GridValue(Message):
    """The answer to a question for one."""

    _name = "GridConfigurationOut_PI"
    option_value = StringProperty()


class DelayServerMigration(Message):
    """Who runs the delay server, and who is to take it over."""

    _name = "DelayServerMigrationInp_PI"
    leader = StringProperty()
    successor = StringProperty()


def call(irods: Any, number: int, request: Message) -> Any:
    """Send a request and return the answer. Raises the server's refusal."""
    with irods.pool.get_connection() as connection:
        connection.send(iRODSMessage("RODS_API_REQ", msg=request, int_info=number))
        return connection.recv()


def read(irods: Any, name_space: str, option: str) -> str:
    """Return a value of the grid configuration."""
    request = GridConfiguration(name_space=name_space, option_name=option, option_value="")
    return str(call(irods, GET_GRID_CONFIGURATION, request).get_main_message(GridValue).option_value or "")


def configure(irods: Any, wanted: dict[str, dict[str, Any]], *, check: bool) -> list[str]:
    """Set the values that differ; return them."""
    changes = []
    for name_space, options in wanted.items():
        for option, value in options.items():
            present = read(irods, name_space, option)
            if present == str(value):
                continue
            changes.append(f"{name_space}.{option}: {present} -> {value}")
            if not check:
                request = GridConfiguration(
                    name_space=name_space, option_name=option, option_value=str(value)
                )
                call(irods, SET_GRID_CONFIGURATION, request)
    return changes


def place(irods: Any, wanted: str, timeout: int, *, check: bool) -> list[str]:
    """Have the delay server run where it is wanted, and wait until it does; return what changed.

    A successor takes over by itself when it sees its name, also from a leader that is down. Raises
    `NotTakenOverError` when it does not.
    """
    leader, successor = read(irods, "delay_server", "leader"), read(irods, "delay_server", "successor")
    if leader == wanted and successor in ("", wanted):
        return []
    change = [f"delay server: {leader} -> {wanted}"]
    if check:
        return change
    if successor != wanted:
        call(irods, SET_DELAY_SERVER_MIGRATION, DelayServerMigration(leader=IGNORE, successor=wanted))
    end = time.monotonic() + timeout
    while (leader := read(irods, "delay_server", "leader")) != wanted:
        if time.monotonic() > end:
            raise NotTakenOverError(leader)
        time.sleep(POLL)
    return change


def main() -> None:
    """Run the module."""
    module = module_with(
        {
            "configuration": {"type": "dict", "default": {}},
            "delay_server": {"type": "str"},
            "delay_server_timeout": {"type": "int", "default": 120},
        }
    )
    parameters = module.params
    wanted, seconds = parameters["delay_server"], parameters["delay_server_timeout"]
    try:
        with session(parameters, TLS) as irods:
            changes = configure(irods, parameters["configuration"], check=module.check_mode)
            if wanted:
                changes += place(irods, wanted, seconds, check=module.check_mode)
    except NotTakenOverError as error:
        module.fail_json(
            msg=f"{wanted} has not taken over the delay server of {parameters['zone']} from {error} after "
            f"{seconds} s. Is this its irods_server_host, and does it run? Its journal says more."
        )
    except FAILURES as error:
        module.fail_json(msg=explain(parameters, error), error_code=getattr(error, "code", None))
    module.exit_json(changed=bool(changes), changes=changes)


if __name__ == "__main__":
    main()
