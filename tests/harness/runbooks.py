"""What the pages in `docs/runbooks/` tell people to type."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

RUNBOOKS = Path(__file__).parents[2] / "docs" / "runbooks"

SHELL = frozenset(
    [
        "amtool",
        "apt-cache",
        "apt-get",
        "cat",
        "chronyc",
        "curl",
        "df",
        "dmesg",
        "du",
        "find",
        "grep",
        "journalctl",
        "ls",
        "nft",
        "openssl",
        "pg_lsclusters",
        "promtool",
        "ss",
        "ssh",
        "sudo",
        "systemctl",
    ]
)
"""Programs of the hosts."""
CLONE = frozenset({"bic", "site.yml", "ansible-playbook"})
"""What is run in a clone; a playbook's name stands for running it."""
ICOMMANDS = frozenset(
    [
        "iadmin",
        "iget",
        "ilsresc",
        "ils",
        "iphymv",
        "iput",
        "iqdel",
        "iqstat",
        "iquest",
        "iquota",
        "irepl",
        "irm",
    ]
)
"""Programs of the package irods-icommands."""
HARDWARE = frozenset({"mdadm", "smartctl"})
"""Programs for disks."""
ALONE = frozenset({"pg_lsclusters"})
"""Programs that are typed without further words; other words alone are names of things."""

_CODE = re.compile(r"`([^`]+)`")


class UnknownCommandError(AssertionError):
    """A page has code of several words, and nobody knows who runs it."""


def commands(page: Path) -> Iterator[str]:
    """The commands of a page, each once, with its placeholders. Raises UnknownCommandError."""
    known = SHELL | CLONE | ICOMMANDS | HARDWARE
    for code in dict.fromkeys(" ".join(found.split()) for found in _CODE.findall(page.read_text())):
        program, _, words = code.partition(" ")
        if _is_prose(code) or not (words or program in ALONE):
            continue
        if program in known:
            yield code
        else:
            raise UnknownCommandError(f"{page.name}: {code}")


def _is_prose(code: str) -> bool:
    """Whether it is a part of a command, or what a program says."""
    return code.startswith("-") or code in {"401 Unauthorized", "idle in transaction", "openssl s_client"}


def filled(command: str, values: Mapping[str, str]) -> str:
    """A command with its placeholders replaced; those are the words in capitals that `values` has."""
    return re.sub(r"\b[A-Z]{2,}\b", lambda found: values.get(found[0], found[0]), command)
