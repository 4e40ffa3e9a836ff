"""The pages on which people see a team, and those who look after it change who is in it."""

import re
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from fastapi.templating import Jinja2Templates

from controlplane.model import Platform, Team
from controlplane.portal.forms import key_of, read_form, tell, told
from controlplane.portal.gate import LOG, Asked, Gate, who, word
from controlplane.portal.rights import may_change, teams_seen, why_fixed
from controlplane.portal.standing import ROLES
from controlplane.portal.teams import GROUPS, Asker, Found, TeamError, Teams

_SEE_OTHER = 303

_NUMBER = re.compile("[0-9]{1,9}")

Form = Annotated[Mapping[str, str], Depends(read_form)]


def team_pages(platform: Platform, teams: Teams, pages: Jinja2Templates) -> APIRouter:
    """The routes below `/teams`; their functions wait for the login server, so they run in threads."""
    router = APIRouter(prefix="/teams")
    gate = Gate(platform, teams)

    def team_page(
        request: Request, asked: Asked, *, problem: str = "", typed: str = "", status: int = 200
    ) -> Response:
        given = {
            "facility": asked.facility,
            "team": asked.team,
            "changes": asked.changes and not asked.fixed,
            "fixed": asked.fixed if asked.changes else "",
            "members": teams.members(asked.team),
            "form_key": key_of(request),
            "notice": told(request),
            "problem": problem,
            "typed": typed,
        }
        return pages.TemplateResponse(request, "team.html", given, status_code=status)

    @router.get("")
    def all_teams(request: Request) -> Response:
        asker = gate.asker(request)
        found = [
            (facility, [(team, _changes(platform, team, asker)) for team in seen])
            for facility, seen in teams_seen(platform, asker.groups)
        ]
        return pages.TemplateResponse(request, "teams.html", {"facilities": found})

    @router.get("/{group}")
    def one_team(request: Request, group: str) -> Response:
        return team_page(request, gate.seeing(request, group))

    @router.post("/{group}/find")
    def find(request: Request, group: str, form: Form) -> Response:
        asked = gate.changing(request, group)
        typed = form.get("who", "").strip()
        try:
            person = teams.find(typed) if typed else None
        except TeamError as error:
            return team_page(request, asked, problem=str(error), typed=typed, status=422)
        if person is None:
            return team_page(request, asked, problem=_NOBODY, typed=typed, status=422)
        roles = [member.role for member in teams.members(asked.team) if member.pk == person.pk]
        given = {
            "facility": asked.facility,
            "team": asked.team,
            "person": person,
            "now": max(roles, default=""),
            "form_key": key_of(request),
        }
        return pages.TemplateResponse(request, "person.html", given)

    @router.post("/{group}/put")
    def put(request: Request, group: str, form: Form) -> Response:
        asked, role = gate.changing(request, group), form.get("role", "")
        if role not in GROUPS:
            return team_page(request, asked, problem="Choose one of the two roles.", status=422)
        person = teams.person(form.get("person", ""))
        if person is None:
            return team_page(request, asked, problem="This person's account is closed or gone.", status=422)
        _announce(asked, "makes", person, f"a {role}")
        try:
            teams.put(asked.team, person, role)
        except TeamError as error:
            LOG.warning("%s: not done: %s", asked.team.group, error)
            return team_page(request, asked, problem=str(error), status=422)
        tell(request, f"{person.name} is a {ROLES[role]} of {asked.team.title} now. {_SOON}")
        return RedirectResponse(asked.path, status_code=_SEE_OTHER)

    @router.post("/{group}/remove")
    def remove(request: Request, group: str, form: Form) -> Response:
        asked, key = gate.changing(request, group), form.get("person", "")
        try:
            person = teams.chosen(asked.team, int(key)) if _NUMBER.fullmatch(key) else None
            if person is None:
                tell(request, "This person is not in the team any more.")
            else:
                _announce(asked, "removes", person, "")
                teams.remove(asked.team, person)
                tell(request, f"{person.name} is not in {asked.team.title} any more. {_SOON}")
        except TeamError as error:
            LOG.warning("%s: not done: %s", asked.team.group, error)
            return team_page(request, asked, problem=str(error), status=422)
        return RedirectResponse(asked.path, status_code=_SEE_OTHER)

    return router


_NOBODY = (
    "Nobody has exactly this account name or e-mail address. Somebody who has never logged in here must do so"
    " once before they can be added."
)
_SOON = "Their access follows within a few minutes."


def _changes(platform: Platform, team: Team, asker: Asker) -> bool:
    return may_change(platform, team, asker.groups) and not why_fixed(platform, team)


def _announce(asked: Asked, verb: str, person: Found, what: str) -> None:
    """Tell the log who does what to whom, before it is done: the login server sees the portal alone."""
    whom = f"{word(person.account) or 'somebody without account name'} ({person.uuid})"
    LOG.info("%s", f"{asked.team.group}: {who(asked.asker)} {verb} {whom} {what}".rstrip())
