"""What the server refuses, named as OMERO names it.

Source of names: omero/ServerErrors.ice; the server's own classes (`ome.conditions`) have the same names.
"""


class Fault(Exception):
    """An answer that is an error; its class names the exception that the client gets."""

    name = "InternalException"

    @property
    def message(self) -> str:
        """What the client is told."""
        return str(self.args[0]) if self.args else ""


class ApiUsageFault(Fault):
    """The call makes no sense."""

    name = "ApiUsageException"


class ValidationFault(ApiUsageFault):
    """The call would break a rule of the data."""

    name = "ValidationException"


class SecurityFault(Fault):
    """The caller may not do that."""

    name = "SecurityViolation"


class GroupSecurityFault(SecurityFault):
    """The group may not be changed so."""

    name = "GroupSecurityViolation"


class RemovedSessionFault(Fault):
    """There is no such session, or no longer."""

    name = "RemovedSessionException"


class SessionTimeoutFault(Fault):
    """The session has been idle for too long, or is too old."""

    name = "SessionTimeoutException"
