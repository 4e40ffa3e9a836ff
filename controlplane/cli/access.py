"""`bic access`: who can reach a collection, and what a person can reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controlplane.cli.context import Context
from controlplane.errors import EXIT_FAILURE, BadInputError, BicError

if TYPE_CHECKING:
    from controlplane.access.reach import Known, Right, Row, Standing
    from controlplane.model import Platform

EXIT_DIFFERENCES = 2
"""What `bic access who` says when systems differ from what should be."""

app = typer.Typer(help="Who can reach what, from all systems.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Write it as JSON.")]


@app.command()
def who(
    context: typer.Context,
    collection: Annotated[
        str,
        typer.Argument(help="Its path, such as /bicZone/home/lyon-cells.", metavar="COLLECTION"),
    ],
    as_json: Json = False,
) -> None:
    """Show who can reach a collection, through what, and who should.

    Exit code 0: as it should be, 2: there are differences, 1: a system could not be asked.
    """
    from controlplane.access.reach import compare
    from controlplane.systems import contributions

    cli: Context = context.obj
    platform = cli.load()
    path = collection.rstrip("/")
    parts = path.split("/")
    if len(parts) < 4 or parts[0] or parts[1] not in platform.zones or parts[2] != "home":
        raise BadInputError(
            f"{collection!r} is in no home of a zone; write /<zone>/home/<group>, with one of the zones"
            f" {', '.join(platform.zones)}"
        )
    granted = list(contributions(platform, "access", "reaches", path))
    wanted, known, trouble = _should(platform, parts[3])
    by_account = {person.account: person for person in known if person.account}
    names = {user: person.name for user, person in platform.people.items()}
    servants = [zone.administrator for zone in platform.zones.values()]
    rows = [
        row
        for each in granted
        if not each.error
        for row in compare(each, wanted, by_account, names, servants)
    ]
    unasked = {each.system: each.error for each in granted if each.error}
    if as_json:
        _write(
            {
                "collection": path,
                "accounts": [asdict(row) for row in rows],
                "error": trouble or None,
                "unasked": unasked,
            }
        )
    else:
        _show_rows(rows, trouble, unasked)
    if trouble or unasked:
        raise typer.Exit(EXIT_FAILURE)
    if any(row.difference for row in rows):
        raise typer.Exit(EXIT_DIFFERENCES)


@app.command()
def of(
    context: typer.Context,
    person: Annotated[
        str, typer.Argument(help="An account name, a user name of the login server, or an e-mail address.")
    ],
    as_json: Json = False,
) -> None:
    """Show what a person has in every system: account, groups, collections.

    Exit code 0: shown, 1: a system could not be asked, 2: nobody is called so.
    """
    from controlplane.systems import contributions

    cli: Context = context.obj
    platform = cli.load()
    known, trouble = _known(platform)
    here = [
        each for each in known if person.lower() in (each.account, each.username.lower(), each.email.lower())
    ]
    named = [
        each for user, each in platform.people.items() if person.lower() in (user.lower(), each.email.lower())
    ]
    accounts = sorted({*(each.account for each in here if each.account), *(each.user for each in named)})
    if len(accounts) > 1:
        raise BadInputError(f"{person} is several people: {', '.join(accounts)}; write one of these names")
    if not accounts and not here and not trouble:
        accounts = [person]
    standings: list[Standing] = []
    for account in accounts:
        standings += contributions(platform, "access", "standings", account)
    if not here and not named and not any(each.exists for each in standings):
        if unanswered := [text for text in (trouble, *(each.error for each in standings)) if text]:
            raise BicError("\n".join(unanswered))
        raise BadInputError(f"{person}: no system knows an account, user name or e-mail address like this")
    account = accounts[0] if accounts else ""
    if as_json:
        _write(
            {
                "account": account,
                "directory": [asdict(each) for each in here],
                "systems": [asdict(each) for each in standings],
                "error": trouble or None,
            }
        )
    else:
        _show_person(account, here, standings, trouble)
    if trouble or any(each.error for each in standings):
        raise typer.Exit(EXIT_FAILURE)


def _should(platform: Platform, group: str) -> tuple[dict[str, Right], list[Known], str]:
    """Who should reach the home of a group, who is known, and what could not be asked."""
    from controlplane.access.reach import rights
    from controlplane.membership.roster import Roster
    from controlplane.systems import contributions

    roster = Roster(platform)
    list(contributions(platform, "system", "systems", roster))
    known, trouble = _known(platform)
    try:
        members = roster.platform(
            lambda each: [
                facility
                for facility in each.facilities.values()
                if group == facility.id or group.startswith(f"{facility.id}-")
            ]
        )
    except BicError as error:
        return {}, known, trouble or str(error)
    return rights(members, group), known, trouble


def _known(platform: Platform) -> tuple[list[Known], str]:
    from controlplane.systems import contributions

    try:
        return list(contributions(platform, "known", "known_people")), ""
    except BicError as error:
        return [], str(error)


def _write(document: dict[str, Any]) -> None:
    import json

    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _show_rows(rows: Sequence[Row], trouble: str, unasked: Mapping[str, str]) -> None:
    from rich.markup import escape

    from controlplane.cli.output import amount, console, table

    out = console()
    shown = table("system", "account", "name", "can", "through", "is", "says", "")
    for before, row in zip((None, *rows), rows, strict=False):
        system = row.system if before is None or before.system != row.system else ""
        through = ", ".join(name or "itself" for name in row.through)
        difference = f"[red]{escape(row.difference)}[/]" if row.difference and not trouble else ""
        cells = (system, row.account, row.name, row.level or "-", through, row.role, row.source)
        shown.add_row(*map(escape, cells), difference)
    out.print(shown)
    for name, reason in unasked.items():
        out.print(f"\n[bold red]{escape(name)} could not be asked[/]: {escape(reason)}")
    if trouble:
        out.print(f"\n[bold red]Who should have access is not known[/]: {escape(trouble)}")
        return
    count = sum(bool(row.difference) for row in rows)
    if unasked and not count:
        return
    out.print(
        f"\n[yellow]{amount(count, 'difference')}[/]; bic sync or bic apply mends that"
        if count
        else "\n[green]as it should be[/]"
    )


def _show_person(account: str, here: Sequence[Known], standings: Sequence[Standing], trouble: str) -> None:
    from rich.markup import escape

    from controlplane.cli.output import amount, console, table

    out = console()
    shown = table("system", "account", "state", "groups", "reaches")
    for each in here:
        state = "active" if each.active else "[red]closed[/]"
        login = (
            f", last login {each.last_login[:16].replace('T', ' ')}"
            if each.last_login
            else ", never logged in"
        )
        shown.add_row(
            escape(each.system),
            escape(each.username),
            state + login,
            escape(", ".join(each.groups)) or "-",
            "",
        )
    for standing in standings:
        reached = "\n".join(
            f"{reach.account} ({reach.level}{f' through {reach.through}' if reach.through else ''})"
            for reach in standing.collections
        )
        if standing.error:
            shown.add_row(escape(standing.system), "?", f"[red]{escape(standing.error)}[/]", "", "")
            continue
        holds = [
            amount(count, what)
            for count, what in ((standing.tickets, "ticket"), (standing.sessions, "open session"))
            if count
        ]
        state = "no account" if not standing.exists else "[red]closed[/]" if standing.closed else "account"
        shown.add_row(
            escape(standing.system),
            escape(account) if standing.exists else "-",
            ", ".join([state, *holds]),
            escape(", ".join(standing.groups)) or "-",
            escape(reached) or "-",
        )
    out.print(shown)
    if trouble:
        out.print(f"\n[bold red]The login server could not be asked[/]: {escape(trouble)}")
