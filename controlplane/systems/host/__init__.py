"""The hosts themselves."""
