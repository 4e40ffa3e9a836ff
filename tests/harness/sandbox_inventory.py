"""Copies of the sandbox's inventory, or parts of it."""

import re
from pathlib import Path

PEOPLE = ("identity:", "portal:", "omero_servers:", "buffers:")
"""Sections of platform.yml about where people log in and follow to, beside zones."""


def leave_zones(inventory: Path) -> None:
    """Take out of a copy what is for people beside the zone: login server, portal, OMERO, buffer servers."""
    platform = inventory / "platform.yml"
    sections = re.split(r"(?m)^(?=# |[a-z_]+:)", platform.read_text("utf-8"))
    shorter = "".join(section for section in sections if not section.startswith(PEOPLE))
    for services in ("authentik, federation_proxy", "omero_server"):
        shorter = shorter.replace(f", services: [{services}]", "")
    if re.search("authentik|omero_server", shorter):
        raise ValueError("the sandbox's platform.yml has another shape now")
    platform.write_text(shorter, "utf-8")
    for facility in (inventory / "facilities").glob("*.yml"):
        text = facility.read_text("utf-8")
        facility.write_text(re.sub(r"(?m)^(omero: \{.*|    omero: true)\n", "", text), "utf-8")


def without_idle_hosts(text: str) -> str:
    """The platform without the hosts that only have what every host has."""
    return re.sub(r"(?m)^  [a-z0-9-]+: \{data_centre: dc[12], address: [0-9.]+\}\n", "", text)
