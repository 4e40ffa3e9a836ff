"""Claims: what an apply is about to make and has not marked yet, written down in the zone itself.

A claim is an AVU of the administrator's account: the attribute `bic:claim`, as value a kind and names of
that kind (`user/a.one,b.two`), as unit the platform and the run that wrote it. One AVU holds many names, so
claims cost few calls. An object that carries no mark and whose name is claimed was made by a run that did
not come to mark it.
"""

import secrets
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from irods.models import User, UserMeta
from irods.session import iRODSSession

from controlplane.state import Key
from controlplane.systems.irods import calls

CLAIM = "bic:claim"

LENGTH = 2000
"""Characters of one claim's value at most; the catalogue takes 2,700."""

AT_ONCE = 20
"""Claims written by one call, which the server does as a whole or not at all."""

LIFE = timedelta(days=7)
"""How long after its beginning no run is at work any more."""

_TIME = "%Y%m%dT%H%M%S"


@dataclass(frozen=True)
class Claim:
    """One AVU: names of one kind, and the run that wrote it."""

    platform: str
    run: str
    kind: str
    names: tuple[str, ...]

    @property
    def keys(self) -> Iterator[Key]:
        """What it claims."""
        return (Key(self.kind, name) for name in self.names)

    @property
    def avu(self) -> tuple[str, str, str]:
        """How it is stored."""
        return CLAIM, f"{self.kind}/{','.join(self.names)}", f"{self.platform}/{self.run}"

    @classmethod
    def parse(cls, value: str, unit: str) -> "Claim":
        """The claim that an AVU's value and unit are."""
        kind, _, names = value.partition("/")
        platform, _, run = unit.partition("/")
        return cls(platform, run, kind, tuple(names.split(",")))

    def outlived(self, now: datetime) -> bool:
        """Whether the run that wrote it has certainly ended."""
        try:
            begun = datetime.strptime(self.run.partition("-")[0], _TIME).replace(tzinfo=UTC)
        except ValueError:
            return False
        return now - begun > LIFE


def pack(platform: str, run: str, keys: Iterable[Key]) -> Iterator[Claim]:
    """As few claims as hold `keys`."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    for key in sorted(keys):
        by_kind[key.kind].append(key.name)
    for kind, names in by_kind.items():
        some: list[str] = []
        length = len(kind)
        for name in names:
            if some and length + 1 + len(name) > LENGTH:
                yield Claim(platform, run, kind, tuple(some))
                some, length = [], len(kind)
            some.append(name)
            length += 1 + len(name)
        if some:
            yield Claim(platform, run, kind, tuple(some))


def read(session: iRODSSession, account: str, zone: str, platform: str) -> list[Claim]:
    """The claims of a platform that an account carries."""
    where = (User.name == account, User.zone == zone, UserMeta.name == CLAIM)
    rows = calls.rows(session, (UserMeta.value, UserMeta.units), where)
    return [claim for value, unit in rows if (claim := Claim.parse(value, unit)).platform == platform]


@dataclass
class Ledger:
    """The claims of one run, on the administrator's account `account` of `zone`."""

    account: str
    zone: str
    platform: str
    run: str = field(default_factory=lambda: f"{datetime.now(UTC).strftime(_TIME)}-{secrets.token_hex(4)}")
    _written: list[Claim] = field(default_factory=list)

    def write(self, session: iRODSSession, keys: Iterable[Key]) -> None:
        """Claim `keys`. May be repeated."""
        self._written = list(pack(self.platform, self.run, keys))
        for some in _portions(self._written):
            calls.change_avus(session, self.account, add=[claim.avu for claim in some])

    def others(self, session: iRODSSession) -> frozenset[Key]:
        """What other runs, ended or not, claim."""
        claims = read(session, self.account, self.zone, self.platform)
        return frozenset(key for claim in claims if claim.run != self.run for key in claim.keys)

    def give_up(
        self, session: iRODSSession, unfinished: Collection[Key], settled: Callable[[Key], bool]
    ) -> None:
        """Keep this run's claims on what is `unfinished` and give up all its others. May be repeated.

        Of the claims that other runs left, those go of which all is settled, and those of runs that have
        certainly ended, unless they claim something unfinished. What another run still works on is not
        settled, so its claims stay.
        """
        kept = list(pack(self.platform, self.run, unfinished))
        for some in _portions(kept):
            calls.change_avus(session, self.account, add=[claim.avu for claim in some])
        now = datetime.now(UTC)
        gone = [
            claim
            for claim in read(session, self.account, self.zone, self.platform)
            if (claim.run == self.run and claim not in kept)
            or (
                claim.run != self.run
                and (
                    all(map(settled, claim.keys))
                    or (claim.outlived(now) and not any(key in unfinished for key in claim.keys))
                )
            )
        ]
        for some in _portions(gone):
            calls.change_avus(session, self.account, remove=[claim.avu for claim in some])


def _portions(claims: Sequence[Claim]) -> Iterator[Sequence[Claim]]:
    return (claims[start : start + AT_ONCE] for start in range(0, len(claims), AT_ONCE))
