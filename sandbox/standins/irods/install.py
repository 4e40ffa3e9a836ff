"""Where the packaged server keeps its files, and the validation of its configuration."""

import json
from dataclasses import dataclass
from pathlib import Path

from . import config


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of an installation, which are upstream's; a root other than `/` is for tests."""

    root: Path = Path("/")

    @property
    def etc(self) -> Path:
        """Configuration and rule bases."""
        return self.root / "etc/irods"

    @property
    def home(self) -> Path:
        """The service account's home and the server's state."""
        return self.root / "var/lib/irods"

    @property
    def run(self) -> Path:
        """The PID file's directory, which the package makes and a reboot removes."""
        return self.root / "run/irods"

    @property
    def server_config(self) -> Path:
        """The server's configuration."""
        return self.etc / "server_config.json"

    @property
    def service_account(self) -> Path:
        """Name and group of the service account, for scripts."""
        return self.etc / "service_account.config"

    @property
    def environment(self) -> Path:
        """The service account's client environment."""
        return self.home / ".irods/irods_environment.json"

    @property
    def authentication_file(self) -> Path:
        """The service account's hidden password."""
        return self.home / ".irods/.irodsA"

    @property
    def catalogue(self) -> Path:
        """The stand-in's catalogue."""
        return self.home / "standin/catalogue.db"

    @property
    def version(self) -> Path:
        """Which version was set up or upgraded to last."""
        return self.home / "version.json"

    @property
    def shipped_version(self) -> Path:
        """Which version the installed packages are of."""
        return self.home / "version.json.dist"

    @property
    def schema(self) -> Path:
        """The schema of the server's configuration."""
        return self.home / "configuration_schemas/v5/server_config.json"

    @property
    def templates(self) -> Path:
        """Templates of rule bases and units."""
        return self.home / "packaging"

    @property
    def pid_file(self) -> Path:
        """The running server's process id, locked while it runs."""
        return self.run / "irods-server.pid"


def validate(document: object, layout: Layout) -> list[str]:
    """Return what is wrong with a configuration document, a line for each place; values are not shown.

    Raises `ConfigError` when the schema cannot be read.
    """
    from jsonschema import Draft202012Validator

    try:
        schema = json.loads(layout.schema.read_text())
    except (OSError, ValueError) as error:
        raise config.ConfigError(f"{layout.schema}: {error}") from error
    lines = []
    for fault in Draft202012Validator(schema).iter_errors(document):
        where = "/".join(str(part) for part in fault.absolute_path) or "the document"
        if fault.validator == "required":
            missing = [key for key in fault.validator_value if key not in fault.instance]
            lines.append(f"{where}: missing: {', '.join(missing)}")
        else:
            lines.append(f"{where}: must satisfy {fault.validator} {json.dumps(fault.validator_value)}")
    return sorted(set(lines))


def load_configuration(layout: Layout) -> config.ServerConfig:
    """Read and validate the installed configuration. Raises `ConfigError` with every fault."""
    path = layout.server_config
    try:
        document = json.loads(path.read_text())
    except OSError as error:
        raise config.ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise config.ConfigError(f"{path}: not JSON: {error}") from error
    faults = validate(document, layout)
    if faults:
        raise config.ConfigError("\n".join(f"{path}: {fault}" for fault in faults))
    return config.load(path, layout.catalogue)
