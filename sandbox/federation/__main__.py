"""Start, stop, and publish for the world around an inventory's fleet.

`python -m sandbox.federation --inventory DIR start | stop | publish FEED [--more N]`
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from controlplane.errors import BicError
from controlplane.model import load_platform
from sandbox.federation import control
from sandbox.fleet.spec import fleet_of


def main() -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.federation", description=__doc__)
    parser.add_argument("--inventory", type=Path, required=True, metavar="DIR")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("start")
    commands.add_parser("stop")
    publish = commands.add_parser("publish")
    publish.add_argument("feed", choices=control.FEEDS)
    publish.add_argument("--more", type=int, default=0, help="generated institutions beside the real ones")
    arguments = parser.parse_args()
    try:
        fleet = fleet_of(load_platform(arguments.inventory))
        match arguments.command:
            case "start":
                print(control.start(fleet).base_url)
            case "stop":
                control.stop(fleet)
            case "publish":
                control.publish(fleet, arguments.feed, more=arguments.more)
    except BicError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
