#!/usr/bin/python
"""Ansible module: look all objects of blueprints up in Authentik, and tell what is missing or different."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.authentik_api import Api, ApiError
from ansible.module_utils.authentik_entries import (
    ENDPOINTS,
    QUERIES,
    USER,
    BlueprintError,
    Judge,
    Tag,
    entries,
)
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: authentik_objects
short_description: Look all objects of blueprints up in Authentik
description:
  - A blueprint that failed in part may be told to have been applied. This reads each list of the API once,
    whatever the number of objects, and fails with all that is missing or different.
  - It reads the same files as the server, so there is no second list that could say something else. What the
    API does not tell, such as keys and passwords, is not compared.
requirements: [PyYAML]
options:
  url:
    description: Address of the server.
    type: str
    required: true
  token:
    description: API token of an account that sees all objects.
    type: str
    required: true
  files:
    description: Paths of the blueprints, in their order.
    type: list
    elements: path
    required: true
"""

EXAMPLES = r"""
- name: Look all their objects up
  authentik_objects:
    url: http://127.0.0.1:9000
    token: "{{ authentik_bootstrap_token }}"
    files: [/etc/authentik/blueprints/bic/10-login.yaml]
"""

RETURN = r"""
objects:
  description: How many objects there are.
  returned: always
  type: int
"""


def rights_missing(api: Api, role: str, wanted: list[str]) -> tuple[list[str], list[str]]:
    """What a role may not do on all objects and should, and what it may and should not. Raises ApiError."""
    granted = {
        f"{found['app_label']}.{found['codename']}" for found in api.all("rbac/permissions/", role=role)
    }
    return sorted(set(wanted) - granted), sorted(granted - set(wanted))


def examine(api: Api, files: list[Path]) -> tuple[Judge, int]:
    """Compare objects of blueprints with those of the server. Raises ApiError, BlueprintError, OSError."""
    blueprints = [list(entries(path.read_text("utf-8"), path.name)) for path in files]
    wanted = [entry for blueprint in blueprints for entry in blueprint]
    sought = {
        tag.value[0]
        for entry in wanted
        for value in (*entry.identifiers.values(), *entry.attrs.values())
        for tag in (value if isinstance(value, list) else [value])
        if isinstance(tag, Tag) and tag.name == "Find"
    }
    models = sorted(model for model in {entry.model for entry in wanted} | sought if ENDPOINTS[model])
    # The accounts of blueprints are few and in a place of their own, and people are thousands.
    paths = {entry.attrs.get("path", "users") for entry in wanted if entry.model == USER}
    places = {USER: [{"path": path} for path in sorted(paths)]}
    rows = {
        model: [
            row
            for place in places.get(model, [{}])
            for row in api.all(ENDPOINTS[model], **QUERIES.get(model, {}), **place)
        ]
        for model in models
    }
    judge = Judge(rows, lambda path: Path(path).read_text("utf-8"))
    for blueprint in blueprints:
        judge.look(blueprint)
    for entry in wanted:
        if entry.model == "authentik_rbac.role" and entry.found:
            lacks, exceeds = rights_missing(api, entry.found["pk"], entry.attrs["permissions"])
            judge.different += [f"{entry.title}: may not {name}, and should" for name in lacks]
            judge.different += [f"{entry.title}: may {name}, and should not" for name in exceeds]
    return judge, len(wanted)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "token": {"type": "str", "required": True, "no_log": True},
            "files": {"type": "list", "elements": "path", "required": True},
        },
        supports_check_mode=True,
    )
    api = Api(module.params["url"], module.params["token"])
    try:
        judge, objects = examine(api, [Path(path) for path in module.params["files"]])
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}")
    except (ApiError, BlueprintError) as error:
        module.fail_json(msg=str(error))
    if judge.missing or judge.different:
        lines = [f"- missing: {title}" for title in judge.missing]
        lines += [f"- {text}" for text in judge.different]
        module.fail_json(
            msg="Authentik does not have what the blueprints describe; `journalctl -u authentik-worker` says"
            " why:\n" + "\n".join(lines),
            missing=judge.missing,
            different=judge.different,
        )
    module.exit_json(changed=False, objects=objects)


if __name__ == "__main__":
    main()
