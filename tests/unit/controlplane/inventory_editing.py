"""How tests change an inventory."""

from collections.abc import Callable

Edit = Callable[[str, str, str], None]
"""Replaces a text, which must be there, in a file of the inventory: file, old text, new text."""
