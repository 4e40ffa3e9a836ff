"""How facilities and edits of their files are shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from controlplane.facility.files import Edited

SHOWN_MEMBERS = 20
"""Members of a team that are listed before only the number of the others is."""

WIDE = 120
"""Columns from which a list has room for what is not needed at a glance."""


def say(text: str) -> None:
    """Say something to the person at the terminal, beside the result."""
    typer.echo(text, err=True)


def write_json(value: Any) -> None:  # noqa: ANN401
    """Write a result for machines."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def report(edited: Edited, facility: str, dry_run: bool) -> None:
    """Show the lines that an edit changed, and what comes next."""
    import difflib

    from rich.markup import escape

    from controlplane.cli.output import console

    out = console()
    if edited.after == edited.before:
        out.print(f"{escape(str(edited.path))} says this already; nothing was changed.")
        return
    old, new = edited.before.splitlines(), edited.after.splitlines()
    if edited.before:
        for line in list(difflib.unified_diff(old, new, n=2, lineterm=""))[2:]:
            colour = {"+": "green", "-": "red", "@": "dim"}.get(line[:1])
            out.print(f"[{colour}]{escape(line)}[/]" if colour else escape(line))
    elif dry_run:
        out.print(escape(edited.after), end="")
    did = "would be " if dry_run else ""
    out.print(
        f"[bold green]ok[/]  {escape(str(edited.path))} {did}{'changed' if edited.before else 'written'}"
    )
    if not dry_run:
        say(f"Next: bic facility show {facility}, then bic plan --facility {facility}")


def show_list(out: Console, facilities: list[dict[str, Any]]) -> None:
    """One line for each facility; wide terminals also show its name and the storage of its own."""
    from rich.markup import escape

    from controlplane.cli.output import table

    wide = out.width >= WIDE
    numbers = ("teams", "people", "quota", *(("own storage",) if wide else ()))
    rows = table(
        "facility", *(("name",) if wide else ()), "city", "data centre", "zone", *numbers, right=numbers
    )
    for facility in facilities:
        rows.add_row(
            facility["id"],
            *((escape(facility["title"]),) if wide else ()),
            escape(facility["city"]),
            facility["data_centre"],
            facility["zone"],
            str(facility["teams"]),
            f"{facility['people']}{'+' if facility['members_from'] else ''}",
            _size(_sum(facility["quota"])),
            *((_size(facility["capacity"]),) if wide else ()),
        )
    out.print(rows)
    if any(facility["members_from"] for facility in facilities):
        out.print("[dim]+ and the members of groups in Authentik[/]")


def show_facility(out: Console, facts: dict[str, Any]) -> None:
    """One facility: first what it is, then what it has, then its teams and their people."""
    from rich.markup import escape

    out.print(f"[bold]{escape(facts['title'])}[/]  {facts['id']}")
    groups = sum(team["members_from"] is not None for team in facts["teams"])
    lines = {
        "institution": f"{facts['institution']}, {facts['city']}",
        "data centre": facts["data_centre"],
        "collection": facts["collection"],
        "quota": _quota(facts["quota"]),
        "OMERO": facts["omero"] or "-",
        "referents": "\n".join(_person(person) for person in facts["referents"]) or "-",
        "people": f"{facts['people']} named here" + (f", and {groups} groups of Authentik" if groups else ""),
    }
    for name, value in lines.items():
        for number, line in enumerate(value.split("\n")):
            out.print(f"  [dim]{'' if number else name:<13}[/]{escape(line)}")
    _section(
        out,
        "Hosts",
        ("host", "address", "data centre", "for"),
        [
            [host["name"], host["address"], host["data_centre"], ", ".join(host["for"])]
            for host in facts["hosts"]
        ],
    )
    _section(
        out,
        "Storage resources",
        ("name", "on", "folder", "part of", "capacity"),
        [
            [
                item["name"],
                item["host"] or item["type"],
                item["vault"] or "-",
                item["parent"] or "-",
                _size(item["capacity"]),
            ]
            for item in facts["storage_resources"]
        ],
    )
    _section(
        out,
        "Instruments",
        ("instrument", "name", "modality", "landing zone"),
        [
            [
                item["id"],
                item["title"],
                item["modality"],
                item["landing_zone"] or "-",
            ]
            for item in facts["instruments"]
        ],
    )
    _section(
        out,
        "Mounts on clusters",
        ("cluster", "folder", "access"),
        [[item["host"], item["path"], item["access"]] for item in facts["hpc_mounts"]],
    )
    _section(
        out,
        "Reached from other zones",
        ("zone", "access"),
        [[item["zone"], item["access"]] for item in facts["access_from"]],
    )
    for team in facts["teams"]:
        _show_team(out, team)


def _show_team(out: Console, team: dict[str, Any]) -> None:
    from rich.markup import escape

    from controlplane.cli.output import table

    remarks = [f"quota {_quota(team['quota'])}" if team["quota"] else "no quota of its own"]
    if team["omero"]:
        remarks.append("shown in OMERO")
    out.print(f"\n[bold]Team {escape(team['title'])}[/]  {team['id']}")
    out.print(f"  [dim]{team['collection']}, {', '.join(remarks)}[/]")
    rows = table("", "", "")
    rows.show_header = False
    rows.add_row("  PI", escape(team["pi"]["name"]), f"{team['pi']['user']}, {escape(team['pi']['email'])}")
    for person in team["members"][:SHOWN_MEMBERS]:
        rows.add_row(
            f"  {person['role']}", escape(person["name"]), f"{person['user']}, {escape(person['email'])}"
        )
    out.print(rows)
    if len(team["members"]) > SHOWN_MEMBERS:
        out.print(f"  and {len(team['members']) - SHOWN_MEMBERS} more; --json lists all")
    if team["members_from"]:
        out.print(f"  members: the group {escape(repr(team['members_from']))} of Authentik")


def _section(out: Console, title: str, columns: tuple[str, ...], rows: list[list[str]]) -> None:
    from rich.markup import escape

    from controlplane.cli.output import table

    if not rows:
        return
    shown = table(*columns, right=("capacity",))
    for row in rows:
        shown.add_row(*(escape(cell) for cell in row))
    out.print(f"\n[bold]{title}[/]")
    out.print(shown)


def _person(person: dict[str, Any]) -> str:
    return f"{person['name']} ({person['user']}, {person['email']})"


def _quota(quota: dict[str, Any] | None) -> str:
    if quota is None:
        return "-"
    if quota["total"] is not None:
        return _size(quota["total"])
    return ", ".join(f"{_size(limit)} on {name}" for name, limit in quota["storage_resources"].items())


def _sum(quota: dict[str, Any] | None) -> int | None:
    if quota is None:
        return None
    total: int | None = quota["total"]
    return sum(quota["storage_resources"].values()) if total is None else total


def _size(size: int | None) -> str:
    from controlplane.model.sizes import format_size

    return "-" if size is None else format_size(size)
