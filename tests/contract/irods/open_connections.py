"""Which connections a process holds: an idle one delays every reload of a server."""

import os
from pathlib import Path


def connections_to(port: int, pid: int | str = "self") -> set[str]:
    """The sockets by which a process is connected to a port, which /proc/net/tcp has in hexadecimal."""
    sockets = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if os.path.lexists(link)}
    lines = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
    ]
    return {
        socket
        for line in lines
        if int(line[2].rsplit(":", 1)[1], 16) == port
        and line[3] == "01"
        and (socket := f"socket:[{line[9]}]") in sockets
    }
