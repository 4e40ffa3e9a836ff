"""Rules that allow to delete data."""

from collections.abc import Iterator

from controlplane.model.checks.spots import Spot, at
from controlplane.model.documents import Documents
from controlplane.model.problems import Problem


def check(documents: Documents) -> Iterator[Problem]:
    """A rule names something that is no longer in the inventory, and only one rule does."""
    document = documents.policies.retention
    if document is None:
        return
    facilities = {facility.data.id: facility for facility in documents.facilities}
    seen: dict[tuple[str, str | None], Spot] = {}
    for index, rule in enumerate(document.data.offboarded):
        spot = at(document, "offboarded", index, "facility")
        facility = facilities.get(rule.facility)
        if facility and rule.team is None:
            yield spot.problem(
                f"the facility {rule.facility!r} is in the inventory, at {at(facility, 'id')}; a rule is for "
                "what has left it: remove the rule or the facility's file"
            )
        if facility and rule.team is not None:
            for position, team in enumerate(facility.data.teams):
                if team.id == rule.team:
                    yield at(document, "offboarded", index, "team").problem(
                        f"the team {rule.team!r} of {rule.facility!r} is in the inventory, "
                        f"at {at(facility, 'teams', position, 'id')}; a rule is for what has left it: "
                        "remove the rule or the team"
                    )
        if earlier := seen.get((rule.facility, rule.team)):
            part = f"the team {rule.team!r} of " if rule.team else ""
            yield spot.problem(f"there is already a rule for {part}{rule.facility!r} at {earlier}")
        seen.setdefault((rule.facility, rule.team), spot)
