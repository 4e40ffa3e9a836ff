"""What referents change in a facility's file, as functions from text to text."""

from collections.abc import Mapping, Sequence
from typing import cast

from controlplane.errors import BadInputError
from controlplane.facility.document import Document
from controlplane.facility.rules import Known, locate, name_key, value_of
from controlplane.model.facility_file import FacilityFile, TeamEntry
from controlplane.model.problems import suggestion
from controlplane.model.source import Data
from controlplane.model.validate import fields_of

_FACILITY_KEYS = tuple(fields_of(FacilityFile))
_TEAM_KEYS = tuple(fields_of(TeamEntry))


def assign(text: str, shown: str, assignments: Sequence[tuple[str, str]], known: Known) -> str:
    """`text` with each path of `assignments` set to its value; an empty value removes what the path names.

    Raises BadInputError for a path or value that the model does not know.
    """
    document = Document(text, shown)
    for path, value in assignments:
        document = _assigned(document, path, value.strip(), known)
    return document.text


def _assigned(document: Document, path: str, value: str, known: Known) -> Document:
    route, order, kind = locate(path, document.data)
    if route == ("id",) or (route[0] == "teams" and route[2:] == ("id",)):
        raise BadInputError(
            f"{path!r} cannot be changed: groups and collections carry it. "
            "Make a new one, move the data, and remove the old one"
        )
    around = document.at(route[:-1])
    exists = document.at(route) is not None
    if not value:
        if not exists:
            raise BadInputError(f"{path!r} is not in {document.shown}, so it cannot be removed")
        return document.remove(route)
    wanted = value_of(path, value, kind, known)
    if isinstance(route[-1], int) and not exists:
        if isinstance(wanted, dict):
            wanted = _named(wanted, kind, path)
        return document.append(route[:-1], wanted, _FACILITY_KEYS)
    if around is None:
        # The mapping around a new key comes with it: `quota.tier` in a file without `quota`.
        parent, parents, _ = locate(path.rpartition(".")[0], document.data)
        return document.set(parent, {str(route[-1]): wanted}, parents)
    return document.set(route, wanted, order)


def _named(value: dict[str, Data], kind: type, path: str) -> dict[str, Data]:
    """A new item of a list with the name that its path gave it."""
    key, name = name_key(kind), path.rpartition(".")[2]
    if value.setdefault(key, name) != name:
        raise BadInputError(f"{path!r} names {name!r}, but the value is for {value[key]!r}")
    return {key: name, **value}


def add_team(text: str, shown: str, team: Mapping[str, Data]) -> str:
    """`text` with one more team at the end of its list.

    Raises BadInputError when there is a team with this id.
    """
    document = Document(text, shown)
    if team["id"] in _teams(document):
        raise BadInputError(f"{shown}: there is already a team {team['id']!r}")
    entry = {key: team[key] for key in _TEAM_KEYS if key in team}
    return document.append(("teams",), entry, _FACILITY_KEYS).text


def remove_team(text: str, shown: str, team: str) -> str:
    """`text` without a team. Raises BadInputError when there is none with this id."""
    document = Document(text, shown)
    return document.remove(("teams", _index(document, team))).text


def add_member(text: str, shown: str, team: str, member: Mapping[str, Data]) -> str:
    """`text` with one more member at the end of a team's list.

    Raises BadInputError for an unknown team, for one whose members come from a group of Authentik, and for
    somebody who is in the team already.
    """
    document = Document(text, shown)
    index = _index(document, team)
    if group := document.at(("teams", index, "members_from")):
        raise BadInputError(
            f"{shown}: the members of team {team!r} come from the group {group!r} of Authentik; "
            "add the person there"
        )
    if member["user"] in _members(document, index):
        raise BadInputError(f"{shown}: {member['user']!r} is already a member of team {team!r}")
    return document.append(("teams", index, "members"), dict(member), _TEAM_KEYS).text


def remove_member(text: str, shown: str, team: str, user: str) -> str:
    """`text` without a member of a team. Raises BadInputError when there is no such team or member."""
    document = Document(text, shown)
    index = _index(document, team)
    members = _members(document, index)
    if user == document.at(("teams", index, "pi", "user")):
        raise BadInputError(
            f"{shown}: {user!r} leads team {team!r}; name another principal investigator first: "
            f"bic facility set … teams.{team}.pi=…"
        )
    if user not in members:
        raise BadInputError(
            f"{shown}: {user!r} is no member of team {team!r}; {suggestion(user, members, noun='members')}"
        )
    return document.remove(("teams", index, "members", members.index(user))).text


def _teams(document: Document) -> list[str]:
    teams = cast(list[dict[str, Data]], document.at(("teams",)) or [])
    return [str(team.get("id")) for team in teams]


def _members(document: Document, team: int) -> list[str]:
    members = cast(list[dict[str, Data]], document.at(("teams", team, "members")) or [])
    return [str(member.get("user")) for member in members]


def _index(document: Document, team: str) -> int:
    teams = _teams(document)
    if team not in teams:
        raise BadInputError(
            f"{document.shown}: there is no team {team!r}; {suggestion(team, teams, noun='teams')}"
        )
    return teams.index(team)
