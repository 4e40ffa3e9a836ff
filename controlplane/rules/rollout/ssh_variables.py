"""How Ansible reaches hosts: run as a program, it prints the connection variables of an inventory's hosts.

Usage: python -m controlplane.rules.rollout.ssh_variables PLATFORM_FILE HOST...

Group variables, vaults and templates count as they do for a play. It is a process of its own because
Ansible takes a second to import and writes to the terminal by itself. What it prints may hold passwords, so
its output is for a pipe.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

VARIABLES = {
    "host": ("ansible_ssh_host", "ansible_host"),
    "port": ("ansible_ssh_port", "ansible_port"),
    "user": ("ansible_ssh_user", "ansible_user"),
    "password": ("ansible_ssh_pass", "ansible_ssh_password", "ansible_password"),
    "key_file": ("ansible_private_key_file", "ansible_ssh_private_key_file"),
    "common_arguments": ("ansible_ssh_common_args",),
    "extra_arguments": ("ansible_ssh_extra_args",),
    "become": ("ansible_become",),
    "become_method": ("ansible_become_method",),
    "become_password": ("ansible_become_pass", "ansible_become_password"),
    "host_key_checking": ("ansible_host_key_checking", "ansible_ssh_host_key_checking"),
}
"""What we need to know, by the names that Ansible's ssh connection takes it from; the last one counts."""


def connection_variables(platform_file: Path, hosts: list[str]) -> dict[str, dict[str, Any]]:
    """The variables in `VARIABLES` of some hosts, those that are not set left out."""
    from ansible import constants
    from ansible.cli import CLI
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import init_plugin_loader, inventory_loader
    from ansible.template import Templar
    from ansible.vars.manager import VariableManager

    init_plugin_loader()
    # As ansible.cfg does for plays, wherever this runs.
    inventory_loader.add_directory(str(Path(__file__).parents[2] / "ansible"))
    loader = DataLoader()
    loader.set_vault_secrets(
        CLI.setup_vault_secrets(loader, vault_ids=constants.DEFAULT_VAULT_IDENTITY_LIST, auto_prompt=False)
    )
    inventory = InventoryManager(loader=loader, sources=[str(platform_file)])
    manager = VariableManager(loader=loader, inventory=inventory)
    found = {}
    for name in hosts:
        variables = manager.get_vars(host=inventory.get_host(name), include_hostvars=False)
        templar = Templar(loader=loader, variables=variables)
        found[name] = {
            what: templar.template(variables[given])
            for what, names in VARIABLES.items()
            for given in names
            if given in variables
        }
    return found


def main(arguments: list[str]) -> int:
    """Print the variables as JSON; what Ansible does not understand is said on standard error."""
    os.environ.setdefault("ANSIBLE_INVENTORY_ENABLED", "bic")
    from ansible.errors import AnsibleError

    try:
        found = connection_variables(Path(arguments[0]), arguments[1:])
    except AnsibleError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(found, default=str))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
