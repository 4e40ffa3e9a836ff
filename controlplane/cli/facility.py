"""`bic facility`: bring a facility and its teams on board, change them, see what follows from their file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from controlplane.cli.context import Context
from controlplane.cli.facility_output import report, say, show_facility, show_list, write_json
from controlplane.errors import EXIT_INTERRUPTED, BadInputError

if TYPE_CHECKING:
    from controlplane.facility.interview import Entry, Take
    from controlplane.facility.rules import Known

app = typer.Typer(
    help="Facilities and their teams: new, list, show, edit.",
    no_args_is_help=True,
)

Id = Annotated[str, typer.Argument(metavar="FACILITY", help="The facility's identifier.")]
Team = Annotated[str, typer.Argument(metavar="TEAM", help="The team's identifier.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check and show the change; write nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Write it as JSON, sizes in bytes.")]


@app.command()
def new(
    context: typer.Context,
    *,
    title: Annotated[str | None, typer.Option(help="The name that people read.")] = None,
    institution: Annotated[str | None, typer.Option(help="The institution that runs it.")] = None,
    city: Annotated[str | None, typer.Option(help="The city it stands in.")] = None,
    identifier: Annotated[
        str | None, typer.Option("--id", help="Its identifier; from the city where it is not given.")
    ] = None,
    data_centre: Annotated[
        str | None, typer.Option(help="The data centre that keeps its data; by default the one in its city.")
    ] = None,
    zone: Annotated[
        str | None, typer.Option(help="Its iRODS zone; by default that of its data centre.")
    ] = None,
    referent: Annotated[
        list[str] | None, typer.Option(help="An IT referent: user,Full Name,email. May be repeated.")
    ] = None,
    buffer_host: Annotated[
        str | None, typer.Option(help="The host name of its buffer server, such as buffer-nantes.")
    ] = None,
    buffer_address: Annotated[
        str | None, typer.Option(help="Its IPv4 address; by default the next free one.")
    ] = None,
    storage_resource: Annotated[
        list[str] | None,
        typer.Option(help="An iRODS storage resource: name[,host[,vault[,capacity]]]. May be repeated."),
    ] = None,
    quota: Annotated[
        str | None, typer.Option(help="A tier of policies/quotas.yml, or a size such as 20 TiB.")
    ] = None,
    omero: Annotated[
        str | None, typer.Option(help="The host of the OMERO server that shows its images.")
    ] = None,
    instrument: Annotated[
        list[str] | None,
        typer.Option(help="id,title,modality[,landing zone[,manufacturer]]. May be repeated."),
    ] = None,
    hpc_mount: Annotated[
        list[str] | None,
        typer.Option(help="A cluster that mounts its data: host,path,read or write. May be repeated."),
    ] = None,
    team: Annotated[
        list[str] | None,
        typer.Option(help="A team with its PI: id,Title,user,Full Name,email. May be repeated."),
    ] = None,
    member: Annotated[
        list[str] | None,
        typer.Option(help="A member of a team: team,user,Full Name,email[,role]. May be repeated."),
    ] = None,
    no_input: Annotated[bool, typer.Option("--no-input", help="Do not ask; take what is given.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Write the file of a new facility, by asking for what the options leave open.

    Without a terminal, or with --no-input, nothing is asked: --title, --institution and --city must be given,
    and what may be left out is. Nothing is written before the whole inventory is right with the new file.
    """
    from controlplane.facility.files import check_draft, create_facility, facility_path, new_text
    from controlplane.facility.interview import Options, new_facility

    cli: Context = context.obj
    platform = cli.load()
    options = Options(
        title=title,
        institution=institution,
        city=city,
        id=identifier,
        data_centre=data_centre,
        zone=zone,
        buffer_host=buffer_host,
        buffer_address=buffer_address,
        quota=quota,
        omero=omero,
        referent=referent or (),
        storage_resource=storage_resource or (),
        instrument=instrument or (),
        hpc_mount=hpc_mount or (),
        team=team or (),
        member=member or (),
    )

    def check(entry: Entry) -> None:
        check_draft(cli.inventory, str(entry["id"]), new_text(cli.inventory, entry))

    asking = sys.stdin.isatty() and not no_input
    if asking:
        say(f"A new facility of {platform.title}. Enter takes what stands in brackets; Ctrl-C stops,")
        say("and nothing is written before the end.\n")
    try:
        entry = new_facility(platform, options, _Terminal() if asking else None, check)
        text = new_text(cli.inventory, entry)
        path = facility_path(cli.inventory, str(entry["id"]))
        if asking and not dry_run:
            say(f"\n{text}")
            typer.confirm(f"Write this to {path}?", default=True, abort=True, err=True)
    except typer.Abort:
        say("\nNothing was written.")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    edited = create_facility(cli.inventory, str(entry["id"]), text, write=not dry_run)
    report(edited, str(entry["id"]), dry_run)


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List all facilities."""
    from controlplane.facility.describe import summary

    cli: Context = context.obj
    facilities = [summary(facility) for facility in cli.load().facilities.values()]
    if as_json:
        write_json(facilities)
        return
    from controlplane.cli.output import console

    show_list(console(), facilities)


@app.command()
def show(context: typer.Context, facility: Id, as_json: Json = False) -> None:
    """Show all that follows from a facility's file: hosts, storage, quotas, instruments, teams, people."""
    from controlplane.facility.describe import description
    from controlplane.model.problems import suggestion

    cli: Context = context.obj
    platform = cli.load()
    if facility not in platform.facilities:
        raise BadInputError(f"there is no facility {facility!r}; {suggestion(facility, platform.facilities)}")
    facts = description(platform, platform.facilities[facility])
    if as_json:
        write_json(facts)
        return
    from controlplane.cli.output import console

    show_facility(console(), facts)


