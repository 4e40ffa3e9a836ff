#!/usr/bin/python
"""Ansible module: have Authentik apply blueprints of files that it reads, and wait until it has."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.authentik_api import Api, ApiError
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: authentik_blueprints
short_description: Have Authentik apply blueprints, and wait until it has
description:
  - Registers each blueprint of a folder that server and worker read as C(bic/), and has those applied whose
    text is not the one that was applied last, or whose last application went wrong. One after the other,
    since a blueprint may need objects of those before it.
  - That a blueprint was applied does not prove that its objects are there; M(authentik_objects) looks.
options:
  url:
    description: Address of the server.
    type: str
    required: true
  token:
    description: API token of an account that may apply blueprints.
    type: str
    required: true
  folder:
    description: The folder on the host.
    type: path
    required: true
  blueprints:
    description: The blueprints in their order, each with C(file) and C(name).
    type: list
    elements: dict
    required: true
    suboptions:
      file:
        description: Name of the file in the folder.
        type: str
        required: true
      name:
        description: Name of the blueprint, as its metadata has it.
        type: str
        required: true
  timeout:
    description: Seconds that one of them may take.
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: Have the blueprints applied
  authentik_blueprints:
    url: http://127.0.0.1:9000
    token: "{{ authentik_bootstrap_token }}"
    folder: /etc/authentik/blueprints/bic
    blueprints:
      - {file: 10-login.yaml, name: BioImage Cloud - Login}
"""

RETURN = r"""
applied:
  description: The files that had to be applied.
  returned: always
  type: list
"""

LIST = "managed/blueprints/"
PAUSE = 2.0


def instance_of(api: Api, path: str) -> dict[str, Any] | None:
    """The registered blueprint of a file, or None."""
    return next((found for found in api.all(LIST) if found["path"] == path), None)


def is_applied(instance: dict[str, Any] | None, digest: str) -> bool:
    """Whether the server says that this very text was applied."""
    return bool(
        instance
        and instance["enabled"]
        and instance["status"] == "successful"
        and instance["last_applied_hash"] == digest
    )


def register(api: Api, name: str, path: str, deadline: float) -> dict[str, Any]:
    """Register a file; the worker may do so itself at the same moment. Raises ApiError."""
    while True:
        try:
            api.call("POST", LIST, {"name": name, "path": path, "enabled": True})
        except ApiError:
            # Either it is there by now, or the server has not seen the file yet.
            if time.monotonic() > deadline and instance_of(api, path) is None:
                raise
        if found := instance_of(api, path):
            return found
        time.sleep(PAUSE)


def apply(api: Api, blueprint: dict[str, str], digest: str, seconds: int) -> None:
    """Have one blueprint applied and wait. Raises ApiError."""
    deadline = time.monotonic() + seconds
    path = f"bic/{blueprint['file']}"
    found = instance_of(api, path) or register(api, blueprint["name"], path, deadline)
    if not found["enabled"]:
        api.call("PATCH", f"{LIST}{found['pk']}/", {"enabled": True})
    before = found["last_applied"]
    api.call("POST", f"{LIST}{found['pk']}/apply/")
    while not is_applied(found, digest):
        if found["status"] == "error" and found["last_applied"] != before:
            raise ApiError(
                f"the server could not apply {path}; `journalctl -u authentik-worker` says why, and the API"
                " does not"
            )
        if time.monotonic() > deadline:
            raise ApiError(
                f"{path} was not applied within {seconds} s (its status is {found['status']}); the worker"
                " may have a backlog: look at `journalctl -u authentik-worker`, and run this again"
            )
        time.sleep(PAUSE)
        found = api.call("GET", f"{LIST}{found['pk']}/")


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "token": {"type": "str", "required": True, "no_log": True},
            "folder": {"type": "path", "required": True},
            "blueprints": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "file": {"type": "str", "required": True},
                    "name": {"type": "str", "required": True},
                },
            },
            "timeout": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    api = Api(module.params["url"], module.params["token"])
    applied: list[str] = []
    try:
        known = {found["path"]: found for found in api.all(LIST)}
        for blueprint in module.params["blueprints"]:
            content = (Path(module.params["folder"]) / blueprint["file"]).read_bytes()
            digest = hashlib.sha512(content).hexdigest()
            if is_applied(known.get(f"bic/{blueprint['file']}"), digest):
                continue
            applied.append(blueprint["file"])
            if not module.check_mode:
                apply(api, blueprint, digest, module.params["timeout"])
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}", applied=applied)
    except ApiError as error:
        module.fail_json(msg=str(error), applied=applied)
    module.exit_json(changed=bool(applied), applied=applied)


if __name__ == "__main__":
    main()
