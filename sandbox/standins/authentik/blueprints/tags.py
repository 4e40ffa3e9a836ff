"""The YAML of blueprints, with its tags, and what each tag stands for."""

import functools
import json
import logging
import operator
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ..models.flows import BINDING, TARGETS
from ..models.registry import MODELS, by_name
from ..store import Row, Tx, column

_LOG = logging.getLogger("authentik.blueprints")
_CONDITIONS: dict[str, Callable[[list[Any]], bool]] = {
    "AND": all,
    "NAND": lambda values: not all(values),
    "OR": any,
    "NOR": lambda values: not any(values),
    "XOR": lambda values: bool(functools.reduce(operator.xor, map(bool, values))),
    "XNOR": lambda values: not functools.reduce(operator.xor, map(bool, values)),
}
_NAMES = ("Find", "FindObject", "KeyOf", "Env", "File", "Context", "Format", "Condition", "If", "ParseJSON")


class EntryError(Exception):
    """An entry of a blueprint cannot be applied; the message says why."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag with its values, some of which may be tags too."""

    name: str
    values: tuple[Any, ...]


class _Loader(yaml.SafeLoader):
    """Loads YAML with the tags of blueprints; others are errors."""


def _construct(name: str) -> Callable[[_Loader, yaml.Node], Tag]:
    def construct(loader: _Loader, node: yaml.Node) -> Tag:
        if isinstance(node, yaml.SequenceNode):
            return Tag(name, tuple(loader.construct_sequence(node, deep=True)))
        if isinstance(node, yaml.ScalarNode):
            return Tag(name, (loader.construct_scalar(node),))
        raise yaml.constructor.ConstructorError(None, None, f"!{name} takes no mapping", node.start_mark)

    return construct


for _name in _NAMES:
    _Loader.add_constructor(f"!{_name}", _construct(_name))


def load(text: str) -> object:
    """Read a blueprint's YAML.

    Raises:
        yaml.YAMLError: it is none, or has a tag that is unknown.
    """
    return yaml.load(text, _Loader)  # noqa: S506 - a safe loader with tags of its own


@dataclass
class Scope:
    """What tags are resolved with: the store, the context, and the objects that earlier entries made."""

    tx: Tx
    context: Mapping[str, Any]
    made: dict[str, Row] = field(default_factory=dict)

    def resolve(self, value: Any, model: str = "") -> Any:  # noqa: ANN401 - any YAML
        """Return a value with its tags resolved; `model` is that of the entry.

        Raises:
            EntryError: a tag has no value.
        """
        if isinstance(value, Tag):
            resolver: Callable[[tuple[Any, ...], str], Any] = getattr(self, f"_{value.name.lower()}")
            return resolver(value.values, model)
        if isinstance(value, dict):
            return {key: self.resolve(item, model) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.resolve(item, model) for item in value]
        return value

    def _keyof(self, values: tuple[Any, ...], model: str) -> Any:  # noqa: ANN401
        row = self.made.get(values[0])
        if row is None:
            raise EntryError(f"KeyOf: failed to find entry with `id` of `{values[0]}` and a model instance")
        family = by_name(row["model"]).family
        if model == BINDING and family in TARGETS:
            return row[TARGETS[family]]
        return row["pk"]

    def _find(self, values: tuple[Any, ...], model: str) -> Any:  # noqa: ANN401
        row = self._found(values, model)
        return row["pk"] if row else None

    def _findobject(self, values: tuple[Any, ...], model: str) -> Any:  # noqa: ANN401
        return self._found(values, model)

    def _found(self, values: tuple[Any, ...], model: str) -> Row | None:
        name, *conditions = (self.resolve(value, model) for value in values)
        spec = MODELS.get(str(name).lower())
        if spec is None:
            raise EntryError(f"No installed model {name}.")
        parts, parameters = [], []
        for field_name, wanted in conditions:
            exact = str(field_name).removesuffix("__exact")
            key = "pk" if exact in ("pk", spec.key) else exact
            try:
                parts.append(f"{column(key)} IS ?")
            except ValueError:
                raise EntryError(f"Cannot resolve keyword '{field_name}' into field.") from None
            parameters.append(int(wanted) if isinstance(wanted, bool) else wanted)
        rows = self.tx.rows(spec.name, " AND ".join(parts), parameters, limit=1)
        return rows[0] if rows else None

    def _env(self, values: tuple[Any, ...], model: str) -> Any:  # noqa: ANN401
        name, default = self._with_default(values, model)
        return os.environ.get(str(name)) or default

    def _file(self, values: tuple[Any, ...], model: str) -> Any:  # noqa: ANN401
        name, default = self._with_default(values, model)
        try:
            return Path(str(name)).read_text().strip()
        except OSError as error:
            _LOG.warning("cannot read %s, taking the default: %s", name, error.strerror)
            return default

    def _context(self, values: tuple[Any, ...], model: str) -> Any:  # noqa: ANN401
        name, default = self._with_default(values, model)
        return self.resolve(self.context.get(str(name), default), model)

    def _with_default(self, values: tuple[Any, ...], model: str) -> tuple[Any, Any]:
        first = self.resolve(values[0], model)
        return first, self.resolve(values[1], model) if len(values) > 1 else None

    def _format(self, values: tuple[Any, ...], model: str) -> str:
        text, *parts = (self.resolve(value, model) for value in values)
        try:
            return str(text % tuple(parts))
        except TypeError as error:
            raise EntryError(str(error)) from None

    def _condition(self, values: tuple[Any, ...], model: str) -> bool:
        mode, *parts = (self.resolve(value, model) for value in values)
        if not parts:
            raise EntryError("At least one value is required after mode selection.")
        if mode not in _CONDITIONS:
            raise EntryError(f"Invalid mode {mode} for !Condition.")
        return _CONDITIONS[mode](parts)

    def _if(self, values: tuple[Any, ...], model: str) -> Any:  # noqa: ANN401
        condition = self.resolve(values[0], model)
        if len(values) == 1:
            return bool(condition)
        return self.resolve(values[1] if condition else values[2], model)

    def _parsejson(self, values: tuple[Any, ...], model: str) -> Any:  # noqa: ANN401
        try:
            return json.loads(values[0])
        except ValueError as error:
            raise EntryError(str(error)) from None
