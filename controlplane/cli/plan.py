"""`bic plan` and `bic apply`: the difference between the inventory and the systems, and its end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controlplane.cli.context import LOCK_PATIENCE, Context
from controlplane.cli.scope import Facilities, Systems, Teams, chosen_scope
from controlplane.errors import EXIT_FAILURE, EXIT_INTERRUPTED, BadInputError

if TYPE_CHECKING:
    from controlplane.reconcile.port import System
    from controlplane.reconcile.reconcile import Confirmed
    from controlplane.reconcile.run import Outcome
    from controlplane.reconcile.saved import SavedPlan
    from controlplane.state import Change

EXIT_CHANGES = 2
"""What `bic plan` says when there is something to do."""

app = typer.Typer()

Adopt = Annotated[
    bool, typer.Option("--adopt", help="Take over objects that exist and do not carry our mark.")
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show every object, however many there are.")]


@app.command()
def plan(
    context: typer.Context,
    *,
    system: Systems = None,
    facility: Facilities = None,
    team: Teams = None,
    adopt: Adopt = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Save the plan, for bic apply FILE.", metavar="FILE")
    ] = None,
    verbose: Verbose = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the plan as JSON.")] = False,
) -> None:
    """Show what would be changed. Exit code 0: nothing to do, 2: changes, 1: something cannot be done."""
    from controlplane.cli.progress import watching
    from controlplane.reconcile.limits import limited
    from controlplane.reconcile.run import plan_all
    from controlplane.systems import planned_systems

    cli: Context = context.obj
    platform = cli.load()
    systems: list[System] = planned_systems(platform)
    scope = chosen_scope(platform, systems, systems=system, facilities=facility, teams=team)
    with watching() as watch:
        outcomes = [
            limited(item, scope, platform.limits, exceed=False)
            for item in plan_all(systems, watch, adopt=adopt, scope=scope)
        ]
    if output:
        from datetime import UTC, datetime

        from controlplane.reconcile.saved import saved, write
        from controlplane.store.locks import account

        now = datetime.now(UTC)
        write(
            output,
            saved(outcomes, platform=platform.name, created=now, author=account(), scope=scope, adopt=adopt),
        )
    if as_json:
        import json

        typer.echo(json.dumps(_document(outcomes), indent=2, ensure_ascii=False))
    else:
        from controlplane.cli.output import console
        from controlplane.cli.plan_text import show_plans

        show_plans(console(), outcomes, verbose=verbose)
        if output:
            typer.echo(f"Saved; apply exactly this with: bic apply {output}")
    if any(not item.plan or item.plan.conflicts for item in outcomes):
        raise typer.Exit(EXIT_FAILURE)
    if any(item.plan and item.plan.changes for item in outcomes):
        raise typer.Exit(EXIT_CHANGES)


@app.command()
def apply(
    context: typer.Context,
    *,
    file: Annotated[
        Path | None,
        typer.Argument(help="A plan that bic plan -o saved, to apply exactly that.", metavar="FILE"),
    ] = None,
    system: Systems = None,
    facility: Facilities = None,
    team: Teams = None,
    adopt: Adopt = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask. What destroys data is not covered by this.")
    ] = False,
    exceed_limits: Annotated[
        bool, typer.Option("--exceed-limits", help="Also apply a plan that is larger than the limits allow.")
    ] = False,
    destroy_data: Annotated[
        list[str] | None,
        typer.Option(help="Delete the object of this name and the data in it; repeatable.", metavar="NAME"),
    ] = None,
    wait_for_lock: Annotated[
        float,
        typer.Option(min=0.0, help="Seconds to wait for another apply or a sync to end.", metavar="SECONDS"),
    ] = LOCK_PATIENCE,
    verbose: Verbose = False,
) -> None:
    """Show what would be changed, ask, and change it. Exit code 1 when anything could not be done."""
    from threading import Event

    from controlplane.cli.output import console
    from controlplane.cli.plan_text import show_plans, show_reports
    from controlplane.cli.progress import watching
    from controlplane.reconcile.reconcile import reconcile
    from controlplane.store import open_store
    from controlplane.store.locks import account
    from controlplane.systems import planned_systems

    cli: Context = context.obj
    platform = cli.load()
    systems: list[System] = planned_systems(platform)
    scope = chosen_scope(platform, systems, systems=system, facilities=facility, teams=team)
    saved: SavedPlan | None = None
    if file:
        if adopt or not scope.whole:
            raise BadInputError("a saved plan is applied as it is: leave out what narrows it, and --adopt")
        saved = _read(file, platform.name, systems)
        scope = saved.scope
    out, stop = console(), Event()
    left_out = saved.left_out if saved else {}

    with watching() as watch, open_store(platform) as store:

        def approve(outcomes: Sequence[Outcome]) -> Confirmed:
            watch.pause()
            if saved:
                typer.echo(
                    f"The plan of {saved.author}, made {saved.created:%Y-%m-%d %H:%M} UTC, for {scope}.\n"
                )
            show_plans(out, outcomes, verbose=verbose)
            for name, error in left_out.items():
                typer.echo(f"{name} is not in the saved plan: {error}", err=True)
            return _approved(outcomes, yes, destroy_data or [])

        try:
            reports = reconcile(
                systems,
                scope,
                store=store,
                platform=platform.name,
                actor=account(),
                limits=platform.limits,
                watch=watch,
                command=f"bic apply {file}" if file else "bic apply",
                adopt=adopt,
                exceed_limits=exceed_limits,
                saved=saved,
                approve=approve,
                wait_for_lock=wait_for_lock,
                tell=lambda text: typer.echo(text, err=True),
                stop=stop,
            )
        except KeyboardInterrupt:
            typer.echo("Interrupted. Nothing was changed.", err=True)
            raise typer.Exit(EXIT_INTERRUPTED) from None
    show_reports(out, reports, verbose=verbose)
    if stop.is_set():
        typer.echo("Interrupted. What was done stays; run bic apply again for the rest.", err=True)
        raise typer.Exit(EXIT_INTERRUPTED)
    if left_out or not all(report.ok for report in reports):
        raise typer.Exit(EXIT_FAILURE)


def _read(file: Path, platform: str, systems: Sequence[System]) -> SavedPlan:
    """A saved plan for this platform. Raises BadInputError."""
    from controlplane.reconcile.saved import read

    plan = read(file)
    if plan.platform != platform:
        raise BadInputError(f"{file} is a plan for the platform {plan.platform}, and this is {platform}")
    known = {system.id for system in systems}
    for item in plan.systems:
        if item.id not in known:
            raise BadInputError(f"{file} is a plan for {item.id}, which is no longer in the inventory")
    return plan


def _approved(outcomes: Sequence[Outcome], yes: bool, named: Sequence[str]) -> Confirmed:
    """Ask whether to go on, and for each deletion of data its name. Returns the deletions confirmed."""
    plans = [item.plan for item in outcomes if item.plan and not item.refused]
    destroying = [(plan.system, change) for plan in plans for change in plan.changes if change.destroys]
    known = {change.key.name for _, change in destroying}
    for name in named:
        if name not in known:
            some = f"; it would of: {', '.join(sorted(known))}" if known else ""
            raise BadInputError(f"--destroy-data {name}: the plan destroys no data of that name{some}")
    confirmed = {(system, change.key) for system, change in destroying if change.key.name in named}
    changes = sum(len(plan.changes) for plan in plans)
    if not changes or yes:
        return confirmed
    if not sys.stdin.isatty():
        raise BadInputError("there is nobody to ask; add --yes to make these changes")
    others = changes - len(destroying)
    if others and not typer.confirm(f"Make these {others:,} changes?"):
        typer.echo("Nothing was changed.")
        raise typer.Exit(EXIT_FAILURE)
    for system, change in destroying:
        if (system, change.key) not in confirmed and _destroy(system, change):
            confirmed.add((system, change.key))
    return confirmed


def _destroy(system: str, change: Change) -> bool:
    question = (
        f"Deleting {change.key} in {system} destroys {change.destroys} for good.\n"
        "Type its name to delete it, or only Enter to keep it"
    )
    typed: str = typer.prompt(question, default="", show_default=False)
    if typed.strip() == change.key.name:
        return True
    typer.echo(f"{change.key} is kept.")
    return False


def _document(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """All plans as one: what each system adds to the lists, and why a system has no plan."""
    plans = [item.plan.as_json() for item in outcomes if item.plan]
    return {
        "counts": {plan["system"]: plan["counts"] for plan in plans},
        **{
            part: [entry for plan in plans for entry in plan[part]]
            for part in ("changes", "conflicts", "kept")
        },
        "refused": [{"system": item.system.id, "reason": item.refused} for item in outcomes if item.refused],
        "errors": [{"system": item.system.id, "error": item.error} for item in outcomes if item.plan is None],
    }
