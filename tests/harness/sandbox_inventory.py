"""The sandbox's platform.yml, or parts of it."""

import re


def without_login(text: str) -> str:
    """The platform without login server, federation proxy and portal."""
    sections = re.split(r"(?m)^(?=# |[a-z_]+:)", text)
    kept = [section for section in sections if not section.startswith(("identity:", "portal:"))]
    shorter = "".join(kept).replace(", services: [authentik, federation_proxy]", "")
    if "authentik" in shorter:
        raise ValueError("the sandbox's platform.yml has another shape now")
    return shorter


def without_idle_hosts(text: str) -> str:
    """The platform without the hosts that only have what every host has."""
    return re.sub(r"(?m)^  dc[12]-(omero|hpc): .*\n", "", text)
