"""What the sandbox needs from the machine, checked before anything is made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from sandbox.fleet.spec import PrerequisiteError

#: Command → the Debian package that brings it.
COMMANDS = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "nft": "nftables",
    "ssh-keygen": "openssh-client",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "mount": "mount",
    "apt-ftparchive": "apt-utils",
    "dpkg-deb": "dpkg",
    "gpg": "gnupg",
}


def missing_packages() -> list[str]:
    """Debian packages that would bring the commands this machine lacks, sorted."""
    return sorted({package for command, package in COMMANDS.items() if not shutil.which(command)})


def _overlay_works(folder: Path) -> bool:
    """Mount a real overlay in a mount namespace of its own, which vanishes with the command."""
    script = (
        'mount -t tmpfs t "$1" && cd "$1" && mkdir l u w m && '
        "mount -t overlay o -o lowerdir=l,upperdir=u,workdir=w m"
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", str(folder)], capture_output=True, check=False
    )
    return done.returncode == 0


def problems() -> Iterator[str]:
    """Yield one message for each thing that keeps the sandbox from working on this machine."""
    if sys.platform != "linux":
        yield f"the sandbox needs Linux, and this is {sys.platform}: use a Debian 12 machine"
        return
    if os.geteuid() != 0:
        yield "the sandbox needs root (it makes mounts, bridges and containers): run it as root or with sudo"
        return
    packages = missing_packages()
    if packages:
        yield f"the sandbox needs packages that are not installed: apt-get install {' '.join(packages)}"
    elif not _overlay_works(Path("/mnt")):
        yield (
            "this kernel cannot mount overlayfs here (or may not): load the module with `modprobe overlay`; "
            "in an unprivileged container it cannot work, use a virtual machine"
        )


def require() -> None:
    """Raise `PrerequisiteError` naming everything that is missing."""
    found = list(problems())
    if found:
        raise PrerequisiteError("\n".join(found))
