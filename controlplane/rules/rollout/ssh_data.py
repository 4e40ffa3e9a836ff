"""How Ansible reaches a host, in pyinfra's words."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from controlplane.errors import BicError

_STRICTNESS = {"no": "no", "false": "no", "off": "no", "accept-new": "accept-new"}
"""What OpenSSH may be told about unknown keys of hosts; they are refused where it is told anything else."""

_IGNORED = frozenset({"controlmaster", "controlpersist", "controlpath", "preferredauthentications"})
"""Options of OpenSSH about connections that it keeps, and the order of what it tries."""


class ServerError(BicError):
    """A server that could not be asked, or that refused, and why."""


def host_data(name: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Variables of Ansible as pyinfra's data of a host. Raises ServerError."""
    words = f"{variables.get('common_arguments', '')} {variables.get('extra_arguments', '')}"
    options = ssh_options(name, words)
    strict = options.pop("stricthostkeychecking", None)
    if strict is None:
        strict = "yes" if variables.get("host_key_checking", True) else "no"
    data: dict[str, Any] = {
        "ssh_hostname": variables.get("host", name),
        "ssh_strict_host_key_checking": _STRICTNESS.get(strict.lower(), "yes"),
        "become": {},
    }
    for given, wanted in (("port", "ssh_port"), ("user", "ssh_user"), ("password", "ssh_password")):
        if variables.get(given):
            data[wanted] = variables[given]
    if key := options.pop("identityfile", variables.get("key_file")):
        data["ssh_key"] = str(Path(key).expanduser())
    if known := options.pop("userknownhostsfile", None):
        data["ssh_known_hosts_file"] = known
    if options:
        data["ssh_config"] = _config(options)
    if variables.get("become") in (True, "true", "yes", "1") and variables.get("user") != "root":
        if (method := variables.get("become_method", "sudo")) != "sudo":
            raise ServerError(f"{name}: ansible_become_method {method} is not supported here; use sudo")
        data["become"] = {"_sudo": True}
        if password := variables.get("become_password"):
            data["become"]["_sudo_password"] = password
    return data


def _config(options: Mapping[str, str]) -> str:
    """A configuration of OpenSSH's client with further options, before those of the person's own file."""
    lines = ["Host *", *(f"  {name} {value}" for name, value in options.items())]
    own = Path("~/.ssh/config").expanduser()
    if own.is_file():
        lines.append(own.read_text(encoding="utf-8"))
    return "\n".join(lines) + "\n"


def ssh_options(name: str, words: str) -> dict[str, str]:
    """The options in arguments for OpenSSH's client, by their names in lower case.

    Raises ServerError for an argument of another kind, which would be lost.
    """
    options: dict[str, str] = {}
    rest = iter(shlex.split(words))
    for word in rest:
        if word.startswith("-o"):
            text = word[2:] or next(rest, "")
            key, _, value = text.replace("=", " ", 1).strip().partition(" ")
            if key.lower() not in _IGNORED:
                options.setdefault(key.lower(), value.strip())
        elif word in ("-J", "-i", "-p", "-l"):
            key = {"-J": "proxyjump", "-i": "identityfile", "-p": "port", "-l": "user"}[word]
            options.setdefault(key, next(rest, ""))
        elif word not in ("-C", "-q"):
            raise ServerError(
                f"{name}: {word!r} in ansible_ssh_common_args is not supported here; "
                "write it as -o OPTION=VALUE"
            )
    return options
