"""What the lint says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from controlplane.rules.language.ast import Place

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of finding."""

    severity: Severity
    title: str
    """What is wrong, in a line."""
    why: str
    """What the engine does with it."""


CODES: Mapping[str, Code] = MappingProxyType(
    {
        "R001": Code(
            "error", "A syntax error", "The engine drops the whole rule base and goes on without it."
        ),
        "R002": Code(
            "warning",
            "The old syntax with bars",
            "Arguments without quotes are texts there, and its variables are not checked.",
        ),
        "R101": Code(
            "error", "An unknown rule, function or microservice", "The rule fails when it comes to the call."
        ),
        "R102": Code("error", "A wrong number of arguments", "The rule fails when it comes to the call."),
        "R103": Code(
            "error",
            "A name of ours that does not begin with bic",
            "Rules of all rule bases and of core.re share one space of names.",
        ),
        "R104": Code(
            "error",
            "A call of a rule that this server does not have",
            "The rule fails when it comes to the call.",
        ),
        "R105": Code(
            "error",
            "A job of the manifest that the file does not define without parameters",
            "The delay queue carries it out in vain.",
        ),
        "R201": Code("error", "An unknown policy enforcement point", "The rule is never called."),
        "R202": Code(
            "error",
            "A policy enforcement point with a wrong number of parameters",
            "The engine passes over rules whose number of parameters is another.",
        ),
        "R203": Code("error", "An unknown session variable", "Reading it fails."),
        "R204": Code(
            "error",
            "A policy enforcement point of the manifest that the file does not define",
            "The policy that the manifest names is not there.",
        ),
        "R205": Code(
            "error",
            "A policy enforcement point that the manifest does not name",
            "A rollout shows and orders rule bases by their manifests.",
        ),
        "R206": Code(
            "error",
            "A policy enforcement point that the server does not deliver",
            "The servers call only what regexes_for_supported_peps names.",
        ),
        "R301": Code("error", "A variable that is read and never set", "Reading it fails."),
        "R302": Code("warning", "A variable that is set and never read", "It does nothing."),
        "R303": Code("warning", "A parameter that is never used", "It does nothing."),
        "R304": Code("warning", "A statement that is never reached", "It does nothing."),
        "R401": Code(
            "error",
            "A rule that is hidden by an earlier one without a condition",
            "Of the rules of one name the first that succeeds is the only one.",
        ),
        "R402": Code(
            "error",
            "A refusal that a later rule turns into consent",
            "A rule that fails is passed over, and the next rule of its name decides.",
        ),
        "R403": Code(
            "error",
            "A policy enforcement point all of whose rules have conditions",
            "Where none of them holds, the engine answers with an error, and the operation is refused.",
        ),
        "R404": Code(
            "warning",
            "A rule that hides those of other rule bases when its condition holds",
            "Of the rules of one name the first that succeeds is the only one.",
        ),
        "R501": Code(
            "error", "A parameter that no manifest declares", "Nothing gives it a value, and nobody finds it."
        ),
        "R502": Code("warning", "A declared parameter that is never read", "To change it does nothing."),
        "R503": Code(
            "error",
            "A parameter whose default is another one in the manifest",
            "What people read in the manifest is not what happens.",
        ),
        "R601": Code(
            "error",
            "A module that servers need not have",
            "The import fails, and with it everything that is asked of the server.",
        ),
        "R602": Code(
            "warning",
            "Something that happens when a module is imported",
            "Every agent does it for its connection, and where it fails, all is refused.",
        ),
        "R901": Code("warning", "A suppression that is not right", "It hides nothing, or not what is meant."),
    }
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong in a file."""

    file: str
    place: Place
    code: str
    text: str
    """What is wrong, and what to write instead."""

    @property
    def severity(self) -> Severity:
        """Whether it must be mended."""
        return CODES[self.code].severity

    def __str__(self) -> str:
        place = self.place
        return f"{self.file}:{place.line}:{place.column}: {self.severity} {self.code}: {self.text}"
