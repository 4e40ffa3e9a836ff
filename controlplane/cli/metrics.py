"""`bic metrics`: the reference of what the exporter offers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controlplane.cli.files import write_text

app = typer.Typer()


@app.command()
def metrics(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write this file, not to the screen.", metavar="FILE"),
    ] = None,
) -> None:
    """Write the reference of all metrics that bic exporter offers, as Markdown."""
    from controlplane.exporter.reference import families, reference
    from controlplane.systems import modules

    text = reference(families(modules("metrics")))
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_text(output, text)
