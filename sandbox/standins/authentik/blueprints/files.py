"""Blueprints in files: finding them, and keeping an instance for each."""

import hashlib
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from .. import clock, tasks
from ..models.operations import BLUEPRINT
from ..store import Row, Store, Tx
from .tags import load

_LOG = logging.getLogger("authentik.blueprints")
_INSTANTIATE = "blueprints.goauthentik.io/instantiate"


@dataclass(frozen=True, slots=True)
class BlueprintFile:
    """A file with a blueprint; its path is relative to the folder."""

    path: str
    modified: str
    digest: str
    metadata: dict[str, Any]

    def shown(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        meta = {"name": self.metadata.get("name", ""), "labels": self.metadata.get("labels", {})}
        return {"path": self.path, "last_m": self.modified, "hash": self.digest, "meta": meta}


def metadata(document: object) -> dict[str, Any]:
    """Return what a blueprint says of itself."""
    given = document.get("metadata") if isinstance(document, dict) else None
    if not isinstance(given, dict):
        return {}
    return {"name": str(given.get("name", "")), "labels": dict(given.get("labels") or {})}


def available(folder: Path) -> dict[str, BlueprintFile]:
    """Return the blueprints of a folder by their paths; other files are passed over with a warning."""
    found = {}
    for path in sorted(folder.rglob("*.yaml")) if folder.is_dir() else []:
        name = str(path.relative_to(folder))
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        try:
            text = path.read_text()
            document = load(text)
            modified = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            _LOG.warning("%s is no blueprint: %s", path, error)
            continue
        if isinstance(document, dict) and document.get("version", 1) == 1:
            digest = hashlib.sha512(text.encode()).hexdigest()
            found[name] = BlueprintFile(name, clock.text(modified), digest, metadata(document))
    return found


def content_of(folder: Path, instance: Row) -> str:
    """Return a blueprint's text, from the instance itself or from its file.

    Raises:
        OSError: the file cannot be read.
        ValueError: its path leads out of the folder.
    """
    if not instance["path"]:
        return str(instance["content"])
    path = (folder / str(instance["path"])).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"{instance['path']} leads out of {folder}")
    return path.read_text()


def discover(folder: Path, store: Store, actor: str) -> None:
    """Keep an instance for each file, and queue what is new or has changed since it was applied or tried."""
    files = available(folder)
    with store.read() as tx:
        known = {row["path"]: row for row in tx.rows(BLUEPRINT) if row["path"]}
    if not any(_stale(known.get(path), found) for path, found in files.items()):
        return
    with store.write() as tx:
        known = {row["path"]: row for row in tx.rows(BLUEPRINT) if row["path"]}
        for path, found in files.items():
            if _stale(known.get(path), found):
                row = _instance(tx, known.get(path), found)
                if row is not None and row["enabled"]:
                    tasks.enqueue(tx, actor, {"instance": row["pk"]}, (BLUEPRINT, row["pk"]))


def _stale(row: Row | None, found: BlueprintFile) -> bool:
    if row is None:
        return str(found.metadata.get("labels", {}).get(_INSTANTIATE, "true")).lower() != "false"
    return bool(row["metadata"].get("seen") != found.digest and row["last_applied_hash"] != found.digest)


def _instance(tx: Tx, row: Row | None, found: BlueprintFile) -> Row | None:
    meta = {**found.metadata, "seen": found.digest}
    if row is not None:
        return tx.update(BLUEPRINT, row["pk"], {"metadata": meta})
    name = found.metadata.get("name") or found.path
    if tx.find(BLUEPRINT, name=name) is not None:
        name = f"{name} ({found.path})"
    return tx.insert(BLUEPRINT, {"name": name, "path": found.path, "metadata": meta})
