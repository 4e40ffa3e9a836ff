"""The folder that nginx answers metadata queries from, made by pyFF from the verified feeds.

`by-hash/SHA1.xml` and `by-name/PERCENT-ENCODED-ENTITY-ID` hold one identity provider each, and
`institutions.json` the index of the discovery page. A tree is made beside the present one; then `current` is
turned to it.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from defusedxml.ElementTree import parse

from . import search
from .feeds import Copy

_SECONDS = 1800
_LONGEST_NAME = 255


class BuildError(Exception):
    """pyFF could not make a tree; the message has its last words."""


def build(state: Path, copies: Sequence[Copy], blocked: frozenset[str], now: datetime) -> int:
    """Make the tree of these copies current, unless it is, and return the number of its identity providers.

    Raises BuildError.
    """
    current = state / "current"
    made_from = _digest(copies, blocked)
    if (current / "made-from.json").exists():
        known: dict[str, Any] = json.loads((current / "made-from.json").read_text())
        if known["digest"] == made_from:
            return int(known["identity_providers"])
    trees = state / "trees"
    tree = trees / f"{now:%Y%m%dT%H%M%S%f}"
    for name in ("by-hash", "by-name"):
        (tree / name).mkdir(parents=True)
    entries: list[dict[str, Any]] = []
    count = 0
    for number, copy in enumerate(copies):
        split = tree / f"feed-{number}"
        _split(copy, split)
        for path in sorted(split.glob("*.xml")):
            entity = parse(path).getroot()
            identifier = entity.get("entityID")
            if identifier in blocked or (tree / "by-hash" / path.name).exists():
                continue
            count += 1
            path.rename(tree / "by-hash" / path.name)
            name = quote(identifier, safe="")
            if len(name) <= _LONGEST_NAME:
                os.link(tree / "by-hash" / path.name, tree / "by-name" / name)
            if (found := search.entry(entity)) is not None:
                entries.append(found)
        shutil.rmtree(split)
    _write_index(tree, entries)
    (tree / "made-from.json").write_text(json.dumps({"digest": made_from, "identity_providers": count}))
    _turn(current, tree)
    for other in trees.iterdir():
        if other != tree:
            shutil.rmtree(other)
    return count


def _digest(copies: Sequence[Copy], blocked: frozenset[str]) -> str:
    digest = hashlib.sha256(json.dumps(sorted(blocked)).encode())
    # A new version of this package may make other trees of the same feeds.
    for path in [*sorted(Path(__file__).parent.glob("*.py")), *(copy.path for copy in copies)]:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _split(copy: Copy, target: Path) -> None:
    """Let pyFF check a feed by the schema and write its identity providers, valid as long as the feed."""
    target.mkdir()
    pipeline = [
        {"load fail_on_error True filter_invalid True": [str(copy.path)]},
        {"select": "!//md:EntityDescriptor[md:IDPSSODescriptor]"},
        {"map": [{"finalize": {"validUntil": f"{copy.valid_until:%Y-%m-%dT%H:%M:%SZ}"}}]},
        {"store": {"directory": str(target)}},
    ]
    description = target / "pipeline.yml"
    # YAML contains JSON.
    description.write_text(json.dumps(pipeline))
    environment = {**os.environ, "PYFF_XINCLUDE": "false"}
    command = [str(Path(sys.executable).parent / "pyff"), "--loglevel=WARN", str(description)]
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    if ended.returncode:
        raise BuildError(f"pyFF cannot split {copy.path.name}: {ended.stderr.strip()[-1000:]}")


def _write_index(tree: Path, entries: list[dict[str, Any]]) -> None:
    content = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    (tree / "institutions.json").write_bytes(content)
    (tree / "institutions.json.gz").write_bytes(gzip.compress(content, mtime=0))


def _turn(link: Path, target: Path) -> None:
    temporary = link.with_name(f".{link.name}.new")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target.relative_to(link.parent))
    temporary.replace(link)
