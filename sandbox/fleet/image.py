"""The base image of all hosts: a Debian root file system, built once and cached by its content."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from sandbox.fleet.spec import SandboxError, sandbox_root
from sandbox.fleet.system import locked, run

SUITE = "bookworm"
#: What a machine has when a data centre hands it over: everything else is a role's work.
PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "libpam-systemd",
    "openssh-server",
    "python3",
    "python3-apt",
    "sudo",
    "iproute2",
    "ca-certificates",
)
#: Raise when `_customize` changes what it does: the image is then built anew.
RECIPE = 4

#: Writing every package to disk before the next costs most of an installation's time, and these hosts are
#: made again from the image when a machine dies.
_DPKG_CONFIGURATION = "force-unsafe-io\n"
_EXTRA_CA_FOLDER = Path("/usr/local/share/ca-certificates")


def _sources() -> list[str]:
    """One-line apt sources of this machine for the image's suite: a site's own mirror counts here too.

    Empty when this machine has none (it runs another suite): mmdebstrap then uses its own default.
    """
    lines = run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(SIGNED_BY)|$(ORIGIN)|$(LABEL)",
            "Created-By: Packages",
        ]
    ).splitlines()
    sources = []
    for line in lines:
        uri, release, component, signed_by, origin, _ = line.split("|")
        if origin in ("", "Debian") and release in (SUITE, f"{SUITE}-updates", f"{SUITE}-security"):
            option = f"[signed-by={signed_by}] " if signed_by.startswith("/") else ""
            sources.append(f"deb {option}{uri} {release} {component}")
    return sorted(set(sources)) if any(f" {SUITE} " in source for source in sources) else []


def _identity(sources: list[str]) -> str:
    certificates = {path.name: path.read_text() for path in sorted(_EXTRA_CA_FOLDER.glob("**/*.crt"))}
    content = json.dumps([RECIPE, SUITE, PACKAGES, sources, certificates])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _customize(root: Path) -> None:
    (root / "etc/dpkg/dpkg.cfg.d/bic-sandbox").write_text(_DPKG_CONFIGURATION)
    # Each host gets host keys and a machine id of its own.
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    (root / "etc/machine-id").write_text("uninitialized\n")
    (root / "etc/hostname").unlink(missing_ok=True)
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    networkd = wants / "systemd-networkd.service"
    if not networkd.is_symlink():
        networkd.symlink_to("/lib/systemd/system/systemd-networkd.service")
    # Hosts trust what this machine trusts: a site's proxy may present certificates of its own.
    for path in _EXTRA_CA_FOLDER.glob("**/*.crt"):
        shutil.copy(path, root / "usr/local/share/ca-certificates" / path.name)
    run(["chroot", root, "update-ca-certificates"])


def built(report: Callable[[str], None], proxy: str) -> Path:
    """Return the root file system of the current image, building it when it is not there yet.

    `report` hears what is going on, `proxy` is the URL of a caching HTTP proxy for packages. A build that
    was killed leaves a folder that the next build removes; a finished one is moved into place whole.
    """
    sources = _sources()
    folder = sandbox_root() / "images"
    image = folder / _identity(sources)
    with locked(folder / ".lock"):
        if image.is_dir():
            return image
        for stale in folder.glob("building-*"):
            shutil.rmtree(stale)
        report(
            f"building the base image ({SUITE}, {len(PACKAGES)} packages and what they need), about a minute"
        )
        building = folder / f"building-{os.getpid()}"
        command = [
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            # Hosts made on the same day need not fetch the lists again.
            "--skip=cleanup/apt/lists",
            f"--include={','.join(PACKAGES)}",
            f'--aptopt=Acquire::http::Proxy "{proxy}"',
            '--aptopt=Acquire::https::Proxy "DIRECT"',
            SUITE,
            str(building),
        ]
        done = subprocess.run(
            [*command, "-"] if sources else command,
            input="\n".join(sources),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            shutil.rmtree(building, ignore_errors=True)
            raise SandboxError(f"mmdebstrap could not build the base image:\n{done.stderr.strip()}")
        _customize(building)
        (building / "etc/apt/apt.conf.d/99mmdebstrap").unlink(missing_ok=True)
        building.rename(image)
    return image
