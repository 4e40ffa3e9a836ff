"""What a person may do: as superuser, by global permissions of roles, by permissions on objects."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from . import accounts
from .models import MODELS, by_name
from .models.core import ROLE
from .store import Row, Tx

OBJECT_PERMISSION = "authentik_rbac.objectpermission"
#: Permissions beside view, add, change and delete, by model, with what they are called.
SPECIAL = {
    "authentik_core.user": {
        "reset_user_password": "Reset Password",
        "impersonate": "Can impersonate other users",
        "preview_user": "Can preview user data sent to providers",
        "view_user_applications": "View applications the user has access to",
    },
    "authentik_core.group": {
        "add_user_to_group": "Add user to group",
        "remove_user_from_group": "Remove user from group",
        "enable_group_superuser": "Enable superuser status",
        "disable_group_superuser": "Disable superuser status",
    },
    "authentik_core.token": {
        "view_token_key": "View token's key",
        "set_token_key": "Set a token's key",
    },
    "authentik_rbac.role": {
        "assign_role_permissions": "Can assign permissions to users",
        "unassign_role_permissions": "Can unassign permissions from users",
    },
    "authentik_rbac.initialpermissions": {
        f"{verb}_initialpermissions": f"Can {verb} Initial Permissions"
        for verb in ("view", "add", "change", "delete")
    },
    "authentik_flows.flow": {
        "export_flow": "Can export a Flow",
        "inspect_flow": "Can inspect a Flow's execution",
        "view_flow_cache": "View Flow's cache metrics",
        "clear_flow_cache": "Clear Flow's cache metrics",
    },
    "authentik_crypto.certificatekeypair": {
        "view_certificatekeypair_certificate": "View Certificate-Key pair's certificate",
        "view_certificatekeypair_key": "View Certificate-Key pair's private key",
    },
    "authentik_providers_ldap.ldapprovider": {
        "search_full_directory": "Search full LDAP directory",
    },
    "authentik_rbac.systempermission": {
        "view_system_info": "Can view system info",
        "access_admin_interface": "Can access admin interface",
        "view_system_settings": "Can view system settings",
        "edit_system_settings": "Can edit system settings",
        "view_media_files": "Can view media files",
        "manage_media_files": "Can manage media files",
    },
}


@functools.cache
def known() -> Mapping[str, tuple[str, str]]:
    """Return all permissions: for `app.codename` the model and what it is called."""
    found = {}
    for name, model in MODELS.items():
        for verb in ("view", "add", "change", "delete"):
            found[model.permission(verb)] = (name, f"Can {verb} {model.title}")
    for name, special in SPECIAL.items():
        app = name.partition(".")[0]
        found |= {f"{app}.{codename}": (name, title) for codename, title in special.items()}
    return found


@dataclass(frozen=True, slots=True)
class Rights:
    """What one person may do."""

    superuser: bool
    granted: frozenset[str]
    """Permissions on everything of a model."""
    objects: frozenset[tuple[str, str]]
    """Permissions on single objects, each with the object's key."""

    def has(self, permission: str) -> bool:
        """Whether they have a permission on everything of its model."""
        return self.superuser or permission in self.granted

    def has_on(self, permission: str, pk: object) -> bool:
        """Whether they have a permission on an object."""
        return self.has(permission) or (permission, str(pk)) in self.objects

    def keys(self, permission: str) -> list[str]:
        """Return the keys of the objects on which they have a permission by itself."""
        return sorted(pk for name, pk in self.objects if name == permission)


def rights_of(tx: Tx, user: Row) -> Rights:
    """Return what a person may do."""
    roles = accounts.roles_of(tx, user["pk"])
    granted = {name for row in tx.many(ROLE, roles).values() for name in row["permissions"]}
    objects = {
        (row["permission"], row["object_pk"])
        for role in roles
        for row in tx.select(OBJECT_PERMISSION, role=role)
    }
    superuser = user["is_active"] and accounts.is_superuser(tx, user["pk"])
    return Rights(bool(superuser), frozenset(granted), frozenset(objects))


def managed_role(tx: Tx, user: int) -> Row:
    """Return the role that holds one person's own permissions, making it at need."""
    name = f"ak-managed-role--user-{user}"
    role = tx.find(ROLE, name=name) or tx.insert(ROLE, {"name": name, "users": [user]})
    return role


def assign(tx: Tx, role: str, permission: str, model: str | None = None, pk: object = None) -> Row | None:
    """Give a role a permission, on one object or on everything.

    Raises:
        KeyError: there is no such permission.
    """
    if permission not in known():
        raise KeyError(permission)
    if model is None:
        row = tx.require(ROLE, role)
        tx.update(ROLE, role, {"permissions": sorted({*row["permissions"], permission})})
        return None
    by_name(model)
    given = {"role": role, "permission": permission, "object_pk": str(pk)}
    return tx.find(OBJECT_PERMISSION, **given) or tx.insert(
        OBJECT_PERMISSION, {**given, "object_model": model}
    )


def unassign(tx: Tx, role: str, permission: str, pk: object = None) -> None:
    """Take a permission from a role; again is no change."""
    if pk is None:
        row = tx.require(ROLE, role)
        tx.update(ROLE, role, {"permissions": [name for name in row["permissions"] if name != permission]})
        return
    for row in tx.select(OBJECT_PERMISSION, role=role, permission=permission, object_pk=str(pk)):
        tx.delete(OBJECT_PERMISSION, row["pk"])
