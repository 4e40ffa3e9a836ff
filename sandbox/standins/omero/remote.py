"""What comes from Ice and OMERO's libraries, which have no types."""

from typing import Any, TypeAlias

Remote: TypeAlias = Any
"""An object, a proxy, a value or a call's circumstances, as Ice hands them over."""
