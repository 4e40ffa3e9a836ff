"""Failed logins are slowed down: who fails too often waits, even with the right password."""

from datetime import timedelta

from ..store import Tx
from . import drafts

WINDOW = timedelta(minutes=5)
PER_ACCOUNT_AND_ADDRESS = 10
# Many people share an address (an institution, or a service that checks passwords for them).
PER_ADDRESS = 100


def is_blocked(tx: Tx, username: str, client_ip: str) -> bool:
    """Whether logins to this account from this address are refused at the moment."""
    if drafts.failures(tx, _pair(username, client_ip), WINDOW) >= PER_ACCOUNT_AND_ADDRESS:
        return True
    return drafts.failures(tx, client_ip, WINDOW) >= PER_ADDRESS


def failed(tx: Tx, username: str, client_ip: str) -> None:
    """Count a failed login."""
    drafts.add_failure(tx, _pair(username, client_ip))
    drafts.add_failure(tx, client_ip)


def succeeded(tx: Tx, username: str, client_ip: str) -> None:
    """Forget an account's failures; those of the address stay."""
    drafts.clear_failures(tx, _pair(username, client_ip))


def _pair(username: str, client_ip: str) -> str:
    return f"{username.lower()}\n{client_ip}"
