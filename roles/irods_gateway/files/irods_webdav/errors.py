"""What the zone refuses or fails at, as the answers of HTTP and WebDAV."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from irods.exception import PycommandsException, get_exception_class_by_code, iRODSException
from wsgidav.dav_error import (
    HTTP_CONFLICT,
    HTTP_FORBIDDEN,
    HTTP_INTERNAL_ERROR,
    HTTP_LOCKED,
    HTTP_NOT_FOUND,
    DAVError,
)

HTTP_SERVICE_UNAVAILABLE = 503
HTTP_INSUFFICIENT_STORAGE = 507

LIBRARY_ERRORS = (iRODSException, PycommandsException, OSError, EOFError, KeyError, ValueError)
"""What the client library raises when a server refuses, fails or is not there."""

LOGIN_REFUSED = frozenset(
    {
        -178000,  # AUTHENTICATION_ERROR
        -826000,  # CAT_INVALID_AUTHENTICATION
        -827000,  # CAT_INVALID_USER
        -840000,  # CAT_PASSWORD_EXPIRED
        -993000,  # PAM_AUTH_PASSWORD_FAILED
    }
)
"""Codes with which a server refuses a name or a password."""

STATUS = {
    -13000: HTTP_FORBIDDEN,  # SYS_NO_API_PRIV
    -38000: HTTP_SERVICE_UNAVAILABLE,  # SYS_AGENT_INIT_ERR
    -105000: HTTP_SERVICE_UNAVAILABLE,  # SYS_RESC_IS_DOWN
    -110000: HTTP_INSUFFICIENT_STORAGE,  # SYS_RESC_QUOTA_EXCEEDED
    -115000: HTTP_SERVICE_UNAVAILABLE,  # SYS_SOCK_READ_TIMEDOUT
    -116000: HTTP_SERVICE_UNAVAILABLE,  # SYS_SOCK_READ_ERR
    -169000: HTTP_FORBIDDEN,  # SYS_NOT_ALLOWED
    -310000: HTTP_NOT_FOUND,  # USER_FILE_DOES_NOT_EXIST
    -312000: HTTP_CONFLICT,  # OVERWRITE_WITHOUT_FORCE_FLAG
    -358000: HTTP_NOT_FOUND,  # OBJ_PATH_DOES_NOT_EXIST
    -406000: HTTP_LOCKED,  # LOCKED_DATA_OBJECT_ACCESS
    -801000: HTTP_SERVICE_UNAVAILABLE,  # CATALOG_NOT_CONNECTED
    -806000: HTTP_SERVICE_UNAVAILABLE,  # CAT_SQL_ERR, what a stopped PostgreSQL gives
    -808000: HTTP_NOT_FOUND,  # CAT_NO_ROWS_FOUND
    -809000: HTTP_CONFLICT,  # CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME
    -814000: HTTP_NOT_FOUND,  # CAT_UNKNOWN_COLLECTION
    -818000: HTTP_FORBIDDEN,  # CAT_NO_ACCESS_PERMISSION
    -821000: HTTP_CONFLICT,  # CAT_COLLECTION_NOT_EMPTY
    -824000: HTTP_SERVICE_UNAVAILABLE,  # CAT_NOT_OPEN, as -806000
    -830000: HTTP_FORBIDDEN,  # CAT_INSUFFICIENT_PRIVILEGE_LEVEL
}
"""Answers by iRODS error code; what is not here is an internal error."""

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
WRITE_FAILED = -513000  # UNIX_FILE_WRITE_ERR


def code_of(error: BaseException) -> int:
    """The iRODS error code that an exception of the client library carries, or 0."""
    if isinstance(error, iRODSException):
        return int(error.code or 0)
    if isinstance(error, KeyError) and error.args and isinstance(error.args[0], int):
        # How the library raises an error code that it has no class for.
        return error.args[0]
    return 0


def nominal(code: int) -> int:
    """An iRODS error code without the system's errno in its last three digits."""
    return -(-code // 1000 * 1000)


def answer(error: BaseException) -> DAVError:
    """The answer for what the client library raised. Nothing in it is secret."""
    code = code_of(error)
    if not code:
        return DAVError(HTTP_SERVICE_UNAVAILABLE, "The zone does not answer. Try again in a minute.")
    if nominal(code) == WRITE_FAILED and -code % 1000 in FULL:
        return DAVError(HTTP_INSUFFICIENT_STORAGE, "The storage is full.")
    name = getattr(get_exception_class_by_code(code), "__name__", "an error")
    return DAVError(STATUS.get(nominal(code), HTTP_INTERNAL_ERROR), f"The zone answers {name} ({code}).")


@contextmanager
def answered() -> Iterator[None]:
    """Turn what the client library raises inside into the answer for it."""
    try:
        yield
    except LIBRARY_ERRORS as error:
        raise answer(error) from error
