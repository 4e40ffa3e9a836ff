"""Grafana's configuration file, as far as the stand-in obeys it.

Sources: Grafana's documentation "Configure Grafana" and "Provision Grafana" for sections, keys, defaults and
the expansion of variables; for comments and quoting, that of the format's reader, gopkg.in/ini.v1.
"""

import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Sections = dict[str, dict[str, str]]

DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "paths": {"data": "/var/lib/grafana", "provisioning": "/etc/grafana/provisioning"},
    "server": {
        "protocol": "http",
        "http_addr": "",
        "http_port": "3000",
        "domain": "localhost",
        "root_url": "",
    },
    "security": {
        "admin_user": "admin",
        "admin_password": "admin",
        "cookie_secure": "false",
        "cookie_samesite": "lax",
        "strict_transport_security": "false",
        "strict_transport_security_max_age_seconds": "86400",
    },
    "auth.anonymous": {"enabled": "false"},
    "auth.basic": {"enabled": "true"},
    "auth.generic_oauth": {"enabled": "false", "name": "OAuth"},
    "metrics": {"enabled": "true", "basic_auth_username": "", "basic_auth_password": ""},
}
_HEADER = re.compile(r"\[(.+)\]")
_VARIABLE = re.compile(r"\$(|__\w+){([^}]+)}")
_TRUE = {"1", "t", "true", "y", "yes", "on"}
_FALSE = {"0", "f", "false", "n", "no", "off"}


class SettingsError(Exception):
    """What is wrong with the configuration, and where."""


@dataclass(frozen=True)
class Settings:
    """The configuration of one server."""

    sections: Mapping[str, Mapping[str, str]]

    def text(self, section: str, key: str) -> str:
        """A value, or its default."""
        return self.sections.get(section, {}).get(key, DEFAULTS.get(section, {}).get(key, ""))

    def flag(self, section: str, key: str) -> bool:
        """A value that is true or false. Raises SettingsError."""
        value = self.text(section, key).lower()
        if value not in _TRUE | _FALSE:
            raise SettingsError(f"[{section}] {key} is {value!r}; write true or false")
        return value in _TRUE

    def number(self, section: str, key: str) -> int:
        """A value that is a whole number. Raises SettingsError."""
        value = self.text(section, key)
        try:
            return int(value)
        except ValueError:
            raise SettingsError(f"[{section}] {key} is {value!r}; write a whole number") from None

    @property
    def provisioning(self) -> Path:
        """The folder of the provisioning files."""
        return Path(self.text("paths", "provisioning"))

    @property
    def database(self) -> Path:
        """The file with what must outlive a restart."""
        return Path(self.text("paths", "data")) / "grafana.db"

    @property
    def tls(self) -> tuple[Path, Path] | None:
        """Certificate and key, or None where it serves in the clear. Raises SettingsError."""
        protocol = self.text("server", "protocol")
        if protocol == "http":
            return None
        if protocol != "https":
            raise SettingsError(f"[server] protocol is {protocol!r}; the stand-in serves http and https")
        pair = Path(self.text("server", "cert_file")), Path(self.text("server", "cert_key"))
        for path, key in zip(pair, ("cert_file", "cert_key"), strict=True):
            if not path.is_file():
                raise SettingsError(f"[server] {key} is {str(path)!r}, and there is no such file")
        return pair


def load(path: Path, overrides: Sequence[str] = ()) -> Settings:
    """Read a configuration file; overrides such as `cfg:default.paths.data=/srv` come from the command line.

    Those that begin with `cfg:default.` count where the file does not say otherwise. Raises SettingsError.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from None
    first: Sections = {}
    last: Sections = {}
    for override in overrides:
        match = re.fullmatch(r"cfg:(default\.)?(.+)\.([^.=]+)=(.*)", override)
        if not match:
            raise SettingsError(f"{override!r} is no override; write cfg:default.SECTION.KEY=VALUE")
        default, section, key, value = match.groups()
        (first if default else last).setdefault(section, {})[key] = value
    sections: Sections = {}
    for layer in (first, parse(text, str(path)), last):
        for section, values in layer.items():
            sections.setdefault(section, {}).update(values)
    return Settings(
        {
            section: {key: _expanded(value, f"[{section}] {key}") for key, value in values.items()}
            for section, values in sections.items()
        }
    )


def parse(text: str, name: str) -> Sections:
    """Read the text of a configuration file, without expanding variables. Raises SettingsError."""
    sections: Sections = {}
    current = "DEFAULT"
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if header := _HEADER.fullmatch(line):
            current = header[1].strip()
            continue
        key, separator, value = line.partition("=")
        if not separator:
            raise SettingsError(f"{name}:{number}: {line!r} is neither a section nor KEY = VALUE")
        sections.setdefault(current, {})[key.strip()] = _unquoted(value.strip(), f"{name}:{number}")
    return sections


def _unquoted(value: str, place: str) -> str:
    """A value without its quotation marks, or up to where a comment begins."""
    for mark in ('"""', "`", '"', "'"):
        if value.startswith(mark) and len(value) > len(mark):
            if not value.endswith(mark) or len(value) < 2 * len(mark):
                raise SettingsError(f"{place}: a value that begins with {mark} must end with it")
            return value[len(mark) : -len(mark)]
    return re.split("[#;]", value, maxsplit=1)[0].strip()


def expand(value: str) -> str:
    """Put files and environment variables in their places: `$__file{PATH}`, `$__env{NAME}` and `${NAME}`.

    Raises OSError when a file cannot be read.
    """

    def replaced(match: re.Match[str]) -> str:
        kind, name = match.groups()
        if kind == "__file":
            return Path(name).read_text("utf-8").strip()
        if kind in ("", "__env"):
            return os.environ.get(name) or (socket.gethostname() if name == "HOSTNAME" else "")
        return match[0]

    return _VARIABLE.sub(replaced, value)


def _expanded(value: str, place: str) -> str:
    try:
        return expand(value)
    except OSError as error:
        raise SettingsError(f"{place}: {error}") from None
