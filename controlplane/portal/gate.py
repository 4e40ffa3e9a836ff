"""Who asks for a page, and what they may have of a team.

A session says who somebody is and nothing more: which teams they may see and change is asked of the login
server at each request. A team that somebody may not see answers as one that does not exist.
"""

import logging
from dataclasses import dataclass
from urllib.parse import quote

from starlette.requests import Request

from controlplane.model import Facility, Platform, Team
from controlplane.portal.login import LoginNeededError, visitor_of
from controlplane.portal.rights import may_change, may_see, why_fixed
from controlplane.portal.teams import Asker, Teams

LOG = logging.getLogger("controlplane.portal")


class RefusedError(Exception):
    """Somebody asked for what they may not have."""

    def __init__(self, status: int, heading: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.heading = heading


@dataclass(frozen=True)
class Asked:
    """A team, and the person who asked for it and may see it."""

    asker: Asker
    facility: Facility
    team: Team
    changes: bool
    """Whether they look after it."""
    fixed: str
    """Why its people are chosen elsewhere; empty when they are not."""

    @property
    def path(self) -> str:
        """The team's page."""
        return f"/teams/{self.team.group}"


class Gate:
    """Lets people through to teams."""

    def __init__(self, platform: Platform, teams: Teams) -> None:
        """Ask `teams` who somebody is."""
        self._platform = platform
        self._teams = teams
        self._known = {
            team.group: (facility, team)
            for facility in platform.facilities.values()
            for team in facility.teams
        }

    def asker(self, request: Request) -> Asker:
        """Who asks, as the login server knows them now.

        Raises LoginNeededError, RefusedError and AuthentikError.
        """
        visitor = visitor_of(request)
        if visitor is None:
            raise LoginNeededError(request.url.path if request.method == "GET" else "/teams")
        asker = self._teams.asker(visitor.subject)
        if asker is None:
            request.session.clear()
            raise RefusedError(403, "Your account is closed", "Ask the IT referent of your facility.")
        return asker

    def seeing(self, request: Request, group: str) -> Asked:
        """A team that the person may see. Raises as `asker`."""
        asker = self.asker(request)
        facility, team = self._known.get(group, (None, None))
        if facility is None or team is None or not may_see(self._platform, team, asker.groups):
            if request.method == "POST":
                LOG.warning("%s: refused to %s, who may not see it", word(group), who(asker))
            raise RefusedError(404, "No such team", "There is no such team, or you are not in it.")
        changes = may_change(self._platform, team, asker.groups)
        return Asked(asker, facility, team, changes, why_fixed(self._platform, team))

    def changing(self, request: Request, group: str) -> Asked:
        """A team whose people the person may change. Raises as `asker`."""
        asked = self.seeing(request, group)
        if not asked.changes:
            LOG.warning("%s: refused to %s, who does not look after it", group, who(asked.asker))
            raise RefusedError(
                403,
                "You do not look after this team",
                "Its principal investigator and the facility's IT referents choose who is in it.",
            )
        if asked.fixed:
            raise RefusedError(403, "This team's people are not chosen here", asked.fixed)
        return asked


def who(asker: Asker) -> str:
    """Somebody in a line of the log."""
    return f"{word(asker.account) or 'somebody without account name'} ({asker.uuid})"


def word(text: str) -> str:
    """A text from outside as one word of a line of the log."""
    return quote(text, safe="@+")
