"""The outpost's settings: upstream's environment variables."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class SettingError(Exception):
    """A variable is missing or cannot be used; the message names it."""


@dataclass(frozen=True)
class Address:
    """Where to listen."""

    host: str
    port: int


@dataclass(frozen=True)
class Settings:
    """What the environment says."""

    url: str
    token: str
    insecure: bool
    ldap: Address
    ldaps: Address
    metrics: Address


def read(environment: Mapping[str, str]) -> Settings:
    """The settings in an environment; `file:///path` stands for a file's text. Raises `SettingError`."""
    return Settings(
        url=_value(environment, "AUTHENTIK_HOST").rstrip("/"),
        token=_value(environment, "AUTHENTIK_TOKEN"),
        insecure=environment.get("AUTHENTIK_INSECURE", "false").lower() in ("true", "1", "yes"),
        ldap=_address(environment, "AUTHENTIK_LISTEN__LDAP", "0.0.0.0:3389"),
        ldaps=_address(environment, "AUTHENTIK_LISTEN__LDAPS", "0.0.0.0:6636"),
        metrics=_address(environment, "AUTHENTIK_LISTEN__METRICS", "0.0.0.0:9300"),
    )


def _value(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if value.startswith("file://"):
        path = Path(value.removeprefix("file://"))
        try:
            value = path.read_text().strip()
        except OSError as problem:
            raise SettingError(f"{name} names {path}, which cannot be read: {problem.strerror}") from problem
    if not value:
        raise SettingError(f"{name} is not set")
    return value


def _address(environment: Mapping[str, str], name: str, default: str) -> Address:
    text = environment.get(name) or default
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdigit() or int(port) > 65535:
        raise SettingError(f"{name} is {text!r}; write it like {default}")
    return Address(host.strip("[]") or "0.0.0.0", int(port))  # noqa: S104 - as upstream: all addresses
