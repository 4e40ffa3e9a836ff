"""People, read only where something is new.

Listing everybody costs a server about 6 ms a person, so 8,000 people take it 48 s. Their groups are read each
time (with keys of members alone), and people only when they have changed since the last reading or a key is
new. What is known is kept in a file of the control host, `people.json` in the platform's state folder,
readable by its owner alone: it is no truth, only a shortcut. Each host has its own, it needs no lock and no
migration, and losing it costs one reading of everybody. It is thrown away when it is a day old, and when its
version or the server is another one.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from controlplane.systems.authentik import calls
from controlplane.systems.authentik.client import AuthentikError, Client
from controlplane.systems.authentik.records import User

VERSION = 1

LIFE = timedelta(days=1)
"""After that everybody is read again, so that nothing that was missed stays missed."""

OVERLAP = timedelta(minutes=5)
"""How far back a reading of changes begins: longer than any transaction of the server."""

ONE_BY_ONE = 100
"""New keys that are asked for one by one; for more it is cheaper to list everybody."""

ATTRIBUTES = ("bic_account", "bic_ended", "home_organization", "given_name", "family_name")
"""The attributes that are kept."""


@dataclass
class People:
    """Who was read, by key."""

    server: str
    read: datetime | None = None
    """When everybody was read."""
    known: dict[int, User] = field(default_factory=dict)

    @property
    def newest(self) -> str:
        """The latest time at which somebody was changed, as the server said."""
        return max((user.updated for user in self.known.values()), default="")


def refresh(
    client: Client,
    people: People,
    members: Iterable[int],
    progress: calls.Progress | None = None,
    now: datetime | None = None,
) -> None:
    """Bring what is known up to date, so that every key of `members` is in it.

    Raises AuthentikError; a key of a group that leads to nobody is an error, since nobody knows who that is.
    """
    now = now or datetime.now(UTC)
    if people.read is None or now - people.read > LIFE or not people.newest:
        _read_everybody(client, people, now, progress)
    else:
        since = (datetime.fromisoformat(people.newest) - OVERLAP).isoformat()
        _take(people, calls.users(client, {"last_updated__gt": since}))
    wanted = set(members)
    missing = wanted - people.known.keys()
    if len(missing) > ONE_BY_ONE:
        _read_everybody(client, people, now, progress)
        missing = wanted - people.known.keys()
    for key in sorted(missing):
        found = calls.user(client, key)
        if found is None:
            raise AuthentikError(f"{client.server.host}: a group has a member {key} who cannot be read")
        _take(people, [found])


def _read_everybody(client: Client, people: People, now: datetime, progress: calls.Progress | None) -> None:
    people.known.clear()
    _take(people, calls.users(client, progress=progress))
    people.read = now


def _take(people: People, users: Iterable[User]) -> None:
    people.known.update({user.pk: user for user in users})


def load(path: Path, server: str) -> People:
    """What was kept; nobody when there is nothing of use."""
    try:
        document = json.loads(path.read_text("utf-8"))
        if document["version"] != VERSION or document["server"] != server:
            return People(server)
        known = {entry["pk"]: User(**entry) for entry in document["people"]}
        return People(server, datetime.fromisoformat(document["read"]), known)
    except (OSError, ValueError, KeyError, TypeError):
        # It is a shortcut: whatever is wrong with it, everybody is read again.
        return People(server)


def keep(path: Path, people: People) -> None:
    """Keep it for the next time; where it cannot be written, the next reading takes longer."""
    if people.read is None:
        return
    document = {
        "version": VERSION,
        "server": people.server,
        "read": people.read.isoformat(),
        "people": [_kept(user) for user in people.known.values()],
    }
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(draft, "x", encoding="utf-8", opener=_private) as file:
            json.dump(document, file, ensure_ascii=False, separators=(",", ":"))
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)


def _kept(user: User) -> Mapping[str, object]:
    attributes = {name: user.attributes[name] for name in ATTRIBUTES if name in user.attributes}
    return asdict(user) | {"attributes": attributes}


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
