"""`/usr/bin/iadmin`: of all the commands of the real one, only `cu`, which computes usage.

It logs in at the server of its host as the service account does, with the password in its `.irodsA`.
"""

import argparse
import os
import sys

from . import passwords
from .config import ConfigError
from .install import Layout, load_configuration
from .setup import SetupError, log_in
from .wire import Message, ProtocolError, element, leaf


def main(layout: Layout | None = None) -> int:
    """Run the command; return its exit code."""
    paths = layout or Layout()
    parser = argparse.ArgumentParser(
        prog="iadmin", description="STAND-IN for iRODS's, of which it has one command."
    )
    parser.add_argument("command", choices=["cu"], help="compute the usage that quotas are held against")
    parser.parse_args()
    try:
        password = passwords.decode_irodsa(paths.authentication_file.read_text(), os.geteuid())
        channel = log_in(load_configuration(paths), password)
        words = ["calculate-usage", *[""] * 9]
        body = element("generalAdminInp_PI", *(leaf(f"arg{index}", word) for index, word in enumerate(words)))
        channel.write(Message("RODS_API_REQ", body.encode(), int_info=701))
        status = channel.read().int_info
        channel.write(Message("RODS_DISCONNECT"))
        channel.close()
    except (ConfigError, OSError, ProtocolError, SetupError) as error:
        print(f"iadmin: {error}", file=sys.stderr)
        return 1
    if status < 0:
        print(f"iadmin: calculate-usage failed with {status}", file=sys.stderr)
        return 4
    return 0
