"""Sessions: who is connected, for how long, by how many references, and which groups that gives.

Source: `SessionManagerImpl`, `SessionCache` and `SessionBean` of the server.
"""

import logging
import sqlite3
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .accounts import Accounts, Caller
from .catalogue import USER_NAME, Catalogue, now
from .errors import ApiUsageFault, Fault, RemovedSessionFault, SecurityFault, SessionTimeoutFault

_LOG = logging.getLogger("ome.services.sessions")


@dataclass(frozen=True)
class Times:
    """How long sessions live, in milliseconds; 0 is for ever."""

    idle: int = 600_000
    live: int = 0
    most_idle: int = 6_000_000
    most_live: int = 0
    synchronised: int = 120_000
    """A session has the groups that it began with, until it is synchronised, which happens so often."""


@dataclass
class Session:
    """One open session."""

    id: int
    uuid: str
    caller: Caller
    started: int
    idle: int
    live: int
    agent: str | None
    address: str | None
    seen: int
    hits: int = 1
    references: int = 1


class Sessions:
    """The sessions that are open. They end with the server."""

    def __init__(self, catalogue: Catalogue, times: Times) -> None:
        """Begin with none."""
        self._catalogue = catalogue
        self._times = times
        self._lock = threading.RLock()
        self._open: dict[str, Session] = {}
        self._changed = False
        self._synchronised = now()
        self.ended: Callable[[str], None] = lambda _: None
        """Told the uuid of each session that has ended."""

    def people_changed(self) -> None:
        """Somebody's groups may have changed."""
        self._changed = True

    def create(
        self,
        accounts: Accounts,
        name: str,
        group: str | None,
        *,
        agent: str | None,
        address: str | None = None,
        idle: int | None = None,
        live: int | None = None,
        sudoer: int | None = None,
        event_type: str = "User",
    ) -> Session:
        """Open a session of somebody whose password was checked.

        Raises ApiUsageFault without a group to begin in, RemovedSessionFault when there is no such person.
        """
        with self._catalogue.transaction() as transaction:
            found = transaction.execute("select id from experimenter where omename = ?", (name,)).fetchone()
            if found is None:
                raise RemovedSessionFault(f"Cannot find a user with name {name}")
            if group in (None, "", USER_NAME):
                try:
                    begin = accounts.default_group(found["id"])
                except Fault as fault:
                    raise ApiUsageFault(f"Can't find default group for {name}") from fault
            else:
                row = transaction.execute(
                    "select id from experimentergroup where name = ?", (group,)
                ).fetchone()
                if row is None:
                    raise ApiUsageFault(f"No such group: {group}")
                begin = int(row["id"])
            key = str(uuid.uuid4())
            started = now()
            number = transaction.execute(
                "insert into session (uuid, owner, sudoer, started, timetoidle, timetolive, useragent,"
                " userip, message, defaulteventtype) values (?, ?, ?, ?, ?, ?, ?, ?, 'Initial message.', ?)",
                (
                    key,
                    found["id"],
                    sudoer,
                    started,
                    self._times.idle if idle is None else idle,
                    self._times.live if live is None else live,
                    agent,
                    address,
                    event_type,
                ),
            ).lastrowid
            caller = _caller(transaction, found["id"], begin)
        session = Session(
            id=int(number or 0),
            uuid=key,
            caller=replace(caller, session=int(number or 0), uuid=key, sudoer=sudoer, event_type=event_type),
            started=started,
            idle=self._times.idle if idle is None else idle,
            live=self._times.live if live is None else live,
            agent=agent,
            address=address,
            seen=started,
        )
        with self._lock:
            self._open[key] = session
        _LOG.info("Created session %d for user %s (agent=%s)", session.id, name, agent)
        return session

    def find(self, key: str | None, *, quietly: bool = False) -> Session:
        """An open session, which counts as used. Raises RemovedSessionFault and SessionTimeoutFault."""
        with self._lock:
            self._synchronise()
            session = self._open.get(key or "")
            if session is None:
                raise RemovedSessionFault(f"No context for {key}")
            present = now()
            for name, limit, since in (
                ("timeToLive", session.live, session.started),
                ("timeToIdle", session.idle, session.seen),
            ):
                if 0 < limit < present - since:
                    raise SessionTimeoutFault(
                        f"Session (started={session.started}, hits={session.hits}, "
                        f"last access={session.seen}) exceeded {name} ({limit}) "
                        f"by {present - since - limit} ms"
                    )
            if not quietly:
                session.seen = present
                session.hits += 1
            return session

    def join(self, key: str) -> Session:
        """One reference more to an open session."""
        with self._lock:
            session = self.find(key)
            session.references += 1
            return session

    def detach(self, key: str) -> int:
        """One reference less, which ends nothing; return how many are left."""
        with self._lock:
            session = self.find(key)
            session.references -= 1
            return session.references

    def close(self, key: str | None) -> int:
        """One reference less, and the end without any. Return what is left, -2 at the end, -1 if unknown."""
        with self._lock:
            try:
                session = self.find(key)
            except (RemovedSessionFault, SessionTimeoutFault):
                return -1
            session.references -= 1
            if session.references > 0:
                return session.references
            self._end(session)
            return -2

    def all(self) -> Sequence[Session]:
        """The sessions that are open."""
        found = []
        for key in list(self._open):
            try:
                found.append(self.find(key, quietly=True))
            except (RemovedSessionFault, SessionTimeoutFault):
                continue
        return found

    def of_owner(self, user: int) -> Sequence[Session]:
        """The open sessions of a person, the newest first."""
        return sorted((each for each in self.all() if each.caller.user == user), key=lambda each: -each.id)

    def refresh(self, session: Session) -> None:
        """Read the groups of the session's owner again. Raises Fault when there is no owner any more."""
        caller = session.caller
        with self._catalogue.transaction() as transaction:
            fresh = _caller(transaction, caller.user, caller.group)
        session.caller = replace(
            fresh,
            session=session.id,
            uuid=session.uuid,
            sudoer=caller.sudoer,
            event_type=caller.event_type,
        )

    def enter_group(self, session: Session, group: int) -> int:
        """Go on in another group; return the one before. Raises SecurityFault to whom is not in it."""
        caller = session.caller
        if not caller.administrator and group >= 0 and group not in caller.member_of:
            raise SecurityFault(f"User {caller.user} is not a member of group {group}")
        session.caller = replace(caller, group=group)
        return caller.group

    def set_times(self, key: str, idle: int | None, live: int | None, *, trusted: bool) -> Session:
        """Change how long a session lives; who is no administrator, up to the most that is allowed."""
        session = self.find(key)
        for name, value, most in (
            ("timeToLive", live, self._times.most_live),
            ("timeToIdle", idle, self._times.most_idle),
        ):
            if value is not None and not trusted and most and (value > most or value == 0):
                raise SecurityFault(f"Cannot modify {name} beyond maximum: {most}")
        session.idle = session.idle if idle is None else idle
        session.live = session.live if live is None else live
        with self._catalogue.transaction() as transaction:
            transaction.execute(
                "update session set timetoidle = ?, timetolive = ? where id = ?",
                (session.idle, session.live, session.id),
            )
        return session

    def _end(self, session: Session) -> None:
        self._open.pop(session.uuid, None)
        with self._catalogue.transaction() as transaction:
            transaction.execute("update session set closed = ? where id = ?", (now(), session.id))
        _LOG.info("Destroying session %d of %s", session.id, session.caller.name)
        self.ended(session.uuid)

    def _synchronise(self) -> None:
        present = now()
        if present - self._synchronised < self._times.synchronised:
            return
        self._synchronised = present
        changed, self._changed = self._changed, False
        for session in list(self._open.values()):
            if 0 < session.idle < present - session.seen or 0 < session.live < present - session.started:
                self._end(session)
            elif changed:
                self.refresh(session)


def _caller(transaction: sqlite3.Connection, user: int, group: int) -> Caller:
    person = transaction.execute("select omename from experimenter where id = ?", (user,)).fetchone()
    if person is None:
        raise RemovedSessionFault(f"No info in database for user {user}")
    rows = transaction.execute(
        "select m.parent, m.owner, g.name from groupexperimentermap m join experimentergroup g"
        " on g.id = m.parent where m.child = ? order by m.child_index",
        (user,),
    ).fetchall()
    return Caller(
        user=user,
        name=str(person["omename"]),
        group=group,
        member_of=tuple(row["parent"] for row in rows),
        leader_of=tuple(row["parent"] for row in rows if row["owner"]),
        roles=tuple(row["name"] for row in rows),
    )
