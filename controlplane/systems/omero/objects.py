"""Objects of OMERO's model, as calls take them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

TEXTS: Mapping[str, str] = MappingProxyType(
    {"first_name": "firstName", "last_name": "lastName", "email": "email"}
)
"""What OMERO calls the texts among an account's fields."""


def account_proxy(number: int) -> Any:  # noqa: ANN401
    """An account of which only the number is said."""
    import omero.model

    return omero.model.ExperimenterI(number, False)


def group_proxy(number: int) -> Any:  # noqa: ANN401
    """A group of which only the number is said."""
    import omero.model

    return omero.model.ExperimenterGroupI(number, False)


def new_account(name: str, fields: Mapping[str, object]) -> Any:  # noqa: ANN401
    """An account to be made, with the texts among a resource's fields. LDAP is not asked about it yet."""
    import omero.model
    from omero.rtypes import rbool, rstring

    made = omero.model.ExperimenterI()
    made.omeName = rstring(name)
    for field, attribute in TEXTS.items():
        setattr(made, attribute, rstring(str(fields[field])))
    made.ldap = rbool(False)
    return made


def group(name: str, description: str, permissions: str = "", number: int | None = None) -> Any:  # noqa: ANN401
    """A group to be made, or to be changed where it has a number; without permissions it keeps its own."""
    import omero.model
    from omero.rtypes import rbool, rlong, rstring

    made = omero.model.ExperimenterGroupI()
    if number is not None:
        made.id = rlong(number)
    made.name = rstring(name)
    made.description = rstring(description)
    made.ldap = rbool(False)
    if permissions:
        made.details.permissions = omero.model.PermissionsI(permissions)
    return made


def session(uuid: str) -> Any:  # noqa: ANN401
    """A session, as the one call about it takes it."""
    import omero.model
    from omero.rtypes import rstring

    made = omero.model.SessionI()
    made.uuid = rstring(uuid)
    return made