@app.command("set")
def set_(
    context: typer.Context,
    facility: Id,
    assignments: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=VALUE…",
            help="What to set, such as quota.tier=large or teams.cell-dynamics.title='Cell dynamics'. "
            "Items of lists are named by their id, user name or host. An empty value removes.",
        ),
    ],
    dry_run: DryRun = False,
) -> None:
    """Set or remove anything in a facility's file. Several assignments are one edit."""
    from controlplane.facility import edit

    pairs = []
    for assignment in assignments:
        key, sign, value = assignment.partition("=")
        if not sign or not key.strip():
            raise BadInputError(f"{assignment!r} is not an assignment; write KEY=VALUE, such as city=Nantes")
        pairs.append((key.strip(), value))
    cli: Context = context.obj
    people = _people(cli)
    _edit(cli, facility, lambda text, shown: edit.assign(text, shown, pairs, people), dry_run)


@app.command()
def add_team(
    context: typer.Context,
    facility: Id,
    team: Team,
    *,
    title: Annotated[str, typer.Option(help="The name that people read.")],
    pi: Annotated[
        str, typer.Option(help="Its principal investigator: user,Full Name,email, or a known user name.")
    ],
    members_from: Annotated[
        str | None, typer.Option(help="The group of Authentik from which its members come.")
    ] = None,
    quota: Annotated[
        str | None,
        typer.Option(help="A tier or a size such as 20 TiB; by default what the facility's tier gives."),
    ] = None,
    omero: Annotated[bool, typer.Option("--omero", help="Show its images in the facility's OMERO.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Add a team, led by its principal investigator (PI)."""
    from controlplane.facility import edit
    from controlplane.facility.rules import person
    from controlplane.facility.rules import quota as quota_of
    from controlplane.model.source import Data

    cli: Context = context.obj
    entry: dict[str, Data] = {"id": team, "title": title, "pi": person(pi, _people(cli))}
    if members_from is not None:
        entry["members_from"] = members_from
    if quota is not None:
        entry["quota"] = quota_of(quota)
    if omero:
        entry["omero"] = True
    _edit(cli, facility, lambda text, shown: edit.add_team(text, shown, entry), dry_run)


@app.command()
def remove_team(context: typer.Context, facility: Id, team: Team, dry_run: DryRun = False) -> None:
    """Remove a team: its people lose access with the next apply, its data stay where they are."""
    from controlplane.facility import edit

    _edit(context.obj, facility, lambda text, shown: edit.remove_team(text, shown, team), dry_run)


@app.command()
def add_member(
    context: typer.Context,
    facility: Id,
    team: Team,
    someone: Annotated[
        str,
        typer.Argument(
            metavar="PERSON",
            help="user,Full Name,email, or the user name of somebody who is on the platform already.",
        ),
    ],
    *,
    role: Annotated[
        str | None,
        typer.Option(help="contributor (the default) writes the team's data, collaborator reads them."),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Add somebody to a team."""
    from controlplane.facility import edit
    from controlplane.facility.rules import member

    cli: Context = context.obj
    entry = member(someone, _people(cli), role)
    _edit(cli, facility, lambda text, shown: edit.add_member(text, shown, team, entry), dry_run)


@app.command()
def remove_member(
    context: typer.Context,
    facility: Id,
    team: Team,
    user: Annotated[str, typer.Argument(metavar="USER", help="The person's user name.")],
    dry_run: DryRun = False,
) -> None:
    """Take somebody out of a team."""
    from controlplane.facility import edit

    _edit(context.obj, facility, lambda text, shown: edit.remove_member(text, shown, team, user), dry_run)


class _Terminal:
    """Questions on standard error, so that standard output holds only the result."""

    def ask(self, text: str, default: str | None, take: Take) -> None:
        while True:
            answer: str = typer.prompt(text, default=default, show_default=bool(default), err=True)
            try:
                take(answer.strip())
            except BadInputError as error:
                say(f"  {error}")
            else:
                return


def _edit(cli: Context, facility: str, edit: Callable[[str, str], str], dry_run: bool) -> None:
    from controlplane.facility.files import edit_facility

    report(edit_facility(cli.inventory, facility, edit, write=not dry_run), facility, dry_run)


def _people(cli: Context) -> Known:
    """Everybody on the platform; nobody while the inventory is broken, which the edit may mend."""
    from controlplane.model import InventoryError

    try:
        return cli.load().people
    except InventoryError:
        return {}
