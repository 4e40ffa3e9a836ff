"""`bic exporter`: metrics for Prometheus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controlplane.cli.context import Context
from controlplane.errors import BadInputError

app = typer.Typer()


@app.command()
def exporter(
    context: typer.Context,
    listen: Annotated[
        str, typer.Option(envvar="BIC_EXPORTER_LISTEN", help="The address and port to answer on.")
    ] = "127.0.0.1:9887",
    tls_cert: Annotated[
        Path | None,
        typer.Option(envvar="BIC_EXPORTER_TLS_CERT", help="The certificate chain, a PEM file."),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option(envvar="BIC_EXPORTER_TLS_KEY", help="The certificate's key, a PEM file."),
    ] = None,
) -> None:
    """Offer metrics to Prometheus, until stopped.

    Readings run in the background; a scrape of /metrics never waits for one. Where platform.yml has
    'scrape', only those who give its password are answered.
    """
    import logging

    from controlplane.exporter.gate import Gate
    from controlplane.exporter.serve import serve
    from controlplane.systems import contributions

    address, port = parse_listen(listen)
    cli: Context = context.obj
    platform = cli.load()
    scrape = platform.scrape
    gate = Gate.of(scrape.user, scrape.password.reveal()) if scrape else None
    # To the journal, which adds the time itself.
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    serve(contributions(platform, "metrics", "collectors"), address, port, tls_cert, tls_key, gate=gate)


def parse_listen(text: str) -> tuple[str, int]:
    """An address and a port. Raises BadInputError."""
    address, _, port = text.rpartition(":")
    if not address or not port.isdecimal() or not 0 < int(port) < 65536:
        raise BadInputError(f"--listen {text!r} is not an address and a port, such as 10.0.0.15:9887")
    return address.strip("[]"), int(port)
