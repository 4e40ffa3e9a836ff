"""`policies/*.yml`, key by key: rules of the national team over all facilities."""

from typing import Annotated

from pydantic import Field

from controlplane.model.rule_values import ParameterValue
from controlplane.model.types import (
    Date,
    Duration,
    FileModel,
    HostName,
    Identifier,
    Line,
    ParameterName,
    Size,
    ZoneName,
)


class TierEntry(FileModel):
    """A step on the scale of quotas."""

    facility: Size
    """What a facility of this tier may keep, all its teams together, such as 200 TiB."""
    team: Size
    """What each team may keep: of a facility of this tier, or of a team that names the tier itself."""


class QuotasFile(FileModel):
    """`policies/quotas.yml`: the tiers that facilities and teams may name in their `quota`."""

    tiers: Annotated[dict[Identifier, TierEntry], Field(min_length=1)]
    """The tiers by name."""


class LimitsFile(FileModel):
    """`policies/limits.yml`: how much one apply may change before a person must say so."""

    share_percent: Annotated[int, Field(ge=0, le=100, strict=True)] = 30
    """The share of what is managed, in percent, that a plan may update or delete unasked."""
    objects: Annotated[int, Field(ge=0, strict=True)] = 10
    """The number of objects that a plan may always update or delete, however large their share is."""


class RetentionEntry(FileModel):
    """The permission to delete the data of a facility or team that is no longer in the inventory."""

    facility: Identifier
    """The identifier that the facility has or had."""
    team: Identifier | None = None
    """The identifier that the team had; without it, the rule is about the facility's own collection."""
    delete_data_from: Date
    """The first day on which the data may be deleted, such as 2027-06-30."""
    reason: Line
    """Why they may be deleted: who decided it, and where that is written."""


class RetentionFile(FileModel):
    """`policies/retention.yml`: whose data may be deleted, and from when. Without a rule nothing is."""

    offboarded: tuple[RetentionEntry, ...] = ()
    """The rules, one for each collection."""


class RuleBaseEntry(FileModel):
    """Where a rule base is in force, and with which values."""

    zones: Annotated[tuple[ZoneName, ...], Field(min_length=1)] | None = None
    """The zones whose servers run it; without the key, all of this platform."""
    parameters: dict[ParameterName, ParameterValue] = Field(default_factory=dict)
    """Values of its parameters; for all others the manifest's defaults hold."""


class RolloutEntry(FileModel):
    """How new rules come onto the servers."""

    wait_for_transfers: Duration | None = None
    """How long a server's transfers in flight are waited for before it is reloaded; without the key, 5m."""
    canary: dict[ZoneName, HostName] = Field(default_factory=dict)
    """By zone, the server that gets new rules before all others."""


class RulesFile(FileModel):
    """`policies/rules.yml`: the rule bases that are in force."""

    rule_bases: dict[Identifier, RuleBaseEntry]
    """The rule bases by name; each is a folder of `rules/`."""
    rollout: RolloutEntry | None = None
    """How new rules come onto the servers."""
