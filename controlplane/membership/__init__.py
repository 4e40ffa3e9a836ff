"""Who is in which team with which role, where the inventory leaves that to the login server.

The inventory says which teams exist and who leads them. Where it names a team's members, it decides; where it
does not, people come from the directory of the login server. All here is pure, except `roster`, which asks
for what the directory holds once, when somebody needs it.
"""

from controlplane.membership.membership import (
    Membership,
    comes_from_directory,
    unknown_teams,
    with_members,
)
from controlplane.membership.names import Newcomer, account_name, assign_names

__all__ = [
    "Membership",
    "Newcomer",
    "account_name",
    "assign_names",
    "comes_from_directory",
    "unknown_teams",
    "with_members",
]
