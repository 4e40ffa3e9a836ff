"""The settings of the metadata update, from a JSON file that holds no secrets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class ConfigError(Exception):
    """The settings cannot be used; the message names the key."""


@dataclass(frozen=True)
class Feed:
    """A signed aggregate, and the certificates of which one must have signed it (two in a rollover)."""

    name: str
    url: str
    certificates: tuple[Path, ...]


@dataclass(frozen=True)
class Settings:
    """All settings."""

    feeds: tuple[Feed, ...]
    """In order: an institution that several feeds describe is taken from the first."""
    state: Path
    ca_file: str
    """PEM file with the authorities of the feeds' servers."""
    max_validity_days: int
    blocked: frozenset[str]
    """Entity IDs that are left out whatever the feeds say."""
    service_certificates: dict[str, Path]
    """Certificates of our own service provider, by the name of the key."""
    check_url: str
    """The page that answers when logins are possible."""
    check_ca_file: str


def load(path: Path) -> Settings:
    """Read the settings. Raises ConfigError."""
    try:
        values: dict[str, Any] = json.loads(path.read_text())
        return Settings(
            feeds=tuple(
                Feed(feed["name"], feed["url"], tuple(Path(name) for name in feed["certificates"]))
                for feed in values["feeds"]
            ),
            state=Path(values["state"]),
            ca_file=values["ca_file"],
            max_validity_days=int(values["max_validity_days"]),
            blocked=frozenset(values["blocked"]),
            service_certificates={
                name: Path(where) for name, where in values["service_certificates"].items()
            },
            check_url=values["check_url"],
            check_ca_file=values["check_ca_file"],
        )
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except KeyError as error:
        raise ConfigError(f"{path}: the key {error} is missing") from error
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error
