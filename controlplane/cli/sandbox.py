"""`bic sandbox`: a nation on one machine.

The package `sandbox` belongs to a clone of the repository and is not part of an installed control plane.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from controlplane.cli.context import Context

if TYPE_CHECKING:
    from sandbox.fleet.spec import FleetSpec

app = typer.Typer(
    help="A nation of real Debian hosts on one machine.",
    no_args_is_help=True,
)

Hosts = Annotated[list[str] | None, typer.Argument(help="Hosts of the inventory; none means all.")]
Host = Annotated[str, typer.Argument(help="A host of the inventory.")]
Snapshot = Annotated[str, typer.Argument(help="Name of a snapshot; 'new' is the host as it was made.")]


def _fleet(context: typer.Context) -> FleetSpec:
    from sandbox.fleet.spec import fleet_of

    cli: Context = context.obj
    return fleet_of(cli.load())


def _say(message: str) -> None:
    typer.echo(f"sandbox: {message}", err=True)


@app.command()
def check() -> None:
    """Say what this machine lacks for a fleet, without making anything."""
    from sandbox.fleet import prerequisites

    prerequisites.require()
    typer.echo("this machine can run a fleet")


@app.command()
def up(context: typer.Context, hosts: Hosts = None) -> None:
    """Make and boot hosts, with their network and the artifact mirror; what exists stays."""
    from sandbox.fleet import fleet

    fleet.up(_fleet(context), hosts or [], _say)


@app.command()
def status(context: typer.Context) -> None:
    """Show the hosts, their addresses and how they are."""
    from rich.console import Console
    from rich.table import Table

    from sandbox.fleet import fleet

    spec = _fleet(context)
    table = Table(title=f"fleet {spec.name}, {spec.network} on {spec.bridge}", title_justify="left")
    for column in ("host", "address", "state", "snapshots"):
        table.add_column(column)
    colours = {"running": "green", "cut": "yellow", "off": "red", "missing": "dim"}
    for item in fleet.status(spec):
        state = f"[{colours[item.state]}]{item.state}[/]"
        table.add_row(item.host.name, str(item.host.address), state, ", ".join(item.snapshots))
    Console().print(table)


@app.command()
def shell(context: typer.Context, host: Host) -> None:
    """Open a root shell in a host, also when it is off the network."""
    _enter(context, host, ["bash", "-l"])


@app.command("exec")
def execute(
    context: typer.Context,
    host: Host,
    command: Annotated[list[str], typer.Argument(help="The command and its arguments, after `--`.")],
) -> None:
    """Run a command as root in a host, also when it is off the network; exits with its exit code."""
    _enter(context, host, command)


def _enter(context: typer.Context, name: str, words: list[str]) -> None:
    from sandbox.fleet import host as hosts

    spec = _fleet(context)
    command = hosts.command_in(spec, spec.host(name), words)
    sys.stdout.flush()
    os.execvp(command[0], command)  # noqa: S606 - the operator's own words, in the operator's own sandbox


@app.command()
def logs(
    context: typer.Context,
    host: Host,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the host writes.")] = False,
    unit: Annotated[str | None, typer.Option("--unit", "-u", help="Only this unit of systemd.")] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the last lines.")] = 100,
) -> None:
    """Show a host's journal; of a host that is off, the end of its console."""
    from sandbox.fleet import host as hosts

    spec = _fleet(context)
    target = spec.host(host)
    if not hosts.running(spec, target):
        _say(f"{host} is off; this is the end of its console")
        typer.echo(hosts.console_tail(spec, target, lines))
        return
    words = ["journalctl", "--no-pager", f"--lines={lines}"]
    words += ["--follow"] if follow else []
    words += [f"--unit={unit}"] if unit else []
    _enter(context, host, words)


@app.command()
def stop(context: typer.Context, host: Host) -> None:
    """Cut a host's power: nothing in it gets a chance to shut down."""
    from sandbox.fleet import fleet
    from sandbox.fleet import host as hosts

    spec = _fleet(context)
    fleet.change(spec, host, lambda target: hosts.stop(spec, target))
    _say(f"{host} is off")


@app.command()
def start(context: typer.Context, host: Host) -> None:
    """Power a host on and wait until it answers on SSH."""
    from sandbox.fleet import fleet
    from sandbox.fleet import host as hosts

    spec = _fleet(context)
    fleet.change(spec, host, lambda target: hosts.start(spec, target))
    hosts.wait_for_ssh(spec, spec.host(host))
    _say(f"{host} is up")


@app.command()
def cut(context: typer.Context, host: Host) -> None:
    """Take a host off the network; it goes on running."""
    from sandbox.fleet import fleet, network

    fleet.change(_fleet(context), host, network.cut)
    _say(f"{host} is off the network")


@app.command()
def mend(context: typer.Context, host: Host) -> None:
    """Put a host back on the network."""
    from sandbox.fleet import fleet, network

    spec = _fleet(context)
    fleet.change(spec, host, lambda target: network.mend(spec, target))
    _say(f"{host} is on the network")


@app.command()
def snapshot(context: typer.Context, host: Host, name: Snapshot) -> None:
    """Keep a host's disk as it is now under a name; a running host loses power and boots again."""
    from sandbox.fleet import fleet
    from sandbox.fleet import host as hosts

    spec = _fleet(context)
    fleet.change(spec, host, lambda target: hosts.snapshot(spec, target, name))
    _say(f"{host} has snapshot {name}")


@app.command()
def reset(context: typer.Context, host: Host, name: Snapshot = "new") -> None:
    """Return a host's disk to a snapshot; a running host loses power and boots again."""
    from sandbox.fleet import fleet
    from sandbox.fleet import host as hosts

    spec = _fleet(context)
    fleet.change(spec, host, lambda target: hosts.reset(spec, target, name))
    _say(f"{host} is as it was at snapshot {name}")


@app.command()
def down(context: typer.Context, hosts: Hosts = None) -> None:
    """Remove hosts; without names the whole fleet with its mounts, bridge and firewall rules.

    Downloaded packages and base images stay cached.
    """
    from sandbox.fleet import fleet

    fleet.down(_fleet(context), hosts or [], _say)


@app.command()
def demo(context: typer.Context) -> None:
    """Make the fleet, deploy the platform on it, bring its facilities on board and check it.

    Can be run again at any time and after any interruption; a second run changes nothing.
    """
    from sandbox.demo import run

    cli: Context = context.obj
    run.run(cli.load(), _say)
