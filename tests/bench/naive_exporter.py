"""An exporter as most are written: the client library's own server, which asks all systems for each scrape.

`python naive_exporter.py INVENTORY PORT CERTIFICATE KEY`; it answers until its standard input ends.
"""

import sys
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server

from controlplane.model import load_platform
from controlplane.systems import contributions


def main() -> None:
    """Serve."""
    inventory, port, certificate, key = sys.argv[1:]
    registry = CollectorRegistry()
    for collector in contributions(load_platform(Path(inventory)), "metrics", "collectors"):
        registry.register(collector)
    start_http_server(int(port), "127.0.0.1", registry, certificate, key)
    sys.stdin.read()


if __name__ == "__main__":
    main()
