"""`bic rules test`: the rule bases' own tests against a running zone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controlplane.cli.context import Context
from controlplane.errors import EXIT_FAILURE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlplane.model import Platform, Zone
    from controlplane.rules.manifest import RuleBase
    from controlplane.rules.run_cases import CaseResult


def run(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[RULE BASE]...", help="Only these; all in force otherwise.")
    ] = None,
    *,
    zone: Annotated[str | None, typer.Option(help="Only this zone; all of the platform otherwise.")] = None,
    server: Annotated[
        str | None, typer.Option(help="The host to ask; the zone's catalog provider otherwise.")
    ] = None,
    gate: Annotated[
        bool, typer.Option("--gate", help="Only the cases that a rollout asks after each wave.")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option("--rules", help="The folder of the rule bases, where it is elsewhere.")
    ] = None,
) -> None:
    """Carry out the rule bases' cases against a running zone.

    Each case works in a collection and with accounts of its own, which are removed afterwards. Exit code 0:
    all came out as expected, 1: some did not, 2: bad input.
    """
    from controlplane.cli.output import amount
    from controlplane.model.load import rules_folder
    from controlplane.rules.cases import load_cases
    from controlplane.rules.manifest import load_rule_bases
    from controlplane.rules.run_cases import run_cases
    from controlplane.systems.irods.client import endpoint

    cli: Context = context.obj
    platform = cli.load()
    rule_bases = load_rule_bases(folder or rules_folder(platform.root))
    cases = {name: load_cases(rule_base) for name, rule_base in rule_bases.items()}
    results: list[CaseResult] = []
    for found in _zones(platform, zone, server):
        host = platform.hosts[server or found.catalog_provider]
        chosen = _chosen(platform, rule_bases, found, host.name, names or [])
        typer.echo(f"{found.name}, on {host.name}:")
        if not chosen:
            typer.echo("  no rule base is in force there")
        for rule_base in chosen:
            wanted = [case for case in cases[rule_base.name].values() if case.gate or not gate]
            results += run_cases(
                endpoint(found, host),
                rule_base,
                wanted,
                lambda result, name=rule_base.name: typer.echo(_line(name, result)),  # type: ignore[misc]
            )
    failed = sum(not result.passed for result in results)
    typer.echo(f"{amount(len(results), 'case')}, {failed or 'none'} failed")
    if failed:
        raise typer.Exit(EXIT_FAILURE)


def _zones(platform: Platform, zone: str | None, server: str | None) -> list[Zone]:
    """The zones that are meant. Raises BadInputError for names that do not exist."""
    from controlplane.errors import BadInputError
    from controlplane.model.problems import suggestion

    if zone is not None and zone not in platform.zones:
        raise BadInputError(f"there is no zone {zone!r}; {suggestion(zone, platform.zones)}")
    zones = [found for name, found in platform.zones.items() if zone in (None, name)]
    if server is None:
        return zones
    having = [found for found in zones if server in found.servers]
    if not having:
        known = suggestion(server, (host for found in zones for host in found.servers))
        raise BadInputError(f"the host {server!r} runs no server of these zones; {known}")
    return having


def _chosen(
    platform: Platform, rule_bases: Mapping[str, RuleBase], zone: Zone, host: str, names: list[str]
) -> list[RuleBase]:
    """The rule bases in force on a server, or those of them that are named. Raises BadInputError."""
    from controlplane.errors import BadInputError
    from controlplane.model.problems import suggestion
    from controlplane.rules.manifest import effective

    chain = effective(platform, rule_bases, zone)[host]
    in_force = {rule_base.name: rule_base for rule_base in chain}
    for name in names:
        if name not in in_force:
            known = suggestion(name, in_force, noun="in force")
            raise BadInputError(f"the rule base {name!r} is not in force on {host}; {known}")
    return [rule_base for name, rule_base in in_force.items() if not names or name in names]


def _line(rule_base: str, result: CaseResult) -> str:
    """One case for people: how it came out, what it shows and, where it failed, what came instead."""
    from controlplane.cli.output import duration

    mark = "ok    " if result.passed else "FAILED"
    line = f"  {mark}  {rule_base}/{result.case.name}: {result.case.title} ({duration(result.seconds)})"
    return line if result.passed else f"{line}\n          {result.text}"
