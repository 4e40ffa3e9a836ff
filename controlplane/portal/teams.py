"""Teams' people at the login server, read and changed with the portal's own account.

Authentik wants whoever adds somebody to be allowed to view that person, which nobody's own role grants. So
everything that the pages ask is read at the time of the request, and whether somebody may have it is the
pages' business, see `rights`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from controlplane.errors import BicError
from controlplane.model import Platform, Team
from controlplane.systems.authentik import calls
from controlplane.systems.authentik.client import Client, MaskedError
from controlplane.systems.authentik.contents import is_ours
from controlplane.systems.authentik.directory import ACCOUNT, MARK, account_of
from controlplane.systems.authentik.records import Answer, Group, User
from controlplane.systems.authentik.resources import COLLABORATORS, CONTRIBUTORS, PI, TEAM_ROLES, below

GROUPS = {"contributor": CONTRIBUTORS, "collaborator": COLLABORATORS}
"""The role groups whose people are chosen here, by role."""

_ROLES = {PI: "pi", **{group: role for role, group in GROUPS.items()}}


class TeamError(BicError):
    """A change that cannot be made, in a sentence for the person at the browser."""


@dataclass(frozen=True)
class Asker:
    """Somebody who asks for a page, as the login server knows them at this moment."""

    uuid: str
    account: str
    groups: Collection[str]
    """The names of the platform's groups that they are in."""


@dataclass(frozen=True)
class Found:
    """Somebody of the login server."""

    pk: int
    uuid: str
    account: str
    """The account name; empty as long as there is none."""
    name: str
    institution: str


@dataclass(frozen=True, order=True)
class TeamMember:
    """Somebody in a team."""

    name: str
    pk: int
    account: str
    institution: str
    role: str
    """One of `standing.ROLES`."""
    active: bool


class Teams:
    """The teams of a platform, at its login server."""

    def __init__(self, platform: Platform, client: Client) -> None:
        """Ask with this client, which stays its owner's."""
        self._platform = platform
        self._client = client

    def asker(self, uuid: str) -> Asker | None:
        """Somebody by the key that the login told; None when there is no such person or they are inactive.

        Raises AuthentikError.
        """
        answer = calls.user_with_groups(self._client, uuid)
        if answer is None or not (answer[0].active and answer[0].person):
            return None
        user, groups = answer
        ours = {name for name, held in groups.items() if held.get(MARK) == self._platform.name}
        return Asker(user.uuid, account_of(user), ours)

    def members(self, team: Team) -> list[TeamMember]:
        """Who is in a team, by name. Raises AuthentikError; a group that is not there yet has nobody."""
        found: list[TeamMember] = []
        for part in TEAM_ROLES:
            answer = calls.group_with_members(self._client, below(team.group, part))
            if answer is None or not is_ours(answer[0], self._platform.name):
                continue
            found.extend(
                TeamMember(
                    member.name or member.username,
                    member.pk,
                    _text(member.attributes, ACCOUNT),
                    _text(member.attributes, "home_organization"),
                    _ROLES[part],
                    member.active,
                )
                for member in answer[1]
            )
        return sorted(found)

    def find(self, asked: str) -> Found | None:
        """The active person with exactly this account name or e-mail address, or None.

        Raises TeamError when several people have the address, and AuthentikError.
        """
        if "@" not in asked:
            users = calls.users(self._client, {"username": asked.lower()})
            return next((_found(user) for user in _people(users) if account_of(user) == asked.lower()), None)
        # The server compares exactly; addresses are written in any case.
        users = [
            user
            for spelling in sorted({asked, asked.lower()})
            for user in _people(calls.users(self._client, {"email": spelling}))
            if user.email.lower() == asked.lower()
        ]
        found = {user.pk: _found(user) for user in users}
        if len(found) > 1:
            raise TeamError(f"Several people have the address {asked}. Ask for the account name instead.")
        return next(iter(found.values()), None)

    def person(self, uuid: str) -> Found | None:
        """The active person with this key, or None. Raises AuthentikError."""
        try:
            key = str(UUID(uuid))
        except ValueError:
            return None
        return next(
            (_found(user) for user in _people(calls.users(self._client, {"uuid": key})) if user.uuid == key),
            None,
        )

    def put(self, team: Team, person: Found, role: str) -> None:
        """Make somebody a contributor or collaborator, and that alone.

        Raises TeamError when it cannot be, and AuthentikError.
        """
        groups = {name: self._group(team, part) for name, part in GROUPS.items()}
        lead = calls.group_with_members(self._client, below(team.group, PI))
        leads = lead is not None and any(member.pk == person.pk for member in lead[1])
        if leads or (person.account and person.account == team.pi.user):
            raise TeamError(f"{person.name} leads this team already.")
        self._change("add", groups[role], person.pk)
        # Last, so that somebody who changes roles is in the team all the time.
        for name, group in groups.items():
            if name != role and person.pk in group.users:
                self._change("remove", group, person.pk)

    def chosen(self, team: Team, pk: int) -> Found | None:
        """Somebody who was put into a team, by the server's key, or None.

        Raises TeamError and AuthentikError.
        """
        inside = any(pk in self._group(team, part).users for part in GROUPS.values())
        user = calls.user(self._client, pk) if inside else None
        return _found(user) if user else None

    def remove(self, team: Team, person: Found) -> None:
        """Take somebody out of a team. Raises TeamError and AuthentikError."""
        for part in GROUPS.values():
            group = self._group(team, part)
            if person.pk in group.users:
                self._change("remove", group, person.pk)

    def _group(self, team: Team, part: str) -> Group:
        group = calls.group_named(self._client, below(team.group, part))
        if group is None:
            raise TeamError("This team is not at the login server yet: the next run of `bic apply` makes it.")
        if not is_ours(group, self._platform.name):
            raise TeamError(
                "This team's group at the login server is not the platform's. Tell the national team."
            )
        return group

    def _change(self, verb: str, group: Group, pk: int) -> None:
        try:
            calls.change_member(self._client, verb, group.pk, pk)
        except MaskedError:
            # It may have been done; doing it again is the same.
            calls.change_member(self._client, verb, group.pk, pk)


def _people(users: Collection[User]) -> list[User]:
    return [user for user in users if user.person and user.active]


def _found(user: User) -> Found:
    return Found(
        user.pk,
        user.uuid,
        account_of(user),
        user.name or user.username,
        _text(user.attributes, "home_organization"),
    )


def _text(attributes: Answer, name: str) -> str:
    value = attributes.get(name)
    return value if isinstance(value, str) else ""
