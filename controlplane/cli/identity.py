"""`bic identity`: the control plane's own token, and who is who at the login server."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from controlplane.cli.context import Context
from controlplane.errors import BadInputError

if TYPE_CHECKING:
    from controlplane.model import Identity, Platform

app = typer.Typer(help="The login server: its token, and who is who.", no_args_is_help=True)


@app.command(name="rotate-token")
def rotate_token(
    context: typer.Context,
    *,
    keep_old: Annotated[
        bool,
        typer.Option(
            "--keep-old", help="Let the old token work on, until the next rotation: other hosts have a copy."
        ),
    ] = False,
) -> None:
    """Give the control plane a new token, and delete the old one when the new one works.

    It is written into the file that platform.yml names, and stays there when site.yml brings an older one.
    Other hosts that have a copy get it by site.yml --tags controlplane where that is run with this file:
    rotate with --keep-old, install it there, and rotate without it next time.
    """
    from controlplane.systems.authentik.tokens import rotate

    cli: Context = context.obj
    _, identity = _identity(cli)
    rotated = rotate(identity, keep_old=keep_old)
    typer.echo(
        f"The account {rotated.account} has a new token, {rotated.identifier}, in {identity.token.where}."
    )
    if rotated.expires:
        typer.echo(f"It ends on {rotated.expires[:16].replace('T', ' ')} UTC.")
    for word, identifiers in (("Deleted", rotated.deleted), ("Still working", rotated.kept)):
        if identifiers:
            typer.echo(f"{word}: {', '.join(identifiers)}.")


@app.command(name="compare-token")
def compare_token(context: typer.Context) -> None:
    """Say whether a token that a deployment brings, on standard input, is to replace the one that we have.

    The first word is `replace` or `keep`: what was rotated since the deployment's vault was written stays.
    """
    from controlplane.systems.authentik.tokens import reason_to_keep

    _, identity = _identity(context.obj)
    reason = reason_to_keep(identity, sys.stdin.readline().rstrip("\r\n"))
    typer.echo(f"keep {identity.token.where}: {reason}" if reason else f"replace {identity.token.where}")


@app.command()
def link(
    context: typer.Context,
    account: Annotated[str, typer.Argument(help="The user name that the inventory gives the person.")],
    username: Annotated[str, typer.Argument(help="The person's user name at the login server.")],
) -> None:
    """Say that a person of the inventory, such as a PI, is somebody at the login server.

    From then on that login opens the account. Nothing links the two by itself.
    """
    from controlplane.systems.authentik.client import Client, endpoint
    from controlplane.systems.authentik.link import link as make

    cli: Context = context.obj
    platform, identity = _identity(cli)
    with Client(endpoint(identity)) as client:
        changed = make(client, platform, account, username)
    typer.echo(f"{username} {'is now' if changed else 'was already'} {account}.")


def _identity(cli: Context) -> tuple[Platform, Identity]:
    platform = cli.load()
    if platform.identity is None:
        raise BadInputError("the platform has no login server: add 'identity' to its platform.yml")
    return platform, platform.identity
