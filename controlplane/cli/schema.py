"""`bic schema`: JSON Schemas of the inventory's files, for editors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controlplane.cli.files import write_text

app = typer.Typer()


@app.command()
def schema(
    name: Annotated[
        str | None,
        typer.Argument(
            help="One kind of file: platform, facility, quotas, limits, retention, rules, manifest or cases."
        ),
    ] = None,
    output_dir: Annotated[
        Path | None,
        typer.Option("--output-dir", "-o", help="Write files into this folder, not to the screen."),
    ] = None,
) -> None:
    """Write JSON Schemas of the inventory's files.

    Editors complete and check the files by them.

    A file names its schema in its first line: "# yaml-language-server: $schema=PATH".
    """
    from controlplane.errors import BadInputError
    from controlplane.model.problems import suggestion
    from controlplane.model.schema import SCHEMAS, schema_file, schema_text

    if name is not None and name not in SCHEMAS:
        raise BadInputError(f"there is no schema {name!r}; {suggestion(name, SCHEMAS, noun='known')}")
    if output_dir is None:
        if name is None:
            raise BadInputError(
                f"name a schema ({', '.join(SCHEMAS)}), or a folder for all: --output-dir DIR"
            )
        typer.echo(schema_text(name), nl=False)
        return
    for each in [name] if name else SCHEMAS:
        path = output_dir / schema_file(each)
        write_text(path, schema_text(each))
        typer.echo(path)
