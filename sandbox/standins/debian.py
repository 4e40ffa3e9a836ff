"""Debian packages of stand-ins: the same contents give the same bytes, and all say what they are."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

MAINTAINER = "BioImage Cloud sandbox <root@localhost>"
# The time that all files have: 2026-01-01.
_EPOCH = "1767225600"


@dataclass(frozen=True, slots=True)
class Package:
    """One Debian package."""

    name: str
    product: str
    """What it stands in for."""
    homepage: str
    summary: str
    about: str
    """The rest of the description, in one paragraph of short lines."""
    depends: str
    version: str
    notice: str
    """The text of the package's README."""
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    executables: frozenset[str] = frozenset()
    scripts: Mapping[str, str] = field(default_factory=dict)
    architecture: str = "all"

    @property
    def control(self) -> str:
        """The package's control file."""
        about = "".join(f" {line}\n" for line in self.about.splitlines())
        return (
            f"Package: {self.name}\nVersion: {self.version}\nArchitecture: {self.architecture}\n"
            "Section: misc\nPriority: optional\n"
            f"Maintainer: {MAINTAINER}\nHomepage: {self.homepage}\nDepends: {self.depends}\n"
            f"Description: STAND-IN, not {self.product}: {self.summary}\n"
            f"{about} .\n Never put data into it that you want to keep.\n"
        )


def _write(path: Path, content: str | bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)


def build(package: Package, destination: Path) -> Path:
    """Build a package in a directory, replacing one of the same name at once. Needs `dpkg-deb`."""
    destination.mkdir(parents=True, exist_ok=True)
    target = destination / f"{package.name}_{package.version}_{package.architecture}.deb"
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        for name, content in package.files.items():
            _write(tree / name, content, 0o755 if name in package.executables else 0o644)
        _write(tree / "usr/share/doc" / package.name / "README", package.notice, 0o644)
        _write(tree / "DEBIAN/control", package.control, 0o644)
        for name, content in package.scripts.items():
            _write(tree / "DEBIAN" / name, content, 0o755)
        for directory in [tree, *(path for path in tree.rglob("*") if path.is_dir())]:
            directory.chmod(0o755)
        built = Path(scratch) / "package.deb"
        subprocess.run(
            ["dpkg-deb", "--build", "--root-owner-group", "-Zgzip", str(tree), str(built)],
            check=True,
            capture_output=True,
            env=os.environ | {"SOURCE_DATE_EPOCH": _EPOCH},
        )
        temporary = target.with_suffix(".new")
        shutil.copyfile(built, temporary)
        temporary.replace(target)
    return target
