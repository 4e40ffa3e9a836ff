"""What an OMERO server holds, from the rows of the bulk queries to resources; pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from controlplane.collector import collector_paused
from controlplane.state import Key, Resource, State
from controlplane.systems.omero import resources
from controlplane.systems.omero.resources import ACTIVE_GROUP, SYSTEM_GROUPS, USER

Row = Sequence[Any]


class Account(NamedTuple):
    """An experimenter, as the server has it."""

    name: str
    first_name: str
    last_name: str
    email: str
    ldap: bool


class Group(NamedTuple):
    """A group, as the server has it."""

    name: str
    description: str
    permissions: str


@dataclass(frozen=True)
class OpenSession:
    """A session that is open at the server."""

    number: int
    owner: int
    """The number of the account."""
    client: str
    """The program that opened it, as it calls itself."""
    since: str
    """When it was opened, in ISO 8601."""
    uuid: str = field(default="", repr=False, compare=False)
    """A secret: whoever has it is the owner."""


@dataclass(frozen=True)
class Server:
    """The rows of a server by their numbers."""

    accounts: Mapping[int, Account]
    groups: Mapping[int, Group]
    members: Mapping[int, Mapping[int, bool]]
    """By the group's number: its accounts, and whether each owns it."""
    sessions: Sequence[OpenSession] = ()

    @cached_property
    def account_numbers(self) -> dict[str, int]:
        """The accounts' numbers by name."""
        return {account.name: number for number, account in self.accounts.items()}

    @cached_property
    def group_numbers(self) -> dict[str, int]:
        """The groups' numbers by name."""
        return {group.name: number for number, group in self.groups.items()}

    def members_of(self, group: str) -> Mapping[int, bool]:
        """The accounts of a group by its name, and whether each owns it; none when there is no group."""
        return self.members.get(self.group_numbers.get(group, -1), {})

    def mark_of(self, group: str) -> str:
        """The mark of a group by its name; empty where it has none or does not exist."""
        number = self.group_numbers.get(group)
        return "" if number is None else resources.described(self.groups[number].description)

    def marked_accounts(self, platform: str) -> Mapping[int, bool]:
        """The accounts that carry a platform's mark: those in its group, if that is its own."""
        name = resources.platform_group_name(platform)
        return self.members_of(name) if self.mark_of(name) == platform else {}

    def teams_of(self, platform: str) -> Iterator[int]:
        """The groups that carry a platform's mark, other than its own."""
        for number, group in self.groups.items():
            if resources.facility_of(group.description, platform):
                yield number


def join(
    accounts: Iterable[Row],
    groups: Iterable[Row],
    members: Iterable[Row],
    sessions: Sequence[OpenSession] = (),
) -> Server:
    """The rows of the bulk queries (see `observe.py`) by their numbers.

    The three are read one after the other, so a membership may name what the others do not know yet; it is
    left out.
    """
    by_group: dict[int, dict[int, bool]] = defaultdict(dict)
    with collector_paused():
        # OMERO lets texts be missing; we always write them.
        known = {
            number: Account(name, first or "", last or "", email or "", bool(ldap))
            for number, name, first, last, email, ldap in accounts
        }
        named = {
            number: Group(name, text or "", str(permissions.get("perm", "")))
            for number, name, text, permissions in groups
        }
        for group, account, owns in members:
            if group in named and account in known:
                by_group[group][account] = bool(owns)
    return Server(known, named, by_group, sessions)


def compile_state(server: Server, platform: str, wanted: State | None = None) -> State:
    """The rows of a server as resources; pure.

    `wanted` is what the server should hold: the sessions of our accounts that are not in it are to end.
    """
    compiler = _Compiler(server, platform, wanted if wanted is not None else State())
    with collector_paused():
        return State([*compiler.groups(), *compiler.users(), *compiler.sessions()])


class _Compiler:
    def __init__(self, server: Server, platform: str, wanted: State) -> None:
        self.server = server
        self.platform = platform
        self.ours = server.marked_accounts(platform)
        self.active = server.members_of(ACTIVE_GROUP)
        self.ending: dict[int, list[OpenSession]] = defaultdict(list)
        for session in server.sessions:
            account = server.accounts.get(session.owner)
            if account and session.owner in self.ours and Key(USER, account.name) not in wanted:
                self.ending[session.owner].append(session)
        self.facilities = self._facilities()

    def _facilities(self) -> dict[int, str]:
        """The facility of each account, empty for those of several, by our groups that it is in."""
        found: dict[int, str] = {}
        for number, group in self.server.groups.items():
            if facility := resources.facility_of(group.description, self.platform):
                for account in self.server.members.get(number, ()):
                    found[account] = facility if found.get(account, facility) == facility else ""
        return found

    def groups(self) -> Iterator[Resource]:
        for number, group in self.server.groups.items():
            if group.name in SYSTEM_GROUPS:
                continue
            mark = resources.described(group.description)
            if group.name == resources.platform_group_name(self.platform):
                yield resources.platform_group(
                    self.platform,
                    mark=mark,
                    permissions=group.permissions,
                    owned=mark == self.platform,
                )
                continue
            members = self.server.members.get(number, {})
            facility = resources.facility_of(group.description, self.platform)
            yield resources.group(
                group.name,
                mark=mark,
                permissions=group.permissions,
                members=[self.server.accounts[account].name for account in members],
                owners=[self.server.accounts[account].name for account, owns in members.items() if owns],
                facility=facility,
                team=group.name.removeprefix(f"{facility}-") if facility else "",
                owned=bool(facility),
            )

    def users(self) -> Iterator[Resource]:
        for number, account in self.server.accounts.items():
            ours = number in self.ours
            yield resources.user(
                account.name,
                mark=self.platform if ours else "",
                first_name=account.first_name,
                last_name=account.last_name,
                email=account.email,
                ldap=account.ldap,
                active=number in self.active,
                facility=self.facilities.get(number, ""),
                # So a session is ended after its account is closed: else it could be opened again.
                depends_on=[
                    resources.session_key(session.number, account.name)
                    for session in self.ending.get(number, ())
                ],
                owned=ours,
            )

    def sessions(self) -> Iterator[Resource]:
        for owner, sessions in self.ending.items():
            for session in sessions:
                yield resources.session(
                    session.number,
                    self.server.accounts[owner].name,
                    client=session.client,
                    since=session.since,
                    facility=self.facilities.get(owner, ""),
                )
