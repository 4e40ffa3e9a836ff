"""`bic portal`: the web pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controlplane.cli.context import Context
from controlplane.cli.exporter import parse_listen

app = typer.Typer()


@app.command()
def portal(
    context: typer.Context,
    tls_cert: Annotated[Path, typer.Option(help="The certificate chain, a PEM file.")],
    tls_key: Annotated[Path, typer.Option(help="The certificate's key, a PEM file.")],
    listen: Annotated[
        str, typer.Option(help="The address and port to answer on, where systemd gives no socket.")
    ] = "127.0.0.1:8443",
) -> None:
    """Serve the platform's web pages over TLS, until stopped."""
    import logging

    from controlplane.portal.serve import serve

    address, port = parse_listen(listen)
    cli: Context = context.obj
    platform = cli.load()
    # To the journal, which adds the time itself.
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    serve(platform, address, port, tls_cert, tls_key)
