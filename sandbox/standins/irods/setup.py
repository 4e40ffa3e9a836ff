"""`setup_irods.py`: makes an installed server one of a zone, from an unattended configuration file.

It does what upstream's setup does, in its order: the service account, its environment, the configuration
(both written over what is there), then the database, the rule base, a server that runs for a moment, and
on a consumer the storage resource. It leaves the server stopped.
"""

import argparse
import grp
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
import traceback
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import config as configuration
from . import database, grid, handshake, passwords, resources
from .catalogue import Catalogue
from .config import ConfigError, ServerConfig
from .errors import Code, IrodsError
from .handshake import AUTHENTICATION_API, NEGOTIATE, PEER_OPTION, Startup, request_json
from .install import Layout, validate
from .log import Log
from .mirror import Mirror, set_aside
from .server import Server
from .wire import Channel, Message, element, leaf

_KEYS = (
    "admin_password",
    "default_resource_name",
    "host_system_information",
    "server_config",
    "service_account_environment",
)


class SetupError(Exception):
    """Why the server cannot be set up."""


def read_input(path: Path) -> dict[str, Any]:
    """Read the unattended configuration. Raises `SetupError`."""
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise SetupError(f"{path}: {error}") from error
    missing = [key for key in _KEYS if key not in document] if isinstance(document, dict) else list(_KEYS)
    if missing:
        raise SetupError(f"{path}: missing: {', '.join(missing)}")
    found: dict[str, Any] = document
    return found


def commit(path: Path, content: str, mode: int) -> None:
    """Write a file so that it is either the old one or the new one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
    temporary.replace(path)


def _service_account(layout: Layout, user: str, group: str) -> None:
    """Make the service account, give it its directories, and become it."""
    if group not in {entry.gr_name for entry in grp.getgrall()}:
        subprocess.run(["groupadd", "-r", group], check=True)
    if user not in {entry.pw_name for entry in pwd.getpwall()}:
        command = ["useradd", "-r", "-d", str(layout.home), "-M", "-s", "/bin/bash", "-g", group]
        subprocess.run([*command, "-c", "iRODS Administrator", "-p", "!", user], check=True)
    layout.service_account.parent.mkdir(parents=True, exist_ok=True)
    layout.service_account.write_text(
        f"IRODS_SERVICE_ACCOUNT_NAME={user}\nIRODS_SERVICE_GROUP_NAME={group}\n"
    )
    account, group_id = pwd.getpwnam(user), grp.getgrnam(group).gr_gid
    if not layout.run.is_dir():
        raise SetupError(f"{layout.run} is missing: it is lost at each boot unless tmpfiles.d makes it")
    os.lchown(layout.run, account.pw_uid, group_id)
    for top in (layout.home, layout.etc):
        for directory, _, files in os.walk(top):
            for path in (directory, *(os.path.join(directory, name) for name in files)):
                os.lchown(path, account.pw_uid, group_id)
    os.initgroups(user, group_id)
    os.setgid(group_id)
    os.setuid(account.pw_uid)
    os.environ["HOME"] = str(layout.home)
    os.umask(0o077)


def _set_up_catalogue(layout: Layout, document: dict[str, Any], config: ServerConfig) -> None:
    """Make the zone's catalogue, unless the database holds one already."""
    settings = config.database or {}
    mirror = Mirror(layout.catalogue, lambda: database.connect(settings, autocommit=False))
    catalogue = Catalogue(layout.catalogue)
    try:
        if mirror.catalogue_id() is None:
            # A file that is there belongs to another database, or to one that was made anew.
            set_aside(layout.catalogue, "of-another-database")
        else:
            mirror.settle()
        if catalogue.create(config.zone, config.zone_user, document["admin_password"]):
            vault = document.get("default_resource_directory", str(layout.home / "Vault"))
            with catalogue.write() as tx:
                tx.execute(
                    "insert into r_grid_configuration values ('standin', 'catalogue_id', ?)",
                    (uuid.uuid4().hex,),
                )
                request = (document["default_resource_name"], "unixfilesystem", f"{config.host}:{vault}", "")
                resources.create(tx, config.zone, request)
                grid.store(tx, grid.DELAY_SERVER, "leader", config.host)
        mirror.copy()
    except (database.DatabaseError, ValueError) as error:
        raise SetupError(str(error)) from error
    finally:
        mirror.close()
        catalogue.close()


@contextmanager
def _running(layout: Layout, config: ServerConfig) -> Iterator[None]:
    """Run the server for a moment."""
    catalogue = Catalogue(layout.catalogue) if config.provider else None
    try:
        server = Server(config, catalogue, Log(config.zone, syslog=False), ("0.0.0.0", config.port))  # noqa: S104
    except OSError as error:
        raise SetupError(f"cannot listen on port {config.port}: {error.strerror}") from error
    server.start()
    try:
        yield
    finally:
        server.stop()


