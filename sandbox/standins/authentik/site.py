"""The whole application: the API with what people meet."""

from starlette.applications import Starlette

from . import app
from .login.routes import routes
from .settings import Settings
from .store import Store


def create(settings: Settings, store: Store) -> Starlette:
    """Return the application of a server."""
    return app.create(settings, store, routes(settings, store))
