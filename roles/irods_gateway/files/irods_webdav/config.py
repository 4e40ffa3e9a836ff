"""The server's configuration: a JSON file without secrets."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

SCHEMES = ("native", "pam_password")


class ConfigError(Exception):
    """What is wrong with the configuration, in one line for people."""


@dataclass(frozen=True)
class Config:
    """Where to listen, which zone to serve, and how much of it at once."""

    listen_address: str
    listen_port: int
    host: str
    """The iRODS server, by a name that its certificate holds."""
    port: int
    zone: str
    """The zone of users who give none."""
    ca_file: str
    """PEM file of the authorities that the server's certificate is verified with."""
    authentication_scheme: str
    """How users prove who they are: `native` or `pam_password`."""
    root: str
    """The collection that `/` stands for."""
    threads: int
    """Requests that are done at the same time; each holds at most two connections to the zone."""
    idle_seconds: float
    """How long a connection is kept for a next request. An idle one delays reloads of the iRODS server."""
    session_seconds: float
    """How long a password stays accepted without asking the zone again."""
    timeout_seconds: float
    """Seconds to wait for an answer of the zone, or for a client that stalls."""
    lock_seconds: float
    """The longest time for which a client may lock a path; it can renew the lock."""
    block_bytes: int
    """How much is read or written at a time. A request needs about three times as much memory."""


def load(path: Path) -> Config:
    """Read the configuration. Raises ConfigError."""
    try:
        document: Any = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: it must be a JSON object")
    types = {field.name: field.type for field in fields(Config)}
    if unknown := sorted(document.keys() - types.keys()):
        raise ConfigError(f"{path}: unknown: {', '.join(unknown)}")
    if missing := sorted(types.keys() - document.keys()):
        raise ConfigError(f"{path}: missing: {', '.join(missing)}")
    for name, kind in types.items():
        _check_type(path, name, document[name], kind)
    config = Config(**document)
    if config.authentication_scheme not in SCHEMES:
        raise ConfigError(f"{path}: authentication_scheme must be one of {', '.join(SCHEMES)}")
    segments = config.root.split("/")
    if segments[0] or len(segments) < 2 or any(part in ("", ".", "..") for part in segments[1:]):
        raise ConfigError(f"{path}: root must be a collection's path such as /{config.zone}/home")
    return config


def _check_type(path: Path, name: str, value: object, kind: object) -> None:
    allowed: tuple[type, ...] = {str: (str,), int: (int,), float: (int, float)}[kind]  # type: ignore[index]
    if not isinstance(value, allowed) or isinstance(value, bool):
        raise ConfigError(f"{path}: {name} must be {'text' if kind is str else 'a number'}")
    if isinstance(value, str) and not value:
        raise ConfigError(f"{path}: {name} is empty")
    if isinstance(value, int | float) and value <= 0:
        raise ConfigError(f"{path}: {name} must be greater than 0")
