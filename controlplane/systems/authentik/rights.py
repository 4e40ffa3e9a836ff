"""What the control plane's token must be allowed to do, and whether it is.

A list of what one may not see is an empty list, not an error: without this question an outage of rights would
look like "everybody has left".
"""

from collections.abc import Iterable

from controlplane.systems.authentik.client import AuthentikError
from controlplane.systems.authentik.records import Myself, RoleRights

READING = {"group": frozenset({"view_group"}), "user": frozenset({"view_user"})}
"""The permissions for all objects of a kind without which nothing that is read can be believed."""

GRANTED = (
    *("authentik_core.view_group", "authentik_core.add_group", "authentik_core.change_group"),
    *("authentik_core.delete_group", "authentik_core.add_user_to_group"),
    *("authentik_core.remove_user_from_group", "authentik_core.view_user", "authentik_core.change_user"),
    *("authentik_core.view_token", "authentik_core.view_token_key", "authentik_core.add_token"),
    *("authentik_core.delete_token", "authentik_core.view_authenticatedsession"),
    *("authentik_core.delete_authenticatedsession", "authentik_rbac.view_role", "authentik_rbac.add_role"),
    *("authentik_rbac.change_role", "authentik_rbac.delete_role", "authentik_rbac.assign_role_permissions"),
    *("authentik_rbac.unassign_role_permissions", "authentik_events.view_event"),
    "authentik_outposts.view_outpost",
)
"""All permissions that the service account of the control plane has, and no others."""


PORTAL_ACCOUNT = "bic-portal"
"""The service account with which the portal looks people up and changes who is in a team."""

GRANTED_TO_PORTAL = ("authentik_core.view_group", "authentik_core.view_user")
"""What it may do with all objects. Membership it may change in single groups, see `desired.open_roles`."""


def demand(me: Myself, kind: str, roles: Iterable[RoleRights]) -> None:
    """Raise AuthentikError unless the account sees all objects of a kind."""
    if me.superuser:
        return
    granted = {codename for role in roles if role.pk in me.roles for codename in role.everywhere}
    if missing := sorted(READING[kind] - granted):
        raise AuthentikError(
            f"the account {me.username} may not see all {kind}s ({', '.join(missing)} is missing),"
            " so what it is shown cannot be believed"
        )
