"""The scheme `pam_password`: PAM judges the password, and the client gets another one that lives for a while.

With that one the client logs in by the native scheme, now and until its time is over, so that PAM is not
asked each time. How long it may live is in the grid configuration, as in iRODS 5.0.
"""

import subprocess
from typing import Any

from . import passwords
from .access import Client, find_user
from .catalogue import Transaction
from .config import ServerConfig
from .errors import Code, IrodsError
from .wire import Channel

SCHEME = "pam_password"
_TIMEOUT = 120.0
_NAMESPACE = "authentication"


def demand_tls(channel: Channel) -> None:
    """Raise -169000 for a connection over which no password may be sent."""
    if not channel.tls:
        text = "Client communications with this server are not secure and pam_password requires TLS"
        raise IrodsError(Code.SYS_NOT_ALLOWED, text)


def check_request(config: ServerConfig, request: dict[str, Any]) -> tuple[str, int]:
    """Return the user whose password PAM accepts, and the hours that the client wants the other one for.

    0 hours: it does not say.

    Raises -130000 for a request without what is needed, and -993000 when PAM refuses.
    """
    for key in ("user_name", "zone_name", "a_pw"):
        if key not in request:
            raise IrodsError(Code.SYS_INVALID_INPUT_PARAM, f"missing [{key}] in request")
    try:
        hours = int(request.get("a_ttl") or 0)
    except ValueError as error:
        raise IrodsError(Code.SYS_INVALID_INPUT_PARAM, "invalid TTL") from error
    user = str(request["user_name"])
    try:
        outcome = subprocess.run(
            [*config.pam_check, user],
            input=str(request["a_pw"]).encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise IrodsError(Code.SYS_FORK_ERROR, f"{config.pam_check[0]}: {type(error).__name__}") from error
    if outcome.returncode != 0:
        raise IrodsError(Code.PAM_AUTH_PASSWORD_FAILED, "pam auth check failed")
    return user, hours


def _limits(tx: Transaction) -> tuple[int, int, bool]:
    """Return the shortest and the longest life in seconds, and whether a login makes a password live anew."""
    found: dict[str, str] = dict(
        tx.rows(
            "select option_name, option_value from r_grid_configuration where namespace = ?", (_NAMESPACE,)
        )
    )
    return (
        int(found["password_min_time"]),
        int(found["password_max_time"]),
        int(found["password_extend_lifetime"]) != 0,
    )


def password_for(tx: Transaction, zone: str, name: str, hours: int) -> str:
    """Return the password that a user has who logged in through PAM, or make one.

    Raises -994000 for a time out of bounds and -827000 for a user whom the zone does not know.
    """
    shortest, longest, extend = _limits(tx)
    seconds = hours * 3600 or shortest
    if not shortest <= seconds <= longest:
        raise IrodsError(Code.PAM_AUTH_PASSWORD_INVALID_TTL, "pam ttl invalid")
    user = find_user(tx, name, zone)
    if user is None or user.type == "rodsgroup":
        raise IrodsError(Code.CAT_INVALID_USER)
    tx.execute(
        "delete from r_user_pam_password where pass_expiry_ts + cast(modify_ts as integer) < ?",
        (int(tx.now),),
    )
    present = tx.value("select rcat_password from r_user_pam_password where user_id = ?", (user.user_id,))
    if present is not None:
        if extend:
            tx.execute(
                "update r_user_pam_password set modify_ts = ?, pass_expiry_ts = ? where user_id = ?",
                (tx.now, seconds, user.user_id),
            )
        return str(present)
    made = passwords.random_password()
    tx.execute(
        "insert into r_user_pam_password values (?, ?, ?, ?, ?)",
        (user.user_id, made, seconds, tx.now, tx.now),
    )
    return made


def accepts(tx: Transaction, client: Client, challenge: str, answer: str) -> bool:
    """Return whether a challenge was answered with the password of an earlier login through PAM.

    Raises -840000 when that one's time is over.
    """
    row = tx.row(
        "select rcat_password, pass_expiry_ts + cast(modify_ts as integer) from r_user_pam_password"
        " where user_id = ?",
        (client.user_id,),
    )
    if row is None or passwords.digest(challenge, str(row[0])) != answer:
        return False
    if int(row[1]) < int(tx.now):
        raise IrodsError(Code.CAT_PASSWORD_EXPIRED)
    return True
