"""Who reaches a group's folder on its facility's buffer server, and what an account reaches there."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from controlplane.access.reach import Granted, Reach, Standing
from controlplane.model import BufferAccess, Facility, Host, Platform
from controlplane.systems.buffer.client import BufferServerError, Client, endpoint
from controlplane.systems.buffer.contents import Contents, TeamGroup
from controlplane.systems.buffer.resources import FOLDERS
from controlplane.systems.buffer.system import PATIENCE, title

LEVELS = ("read", "write")
"""What a buffer server tells apart: whoever may write into a folder owns what they write."""

SERVERS_AT_ONCE = 8
"""Servers that are asked about one account at the same time."""


def reaches(platform: Platform, path: str) -> Iterator[Granted]:
    """All ways by which accounts reach the folder of the group whose home collection `path` is.

    Nothing where its facility has no buffer server that the control plane enters.
    """
    group = path.rpartition("/")[2]
    facility = _facility_of(platform, path, group)
    if not (facility and facility.buffer and platform.buffers):
        return
    called = title(facility.buffer)
    try:
        contents = _read(platform.buffers, platform.hosts[facility.buffer])
    except BufferServerError as error:
        yield Granted(called, levels=LEVELS, error=str(error))
        return
    ways = _ways(contents, group, contents.groups[group]) if group in contents.groups else ()
    yield Granted(called, tuple(ways), LEVELS)


def standings(platform: Platform, account: str) -> Iterator[Standing]:
    """What each buffer server knows of an account; nothing of those that do not know it."""
    if platform.buffers is None:
        return
    hosts = [platform.hosts[each.buffer] for each in platform.facilities.values() if each.buffer]
    with ThreadPoolExecutor(SERVERS_AT_ONCE, thread_name_prefix="standing") as pool:
        for standing in pool.map(partial(_standing, platform.buffers, account), hosts):
            if standing.exists or standing.error:
                yield standing


def _standing(access: BufferAccess, account: str, host: Host) -> Standing:
    try:
        contents = _read(access, host)
    except BufferServerError as error:
        return Standing(title(host.name), error=str(error))
    groups = {
        name: group
        for name, group in sorted(contents.groups.items())
        if account in group.members or account in group.writers
    }
    user = contents.users.get(account)
    return Standing(
        title(host.name),
        user is not None,
        tuple(groups),
        tuple(
            Reach(f"{FOLDERS}/{name}", way.level, name)
            for name, group in groups.items()
            for way in _ways(contents, name, group)
            if way.account == account
        ),
        closed=user is not None and not user.open,
    )


def _ways(contents: Contents, name: str, group: TeamGroup) -> Iterator[Reach]:
    """The open accounts of a group, and those that have only the group of its writers."""
    for account in sorted({*group.members, *group.writers}):
        if account in contents.users and contents.users[account].open:
            yield Reach(account, "write" if account in group.writers else "read", name)


def _facility_of(platform: Platform, path: str, group: str) -> Facility | None:
    """The facility in whose zone a home collection is that of a group.

    Of a team that is not in the inventory any more, its group's name tells.
    """
    here = [each for each in platform.facilities.values() if path == f"/{each.zone}/home/{group}"]
    for each in here:
        if any(known.name == group for known in each.groups):
            return each
    former = [each for each in here if group.startswith(f"{each.id}-")]
    return max(former, key=lambda each: len(each.id), default=None)


def _read(access: BufferAccess, host: Host) -> Contents:
    with Client(endpoint(access, host)) as client:
        return client.read(patience=PATIENCE)
