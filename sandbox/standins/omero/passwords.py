"""Passwords: how they are kept, and who says whether one is right: the directory, then the catalogue.

Source: the server's `PasswordUtil`, `ConfigurablePasswordProvider`, `JdbcPasswordProvider` and
`LdapPasswordProvider`.
"""

import base64
import hashlib
import hmac
import logging
import sqlite3
import threading
import time
from collections import Counter
from typing import Protocol

from .catalogue import GUEST_USER, SYSTEM_GROUP, Catalogue
from .errors import ApiUsageFault, SecurityFault, ValidationFault

_LOG = logging.getLogger("ome.security.auth")


class Directory(Protocol):
    """What is asked of an LDAP directory; `directory.LdapDirectory` is the one."""

    def find(self, name: str) -> str:
        """The distinguished name of exactly one person. Raises ApiUsageFault unless there is one."""

    def accepts(self, distinguished_name: str, password: str) -> bool:
        """Whether the directory lets this person in with this password."""


class Creation(Protocol):
    """Makes an account of somebody of the directory who has none."""

    def __call__(self, name: str, password: str) -> bool:
        """Whether the account was made, which needs the right password. Raises ApiUsageFault."""


def digest(password: str, user: int | None) -> str:
    """The hash that OMERO keeps: MD5 in base64, salted with the person's id unless that is None."""
    salt = b"" if user is None else user.to_bytes(8, "big", signed=True)
    return base64.b64encode(hashlib.md5(salt + password.encode(), usedforsecurity=False).digest()).decode()


class Passwords:
    """The chain of providers: the directory, if one is configured, then the catalogue."""

    def __init__(
        self,
        catalogue: Catalogue,
        directory: Directory | None,
        *,
        required: bool,
        throttle: tuple[int, float],
    ) -> None:
        """`required`: no blank passwords. `throttle`: after how many failures to wait how many seconds."""
        self._catalogue = catalogue
        self._directory = directory
        self._required = required
        self._throttle = throttle
        self._failures: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.create: Creation | None = None

    def check(self, name: str, password: str) -> bool:
        """Whether this is the person's password. Raises Fault when the directory cannot be asked."""
        right = self._check(name, password)
        self._attempt(name, right)
        return right

    def _check(self, name: str, password: str) -> bool:
        with self._catalogue.transaction() as transaction:
            found = transaction.execute(
                "select e.id, e.ldap, p.hash from experimenter e left join password p"
                " on p.experimenter_id = e.id where e.omename = ?",
                (name,),
            ).fetchone()
        if self._directory:
            if not password:
                return False
            if found is None and self._created(name, password):
                return True
            if found and found["ldap"] and (answer := self._asked(name, password)) is not None:
                return answer
        return bool(found) and self._matches(found["id"], found["hash"], password)

    def _created(self, name: str, password: str) -> bool:
        try:
            return bool(self.create and self.create(name, password))
        except ApiUsageFault as fault:
            _LOG.info("Default choice on create user: %s (%s)", name, fault.message)
            return False

    def _asked(self, name: str, password: str) -> bool | None:
        """What the directory says; None when it does not know the person, and the catalogue decides."""
        if self._directory is None:
            return None
        try:
            distinguished_name = self._directory.find(name)
        except ApiUsageFault:
            return None
        return self._directory.accepts(distinguished_name, password)

    def _matches(self, user: int, kept: str | None, password: str) -> bool:
        if kept is None:
            return False
        if not kept.strip():
            with self._catalogue.transaction() as transaction:
                return not self._is_required(transaction, user)
        return any(hmac.compare_digest(kept, digest(password, salt)) for salt in (user, None))

    def _is_required(self, transaction: sqlite3.Connection, user: int) -> bool:
        if user == GUEST_USER:
            return False
        administrator = transaction.execute(
            "select 1 from groupexperimentermap where parent = ? and child = ?", (SYSTEM_GROUP, user)
        ).fetchone()
        return self._required or bool(administrator)

    def distinguished_name(self, name: str) -> str:
        """The person's name in the directory. Raises ApiUsageFault when there is none, or no directory."""
        if self._directory is None:
            raise ApiUsageFault("no directory is configured")
        return self._directory.find(name)

    def change(self, transaction: sqlite3.Connection, name: str, password: str | None) -> None:
        """Give somebody a password. A blank one locks the account, or lets all in where that is allowed.

        Raises ValidationFault when there is nobody of that name, SecurityFault when the directory has the
        person's password, and ApiUsageFault when it should and does not know the person.
        """
        found = transaction.execute("select id, ldap from experimenter where omename = ?", (name,)).fetchone()
        if found is None:
            raise ValidationFault(f"No such experimenter: {name}")
        if self._directory and found["ldap"]:
            self._directory.find(name)
            raise SecurityFault(
                "PasswordChangeException: Cannot change password with this implementation: "
                "ome.security.auth.LdapPasswordProvider"
            )
        kept = None if password is None else digest(password, found["id"])
        if password is not None and not password.strip():
            kept = None if self._is_required(transaction, found["id"]) else password
        transaction.execute("insert or replace into password values (?, ?)", (found["id"], kept))

    def _attempt(self, name: str, right: bool) -> None:
        count, seconds = self._throttle
        with self._lock:
            self._failures[name] = 0 if right else self._failures[name] + 1
            wait = self._failures[name] > count
        if wait and seconds:
            time.sleep(seconds)
