"""`bic health`: is the platform well?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controlplane.cli.context import Context
from controlplane.cli.scope import Facilities
from controlplane.errors import EXIT_FAILURE

if TYPE_CHECKING:
    from controlplane.health.port import Probe
    from controlplane.health.run import Result
    from controlplane.model import Platform

PAUSE = 2.0
"""Seconds between two rounds of questions while waiting."""

app = typer.Typer()


@app.command()
def health(
    context: typer.Context,
    *,
    deadline: Annotated[float, typer.Option(min=1.0, help="Seconds after which the answer is given.")] = 30.0,
    facility: Facilities = None,
    wait: Annotated[
        float, typer.Option(min=0.0, help="Seconds to ask again and again until all is well.")
    ] = 0.0,
    watch: Annotated[
        float | None, typer.Option(min=1.0, help="Ask again after so many seconds, until Ctrl-C.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the results as JSON.")] = False,
) -> None:
    """Ask every host and service whether it is well.

    What only follows from another failure is no failure of its own. Exit code 0: nobody is kept from working,
    1: a critical check failed; warnings alone leave it at 0.
    """
    from controlplane.errors import BadInputError

    cli: Context = context.obj
    platform = cli.load()
    if watch is not None and (as_json or wait):
        raise BadInputError("--watch draws the table again and again: leave out --json and --wait")
    probes = _probes(platform, facility)
    if watch is not None:
        _watch(probes, deadline, watch)
        return
    results = _until_well(probes, deadline, wait)
    from controlplane.health.run import is_well

    if as_json:
        import json

        typer.echo(json.dumps(_document(results), indent=2, ensure_ascii=False))
    else:
        from controlplane.cli.health_text import rendered
        from controlplane.cli.output import console

        console().print(rendered(results))
    if not is_well(results):
        raise typer.Exit(EXIT_FAILURE)


def _probes(platform: Platform, facilities: list[str] | None) -> list[Probe]:
    from controlplane.cli.scope import chosen_scope
    from controlplane.health.dependencies import concerning
    from controlplane.systems import contributions

    scope = chosen_scope(platform, [], systems=None, facilities=facilities, teams=None)
    probes: list[Probe] = list(contributions(platform, "probes", "probes"))
    return concerning(probes, scope.facilities) if facilities else probes


def _asked(probes: list[Probe], deadline: float) -> list[Result]:
    from controlplane.cli.progress import watching
    from controlplane.health.dependencies import inhibited
    from controlplane.health.run import run_probes

    with watching() as show:
        return inhibited(probes, run_probes(probes, deadline, show("asking hosts and services")))


def _until_well(probes: list[Probe], deadline: float, wait: float) -> list[Result]:
    from controlplane.health.run import is_cause, is_well

    end = time.monotonic() + wait
    while True:
        results = _asked(probes, deadline)
        if is_well(results) or time.monotonic() >= end:
            return results
        bad = len({result.target for result in results if is_cause(result)})
        typer.echo(f"not well yet: {bad}; asking again for {end - time.monotonic():.0f} s", err=True)
        time.sleep(min(PAUSE, max(0.0, end - time.monotonic())))


def _watch(probes: list[Probe], deadline: float, pause: float) -> None:
    """Draw the table again and again; ends with the exit code of the last one when interrupted."""
    from datetime import datetime

    from controlplane.cli.health_text import rendered
    from controlplane.cli.output import console
    from controlplane.health.run import is_well

    out, well = console(), True
    try:
        while True:
            results = _asked(probes, deadline)
            well = is_well(results)
            out.clear()
            out.print(rendered(results))
            out.print(f"[dim]{datetime.now():%H:%M:%S}, again in {pause:g} s; Ctrl-C ends it[/]")
            time.sleep(pause)
    except KeyboardInterrupt:
        if not well:
            raise typer.Exit(EXIT_FAILURE) from None


def _document(results: list[Result]) -> dict[str, Any]:
    from controlplane.health.port import Severity
    from controlplane.health.run import is_cause, is_well

    causes = [result for result in results if is_cause(result)]
    return {
        "well": is_well(results),
        "failures": sum(result.severity is Severity.CRITICAL for result in causes),
        "warnings": sum(result.severity is Severity.WARNING for result in causes),
        "checks": [result.as_json() for result in results],
    }
