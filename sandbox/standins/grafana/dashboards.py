"""Dashboards: read from the files that the provisioning files name, and again when those change.

Source: Grafana's documentation "Provision Grafana" and "Dashboard HTTP API".
"""

import hashlib
import json
import logging
import re
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .sources import ProvisioningError, document, expanded

_LOG = logging.getLogger("provisioning.dashboard")
DEFAULT_INTERVAL = 10


@dataclass(frozen=True)
class Dashboard:
    """One dashboard."""

    uid: str
    title: str
    tags: tuple[str, ...]
    folder: str
    folder_uid: str
    file: str
    editable: bool
    model: Mapping[str, Any]

    @property
    def slug(self) -> str:
        """Its title as a part of an address."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")

    @property
    def url(self) -> str:
        """Where its page is."""
        return f"/d/{self.uid}/{self.slug}"


@dataclass
class Provider:
    """One entry of a provisioning file: a folder of files, read again after some time."""

    name: str
    path: Path
    folder: str
    folder_uid: str
    interval: int
    editable: bool
    keep_deleted: bool
    loaded: float = field(default=-1e9)
    found: dict[str, Dashboard] = field(default_factory=dict)

    def current(self) -> dict[str, Dashboard]:
        """The dashboards by uid, as the files were at most `interval` seconds ago."""
        if time.monotonic() - self.loaded >= self.interval:
            self.loaded = time.monotonic()
            self._load()
        return self.found

    def _load(self) -> None:
        if not self.path.is_dir():
            _LOG.error("cannot read dashboards of %s: there is no folder %s", self.name, self.path)
            return
        files = sorted(path for path in self.path.rglob("*.json") if path.is_file())
        read = [made for path in files if (made := self._read(path))]
        twins = sorted(uid for uid, count in Counter(made.uid for made in read).items() if count > 1)
        if twins:
            # As upstream: nothing of this provider is written while uids are used twice.
            _LOG.error(
                "dashboards of %s: the same uid is used more than once: %s", self.name, ", ".join(twins)
            )
            return
        kept = self.found if self.keep_deleted else {}
        self.found = {**kept, **{made.uid: made for made in read}}

    def _read(self, path: Path) -> Dashboard | None:
        try:
            model = json.loads(path.read_text("utf-8"))
            title = model["title"].strip()
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            _LOG.error("failed to load dashboard from %s: %s: %s", path, type(error).__name__, error)
            return None
        if not title:
            _LOG.error("failed to load dashboard from %s: its title is empty", path)
            return None
        return Dashboard(
            uid=model.get("uid") or hashlib.sha256(str(path).encode()).hexdigest()[:14],
            title=title,
            tags=tuple(model.get("tags") or ()),
            folder=self.folder,
            folder_uid=self.folder_uid,
            file=str(path.relative_to(self.path)),
            editable=self.editable,
            model=model,
        )


def read(folder: Path) -> list[Provider]:
    """Read all provisioning files of a folder. Raises ProvisioningError."""
    providers: list[Provider] = []
    if not folder.is_dir():
        _LOG.error("cannot read providers of dashboards from %s: there is no such folder", folder)
        return providers
    for path in sorted(folder.glob("*.y*ml")):
        for number, raw in enumerate(document(path).get("providers") or [], 1):
            place = f"{path}: provider {number}"
            entry = expanded(raw, place)
            if not isinstance(entry, dict):
                raise ProvisioningError(f"{place} is no mapping")
            providers.append(_provider(entry, place))
    return providers


def _provider(entry: Mapping[str, Any], place: str) -> Provider:
    if entry.get("type", "file") != "file":
        raise ProvisioningError(
            f"{place}: the stand-in has the type file only, and this is {entry['type']!r}"
        )
    path = (entry.get("options") or {}).get("path")
    if not isinstance(path, str):
        raise ProvisioningError(f"{place}: options.path must be the folder of the dashboards")
    return Provider(
        name=str(entry.get("name") or "default"),
        path=Path(path),
        folder=str(entry.get("folder") or ""),
        folder_uid=str(entry.get("folderUid") or ""),
        interval=int(entry.get("updateIntervalSeconds") or DEFAULT_INTERVAL),
        editable=bool(entry.get("allowUiUpdates")),
        keep_deleted=bool(entry.get("disableDeletion")),
    )


class Dashboards:
    """The dashboards of all providers."""

    def __init__(self, providers: list[Provider]) -> None:
        self.providers = providers

    def all(self) -> dict[str, Dashboard]:
        """The dashboards by uid."""
        return {uid: made for provider in self.providers for uid, made in provider.current().items()}
