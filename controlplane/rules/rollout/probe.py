"""The checks of the health gate: what any server must do, and the gate cases of its rule bases."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from controlplane.errors import BicError
from controlplane.model import Platform
from controlplane.rules.cases import load_cases
from controlplane.rules.manifest import RuleBase
from controlplane.rules.rollout.gate import Check, GateResult, run_gate
from controlplane.rules.rollout.release import Release
from controlplane.rules.run_cases import run_cases
from controlplane.systems.irods import probes
from controlplane.systems.irods.client import Endpoint, endpoint

TIMEOUT = 20.0
"""Seconds for one answer of a server."""


class Gate:
    """Checks servers of a platform, each with the rule bases that it runs."""

    def __init__(
        self,
        platform: Platform,
        chains: Mapping[str, Sequence[RuleBase]],
        releases: Mapping[str, Release],
    ) -> None:
        """Know the effective chain and the release of each server. Raises InventoryError for wrong cases."""
        self._platform = platform
        used = {rule_base.name: rule_base for chain in chains.values() for rule_base in chain}
        self._cases = {
            name: [case for case in load_cases(rule_base).values() if case.gate]
            for name, rule_base in used.items()
        }
        self._rule_bases = {
            server: {
                file.name: rule_base
                for file, rule_base in zip(releases[server].files, chains[server], strict=True)
            }
            for server in chains
        }

    def __call__(self, server: str, names: Sequence[str]) -> GateResult:
        """Check a server that runs the list `names`.

        Of a rule base with another text than the repository's, nobody here knows what it must allow.
        """
        known = self._rule_bases[server]
        return run_gate(partial(self._checks, server, [known[name] for name in names if name in known]))

    def _checks(self, server: str, rule_bases: Sequence[RuleBase]) -> list[Check]:
        zone = self._platform.zone_of(server)
        if zone is None:
            raise BicError(f"{server} is in no zone")
        entrance = endpoint(zone, self._platform.hosts[server], TIMEOUT)
        found = []
        for name, check in (
            ("login", probes.check_login),
            ("plaintext is refused", probes.check_plaintext),
            ("write and read", probes.check_write),
        ):
            found.append(_checked(name, partial(check, entrance)))
            if not found[-1].passed:
                # What is broken so badly would only keep the other checks waiting.
                return found
        return [*found, *self._case_checks(entrance, rule_bases)]

    def _case_checks(self, entrance: Endpoint, rule_bases: Sequence[RuleBase]) -> Iterator[Check]:
        for rule_base in rule_bases:
            for result in run_cases(entrance, rule_base, self._cases[rule_base.name]):
                yield Check(f"{rule_base.name}: {result.case.name}", result.passed, result.text)


def _checked(name: str, check: Callable[[], str]) -> Check:
    try:
        check()
    except BicError as error:
        return Check(name, passed=False, text=str(error))
    return Check(name, passed=True)
