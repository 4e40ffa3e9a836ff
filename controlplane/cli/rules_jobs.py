"""`bic rules jobs`: the jobs of rule bases in the delay queues of the zones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controlplane.cli.context import Context


def run(
    context: typer.Context,
    zone: Annotated[str | None, typer.Option(help="Only this zone; all of the platform otherwise.")] = None,
    folder: Annotated[
        Path | None, typer.Option("--rules", help="The folder of the rule bases, where it is elsewhere.")
    ] = None,
) -> None:
    """Settle the rule bases' jobs in the delay queues.

    Jobs of rule bases in force are queued, those of others are taken out.
    To be run after rule bases with other jobs were deployed. A zone that has what it should is left as it is.
    """
    from controlplane.errors import BadInputError
    from controlplane.model.load import rules_folder
    from controlplane.model.problems import suggestion
    from controlplane.rules.jobs import jobs_of, settle_jobs
    from controlplane.rules.manifest import effective, load_rule_bases
    from controlplane.systems.irods.client import Client, endpoint

    cli: Context = context.obj
    platform = cli.load()
    if zone is not None and zone not in platform.zones:
        raise BadInputError(f"there is no zone {zone!r}; {suggestion(zone, platform.zones)}")
    rule_bases = load_rule_bases(folder or rules_folder(platform.root))
    for name, found in platform.zones.items():
        if zone not in (None, name):
            continue
        wanted = jobs_of(
            rule_base for chain in effective(platform, rule_bases, found).values() for rule_base in chain
        )
        with Client(endpoint(found, platform.hosts[found.catalog_provider]), 1) as client:
            changes = list(settle_jobs(client, wanted))
        for change in changes:
            typer.echo(f"{name}: {change.name} {change.done}")
        if not changes:
            typer.echo(f"{name}: {', '.join(wanted) or 'no jobs'}: nothing to do")
