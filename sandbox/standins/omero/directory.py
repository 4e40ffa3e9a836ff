"""The LDAP directory at which passwords are checked, and from which accounts are made at a first login.

Source: `LdapImpl`, `LdapConfig` and `QueryNewUserGroupBean` of the server.
"""

import re
import ssl
from collections.abc import Mapping

import ldap3
from ldap3.core.exceptions import LDAPBindError, LDAPException
from ldap3.utils.conv import escape_filter_chars

from .accounts import Accounts, Person
from .catalogue import USER_GROUP
from .errors import ApiUsageFault, Fault, ValidationFault
from .settings import Ldap

_PLACEHOLDER = re.compile(r"@\{(\w+)\}")


class LdapDirectory:
    """One directory, asked anew for each login, as upstream does."""

    def __init__(self, settings: Ldap) -> None:
        """Ask a directory as these settings say."""
        self._settings = settings
        self._server = ldap3.Server(
            settings.host,
            settings.port,
            use_ssl=settings.tls,
            get_info=ldap3.NONE,
            connect_timeout=settings.timeout,
            tls=ldap3.Tls(
                validate=ssl.CERT_REQUIRED,
                ca_certs_file=str(settings.ca_file) if settings.ca_file else None,
                version=ssl.PROTOCOL_TLS_CLIENT,
            ),
        )

    def find(self, name: str) -> str:
        """The distinguished name of exactly one person. Raises ApiUsageFault unless there is one."""
        return self._entry(name)[0]

    def accepts(self, distinguished_name: str, password: str) -> bool:
        """Whether the directory lets this person in with this password, which must not be empty."""
        if not distinguished_name or not password:
            return False
        try:
            self._connected(distinguished_name, password).unbind()
        except LDAPException:
            return False
        return True

    def create(self, accounts: Accounts, name: str, password: str) -> bool:
        """Make an account of somebody of the directory; return whether the password was right.

        Raises ApiUsageFault when the directory does not know the person, and ValidationFault when the person
        would be in no group.
        """
        distinguished_name, attributes = self._entry(name)
        if not self.accepts(distinguished_name, password):
            return False
        groups = [accounts.group_named(group) for group in self._groups(distinguished_name, attributes)]
        if not groups:
            raise ValidationFault(f"No group found for: {distinguished_name}")
        mapping = self._settings.user_mapping
        first, middle, last, email, institution = (
            attributes.get(mapping.get(each, ""))
            for each in ("firstName", "middleName", "lastName", "email", "institution")
        )
        person = Person(None, name, first, middle, last, email, institution, True)
        accounts.create_person(None, person, None, groups[0], [*groups[1:], USER_GROUP])
        return True

    def _entry(self, name: str) -> tuple[str, dict[str, str]]:
        attribute = self._settings.user_mapping["omeName"]
        wanted = f"(&{self._settings.user_filter}({attribute}={escape_filter_chars(name)}))"
        found = self._search(wanted)
        if len(found) != 1:
            raise ApiUsageFault(f"Cannot find unique user DistinguishedName: found={len(found)} ({name})")
        if found[0][1].get(attribute) != name:
            raise ApiUsageFault(
                f"omeName({found[0][1].get(attribute)}) != username({name}). ignoreCase=false"
            )
        return found[0]

    def _groups(self, distinguished_name: str, attributes: Mapping[str, str]) -> list[str]:
        wanted = self._settings.new_user_group
        if not wanted.startswith(":"):
            return [wanted]
        if not wanted.startswith(":query:"):
            raise ValidationFault(f"{wanted} spec currently not supported.")
        known = {**attributes, "dn": distinguished_name}

        def value(match: re.Match[str]) -> str:
            return str(escape_filter_chars(known.get(match[1], "")))

        query = _PLACEHOLDER.sub(value, wanted.removeprefix(":query:"))
        found = self._search(f"(&{self._settings.group_filter}{query})")
        return [texts[self._settings.group_name] for _, texts in found]

    def _search(self, wanted: str) -> list[tuple[str, dict[str, str]]]:
        try:
            connection = self._connected(self._settings.user, self._settings.password)
            try:
                connection.search(self._settings.base, wanted, attributes=ldap3.ALL_ATTRIBUTES)
                answers = [each for each in connection.response or [] if each["type"] == "searchResEntry"]
            finally:
                connection.unbind()
        except LDAPException as error:
            raise Fault(f"the directory cannot be asked: {type(error).__name__}: {error}") from error
        return [(each["dn"], _texts(each["attributes"])) for each in answers]

    def _connected(self, user: str, password: str) -> ldap3.Connection:
        connection = ldap3.Connection(
            self._server,
            user or None,
            password or None,
            receive_timeout=max(1, round(self._settings.timeout)),
            read_only=True,
            raise_exceptions=False,
        )
        if not connection.bind():
            raise LDAPBindError(str(connection.result.get("description")))
        return connection


def _texts(attributes: Mapping[str, object]) -> dict[str, str]:
    """Of each attribute the first value, as text."""
    found = {}
    for name, values in attributes.items():
        first = values[0] if isinstance(values, list) and values else values
        if first not in (None, []):
            found[name] = first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)
    return found
