"""`bic health`: is the platform well?"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from controlplane.cli.context import Context
from controlplane.errors import EXIT_FAILURE

if TYPE_CHECKING:
    from rich.console import Console

    from controlplane.health.run import Result

PAUSE = 2.0
"""Seconds between two rounds of questions."""

app = typer.Typer()


@app.command()
def health(
    context: typer.Context,
    deadline: Annotated[float, typer.Option(min=1.0, help="Seconds after which the answer is given.")] = 30.0,
    wait: Annotated[
        float, typer.Option(min=0.0, help="Seconds to ask again and again until all is well.")
    ] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Write the results as JSON.")] = False,
) -> None:
    """Ask every host and service whether it is well. Exit code 0: all well, 1: something is not."""
    from controlplane.cli.progress import watching
    from controlplane.health.run import Status, run_probes
    from controlplane.systems import contributions

    cli: Context = context.obj
    platform = cli.load()
    end = time.monotonic() + wait
    while True:
        with watching() as watch:
            results = run_probes(
                contributions(platform, "probes", "probes"), deadline, watch("asking hosts and services")
            )
        well = all(result.status is Status.OK for result in results)
        if well or time.monotonic() >= end:
            break
        bad = len({result.target for result in results if result.status is Status.FAILED})
        typer.echo(f"not well yet: {bad}; asking again for {end - time.monotonic():.0f} s", err=True)
        time.sleep(min(PAUSE, max(0.0, end - time.monotonic())))
    if as_json:
        import json

        document = {"well": well, "checks": [result.as_json() for result in results]}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        from controlplane.cli.output import console

        _show(console(), results)
    if not well:
        raise typer.Exit(EXIT_FAILURE)


def _show(out: Console, results: Iterable[Result]) -> None:
    """One line per target: what is wrong first, in words that are read from across the room."""
    from rich.markup import escape

    from controlplane.cli.output import table
    from controlplane.health.run import Status

    targets: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        targets.setdefault((result.system, result.target), []).append(result)
    rows = table("", "system", "target", "")
    failed = 0
    for (system, target), answers in targets.items():
        bad = next((answer for answer in answers if answer.status is Status.FAILED), None)
        failed += bad is not None
        word = "[bold white on red] FAILED [/]" if bad else "[bold green]   OK   [/]"
        detail = f"{bad.check}: {bad.detail}" if bad else ", ".join(answer.detail for answer in answers)
        rows.add_row(word, escape(system), escape(target), escape(detail))
    out.print(rows)
    if failed:
        out.print(f"\n[bold red]{failed} of {len(targets)} are not well[/]")
    else:
        out.print(f"\n[bold green]all {len(targets)} are well[/]")
