"""What can go wrong with the store."""

from controlplane.errors import BicError


class StoreError(BicError):
    """The store cannot be reached, read or written."""


class LockedError(BicError):
    """Somebody else holds a lock that is needed, and who."""
