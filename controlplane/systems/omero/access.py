"""Who sees a team's images, and what an account has, as an OMERO server says it."""

from collections.abc import Iterator

from controlplane.access.reach import Granted, Reach, Standing
from controlplane.errors import BicError
from controlplane.model import OmeroServer, Platform
from controlplane.systems.omero.client import Client
from controlplane.systems.omero.connection import endpoint
from controlplane.systems.omero.contents import Server
from controlplane.systems.omero.desired import facilities_of
from controlplane.systems.omero.observe import PATIENCE, read
from controlplane.systems.omero.resources import ACTIVE_GROUP, platform_group_name
from controlplane.systems.omero.system import title

LEVELS = ("read", "own")
"""Members see all images of a group and change their own; its owners manage it."""


def reaches(platform: Platform, path: str) -> Iterator[Granted]:
    """All ways by which accounts reach the images of the team whose collection has this path."""
    group = path.rpartition("/")[2]
    for server in platform.omero_servers.values():
        wanted = any(
            team.omero and team.group == group
            for facility in facilities_of(platform, server.host)
            for team in facility.teams
        )
        try:
            found = _read(platform, server, sessions=False)
        except BicError as error:
            yield Granted(title(server.host), levels=LEVELS, error=str(error))
            continue
        if wanted or group in found.group_numbers:
            yield Granted(title(server.host), tuple(_ways(found, group)), LEVELS)


def _ways(found: Server, group: str) -> Iterator[Reach]:
    active = found.members_of(ACTIVE_GROUP)
    for account, owns in found.members_of(group).items():
        if account in active:
            yield Reach(found.accounts[account].name, "own" if owns else "read", group)


def standings(platform: Platform, account: str) -> Iterator[Standing]:
    """What each server knows of an account."""
    for server in platform.omero_servers.values():
        try:
            found = _read(platform, server, sessions=True)
        except BicError as error:
            yield Standing(title(server.host), error=str(error))
            continue
        number = found.account_numbers.get(account)
        hidden = (ACTIVE_GROUP, platform_group_name(platform.name))
        groups = (
            name for name in found.group_numbers if name not in hidden and number in found.members_of(name)
        )
        yield Standing(
            title(server.host),
            number is not None,
            tuple(sorted(groups)),
            sessions=sum(session.owner == number for session in found.sessions),
            closed=number is not None and number not in found.members_of(ACTIVE_GROUP),
        )


def _read(platform: Platform, server: OmeroServer, *, sessions: bool) -> Server:
    with Client(endpoint(server, platform.hosts[server.host]), 1) as client:
        return client.call(lambda connection: read(connection, sessions=sessions), patience=PATIENCE)
