"""The server itself: its version, settings and machine."""

import platform
import ssl
from typing import Any

from .. import cleaning, clock
from ..http import Answer, Call, Route, denied, invalid, route
from ..models.core import BRAND
from ..models.fields import Invalid
from ..models.registry import MODELS, by_name
from ..release import VERSION
from .views import plain

SETTINGS = "authentik_core.settings"


def config(call: Call) -> Answer:
    """Answer what a browser must know before anybody logs in."""
    return Answer(
        {
            "error_reporting": {
                "enabled": False,
                "sentry_dsn": "",
                "environment": "customer",
                "send_pii": False,
                "traces_sample_rate": 0.1,
            },
            "capabilities": ["can_impersonate"],
            "cache_timeout": 300,
            "cache_timeout_flows": 300,
            "cache_timeout_policies": 300,
        }
    )


def version(call: Call) -> Answer:
    """Answer the release."""
    return Answer(
        {
            "version_current": VERSION,
            "version_latest": VERSION,
            "version_latest_valid": False,
            "build_hash": "",
            "outdated": False,
            "outpost_outdated": False,
        }
    )


def system(call: Call) -> Answer:
    """Answer what machine this is. The caller's token is not part of it."""
    if not call.rights.has("authentik_rbac.view_system_info"):
        denied()
    host = call.base_url.partition("://")[2]
    brand = call.tx.find(BRAND, default=True) or {"domain": ""}
    return Answer(
        {
            "http_headers": {
                f"HTTP_{name.upper().replace('-', '_')}": value
                for name, value in call.headers.items()
                if name.lower() not in ("authorization", "cookie")
            },
            "http_host": host,
            "http_is_secure": call.base_url.startswith("https://"),
            "runtime": {
                "architecture": platform.machine(),
                "authentik_version": VERSION,
                "environment": "custom",
                "openssl_fips_enabled": None,
                "openssl_version": ssl.OPENSSL_VERSION,
                "platform": platform.platform(),
                "python_version": platform.python_version(),
                "uname": " ".join(platform.uname()),
            },
            "brand": str(brand["domain"]),
            "server_time": clock.now(),
            "embedded_outpost_disabled": True,
            "embedded_outpost_host": "",
            "base_url": call.base_url,
        }
    )


def settings(call: Call) -> Answer:
    """Answer the server's settings."""
    if not call.rights.has("authentik_rbac.view_system_settings"):
        denied()
    return Answer(_settings(call))


def _settings(call: Call) -> dict[str, Any]:
    shown = plain(call, call.tx.rows(SETTINGS))[0]
    del shown["pk"]
    return shown


def change_settings(call: Call) -> Answer:
    """Change the server's settings."""
    if not call.rights.has("authentik_rbac.edit_system_settings"):
        denied()
    if call.method == "PUT" and "flags" not in call.data:
        invalid({"flags": ["This field is required."]})
    row = call.tx.rows(SETTINGS)[0]
    try:
        cleaned = cleaning.clean(call.tx, by_name(SETTINGS), call.data, instance=row, partial=True)
    except Invalid as error:
        invalid(error.detail)
    call.tx.update(SETTINGS, row["pk"], cleaned)
    return Answer(_settings(call))


def models(call: Call) -> Answer:
    """Answer the names of all models."""
    shown = [{"name": name, "label": model.title} for name, model in MODELS.items() if not model.abstract]
    return Answer(shown)


def routes() -> list[Route]:
    """Return the paths of the server itself."""
    return [
        route("root/config/", public=True, get=config),
        route("admin/version/", get=version),
        route("admin/system/", get=system),
        route("admin/settings/", get=settings, put=change_settings, patch=change_settings),
        route("admin/models/", get=models),
    ]
