"""The settings: OMERO's own, by their names.

Source: the server's `omero-server.properties`, which has the defaults.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from .sessions import Times


class SettingsError(Exception):
    """A setting is missing or cannot be used; the message names it."""


@dataclass(frozen=True)
class Database:
    """Where OMERO's PostgreSQL is."""

    host: str
    port: int
    name: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Ldap:
    """The directory at which passwords are checked."""

    host: str
    port: int
    tls: bool
    ca_file: Path | None
    """Whom to trust; None: whom the operating system trusts."""
    user: str
    password: str = field(repr=False)
    base: str
    user_filter: str
    user_mapping: Mapping[str, str]
    group_filter: str
    group_name: str
    new_user_group: str
    timeout: float


@dataclass(frozen=True)
class Tls:
    """The certificate and its key, in one PKCS#12 file."""

    bundle: Path
    password: str = field(repr=False)


@dataclass(frozen=True)
class Settings:
    """What the server is told."""

    data: Path
    tls: Tls
    ssl_port: int
    tcp_port: int | None
    """None: nothing is served without TLS."""
    host: str
    tcp_host: str
    ldap: Ldap | None
    times: Times
    password_required: bool
    throttle: tuple[int, float]
    values: Mapping[str, str] = field(repr=False)
    """All that was set, for `IConfig`."""


_DEFAULTS = {
    "omero.data.dir": "/OMERO",
    "omero.db.host": "localhost",
    "omero.db.port": "5432",
    "omero.db.name": "omero",
    "omero.db.user": "omero",
    "omero.db.pass": "omero",
    "omero.ports.prefix": "",
    "omero.ports.ssl": "4064",
    "omero.ports.tcp": "4063",
    "omero.glacier2.IceSSL.CertFile": "server.p12",
    "omero.security.password_required": "true",
    "omero.security.login_failure_throttle_count": "1",
    "omero.security.login_failure_throttle_time": "3000",
    "omero.security.trustStore": "",
    "omero.sessions.timeout": "600000",
    "omero.sessions.maximum": "0",
    "omero.sessions.max_user_time_to_idle": "6000000",
    "omero.sessions.max_user_time_to_live": "0",
    "omero.sessions.sync_interval": "120000",
    "omero.ldap.config": "false",
    "omero.ldap.urls": "ldap://localhost:389",
    "omero.ldap.username": "",
    "omero.ldap.password": "",
    "omero.ldap.base": "ou=example,o=com",
    "omero.ldap.sync_on_login": "false",
    "omero.ldap.user_filter": "(objectClass=person)",
    "omero.ldap.user_mapping": "omeName=cn,firstName=givenName,lastName=sn,email=mail,"
    "institution=department,middleName=middleName",
    "omero.ldap.group_filter": "(objectClass=groupOfNames)",
    "omero.ldap.group_mapping": "name=cn",
    "omero.ldap.new_user_group": "default",
    "omero.ldap.connect_timeout": "5000",
}


def read(given: Mapping[str, str], *, tcp_host: str = "127.0.0.1") -> Settings:
    """Read the settings that were given, with OMERO's defaults for the rest. Raises SettingsError."""
    values = {**_DEFAULTS, **given}
    prefix = values["omero.ports.prefix"]
    data = Path(values["omero.data.dir"])
    return Settings(
        data=data,
        tls=_tls(values, data),
        ssl_port=_number(values, "omero.ports.ssl", prefix),
        tcp_port=_number(values, "omero.ports.tcp", prefix),
        host="0.0.0.0",  # noqa: S104 - as upstream: all interfaces
        tcp_host=tcp_host,
        ldap=_ldap(values) if _flag(values, "omero.ldap.config") else None,
        times=Times(
            idle=_number(values, "omero.sessions.timeout"),
            live=_number(values, "omero.sessions.maximum"),
            most_idle=_number(values, "omero.sessions.max_user_time_to_idle"),
            most_live=_number(values, "omero.sessions.max_user_time_to_live"),
            synchronised=_number(values, "omero.sessions.sync_interval"),
        ),
        password_required=_flag(values, "omero.security.password_required"),
        throttle=(
            _number(values, "omero.security.login_failure_throttle_count"),
            _number(values, "omero.security.login_failure_throttle_time") / 1000,
        ),
        values=values,
    )


def database(settings: Settings) -> Database:
    """Where the database is. Raises SettingsError."""
    values = settings.values
    host, name, user, password = (values[f"omero.db.{key}"] for key in ("host", "name", "user", "pass"))
    return Database(host, _number(values, "omero.db.port"), name, user, password)


def _tls(values: Mapping[str, str], data: Path) -> Tls:
    folder = Path(values.get("omero.glacier2.IceSSL.DefaultDir") or data / "certs")
    return Tls(
        bundle=folder / values["omero.glacier2.IceSSL.CertFile"],
        password=values.get("omero.glacier2.IceSSL.Password", ""),
    )


def _ldap(values: Mapping[str, str]) -> Ldap:
    # Several addresses are separated by blanks; upstream tries them in turn, the stand-in takes the first.
    address = urlsplit(values["omero.ldap.urls"].split()[0])
    if address.scheme not in ("ldap", "ldaps") or not address.hostname:
        raise SettingsError(f"omero.ldap.urls is no address of a directory: {values['omero.ldap.urls']}")
    if _flag(values, "omero.ldap.sync_on_login"):
        raise SettingsError("omero.ldap.sync_on_login: the stand-in does not synchronise groups")
    tls = address.scheme == "ldaps"
    return Ldap(
        host=address.hostname,
        port=address.port or (636 if tls else 389),
        tls=tls,
        ca_file=_ca_file(values["omero.security.trustStore"]),
        user=values["omero.ldap.username"],
        password=values["omero.ldap.password"],
        base=values["omero.ldap.base"],
        user_filter=values["omero.ldap.user_filter"],
        user_mapping=_mapping(values, "omero.ldap.user_mapping", "omeName"),
        group_filter=values["omero.ldap.group_filter"],
        group_name=_mapping(values, "omero.ldap.group_mapping", "name")["name"],
        new_user_group=values["omero.ldap.new_user_group"],
        timeout=_number(values, "omero.ldap.connect_timeout") / 1000,
    )


def _ca_file(name: str) -> Path | None:
    if not name:
        return None
    try:
        ssl.create_default_context(cafile=name)
    except OSError as error:
        raise SettingsError(
            f"omero.security.trustStore: {name} cannot be read as PEM, all that the stand-in reads: {error}"
        ) from error
    return Path(name)


def _mapping(values: Mapping[str, str], name: str, needed: str) -> dict[str, str]:
    pairs = (
        each.split("=", 1) for each in values[name].replace(";", ",").replace(" ", ",").split(",") if each
    )
    found = {pair[0]: pair[1] for pair in pairs if len(pair) > 1}
    if needed not in found:
        raise SettingsError(f"{name} does not say what {needed} is: {values[name]}")
    return found


def _flag(values: Mapping[str, str], name: str) -> bool:
    return values[name].strip().lower() == "true"


def _number(values: Mapping[str, str], name: str, prefix: str = "") -> int:
    text = f"{prefix}{values[name]}"
    if not text.isdigit():
        raise SettingsError(f"{name} is no number: {text!r}")
    return int(text)
