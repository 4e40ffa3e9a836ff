"""The kinds of values in an inventory's files.

Each is strict (no text becomes a number, nothing is trimmed) and checks itself inside pydantic-core: the
files of a nation hold millions of them. What is wrong with a value is said as half a
sentence that follows the value.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from ipaddress import IPv4Address, IPv4Network
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from controlplane.model.durations import DURATION_PATTERN, parse_duration
from controlplane.model.sizes import SIZE_PATTERN, parse_size

TEXT_ERROR = "text"
"""The type of the errors whose message is half a sentence about the given value."""


@dataclass(frozen=True)
class Text:
    """Text that a regular expression describes in full (as Rust understands it: no look-around)."""

    pattern: str
    explanation: str
    longest: int | None = None
    schema_pattern: str | None = None
    """The pattern for JSON Schema, where `pattern` uses what editors' regular expressions do not know."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.str_schema(strict=True, pattern=f"^(?:{self.pattern})$", max_length=self.longest)
        return core_schema.custom_error_schema(
            text, custom_error_type=TEXT_ERROR, custom_error_message=self.explanation
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        found = handler(schema)
        if self.schema_pattern is not None:
            found["pattern"] = self.schema_pattern
        return found


@dataclass(frozen=True)
class Parsed:
    """Text that `parse`, which raises ValueError, turns into a value."""

    parse: Callable[[str], object]
    explanation: str
    pattern: str
    """The regular expression for JSON Schema that is nearest to `parse`."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        def check(value: str) -> object:
            try:
                return self.parse(value)
            except ValueError:
                raise PydanticCustomError(TEXT_ERROR, self.explanation) from None

        return core_schema.no_info_after_validator_function(check, core_schema.str_schema(strict=True))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "pattern": f"^{self.pattern}$"}


def _iso_date(text: str) -> date:
    if len(text) != len("2027-06-30"):
        raise ValueError(text)
    return date.fromisoformat(text)


# iRODS 5.0.2 stops at 1,024 (MAX_PATH_ALLOWED); half is left for what lies in the folder.
_LONGEST_PATH = 500


def _plain_path(text: str) -> str:
    path = PurePosixPath(text)
    plain = path.is_absolute() and text.isprintable() and str(path) == text and not text.startswith("//")
    if not plain or ".." in path.parts or path == PurePosixPath("/") or len(text) > _LONGEST_PATH:
        raise ValueError(text)
    return text


_OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_ADDRESS = rf"{_OCTET}(\.{_OCTET}){{3}}"
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
# Printable characters, one of them no space. The regular expressions of editors have no classes for it.
_LINE = r"(?:[^\p{C}\p{Z}]| )*[^\p{C}\p{Z}](?:[^\p{C}\p{Z}]| )*"
_LINE_IN_SCHEMA = r"^[^\u0000-\u001f\u007f]*[^\s\u0000-\u001f\u007f][^\u0000-\u001f\u007f]*$"

Address = Annotated[
    IPv4Address,
    Parsed(IPv4Address, "is not an IPv4 address, such as 10.0.0.11", _ADDRESS),
]
Network = Annotated[
    IPv4Network,
    Parsed(
        IPv4Network,
        "is not an IPv4 network, such as 10.77.0.0/24, whose host bits are zero",
        rf"{_ADDRESS}/([0-9]|[12][0-9]|3[0-2])",
    ),
]
Date = Annotated[
    date,
    Parsed(_iso_date, "is not a date, such as 2027-06-30", "[0-9]{4}-[0-9]{2}-[0-9]{2}"),
]
Size = Annotated[
    int,
    Parsed(
        parse_size,
        "is not a size: write a number and a unit, such as 20 TiB or 500 GB",
        SIZE_PATTERN,
    ),
]
"""An amount of data in bytes, written with its unit."""

Duration = Annotated[
    int,
    Parsed(
        parse_duration,
        "is not a length of time: write a number and a unit, such as 30s, 5m, 12h or 90d",
        DURATION_PATTERN,
    ),
]
"""A length of time in seconds, written with its unit."""

Identifier = Annotated[
    str,
    Text(
        r"[a-z][a-z0-9]*(-[a-z0-9]+)*",
        "is not an identifier: use at most 30 lower-case letters, digits and single hyphens, "
        "beginning with a letter",
        longest=30,
    ),
]
"""An identifier of the platform. Facility and team together must fit into an iRODS group name."""

HostName = Annotated[
    str,
    Text(_LABEL, "is not a host name: use lower-case letters, digits and hyphens, without the domain"),
]
DomainName = Annotated[
    str, Text(rf"{_LABEL}(\.{_LABEL})*", "is not a domain name, such as bic.example", longest=190)
]
ZoneName = Annotated[
    str,
    Text(
        r"[A-Za-z][A-Za-z0-9_]{0,62}",
        "is not a zone name: use letters, digits and underscores, beginning with a letter",
    ),
]
# irods::user::validate_name of iRODS 5.0.2 allows exactly these characters and 63 of them, but neither of the
# names that mean a folder.
UserName = Annotated[
    str,
    Text(
        r"[A-Za-z0-9_@-][A-Za-z0-9_.@-]{0,62}|\.[A-Za-z0-9_@-][A-Za-z0-9_.@-]{0,61}|"
        r"\.\.[A-Za-z0-9_.@-]{1,61}",
        "is not an iRODS user name: use letters without accents, digits, '.', '_', '-' and '@', no spaces, "
        "at most 63 characters",
    ),
]
# validate_resource_name of iRODS 5.0.2.
StorageResourceName = Annotated[
    str,
    Text(
        r"[A-Za-z0-9_]+(-[A-Za-z0-9_]+)*",
        "is not a storage resource name: use letters, digits, underscores and single hyphens, "
        "at most 63 characters",
        longest=63,
    ),
]
Line = Annotated[
    str,
    Text(
        _LINE,
        "is not a title: write one line of at most 200 characters",
        longest=200,
        schema_pattern=_LINE_IN_SCHEMA,
    ),
]
# RFC 5321: 64 characters before the @, 254 in all.
Email = Annotated[str, Text(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)*", "is not an e-mail address", longest=254)]
GroupName = Annotated[
    str,
    Text(
        _LINE,
        "is not the name of a group of Authentik: write one line of at most 200 characters",
        longest=200,
        schema_pattern=_LINE_IN_SCHEMA,
    ),
]
Url = Annotated[
    str,
    Text(
        rf"https://{_LABEL}(\.{_LABEL})*(:[1-9][0-9]{{0,4}})?(/[A-Za-z0-9._~-]+)*",
        "is not the address of a service: write it as https://login.bic.example, without a '/' at its end",
        longest=300,
    ),
]
FilePath = Annotated[
    str, Text(r"[^\p{Cc}]*[^\s\p{Cc}][^\p{Cc}]*", "is not a file name", schema_pattern=r"\S")
]
VariableName = Annotated[str, Text(r"[A-Za-z_][A-Za-z0-9_]*", "is not the name of an environment variable")]
ParameterName = Annotated[
    str,
    Text(
        r"[a-z][a-z0-9]*(_[a-z0-9]+)*",
        "is not the name of a parameter: use at most 40 lower-case letters, digits and single underscores, "
        "beginning with a letter",
        longest=40,
    ),
]
JobName = Annotated[
    str,
    Text(
        r"bic[A-Z][A-Za-z0-9]*", "is not the name of a rule of ours, such as bicChecksumsVerify", longest=60
    ),
]
PolicyEnforcementPoint = Annotated[
    str,
    Text(
        r"(pep|ac)[A-Za-z0-9_]+",
        "is not the name of a policy enforcement point, such as pep_api_data_obj_unlink_pre or acPreConnect",
    ),
]
Version = Annotated[
    str,
    Text(
        r"(0|[1-9][0-9]{0,5})(\.(0|[1-9][0-9]{0,5})){2}",
        "is not a version: write three numbers, such as 1.0.0",
    ),
]
FleetName = Annotated[
    str,
    Text(
        r"[a-z][a-z0-9-]{0,9}",
        "is not a fleet name: use at most 10 lower-case letters, digits and hyphens, beginning with a letter",
    ),
]
AbsolutePath = Annotated[
    str,
    Parsed(
        _plain_path,
        "is not an absolute path: begin with '/', write no '..', no '//' and no '/' at its end, and at most "
        "500 characters",
        r"(/[^/\u0000-\u001f\u007f]+)+",
    ),
]
"""A path on a host, other than `/`."""

Port = Annotated[int, Field(ge=1, le=65535, strict=True)]
Flag = Annotated[bool, Field(strict=True)]
# `iadmin mkresc` takes such a text; the separators are those of the storage resource plugins of iRODS 5.0.2.
ResourceContext = Annotated[
    str,
    Text(
        r"[A-Za-z0-9_]+=[^;=\s\p{C}]*(;[A-Za-z0-9_]+=[^;=\s\p{C}]*)*",
        'is not a context: write it as "key=value;key=value"',
        longest=1000,
        schema_pattern=r"^[A-Za-z0-9_]+=[^;=\s]*(;[A-Za-z0-9_]+=[^;=\s]*)*$",
    ),
]

Service = Literal[
    "postgresql",
    "irods_catalog_provider",
    "irods_catalog_consumer",
    "irods_gateway",
    "authentik",
    "federation_proxy",
    "omero_server",
    "prometheus",
    "grafana",
    "controlplane",
]
"""A service that Ansible deploys on a host; each is also an Ansible group."""

Role = Literal["contributor", "collaborator"]
"""What a team member may do with the team's data: contributors write, collaborators read."""

Access = Literal["read", "write"]
"""What a mount allows."""

ResourceType = Literal["unixfilesystem", "s3", "replication", "random", "deferred", "passthru", "compound"]
"""A storage resource's type: `unixfilesystem` is a folder on a server and `s3` a bucket, the others
coordinate children."""

ResourceStatus = Literal["up", "down"]
"""Whether a storage resource takes part in reading and writing."""

S3Endpoint = Annotated[
    str,
    Text(
        rf"{_LABEL}(\.{_LABEL})*(:[1-9][0-9]{{0,4}})?",
        "is not the host of an S3 service, such as s3.dc1.example or s3.dc1.example:9000",
        longest=200,
    ),
]
S3Region = Annotated[
    str, Text(r"[a-z0-9]+(-[a-z0-9]+)*", "is not an S3 region, such as eu-west-3", longest=60)
]

Layout = Literal["one_zone", "federated"]
"""How the data centres share the data: all of them in one zone, or each in a zone of its own."""

ParentContext = Literal["cache", "archive"]
"""What a child of a compound storage resource is to it."""


class FileModel(BaseModel):
    """What all parts of the files share: unknown keys are refused, nothing changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


ONE_KEY = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})
"""What JSON Schema says about a part of a file that has exactly one of its keys."""
