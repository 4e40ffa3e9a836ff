"""What Authentik keeps: each model as a list of fields, from which tables, checks and answers follow."""

from . import connections, core, flows, operations
from .registry import MODELS, Model, by_name, family_members

__all__ = ["MODELS", "Model", "by_name", "connections", "core", "family_members", "flows", "operations"]
