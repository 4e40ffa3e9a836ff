"""Does each host let an administrator in?"""

from collections.abc import Iterator
from functools import partial

from controlplane.health.net import TIMEOUT, connect
from controlplane.health.port import Check, CheckFailedError, Probe
from controlplane.model import Platform

SSH_PORT = 22


def probes(platform: Platform) -> Iterator[Probe]:
    """One probe per host, buffer servers included."""
    for host in platform.hosts.values():
        yield Probe("host", host.name, (Check("SSH", partial(_ssh, str(host.address))),))


def _ssh(address: str) -> str:
    with connect(address, SSH_PORT) as connection:
        connection.settimeout(TIMEOUT)
        try:
            banner = connection.recv(255)
        except OSError as error:
            raise CheckFailedError(f"port {SSH_PORT} is open, but no SSH server greets: {error}") from error
    if not banner.startswith(b"SSH-2.0-"):
        raise CheckFailedError(f"port {SSH_PORT} is open, but no SSH server greets")
    return "SSH answers"
