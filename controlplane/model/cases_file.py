"""`rules/<name>/cases.yml`, key by key: the tests of a rule base."""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from controlplane.model.types import (
    Duration,
    FileModel,
    Flag,
    Identifier,
    JobName,
    Line,
    Size,
    StorageResourceName,
    Text,
)

Actor = Literal["admin", "user", "other", "curator"]
"""Who does a step: the zone's administrator, or a throw-away account. `user` owns the case's collection,
`other` may read it, `curator` owns it and is in the group that the rule base's parameter `curators` names."""

CasePath = Annotated[
    str,
    Text(
        r"\.|[^/.][^/]*(/[^/.][^/]*)*",
        "is not a path below the case's collection, such as raw/image.tif; write '.' for the collection",
        longest=200,
    ),
]
ErrorName = Annotated[
    str, Text(r"[A-Z][A-Z0-9_]+|success|refused", "is not 'success', 'refused' or the name of an iRODS error")
]
Attribute = Annotated[str, Text(r"[A-Za-z0-9:._-]+", "is not an attribute's name", longest=100)]

SUCCESS = "success"
REFUSED = "refused"
"""What a connection is that the server does not take, whatever it says."""


class PathsEntry(FileModel):
    """Where something is, and where it goes."""

    path: CasePath
    """What is renamed or copied."""
    to: CasePath
    """Its new path."""


class AccessEntry(FileModel):
    """A change of access."""

    path: CasePath
    """The collection or data object."""
    account: Actor
    """Who gets the access."""
    level: Literal["null", "read", "write", "own"]
    """What they may do from then on."""


class AvuEntry(FileModel):
    """An AVU of a collection or data object."""

    path: CasePath
    """The collection or data object."""
    attribute: Attribute
    """Its attribute."""
    value: Line
    """Its value."""


class ReplicateEntry(FileModel):
    """A replication."""

    path: CasePath
    """The data object."""
    to: StorageResourceName
    """The storage resource for the new replica."""


class HasEntry(FileModel):
    """What must be true of a data object or collection, as the administrator sees it."""

    path: CasePath
    """The collection or data object."""
    exists: Flag | None = None
    """Whether it is there."""
    checksum: Flag | None = None
    """Whether all its good replicas have a checksum."""


OPERATIONS = (
    "connect", "mkdir", "rmcoll", "put", "overwrite", "get", "list", "remove", "trash", "touch", "checksum",
    "rename", "copy_over", "chmod", "avu", "remove_avu", "replicate", "quota", "rule", "job", "has",
)  # fmt: skip


class StepEntry(FileModel):
    """One operation, who does it, and what must come of it."""

    who: Actor = "user"
    """Who does it."""
    expect: ErrorName = SUCCESS
    """`success`, or the name of the error that the server must answer, such as CAT_NO_ACCESS_PERMISSION."""
    within: Duration | None = None
    """How long to try again until it comes out as expected, for what the delay queue does."""
    size: Size | None = None
    """How much `put` and `overwrite` write; without the key, a few bytes."""
    connect: Literal["plain", "tls"] | None = None
    """Log in over a connection that is encrypted or not."""
    mkdir: CasePath | None = None
    """Make a collection."""
    rmcoll: CasePath | None = None
    """Delete a collection with all that is in it, without trash."""
    put: CasePath | None = None
    """Write a new data object."""
    overwrite: CasePath | None = None
    """Write a data object that is there."""
    get: CasePath | None = None
    """Read a data object."""
    list: CasePath | None = None
    """List a collection."""
    remove: CasePath | None = None
    """Delete a data object, without trash."""
    trash: CasePath | None = None
    """Move a data object to the trash."""
    touch: CasePath | None = None
    """Give a data object the present time."""
    checksum: CasePath | None = None
    """Let the server compute a data object's checksum again."""
    rename: PathsEntry | None = None
    """Rename or move a data object or collection."""
    copy_over: PathsEntry | None = None
    """Copy a data object to a new path, or over what is there."""
    chmod: AccessEntry | None = None
    """Change the access to a collection or data object."""
    avu: AvuEntry | None = None
    """Add an AVU."""
    remove_avu: AvuEntry | None = None
    """Take an AVU away."""
    replicate: ReplicateEntry | None = None
    """Make a replica."""
    quota: Size | None = None
    """Give the group of the account `user` a quota; as administrator only."""
    rule: Line | None = None
    """Let the server carry out a rule of one's own, such as `irule` does."""
    job: JobName | None = None
    """Carry out a job of the delay queue now; as administrator only."""
    has: HasEntry | None = None
    """Look whether something is as it should be."""

    @model_validator(mode="after")
    def _one_operation(self) -> "StepEntry":
        given = [name for name in OPERATIONS if getattr(self, name) is not None]
        if len(given) != 1:
            raise PydanticCustomError(
                "step", "a step has exactly one operation, one of: " + ", ".join(OPERATIONS)
            )
        if given[0] in ("job", "quota") and self.who != "admin":
            raise PydanticCustomError("step", f"{given[0]!r} is for administrators; add 'who: admin'")
        if self.expect == REFUSED and given[0] != "connect":
            raise PydanticCustomError(
                "step", "'refused' is for 'connect'; name the error that the server answers"
            )
        return self

    @property
    def operation(self) -> str:
        """The key of its operation."""
        return next(name for name in OPERATIONS if getattr(self, name) is not None)


class CaseEntry(FileModel):
    """One test: steps that are done one after another, until one comes out otherwise than expected."""

    title: Line
    """What it shows."""
    gate: Flag = False
    """Whether it is quick and safe on a zone in production, so that a rollout asks it after each wave."""
    steps: Annotated[tuple[StepEntry, ...], Field(min_length=1)]
    """The steps."""


class CasesFile(FileModel):
    """`cases.yml` of a rule base."""

    cases: Annotated[dict[Identifier, CaseEntry], Field(min_length=1)]
    """The tests by name."""
