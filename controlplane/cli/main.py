"""The entry point: global options, the list of commands, and errors as people should see them."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from controlplane.cli import (
    access,
    drift,
    exporter,
    facility,
    free_space,
    generate,
    health,
    history,
    identity,
    inventory,
    metrics,
    plan,
    portal,
    rules,
    sandbox,
    schema,
    storage,
    sync,
    worker,
)
from controlplane.cli.context import Context
from controlplane.errors import EXIT_FAILURE, BicError

DEBUG_VARIABLE = "BIC_DEBUG"

YOUNG_OBJECTS = 20_000
"""Objects that Python makes before it looks for cycles among them. What a command loads and plans is many
small objects that live until its end: at the default of 700 an eighth of its start is looking in vain."""

app = typer.Typer(
    name="bic",
    help="The control plane of BioImage Cloud: what should exist, what exists, and the plan between them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Plain help: to draw it in boxes costs more than all the rest of the start.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(inventory.app)
app.add_typer(schema.app)
app.add_typer(facility.app, name="facility")
app.add_typer(generate.app)
app.add_typer(plan.app)
app.add_typer(drift.app)
app.add_typer(sync.app)
app.add_typer(access.app, name="access")
app.add_typer(identity.app, name="identity")
app.add_typer(free_space.app)
app.add_typer(storage.app, name="storage")
app.add_typer(history.app)
app.add_typer(worker.app)
app.add_typer(health.app)
app.add_typer(exporter.app)
app.add_typer(metrics.app)
app.add_typer(portal.app)
app.add_typer(rules.app, name="rules")
app.add_typer(sandbox.app, name="sandbox")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(version("bioimage-cloud"))
        except PackageNotFoundError:
            typer.echo("not installed: running from a clone")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    inventory: Annotated[
        Path, typer.Option("--inventory", "-i", envvar="BIC_INVENTORY", help="The inventory's folder.")
    ] = Path("inventories/sandbox"),
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and stop."),
    ] = False,
) -> None:
    """Store the global options for the commands."""
    context.obj = Context(inventory)


def main() -> None:
    """Run `bic`; expected errors become their message and exit code, never a traceback."""
    gc.set_threshold(YOUNG_OBJECTS)
    if os.environ.get(DEBUG_VARIABLE):
        import logging

        logging.basicConfig()
        logging.getLogger("controlplane").setLevel(logging.DEBUG)
    try:
        app(prog_name="bic")
    except BicError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of our output went away, as in `bic plan | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILURE)
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE):
            raise
        reason = " ".join(str(error).split()) or "no further text"
        print(f"bic failed unexpectedly: {type(error).__name__}: {reason}", file=sys.stderr)
        print(f"Run it again with {DEBUG_VARIABLE}=1 to see where, and report that.", file=sys.stderr)
        sys.exit(EXIT_FAILURE)
