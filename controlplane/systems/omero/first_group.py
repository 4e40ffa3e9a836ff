"""In which of their groups people begin when they log in (OMERO: the default group).

What somebody imports goes there unless they choose another group. It is the first of the account's list of
groups, and a removal may leave a hole where it takes the first one away (omero-py's gateway reckons with
them): then there is no default group (`AdminImpl.getDefaultGroup`). So another is chosen before.
"""

from collections.abc import Collection
from dataclasses import dataclass

from controlplane.systems.omero.connection import Connection
from controlplane.systems.omero.objects import account_proxy, group_proxy


@dataclass(frozen=True)
class FirstGroup:
    """Chooses it, by numbers. Who has chosen a group on their own keeps it as long as they are in it."""

    platform_group: int
    """Our accounts begin here as long as they are in no team: nobody sees what is in it."""
    active_group: int
    """OMERO's group `user`, which is not allowed."""
    teams: Collection[int]
    """The groups of teams."""

    def joined(self, connection: Connection, account: int, group: int) -> None:
        """Let somebody who is in a team's group now begin there, unless they begin in another already."""
        if _current(connection, account) in (None, self.platform_group):
            connection.admin.setDefaultGroup(account_proxy(account), group_proxy(group))

    def leaving(self, connection: Connection, account: int, group: int) -> None:
        """Let somebody who is about to leave a group begin in another."""
        if _current(connection, account) not in (None, group):
            return
        groups = {*connection.admin.getMemberOfGroupIds(account_proxy(account))} - {group, self.active_group}
        if groups:
            chosen = min(groups, key=self._rank)
            connection.admin.setDefaultGroup(account_proxy(account), group_proxy(chosen))

    def _rank(self, group: int) -> tuple[bool, bool, int]:
        return group not in self.teams, group != self.platform_group, group


def _current(connection: Connection, account: int) -> int | None:
    import omero

    try:
        return int(connection.admin.getDefaultGroup(account).id.val)
    except omero.ValidationException:
        return None
