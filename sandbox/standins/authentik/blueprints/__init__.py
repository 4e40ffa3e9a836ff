"""Blueprints: YAML that says which objects there should be, and what it takes to apply it."""
