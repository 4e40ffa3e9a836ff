"""Failed logins are slowed down: who fails too often waits, even with the right password."""

from datetime import timedelta

from ..store import Tx
from . import drafts
from .call import Call

WINDOW = timedelta(minutes=5)
PER_ACCOUNT_AND_ADDRESS = 10
# Many people share the address of an institution. That of a service which checks passwords for everybody, by
# an outpost, is not counted: one who guesses would lock all others out.
PER_ADDRESS = 100


def is_blocked(tx: Tx, username: str, call: Call) -> bool:
    """Whether logins to this account from this address are refused at the moment."""
    if drafts.failures(tx, _pair(username, call.client_ip), WINDOW) >= PER_ACCOUNT_AND_ADDRESS:
        return True
    return not call.is_delegated and drafts.failures(tx, call.client_ip, WINDOW) >= PER_ADDRESS


def failed(tx: Tx, username: str, call: Call) -> None:
    """Count a failed login."""
    drafts.add_failure(tx, _pair(username, call.client_ip))
    if not call.is_delegated:
        drafts.add_failure(tx, call.client_ip)


def succeeded(tx: Tx, username: str, call: Call) -> None:
    """Forget an account's failures; those of the address stay."""
    drafts.clear_failures(tx, _pair(username, call.client_ip))


def _pair(username: str, client_ip: str) -> str:
    return f"{username.lower()}\n{client_ip}"
