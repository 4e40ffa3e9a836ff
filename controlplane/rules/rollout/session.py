"""What the commands of a rollout have in common: the servers, what they should run, and their gate."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from controlplane.errors import BadInputError
from controlplane.model import Platform
from controlplane.model.load import rules_folder
from controlplane.rules.lint import lint_rule_bases
from controlplane.rules.manifest import RuleBase, effective, load_rule_bases
from controlplane.rules.rollout.probe import Gate
from controlplane.rules.rollout.release import releases
from controlplane.rules.rollout.run import Wanted


@dataclass(frozen=True)
class Session:
    """The servers that a command is about."""

    platform: Platform
    rule_bases: Mapping[str, RuleBase]
    chains: Mapping[str, Sequence[RuleBase]]
    """The effective chain of each server."""
    wanted: Mapping[str, Wanted]
    scope: str
    """The servers, for people."""

    def lint(self) -> None:
        """Raise BadInputError where lint finds errors in the rule bases or in the chains of these servers."""
        shown = {name: str(rule_base.file) for name, rule_base in self.rule_bases.items()}
        errors = [
            str(one)
            for one in lint_rule_bases(self.rule_bases, self.chains, shown)
            if one.severity == "error"
        ]
        if errors:
            raise BadInputError("\n".join([*errors, "Nothing was deployed: mend these, or add --no-lint."]))

    def gate(self) -> Gate:
        """What checks these servers. Raises InventoryError where a rule base's tests are wrong."""
        return Gate(
            self.platform, self.chains, {server: want.release for server, want in self.wanted.items()}
        )


def session(
    platform: Platform, rules: Path | None, zones: Collection[str], servers: Collection[str]
) -> Session:
    """All that the command needs to know of the inventory and the repository. Raises BadInputError."""
    every = [server for zone in platform.zones.values() for server in zone.servers]
    _check("zone", zones, platform.zones)
    _check("server", servers, every)
    rule_bases = load_rule_bases(rules or rules_folder(platform.root))
    chains: dict[str, Sequence[RuleBase]] = {}
    wanted: dict[str, Wanted] = {}
    for zone in platform.zones.values():
        if zones and zone.name not in zones:
            continue
        chain = effective(platform, rule_bases, zone)
        for server, release in releases(chain).items():
            if not servers or server in servers:
                chains[server] = chain[server]
                wanted[server] = Wanted(zone.name, release)
    if not wanted:
        raise BadInputError("no server is in that zone: leave out --zone or --server")
    narrowed = " and ".join(
        f"{word} {', '.join(names)}" for word, names in (("zone", zones), ("server", servers)) if names
    )
    return Session(platform, rule_bases, chains, wanted, narrowed or "all servers")


def _check(word: str, asked: Collection[str], known: Collection[str]) -> None:
    for name in asked:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are: {', '.join(known)}"
            raise BadInputError(f"--{word} {name}: the inventory has no such {word}; {hint}")
