"""The micro service of SATOSA that every login passes through."""

from __future__ import annotations

from typing import Any

from satosa.context import Context
from satosa.internal import InternalData
from satosa.micro_services.base import ResponseMicroService

from . import identity
from .errors import RefusedError

# SATOSA's frontend makes one value of the lists of these claims by itself, and would cut up a text; what the
# other claims of one value carry is said as a text, as OpenID Connect's clients expect.
_TEXTS = (*identity.IDENTIFIERS, "home_organization")


class Identity(ResponseMicroService):
    """Decides by which identifier a person is known, and passes on well-formed attributes alone."""

    def __init__(self, config: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._order = config["identifiers"]

    def process(self, context: Context, data: InternalData) -> Any:
        """Let the person pass, or answer the client with an error."""
        try:
            person = identity.person(data.attributes, self._order)
        except identity.UnknownPersonError as error:
            raise RefusedError(context.state, str(error)) from error
        data.subject_id = person.identifier
        data.attributes = {
            name: values[0] if name in _TEXTS else values for name, values in person.attributes.items()
        }
        return super().process(context, data)
