"""What a stage, or a flow, has come to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .call import Call


@dataclass(frozen=True)
class Show:
    """Ask the person: a challenge, as the API gives it to pages and outposts."""

    challenge: Mapping[str, Any]


@dataclass(frozen=True)
class Done:
    """The stage is passed."""


@dataclass(frozen=True)
class Denied:
    """The flow ends here."""

    message: str = ""


@dataclass(frozen=True)
class Again:
    """The answer was wrong: ask again, with what was wrong by field."""

    errors: Mapping[str, list[dict[str, str]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Leave:
    """The flow is over: send the browser on."""

    address: str


Outcome = Show | Done | Denied | Again | Leave
End = Show | Denied | Leave


def wrong(field_name: str, text: str, code: str = "invalid") -> Again:
    """One thing that is wrong with one field."""
    return Again({field_name: [{"string": text, "code": code}]})


@dataclass(frozen=True)
class Answer:
    """What somebody answered to a challenge: texts of a form, or values of JSON."""

    values: Mapping[str, Any]

    def text(self, name: str) -> str:
        """A value as text; empty when it was not given."""
        value = self.values.get(name)
        return "" if value is None else str(value)

    def flag(self, name: str) -> bool:
        """A value as a box that is ticked or not."""
        value = self.values.get(name)
        return str(value).lower() in ("true", "on", "1", "yes")


def answer_of(call: Call) -> Answer:
    """What a request answered."""
    return Answer(call.form if call.json is None else call.json)
