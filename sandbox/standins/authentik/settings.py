"""Settings, by upstream's environment variables only."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class SettingsError(Exception):
    """The environment does not say what the server needs; the message says which variable."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the server and the worker need to know."""

    data: Path
    secret_key: str
    blueprints: Path = Path("/blueprints")
    http: tuple[str, int] = ("0.0.0.0", 9000)  # noqa: S104 - upstream's default
    metrics: tuple[str, int] = ("0.0.0.0", 9300)  # noqa: S104
    bootstrap_token: str = ""
    bootstrap_password: str = ""
    bootstrap_password_hash: str = ""
    bootstrap_email: str = ""
    avatars: str = ""
    postgresql: tuple[tuple[str, str], ...] = ()
    """Host, port, name, user and password of the database that upstream would use."""

    @property
    def database(self) -> Path:
        """The file with everything."""
        return self.data / "authentik.sqlite3"


def _value(environment: Mapping[str, str], name: str, default: str = "") -> str:
    value = environment.get(name, default)
    if value.startswith("file://"):
        path = Path(value.removeprefix("file://"))
        try:
            return path.read_text().rstrip("\n")
        except OSError as error:
            raise SettingsError(f"{name} names {path}, which cannot be read: {error.strerror}") from None
    if value.startswith("env://"):
        return environment.get(value.removeprefix("env://"), default)
    return value


def _address(environment: Mapping[str, str], name: str, port: int) -> tuple[str, int]:
    value = _value(environment, name, f"0.0.0.0:{port}")
    host, colon, number = value.rpartition(":")
    if not colon or not number.isdigit():
        raise SettingsError(f"{name}={value}: write HOST:PORT")
    return host.strip("[]") or "0.0.0.0", int(number)  # noqa: S104


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: a variable is missing or cannot be read.
    """
    secret_key = _value(environment, "AUTHENTIK_SECRET_KEY")
    if not secret_key:
        raise SettingsError("AUTHENTIK_SECRET_KEY is not set")
    names = ("HOST", "PORT", "NAME", "USER", "PASSWORD")
    return Settings(
        data=Path(_value(environment, "AUTHENTIK_STORAGE__FILE__PATH", "/data")),
        secret_key=secret_key,
        blueprints=Path(_value(environment, "AUTHENTIK_BLUEPRINTS_DIR", "/blueprints")),
        http=_address(environment, "AUTHENTIK_LISTEN__HTTP", 9000),
        metrics=_address(environment, "AUTHENTIK_LISTEN__METRICS", 9300),
        bootstrap_token=_value(environment, "AUTHENTIK_BOOTSTRAP_TOKEN"),
        bootstrap_password=_value(environment, "AUTHENTIK_BOOTSTRAP_PASSWORD"),
        bootstrap_password_hash=_value(environment, "AUTHENTIK_BOOTSTRAP_PASSWORD_HASH"),
        bootstrap_email=_value(environment, "AUTHENTIK_BOOTSTRAP_EMAIL"),
        avatars=_value(environment, "AUTHENTIK_AVATARS"),
        postgresql=tuple(
            (name.lower(), _value(environment, f"AUTHENTIK_POSTGRESQL__{name}"))
            for name in names
            if f"AUTHENTIK_POSTGRESQL__{name}" in environment
        ),
    )
