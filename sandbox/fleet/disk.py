"""A host's disk: the base image, layers of snapshots above it, and one layer that the host writes to.

`disk.json` names the layers. It is replaced whole, so a killed operation leaves the disk as it was or as it
was to be; layers that it does not name are removed by the next operation.
"""

from __future__ import annotations

import json
import shutil
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.fleet.spec import SandboxError
from sandbox.fleet.system import run, write_atomically


@dataclass
class Disk:
    """The layers of one host under `folder`; `image` is the root file system below them all."""

    folder: Path
    image: Path
    layers: list[str] = field(default_factory=list)
    top: str = ""
    snapshots: dict[str, list[str]] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """Where the host's root file system is mounted while it runs."""
        return self.folder / "root"

    @classmethod
    def load(cls, folder: Path) -> Disk | None:
        """Read a host's disk, or return None when it has none yet."""
        path = folder / "disk.json"
        if not path.exists():
            return None
        data = json.loads(path.read_text())
        disk = cls(folder, Path(data["image"]), data["layers"], data["top"], data["snapshots"])
        if not disk.image.is_dir():
            raise SandboxError(
                f"{folder.name}: its base image {disk.image} is gone; remove the host with "
                f"`bic sandbox down {folder.name}` and bring it up again"
            )
        return disk

    @classmethod
    def create(cls, folder: Path, image: Path) -> Disk:
        """Make an empty disk on an image."""
        folder.mkdir(parents=True, exist_ok=True)
        disk = cls(folder, image)
        disk._start_layer()
        return disk

    def snapshot(self, name: str) -> None:
        """Keep what is on the disk now under a name; the disk must not be mounted."""
        self.layers = [*self.layers, self.top]
        self.snapshots[name] = list(self.layers)
        self._start_layer()

    def reset(self, name: str) -> None:
        """Return to a snapshot; raises `SandboxError` for a name that is none."""
        if name not in self.snapshots:
            known = ", ".join(self.snapshots) or "none"
            raise SandboxError(f"{self.folder.name} has no snapshot '{name}': it has {known}")
        self.layers = list(self.snapshots[name])
        self._start_layer()

    def mount(self) -> None:
        """Mount the layers at `root`; nothing happens when they are mounted already."""
        if self.mounted():
            return
        work = self.folder / "work"
        # The mark that a volatile overlay leaves when it was not unmounted in order. Its warning is about
        # a crash of this machine, whose remedy is a new fleet; a host's loss of power loses nothing.
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        self.root.mkdir(exist_ok=True)
        lower = ":".join(str(self._path(layer)) for layer in reversed(self.layers))
        lower = f"{lower}:{self.image}" if lower else str(self.image)
        options = f"lowerdir={lower},upperdir={self._path(self.top)},workdir={work},volatile"
        run(["mount", "-t", "overlay", "bic-sandbox", "-o", options, self.root])

    def unmount(self) -> None:
        """Unmount the layers, and all that is mounted below them."""
        if self.mounted():
            run(["umount", "--recursive", self.root])

    def mounted(self) -> bool:
        """Tell whether `root` is a mount point."""
        wanted = str(self.root)
        return any(
            line.split()[4] == wanted for line in Path("/proc/self/mountinfo").read_text().splitlines()
        )

    def _path(self, layer: str) -> Path:
        return self.folder / "layers" / layer

    def _start_layer(self) -> None:
        self.top = uuid.uuid4().hex[:12]
        self._path(self.top).mkdir(parents=True)
        data = {
            "image": str(self.image),
            "layers": self.layers,
            "top": self.top,
            "snapshots": self.snapshots,
        }
        write_atomically(self.folder / "disk.json", json.dumps(data, indent=1))
        named = {self.top, *self.layers, *(layer for layers in self.snapshots.values() for layer in layers)}
        for path in (self.folder / "layers").iterdir():
            if path.name not in named:
                shutil.rmtree(path)
