"""A new token for the control plane in place of the one that it has.

The new one is made, tried, written in place of the old one, read again and tried again; only then the old one
is deleted. Cut off anywhere, a token that works is in the file, and the next rotation deletes what was left
over.
"""

import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from httpx import codes

from controlplane.errors import BadInputError
from controlplane.model import Identity
from controlplane.systems.authentik import calls
from controlplane.systems.authentik.client import AuthentikError, Client, Endpoint, endpoint
from controlplane.systems.authentik.records import Token

SHORTEST = timedelta(days=2)
"""A token must last so long to replace one that works."""

Connect = Callable[[Endpoint], Client]


@dataclass(frozen=True)
class Rotated:
    """What a rotation did."""

    account: str
    identifier: str
    """The new token's."""
    expires: str
    """When it ends, as ISO 8601, or empty when it does not."""
    deleted: tuple[str, ...]
    """The identifiers of the tokens that were deleted."""
    kept: tuple[str, ...]
    """Those that still work beside the new one."""


def rotate(identity: Identity, *, keep_old: bool = False, connect: Connect = Client) -> Rotated:
    """Give the account of the platform's token a new one.

    With `keep_old` those before it go on working, for other hosts that have a copy; the next rotation deletes
    them. Raises AuthentikError, SecretError, and BadInputError when the token is in no file or the file
    cannot be written.
    """
    if identity.token.kind != "file":
        raise BadInputError(
            f"the token is in the variable {identity.token.where}; rotate it where platform.yml names a file"
        )
    server = endpoint(identity)
    with connect(server) as client:
        me = calls.myself(client)
        # The deployment's first one has the account's name.
        ours = re.compile(rf"{re.escape(me.username)}(-\d{{8}}-[0-9a-f]{{8}})?")
        tokens = calls.tokens(client, {"user__username": me.username, "intent": "api"})
        mine = [token.identifier for token in tokens if token.user == me.pk and token.intent == "api"]
        in_use = {identifier for identifier in mine if calls.key_of(client, identifier) == server.token}
        identifier = f"{me.username}-{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(4)}"
        calls.create_token(
            client,
            {
                "identifier": identifier,
                "intent": "api",
                "user": me.pk,
                "expiring": True,
                "description": "of the control plane, by bic identity rotate-token",
            },
        )
        try:
            key = calls.key_of(client, identifier)
            made = _try(connect, replace(server, token=key), me.pk, identifier)
        except AuthentikError:
            calls.delete_token(client, identifier)
            raise
    _write(Path(identity.token.where), key)
    deleted: list[str] = []
    with connect(endpoint(identity)) as client:
        if calls.myself(client).pk != me.pk:
            raise AuthentikError(f"{server.host}: the token in {identity.token.where} is of another account")
        old = [each for each in mine if each in in_use or ours.fullmatch(each)]
        if not keep_old:
            for each in old:
                calls.delete_token(client, each)
                deleted.append(each)
    kept = tuple(each for each in old if each not in deleted)
    return Rotated(me.username, identifier, made.expires, tuple(deleted), kept)


def reason_to_keep(identity: Identity, given: str, connect: Connect = Client) -> str:
    """Why the token that a deployment brings is not to replace the one in the file; empty when it is to.

    A token that was rotated here is newer than what the deployment's vault says: it stays when the login
    server takes it and refuses the given one, and when the server cannot be asked. Raises SecretError when
    there is none in the file.
    """
    own = endpoint(identity)
    if given == own.token:
        return ""
    try:
        if _holds(connect, replace(own, token=given)) or not _holds(connect, own):
            return ""
    except AuthentikError as error:
        return f"the login server cannot be asked which one holds: {error}"
    return f"{own.host} takes it, and refuses the one that was brought"


def _holds(connect: Connect, server: Endpoint) -> bool:
    """Whether the server takes the token. Raises AuthentikError when it does not say."""
    with connect(server) as client:
        try:
            calls.myself(client)
        except AuthentikError as error:
            if error.status in (codes.UNAUTHORIZED, codes.FORBIDDEN):
                return False
            raise
    return True


def _try(connect: Connect, server: Endpoint, account: int, identifier: str) -> Token:
    """The new token. Raises AuthentikError when it does not work or ends too soon."""
    with connect(server) as client:
        if calls.myself(client).pk != account:
            raise AuthentikError(f"{server.host}: the new token is of another account")
        found = calls.tokens(client, {"identifier": identifier})
        made = next((token for token in found if token.identifier == identifier), None)
    if made is None:
        raise AuthentikError(f"{server.host}: the new token {identifier} cannot be seen by its own account")
    if made.expires and datetime.fromisoformat(made.expires) - datetime.now(UTC) < SHORTEST:
        raise AuthentikError(
            f"{server.host} makes tokens that end too soon ({made.expires[:16].replace('T', ' ')} UTC), so"
            " the old one stays: set default_token_duration there to some weeks, such as days=90"
        )
    return made


def _write(file: Path, key: str) -> None:
    """Replace the file as a whole, with owner and rights of the one before. Raises BadInputError."""
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        before = file.stat()
        try:
            with open(draft, "x", encoding="utf-8", opener=_private) as out:
                out.write(f"{key}\n")
                out.flush()
                os.fsync(out.fileno())
            os.chown(draft, before.st_uid, before.st_gid)
            draft.chmod(before.st_mode & 0o777)
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise BadInputError(
            f"{file} cannot be written: {error.strerror}; the token in it goes on working"
        ) from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
