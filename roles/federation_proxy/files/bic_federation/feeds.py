"""Fetching feeds. What is refused or cannot be had leaves the last good copy in place until that expires."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import requests

from .config import Feed
from .envelope import RefusedError, read
from .signature import verify

_CONNECT_SECONDS, _READ_SECONDS = 10, 120
_CHUNK = 1 << 20
#: eduGAIN's aggregate has about 100 MB.
_LARGEST = 1 << 30


@dataclass(frozen=True)
class Copy:
    """A verified copy of a feed on this host."""

    path: Path
    valid_until: datetime
    """In UTC."""
    signed_by: int
    """The place (from 1) of the certificate that signed it."""


@dataclass(frozen=True)
class Outcome:
    """What became of a feed: `state` is `accepted`, or `refused` or `unreachable` with a reason."""

    feed: Feed
    state: str
    reason: str
    copy: Copy | None
    """The copy that is in use, or None when there is no valid one."""


class FeedStore:
    """The folder of the last good copies, one file a feed."""

    def __init__(self, folder: Path, ca_file: str, max_validity: timedelta) -> None:
        self._folder = folder
        self._ca_file = ca_file
        self._max_validity = max_validity

    def refresh(self, feed: Feed, now: datetime) -> Outcome:
        """Fetch and verify a feed, and say what is in use of it."""
        fetched = self._folder / f".{feed.name}.fetched"
        try:
            self._fetch(feed.url, fetched)
            self._verified(feed, fetched, now)
            fetched.replace(self._path(feed))
            state, reason = "accepted", ""
        except RefusedError as error:
            state, reason = "refused", str(error)
        except (requests.RequestException, OSError) as error:
            state, reason = "unreachable", str(error)
        finally:
            fetched.unlink(missing_ok=True)
        return Outcome(feed, state, reason, self._in_use(feed, now))

    def forget_all_but(self, feeds: tuple[Feed, ...]) -> None:
        """Remove copies of feeds that are not loaded any more."""
        wanted = {self._path(feed) for feed in feeds}
        for path in self._folder.glob("*.xml"):
            if path not in wanted:
                path.unlink()

    def accepted_at(self, feed: Feed) -> float | None:
        """When the copy in use was accepted, in seconds since the epoch; None when there is none."""
        path = self._path(feed)
        return path.stat().st_mtime if path.exists() else None

    def _path(self, feed: Feed) -> Path:
        return self._folder / f"{feed.name}.xml"

    def _in_use(self, feed: Feed, now: datetime) -> Copy | None:
        """The last good copy, judged anew: it may have expired, or its certificate may be trusted no more."""
        path = self._path(feed)
        if not path.exists():
            return None
        try:
            return self._verified(feed, path, now)
        except RefusedError:
            path.unlink()
            return None

    def _verified(self, feed: Feed, path: Path, now: datetime) -> Copy:
        envelope = read(path, now, self._max_validity)
        return Copy(self._path(feed), envelope.valid_until, verify(path, envelope, feed.certificates))

    def _fetch(self, url: str, path: Path) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        timeouts = (_CONNECT_SECONDS, _READ_SECONDS)
        with requests.get(url, stream=True, timeout=timeouts, verify=self._ca_file) as answer:
            answer.raise_for_status()
            size = 0
            with path.open("wb") as file:
                for chunk in answer.iter_content(_CHUNK):
                    size += len(chunk)
                    if size > _LARGEST:
                        raise RefusedError(f"it is larger than {_LARGEST >> 20} MiB")
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
