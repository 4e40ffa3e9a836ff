"""Saying that somebody of the inventory and somebody at the login server are one person.

Only a person can say so: an e-mail address, which any home institution may assert, never links accounts.
"""

from controlplane.errors import BadInputError
from controlplane.model import Platform
from controlplane.systems.authentik import calls
from controlplane.systems.authentik.client import Client
from controlplane.systems.authentik.directory import ACCOUNT, account_of


def link(client: Client, platform: Platform, account: str, username: str) -> bool:
    """Give somebody at the login server the account name of a person of the inventory, as user name too.

    False when they have it already. Raises AuthentikError, and BadInputError when that would give a name to
    two people or two names to one.
    """
    if account not in platform.people:
        raise BadInputError(
            f"{account}: the inventory names nobody with this user name; others get their names by themselves"
        )
    users = calls.users(client)
    found = next((user for user in users if user.person and user.username == username), None)
    if found is None:
        raise BadInputError(f"{username}: the login server has no person with this user name")
    if account_of(found) == account:
        return False
    if account_of(found):
        raise BadInputError(
            f"{username} has the account name {account_of(found)}, and a name once given never changes"
        )
    if other := next((user for user in users if account_of(user) == account), None):
        raise BadInputError(f"the account name {account} belongs to {other.username}")
    if any(user.username == account for user in users if user is not found):
        raise BadInputError(
            f"another account at the login server has the user name {account}: rename it there first"
        )
    attributes = {**found.attributes, ACCOUNT: account}
    calls.change_user(client, found.pk, {"username": account, "attributes": attributes})
    return True