def log_in(config: ServerConfig, password: str) -> Channel:
    """Connect to the server that was just started as the zone's administrator. Raises `SetupError`."""
    us = Startup(config.zone_user, config.zone, config.zone_user, config.zone, f"{PEER_OPTION};{NEGOTIATE}")
    host = config.host if config.provider else config.provider_hosts[0]
    try:
        channel = handshake.connect(config, host, config.port, us, purpose=handshake.CLIENT)
        request = {"scheme": "native", "user_name": config.zone_user, "zone_name": config.zone}
        asked = {**request, "next_operation": "auth_agent_auth_request"}
        challenge = str(request_json(channel, AUTHENTICATION_API, asked)["request_result"])
        digest = passwords.digest(challenge, password)
        answer = {**request, "next_operation": "auth_agent_auth_response", "digest": digest}
        request_json(channel, AUTHENTICATION_API, answer)
    except IrodsError as error:
        raise SetupError(f"cannot log in to the server on {host}: {error}") from error
    return channel


def _make_resource(channel: Channel, config: ServerConfig, name: str, vault: str) -> None:
    words = ["add", "resource", name, "unixfilesystem", f"{config.host}:{vault}"] + [""] * 5
    body = element("generalAdminInp_PI", *(leaf(f"arg{index}", word) for index, word in enumerate(words)))
    channel.write(Message("RODS_API_REQ", body.encode(), int_info=701))
    reply = channel.read()
    if reply.int_info < 0:
        known = {code.value: code.name for code in Code}
        text = known.get(reply.int_info, "")
        raise SetupError(
            f"iadmin mkresc {name} unixfilesystem {config.host}:{vault} failed: {reply.int_info} {text}"
        )


def _end_running_server(layout: Layout) -> None:
    """End a server that runs, as upstream's setup does, and wait until it has gone."""
    try:
        pid = int(layout.pid_file.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return
    if b"irodsServer" not in command:
        return
    os.kill(pid, 15)
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.1)
    raise SetupError(f"the running server, process {pid}, does not end")


def set_up(layout: Layout, document: dict[str, Any]) -> None:
    """Make this host's server one of its zone. Raises `SetupError`, and `ConfigError` for a configuration."""
    account = document["host_system_information"]
    _end_running_server(layout)
    if os.geteuid() == 0:
        _service_account(layout, account["service_account_user_name"], account["service_account_group_name"])
    server_config = document["server_config"]
    commit(layout.server_config, json.dumps(server_config, indent=4) + "\n", 0o600)
    commit(layout.environment, json.dumps(document["service_account_environment"], indent=4) + "\n", 0o600)
    now = int(time.time())
    commit(
        layout.authentication_file,
        passwords.encode_irodsa(document["admin_password"], os.geteuid(), now),
        0o600,
    )
    os.utime(layout.authentication_file, (now, now))
    version = json.loads(layout.shipped_version.read_text())
    version["installation_time"] = time.strftime("%Y-%m-%dT%H:%M:%S")
    commit(layout.version, json.dumps(version, indent=4) + "\n", 0o644)
    faults = validate(server_config, layout)
    if faults:
        raise ConfigError("\n".join(f"server_config: {fault}" for fault in faults))
    config = configuration.parse(server_config, layout.catalogue, layout.etc)
    if config.provider:
        _set_up_catalogue(layout, document, config)
    core = layout.etc / "core.re"
    if not core.exists():
        shutil.copyfile(layout.templates / "core.re.template", core)
    name = document["default_resource_name"]
    vault = document.get("default_resource_directory", str(layout.home / "Vault"))
    try:
        Path(vault).mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"{vault} cannot be made: {error.strerror}") from error
    with _running(layout, config):
        channel = log_in(config, document["admin_password"])
        if not config.provider:
            _make_resource(channel, config, name, vault)
        channel.write(Message("RODS_DISCONNECT"))
        channel.close()
    commit(core, core.read_text().replace("demoResc", name), 0o644)


def main(layout: Layout | None = None) -> int:
    """Run the command; return its exit code."""
    paths = layout or Layout()
    parser = argparse.ArgumentParser(prog="setup_irods.py", description="Sets up the STAND-IN for iRODS.")
    parser.add_argument(
        "--json_configuration_file", type=Path, required=True, help="unattended configuration"
    )
    parser.add_argument("-v", "--verbose", action="count", help="accepted; everything is said anyway")
    options = parser.parse_args()
    log = paths.home / "log/setup_log.txt"
    try:
        set_up(paths, read_input(options.json_configuration_file))
    except (SetupError, ConfigError, subprocess.CalledProcessError, OSError, socket.gaierror) as error:
        print(f"Error encountered running setup_irods:\n{error}", file=sys.stderr)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {traceback.format_exc()}\n")
        return 1
    print("iRODS stand-in is configured and ready to be started")
    return 0
