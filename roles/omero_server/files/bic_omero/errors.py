"""The errors that a person reads."""


class ToolError(Exception):
    """Something cannot be done; the text says what, and what to do."""
