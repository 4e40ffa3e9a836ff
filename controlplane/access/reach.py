"""Access as systems grant it and as it should be; pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from controlplane.membership import comes_from_directory
from controlplane.model import Facility, Platform

LEVELS = ("read", "write", "own")
"""What somebody may do with a collection, the least first."""


@dataclass(frozen=True, order=True)
class Reach:
    """A way by which an account reaches a collection."""

    account: str
    level: str
    through: str
    """A group or a ticket, or empty where the account itself has the access."""


@dataclass(frozen=True)
class Granted:
    """All ways by which accounts reach the data of a group in one system."""

    system: str
    ways: tuple[Reach, ...] = ()
    levels: tuple[str, ...] = LEVELS
    """The levels that this system tells apart, the least first."""
    error: str = ""
    """Why it could not be asked."""


@dataclass(frozen=True)
class Known:
    """Somebody as the directory knows them."""

    system: str
    account: str
    """The account name, or empty for who has none."""
    username: str
    name: str
    email: str
    active: bool
    groups: tuple[str, ...]
    last_login: str
    """ISO 8601, or empty for who never logged in."""


@dataclass(frozen=True)
class Standing:
    """An account as a system that keeps data knows it."""

    system: str
    exists: bool = False
    groups: tuple[str, ...] = ()
    collections: tuple[Reach, ...] = ()
    """The collections that it reaches; `account` is the path."""
    tickets: int = 0
    sessions: int = 0
    """Its open sessions."""
    closed: bool = False
    """Whether the system knows the account and lets nobody in by it."""
    error: str = ""
    """Why the system could not be asked."""


@dataclass(frozen=True)
class Right:
    """Access that somebody should have."""

    level: str
    role: str
    source: str
    """Where it is written that they have the role."""


@dataclass(frozen=True)
class Row:
    """One account and a group's data in a system: what it can, what it should, and the difference."""

    system: str
    account: str
    name: str
    level: str
    through: tuple[str, ...]
    role: str
    source: str
    difference: str
    """For people; empty where the two agree."""


def rights(platform: Platform, group: str) -> dict[str, Right]:
    """Who should reach the home of a team's or facility's group, by account; `platform` has its members."""
    for facility in platform.facilities.values():
        if facility.id == group:
            return _of_facility(facility)
        for team in facility.teams:
            if team.group != group:
                continue
            file = f"facilities/{facility.id}.yml"
            source = file
            if comes_from_directory(platform, team) or team.members_from:
                source = f"Authentik, {team.members_from or f'{team.group}.*'}"
            found = {
                member.person.user: Right(
                    "write" if member.role == "contributor" else "read", member.role, source
                )
                for member in team.members
            }
            if team.pi_active:
                found[team.pi.user] = Right("own", "PI", file)
            return found
    return {}


def _of_facility(facility: Facility) -> dict[str, Right]:
    file = f"facilities/{facility.id}.yml"
    found = {person.user: Right("read", "in a team of it", file) for person in facility.people}
    return found | {person.user: Right("own", "referent", file) for person in facility.referents}


def compare(
    granted: Granted,
    wanted: Mapping[str, Right],
    known: Mapping[str, Known],
    names: Mapping[str, str],
    administrators: Iterable[str],
) -> Iterator[Row]:
    """A row for each account that reaches the data or should, by name."""
    ways: dict[str, list[Reach]] = {}
    for reach in granted.ways:
        ways.setdefault(reach.account, []).append(reach)
    servants = set(administrators)
    for account in sorted(ways.keys() | wanted.keys()):
        mine = ways.get(account, [])
        best = max((way.level for way in mine), key=_rank, default="")
        right = wanted.get(account)
        level = _nearest(right.level, granted.levels) if right else ""
        person = known.get(account)
        if account in servants:
            difference = ""
        elif person and not person.active and best:
            difference = "the account is closed and still has access"
        elif right is None:
            difference = "has access and should not"
        elif not best:
            difference = f"should have {level} and has no access"
        elif best != level:
            difference = f"should have {level}"
        else:
            difference = ""
        yield Row(
            granted.system,
            account,
            person.name if person else names.get(account, ""),
            best,
            tuple(sorted({way.through for way in mine if way.level == best})),
            "administrator" if account in servants else right.role if right else "",
            right.source if right else "",
            difference,
        )


def _nearest(level: str, levels: tuple[str, ...]) -> str:
    """The level that stands for `level` where a system knows fewer: the highest that grants no more."""
    return max((known for known in levels if _rank(known) <= _rank(level)), key=_rank, default="")


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else -1
