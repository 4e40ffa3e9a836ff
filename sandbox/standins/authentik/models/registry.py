"""The models by their names, and how they belong together."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .fields import Field, Many, Ref


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model: `app.name` as Authentik calls it, its fields, and the key that its objects have."""

    name: str
    title: str
    """Its verbose name."""
    plural: str
    fields: Mapping[str, Field]
    base: str | None = None
    """The model whose key space it shares: a stage, a source, a provider, a policy, a property mapping."""
    integer_key: bool = False
    key: str = "pk"
    """The name of the key in answers."""
    lookup: str = "pk"
    """The field that addresses an object in paths."""
    component: str = ""
    abstract: bool = False
    display: str = "name"
    unique_together: tuple[tuple[str, ...], ...] = ()
    search: tuple[str, ...] = ("name",)
    ordering: tuple[str, ...] = ("name",)
    extra: Mapping[str, object] = field(default_factory=dict)

    @property
    def family(self) -> str:
        """The model that gives keys."""
        return self.base or self.name

    @property
    def app(self) -> str:
        """Its Django application."""
        return self.name.partition(".")[0]

    @property
    def short(self) -> str:
        """Its name without the application."""
        return self.name.partition(".")[2]

    @property
    def many(self) -> dict[str, Many]:
        """Fields that are links."""
        return {name: kind for name, kind in self.fields.items() if isinstance(kind, Many)}

    @property
    def references(self) -> dict[str, Ref]:
        """Fields that name one other object."""
        return {name: kind for name, kind in self.fields.items() if isinstance(kind, Ref)}

    def permission(self, verb: str) -> str:
        """Return the name of a permission on it."""
        return f"{self.app}.{verb}_{self.short}"


MODELS: dict[str, Model] = {}


def register(*models: Model) -> None:
    """Add models."""
    for model in models:
        MODELS[model.name] = model


def by_name(name: str) -> Model:
    """Return a model.

    Raises:
        KeyError: there is none of that name.
    """
    return MODELS[name]


def family_members(name: str) -> list[Model]:
    """Return the models that share a model's keys, without abstract ones."""
    return [model for model in MODELS.values() if model.family == name and not model.abstract]
