"""What a buffer server holds, from its program's answer to resources; pure."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from controlplane.state import Fields, State, parse_mark
from controlplane.systems.buffer import resources


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class Account(_Part):
    """An account that the program made."""

    open: bool
    mark: str


class TeamGroup(_Part):
    """A group that the program made: its members, and those who may write into its folder."""

    members: list[str]
    writers: list[str]
    mark: str
    folder: bool
    """Whether its folder exists."""


class Contents(_Part):
    """All that the program knows on its host."""

    users: dict[str, Account]
    groups: dict[str, TeamGroup]
    taken: list[str]
    """The accounts and groups of the host that the program did not make."""


def parse(answer: Mapping[str, Any]) -> Contents:
    """The program's answer to a request to read. Raises ValueError when it is none."""
    try:
        return Contents.model_validate(answer)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{where}: {first['msg']}") from None


def compile_state(contents: Contents, platform: str) -> State:
    """The contents as resources; those with another platform's mark are not ours."""
    alike: dict[tuple[str, bool], Fields] = {}
    found = []
    for name, account in contents.users.items():
        owner, facility = parse_mark(account.mark)
        fields = alike.get((account.mark, account.open))
        if fields is None:
            fields = resources.user_fields(mark=account.mark, is_open=account.open)
            alike[account.mark, account.open] = fields
        found.append(resources.user(name, fields, facility=facility, owned=owner == platform))
    for name, group in contents.groups.items():
        owner, facility = parse_mark(group.mark)
        found.append(
            resources.group(
                name,
                mark=group.mark,
                members=group.members,
                writers=group.writers,
                folder=group.folder,
                facility=facility,
                team=name.removeprefix(f"{facility}-") if name != facility else "",
                owned=owner == platform,
            )
        )
    return State(found)


def names_of_others(contents: Contents, platform: str) -> frozenset[str]:
    """The names of accounts and groups that belong to the host itself or to another platform."""
    marks = {name: account.mark for name, account in contents.users.items()}
    marks |= {name: group.mark for name, group in contents.groups.items()}
    foreign = (name for name, mark in marks.items() if parse_mark(mark)[0] != platform)
    return frozenset({*contents.taken, *foreign})
