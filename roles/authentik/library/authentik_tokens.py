#!/usr/bin/python
"""Ansible module: give service accounts of Authentik their first API tokens."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from ansible.module_utils.authentik_api import Api, ApiError
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: authentik_tokens
short_description: Give service accounts their first API tokens
description:
  - Makes an API token with a given key for each account that has no API token which still holds. An account
    that has one keeps it, whatever its key, since tokens are rotated elsewhere.
  - Not by a blueprint, since those are applied again and again, and would bring a deleted token back.
options:
  url:
    description: Address of the server.
    type: str
    required: true
  token:
    description: API token of an administrator.
    type: str
    required: true
  tokens:
    description: The tokens, each with C(identifier), C(user) and C(key).
    type: list
    elements: dict
    required: true
    suboptions:
      identifier:
        description: Identifier of the token.
        type: str
        required: true
      user:
        description: Name of the service account.
        type: str
        required: true
      key:
        description: The token itself.
        type: str
        required: true
"""

EXAMPLES = r"""
- name: Give the service accounts their first tokens
  authentik_tokens:
    url: http://127.0.0.1:9000
    token: "{{ authentik_bootstrap_token }}"
    tokens:
      - {identifier: bic-exporter, user: bic-exporter, key: "{{ authentik_exporter_token }}"}
"""

RETURN = r"""
made:
  description: Identifiers of the tokens that were made.
  returned: always
  type: list
"""


def holds(token: dict[str, Any], now: datetime) -> bool:
    """Whether a token is one for the API and has not ended."""
    if token["intent"] != "api":
        return False
    return not token["expiring"] or datetime.fromisoformat(token["expires"].replace("Z", "+00:00")) > now


def run(api: Api, wanted: list[dict[str, str]], *, dry: bool) -> list[str]:
    """Make the tokens that are missing; their identifiers. Raises ApiError."""
    made = []
    for token in wanted:
        users = api.all("core/users/", username=token["user"], include_groups="false")
        if not users and dry:
            made.append(token["identifier"])
            continue
        if not users:
            raise ApiError(f"there is no account {token['user']}, which a blueprint should have made")
        (user,) = (found for found in users if found["username"] == token["user"])
        mine = [
            found
            for found in api.all("core/tokens/", user__username=token["user"])
            if found["user"] == user["pk"]
        ]
        now = datetime.now(UTC)
        # One whose key was not set yet is ours, of a run that was interrupted.
        unfinished = any(
            found["identifier"] == token["identifier"] and found["description"] == "unfinished"
            for found in mine
        )
        if any(holds(found, now) for found in mine) and not unfinished:
            continue
        made.append(token["identifier"])
        if dry:
            continue
        body = {
            "identifier": token["identifier"],
            "intent": "api",
            "user": user["pk"],
            "expiring": False,
            "description": "unfinished",
        }
        path = f"core/tokens/{quote(token['identifier'])}/"
        if any(found["identifier"] == token["identifier"] for found in mine):
            api.call("PATCH", path, {"expiring": False, "description": "unfinished"})
        else:
            api.call("POST", "core/tokens/", body)
        api.call("POST", f"{path}set_key/", {"key": token["key"]})
        api.call("PATCH", path, {"description": f"Of {token['user']}, made by the deployment"})
    return made


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "token": {"type": "str", "required": True, "no_log": True},
            "tokens": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "no_log": False,
                "options": {
                    "identifier": {"type": "str", "required": True},
                    "user": {"type": "str", "required": True},
                    "key": {"type": "str", "required": True, "no_log": True},
                },
            },
        },
        supports_check_mode=True,
    )
    try:
        made = run(
            Api(module.params["url"], module.params["token"]),
            module.params["tokens"],
            dry=module.check_mode,
        )
    except ApiError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(made), made=made)


if __name__ == "__main__":
    main()
