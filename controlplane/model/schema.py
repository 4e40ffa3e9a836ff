"""JSON Schemas of inventories' and rule bases' files, with which editors complete and check them.

They hold what can be said about one value: types, keys, patterns, choices. What values mean together is
checked when an inventory is loaded.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from controlplane.model.cases_file import CasesFile
from controlplane.model.facility_file import FacilityFile
from controlplane.model.manifest_file import ManifestFile
from controlplane.model.platform_file import PlatformFile
from controlplane.model.policy_files import LimitsFile, QuotasFile, RetentionFile, RulesFile
from controlplane.model.types import FileModel

SCHEMAS: Mapping[str, type[FileModel]] = MappingProxyType(
    {
        "platform": PlatformFile,
        "facility": FacilityFile,
        "quotas": QuotasFile,
        "limits": LimitsFile,
        "retention": RetentionFile,
        "rules": RulesFile,
        "manifest": ManifestFile,
        "cases": CasesFile,
    }
)
"""The kinds of files, and the model of each."""

# The newest version that all editors know.
_DIALECT = "http://json-schema.org/draft-07/schema#"


class _Generator(GenerateJsonSchema):
    """Says what pydantic leaves open, and leaves out the titles that only repeat the keys' names."""

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """A mapping whose keys follow a pattern has no other keys."""
        found = super().dict_schema(schema)
        if "patternProperties" in found:
            found["additionalProperties"] = False
        return found

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """A part of a file, without the name of its class."""
        return _untitled(super().model_schema(schema))

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        """As `model_schema`."""
        return _untitled(super().dataclass_schema(schema))

    def field_title_should_be_set(self, schema: object) -> bool:
        """Never."""
        return False


def _untitled(schema: JsonSchemaValue) -> JsonSchemaValue:
    return {key: value for key, value in schema.items() if key != "title"}


def json_schema(name: str) -> dict[str, Any]:
    """The JSON Schema of a kind of file, one of `SCHEMAS`."""
    return {"$schema": _DIALECT, **SCHEMAS[name].model_json_schema(schema_generator=_Generator)}


def schema_file(name: str) -> str:
    """The name of the file that holds a kind's schema."""
    return f"{name}.schema.json"


def schema_text(name: str) -> str:
    """The text of that file."""
    return json.dumps(json_schema(name), indent=2, ensure_ascii=False) + "\n"
