"""The stand-in of Ice's `icegridadmin`: the commands that omero-py's `omero admin` gives it.

It asks the node at the address in `etc/internal.cfg`, by Ice's own protocol, and exits with 1 when that is
not there or refuses.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from .icegridnode import APPLICATION, settings_of
from .remote import Remote

#: Milliseconds for one answer of the node.
TIMEOUT = 10000


class RefusedError(Exception):
    """What a command asked cannot be done; the text says why."""


def main(server: Path, argv: Sequence[str]) -> int:
    """Do the commands of the command line at the node of the folder `server`; returns an exit code."""
    parser = argparse.ArgumentParser(prog="icegridadmin (STAND-IN)", allow_abbrev=False)
    parser.add_argument("--Ice.Config", dest="config", required=True)
    parser.add_argument("-e", dest="commands", action="append", required=True)
    options = parser.parse_args(argv)
    settings = settings_of([Path(name) for name in options.config.split(",")])

    import Ice
    import IceGrid

    communicator = Ice.initialize()
    try:
        registry = settings["Ice.Default.Locator"].replace("IceGrid/Locator:", "IceGrid/Registry:")
        proxy = communicator.stringToProxy(registry).ice_timeout(TIMEOUT)
        session = IceGrid.RegistryPrx.uncheckedCast(proxy).createAdminSession(
            settings["IceGridAdmin.Username"], settings["IceGridAdmin.Password"]
        )
        admin = session.ice_timeout(TIMEOUT).getAdmin()
        for command in options.commands:
            for line in _do(admin, command.split()):
                print(line)
        session.destroy()
    except RefusedError as error:
        print(f"icegridadmin (STAND-IN): {error}", file=sys.stderr)
        return 1
    except (IceGrid.NodeNotExistException, IceGrid.ServerNotExistException) as error:
        print(f"icegridadmin (STAND-IN): {type(error).__name__}", file=sys.stderr)
        return 1
    except Ice.LocalException as error:
        print(f"icegridadmin (STAND-IN): {type(error).__name__}: no node answers", file=sys.stderr)
        return 1
    finally:
        communicator.destroy()
    return 0


def _do(admin: Remote, words: list[str]) -> list[str]:
    """Do one command; returns the lines that it prints. Raises RefusedError."""
    match words:
        case ["node", "ping", name]:
            return ["node is up" if admin.pingNode(name) else "node is down"]
        case ["node", "shutdown", name]:
            admin.shutdownNode(name)
            return []
        case ["server", "list"]:
            return list(admin.getAllServerIds())
        case ["server", "state", name]:
            state = str(admin.getServerState(name)).lower()
            pid = admin.getServerPid(name)
            return [f"{state} (pid = {pid}, enabled)" if pid else f"{state} (enabled)"]
        case ["application", "list"]:
            return list(admin.getAllApplicationNames())
        case ["application", "describe", name] if name == APPLICATION:
            return [f"application `{APPLICATION}'", "{", "}"]
        case _:
            text = re.sub(r"\s+", " ", " ".join(words))
            raise RefusedError(f"`{text}` is no command that this stand-in knows")
