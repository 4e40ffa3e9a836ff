"""`rules/<name>/manifest.yml`, key by key: what a rule base is, and where it belongs."""

from typing import Annotated, Literal

from pydantic import Field

from controlplane.model.rule_values import ParameterType, ParameterValue
from controlplane.model.types import (
    Duration,
    FileModel,
    Identifier,
    JobName,
    Line,
    ParameterName,
    PolicyEnforcementPoint,
    Version,
)

Engine = Literal["irods_rule_language", "python"]
"""A rule engine plugin: `irods_rule_language` comes with the server, `python` is a package of its own."""

Servers = Literal["all", "provider", "consumers"]
"""On which servers of a zone a rule base belongs."""


class ParameterEntry(FileModel):
    """A value of a rule base that operations may change without new rule text."""

    type: ParameterType
    """What values it takes."""
    default: ParameterValue
    """What the rules take where the catalogue has no value or cannot be read: the safe choice."""
    title: Line
    """What it does, for people."""


class ManifestFile(FileModel):
    """`manifest.yml` of a rule base."""

    name: Identifier
    """The rule base's name, which is its folder's and its file's too."""
    version: Version
    """Its version, such as 1.0.0; it changes with the rules."""
    title: Line
    """What it does, in one line."""
    owner: Identifier
    """Who answers for it."""
    engine: Engine
    """The rule engine plugin that runs it."""
    servers: Servers = "all"
    """The servers of a zone that need it."""
    after: tuple[Identifier, ...] = ()
    """Rule bases that come before it in a server's chain, where both are there."""
    before: tuple[Identifier, ...] = ()
    """Rule bases that come after it in a server's chain, where both are there."""
    policy_enforcement_points: Annotated[tuple[PolicyEnforcementPoint, ...], Field(min_length=1)]
    """The policy enforcement points that its file implements, all of them and no others."""
    parameters: dict[ParameterName, ParameterEntry] = Field(default_factory=dict)
    """Its parameters by name."""
    jobs: dict[JobName, Duration] = Field(default_factory=dict)
    """Rules without parameters that the delay queue carries out, and how often, such as 5m."""
