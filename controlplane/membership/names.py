"""Account names of people: given once, the same in every system, never given to somebody else.

A name is the first letter of the given name and the surname, in lower-case ASCII: Tadhg O'Brien is `tobrien`,
and the next one `tobrien2`. It is legal in iRODS, Unix and OMERO. It is stored with the person when it is
given and read from there ever after, so neither a new surname nor a new institution changes it.
"""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass

from anyascii import anyascii

LONGEST = 32
"""Characters of a name: what `useradd` takes."""

NAMELESS = "person"
"""What somebody is called whose name holds no letter."""

RESERVED = frozenset(
    {
        # Accounts that every zone or every OMERO server has.
        *("anonymous", "public", "rods", "rodsadmin", "rodsboot", "guest", "system", "user", "admin"),
        # Accounts of Debian and of the services that we run.
        *("root", "daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news", "uucp", "proxy"),
        *("backup", "list", "irc", "gnats", "nobody", "sshd", "postgres", "redis", "prometheus", "irods"),
        *("omero", "authentik", "akadmin", "nginx", "munge", "slurm", "samba", "bic", "ldap", "messagebus"),
    }
)
"""Names that belong to no person in some system."""


@dataclass(frozen=True, order=True, slots=True)
class Newcomer:
    """Somebody without an account name."""

    joined: str
    """When the directory first saw them, in a form whose order is that of time."""
    key: str
    """What identifies the person for good."""
    name: str
    """The full name, in whatever script."""
    given: str = ""
    surname: str = ""
    """Both where the home institution tells them apart; otherwise they are guessed from the full name."""
    username: str = ""
    """What the directory calls them until they have a name: nobody else can have it as theirs."""


def assign_names(newcomers: Collection[Newcomer], taken: Collection[str]) -> dict[str, str]:
    """Names for newcomers by their keys, none of them in `taken`.

    Who joined first chooses first, whatever order they come in. A user name is taken for all but its owner.
    """
    used = {*RESERVED, *(name.lower() for name in taken)}
    usernames = {newcomer.username for newcomer in newcomers}
    given: dict[str, str] = {}
    for newcomer in sorted(newcomers):
        first, last = newcomer.given, newcomer.surname
        if not last.strip():
            first, last = split_name(newcomer.name)
        usernames.discard(newcomer.username)
        given[newcomer.key] = name = account_name(first, last, used, usernames)
        usernames.add(newcomer.username)
        used.add(name)
    return given


def account_name(given: str, surname: str, *taken: Collection[str]) -> str:
    """A name that is in none of `taken`; equal arguments give the same one."""
    base = _base(given, surname)
    name, number = base, 1
    while any(name in names for names in taken):
        number += 1
        name = f"{base[: LONGEST - len(str(number))]}{number}"
    return name


def split_name(name: str) -> tuple[str, str]:
    """Given name and surname of a full name: the last word is the surname, or what stands before a comma."""
    surname, comma, given = name.partition(",")
    if comma:
        return given.strip(), surname.strip()
    given, _, surname = name.strip().rpartition(" ")
    return given, surname


def _base(given: str, surname: str) -> str:
    initial, last = _letters(given)[:1], _letters(surname)
    name = (initial + last) if last else _letters(given)
    # A name begins with a letter.
    return (name.lstrip("0123456789") or NAMELESS)[:LONGEST]


def _letters(text: str) -> str:
    """A text in any script as lower-case ASCII letters and digits, without anything between."""
    # First composed: a letter with its accent, and the same one written as two characters, are equal.
    return re.sub("[^a-z0-9]", "", anyascii(unicodedata.normalize("NFKC", text)).lower())
