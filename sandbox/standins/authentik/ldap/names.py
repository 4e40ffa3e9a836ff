"""Distinguished names of a provider: where people and groups are, and who a name means."""

from dataclasses import dataclass

from ldaptor.protocols.ldap.distinguishedname import DistinguishedName, InvalidRelativeDistinguishedName

USERS = "users"
GROUPS = "groups"
VIRTUAL_GROUPS = "virtual-groups"


class InvalidNameError(ValueError):
    """A text is no distinguished name."""


def parts(name: str) -> list[tuple[str, str]]:
    """The types (lower case) and values of a name, from the entry up; raises `InvalidNameError`."""
    try:
        relative = DistinguishedName(name).split() if name else ()
        return [
            (str(_text(pair.attributeType)).lower(), _text(pair.value))
            for one in relative
            for pair in one.split()
        ]
    except (InvalidRelativeDistinguishedName, ValueError, IndexError) as problem:
        raise InvalidNameError(name) from problem


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def normal(name: str) -> str:
    """A form in which equal names are equal texts; raises `InvalidNameError`."""
    return ",".join(f"{kind}={value.lower()}" for kind, value in parts(name))


def common_name(name: str) -> str | None:
    """The first `cn` in a name."""
    return next((value for kind, value in parts(name) if kind == "cn"), None)


def organisational_unit(name: str) -> str | None:
    """The value above the entry itself, in lower case: `users`, `groups` or `virtual-groups`."""
    pairs = parts(name)
    return pairs[1][1].lower() if len(pairs) > 1 else None


def escaped(value: str) -> str:
    """A value as it stands in a distinguished name (RFC 4514)."""
    text = "".join(f"\\{character}" if character in ',+"\\<>;=' else character for character in value)
    if text.startswith((" ", "#")):
        text = "\\" + text
    return text[:-1] + "\\ " if text.endswith(" ") and not text.endswith("\\ ") else text


@dataclass(frozen=True)
class Tree:
    """The names below a provider's base."""

    base: str

    @property
    def users(self) -> str:
        """Where people are."""
        return f"ou={USERS},{self.base}"

    @property
    def groups(self) -> str:
        """Where groups are."""
        return f"ou={GROUPS},{self.base}"

    @property
    def virtual_groups(self) -> str:
        """Where the group of each person is, which has only that person."""
        return f"ou={VIRTUAL_GROUPS},{self.base}"

    def user(self, username: str) -> str:
        """The name of a person."""
        return f"cn={escaped(username)},{self.users}"

    def group(self, name: str) -> str:
        """The name of a group."""
        return f"cn={escaped(name)},{self.groups}"

    def virtual_group(self, username: str) -> str:
        """The name of the group that stands for a person."""
        return f"cn={escaped(username)},{self.virtual_groups}"

    def holds(self, name: str) -> bool:
        """Whether a name is the base or below it; raises `InvalidNameError`."""
        return is_within(name, self.base)


def is_within(name: str, ancestor: str) -> bool:
    """Whether a name is another one or below it; raises `InvalidNameError`."""
    below, above = parts(name), parts(ancestor)
    if not above or len(above) > len(below):
        return False
    tail = below[len(below) - len(above) :]
    return all(
        kind == other and value.lower() == wanted.lower()
        for (kind, value), (other, wanted) in zip(tail, above, strict=True)
    )
