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

DEADLINE, WITH_JOURNEYS = 30.0, 180.0
"""Seconds after which the answer is given unless told otherwise."""

FOR_THE_STORE = 0.1
"""The share of the deadline that is left for writing the history."""

app = typer.Typer()


@app.command()
def health(
    context: typer.Context,
    *,
    deadline: Annotated[
        float | None,
        typer.Option(min=1.0, help="Seconds after which the answer is given; 30, with journeys 180."),
    ] = None,
    facility: Facilities = None,
    journeys: Annotated[
        bool, typer.Option("--journeys", help="Send synthetic data and people on their ways as well.")
    ] = False,
    wait: Annotated[
        float, typer.Option(min=0.0, help="Seconds to ask again and again until all is well.")
    ] = 0.0,
    watch: Annotated[
        float | None, typer.Option(min=1.0, help="Ask again after so many seconds, until Ctrl-C.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Ask nothing: show what changed in this time, such as 12h.", metavar="TIME"),
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
    probes = _probes(platform, facility, journeys=journeys)
    seconds = deadline or (WITH_JOURNEYS if journeys else DEADLINE)
    if since is not None:
        _tell_changes(platform, probes, since, as_json=as_json)
        return
    if watch is not None:
        _watch(platform, probes, seconds, watch)
        return
    results = _until_well(platform, probes, seconds, wait)
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


def _probes(platform: Platform, facilities: list[str] | None, *, journeys: bool) -> list[Probe]:
    from controlplane.cli.scope import chosen_scope
    from controlplane.health.dependencies import concerning
    from controlplane.health.journeys import plan
    from controlplane.systems import contributions

    scope = chosen_scope(platform, [], systems=None, facilities=facilities, teams=None)
    probes: list[Probe] = list(contributions(platform, "probes", "probes"))
    if journeys:
        probes += plan.journeys(contributions(platform, "journeys", "stages"))
    return concerning(probes, scope.facilities) if facilities else probes


def _asked(platform: Platform, probes: list[Probe], deadline: float) -> list[Result]:
    from controlplane.cli.progress import watching
    from controlplane.health.dependencies import inhibited
    from controlplane.health.run import run_probes

    end = time.monotonic() + deadline
    with watching() as show:
        asked = run_probes(probes, deadline * (1 - FOR_THE_STORE), show("asking hosts and services"))
    results = inhibited(probes, asked)
    _keep(platform, results, end - time.monotonic())
    return results


def _keep(platform: Platform, results: list[Result], seconds: float) -> None:
    """Write what has changed into the store; where it is away, that is said and nothing else is lost."""
    from datetime import UTC, datetime

    from controlplane.errors import BicError
    from controlplane.health.bounded import TooLateError, within
    from controlplane.health.history import states
    from controlplane.store import health as history
    from controlplane.store import open_store

    def write() -> None:
        with open_store(platform) as store:
            history.record(store, platform.name, states(results), datetime.now(UTC))

    try:
        within(seconds, write)
    except (BicError, TooLateError) as error:
        typer.echo(f"the history of this is not kept: {error}", err=True)


def _tell_changes(platform: Platform, probes: list[Probe], since: str, *, as_json: bool) -> None:
    from datetime import UTC, datetime, timedelta

    from controlplane.errors import BadInputError
    from controlplane.model.durations import parse_duration
    from controlplane.store import health as history
    from controlplane.store import open_store

    try:
        moment = datetime.now(UTC) - timedelta(seconds=parse_duration(since))
    except ValueError as error:
        raise BadInputError(f"--since {since}: write a length of time such as 30m, 12h or 7d") from error
    targets = {(probe.system, probe.target) for probe in probes}
    with open_store(platform) as store:
        changes = history.since(store, platform.name, moment, targets)
    if as_json:
        import json

        document = {"changes": [change.as_json() for change in changes]}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        from controlplane.cli.health_text import rendered_changes
        from controlplane.cli.output import console

        console().print(rendered_changes(changes, since))


def _until_well(platform: Platform, probes: list[Probe], deadline: float, wait: float) -> list[Result]:
    from controlplane.health.run import is_cause, is_well

    end = time.monotonic() + wait
    while True:
        results = _asked(platform, probes, deadline)
        if is_well(results) or time.monotonic() >= end:
            return results
        bad = len({result.target for result in results if is_cause(result)})
        typer.echo(f"not well yet: {bad}; asking again for {end - time.monotonic():.0f} s", err=True)
        time.sleep(min(PAUSE, max(0.0, end - time.monotonic())))


def _watch(platform: Platform, probes: list[Probe], deadline: float, pause: float) -> None:
    """Draw the table again and again; ends with the exit code of the last one when interrupted."""
    from datetime import datetime

    from controlplane.cli.health_text import rendered
    from controlplane.cli.output import console
    from controlplane.health.run import is_well

    out, well = console(), True
    try:
        while True:
            results = _asked(platform, probes, deadline)
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
