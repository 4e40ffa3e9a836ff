"""`/usr/sbin/irodsPamAuthCheck`: asks the PAM of this host whether a user's password is right.

The password is read from standard input up to the first line's end. As upstream's, it only authenticates and
does not ask PAM's account management. Exit code 0: right; 1: wrong, or PAM cannot tell; 2: usage; 3: PAM
cannot be used.
"""

from __future__ import annotations

import argparse
import ctypes
import sys

SERVICE = b"irods"
_SUCCESS, _BUFFER_ERROR = 0, 5
_BAD_PASSWORD, _NO_PAM = 1, 3


class _Response(ctypes.Structure):
    _fields_ = (("resp", ctypes.c_void_p), ("resp_retcode", ctypes.c_int))


_CONVERSATION = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.POINTER(_Response)), ctypes.c_void_p
)


class _Conversation(ctypes.Structure):
    _fields_ = (("conv", _CONVERSATION), ("appdata_ptr", ctypes.c_void_p))


def authenticate(user: str, password: str, directory: str | None = None) -> bool:
    """Return whether PAM accepts a password for the service `irods`.

    `directory` is where the service's file is, instead of PAM's own places. Raises `OSError` when there is no
    PAM or it cannot begin.
    """
    pam, libc = ctypes.CDLL("libpam.so.0"), ctypes.CDLL(None)
    libc.calloc.restype = libc.strdup.restype = ctypes.c_void_p
    libc.calloc.argtypes = (ctypes.c_size_t, ctypes.c_size_t)
    pam.pam_authenticate.argtypes = pam.pam_end.argtypes = (ctypes.c_void_p, ctypes.c_int)
    answer = password.encode()

    def converse(
        number: int, _messages: int, responses: ctypes._Pointer[ctypes._Pointer[_Response]], _data: int
    ) -> int:
        # PAM frees what it gets, so the memory must be malloc's.
        memory = libc.calloc(max(number, 1), ctypes.sizeof(_Response))
        if not memory:
            return _BUFFER_ERROR
        given = ctypes.cast(memory, ctypes.POINTER(_Response))
        for index in range(number):
            given[index].resp = libc.strdup(answer)
        responses[0] = given
        return _SUCCESS

    handle = ctypes.c_void_p()
    talk = _Conversation(_CONVERSATION(converse), None)
    place = None if directory is None else directory.encode()
    status = pam.pam_start_confdir(SERVICE, user.encode(), ctypes.byref(talk), place, ctypes.byref(handle))
    if status != _SUCCESS:
        raise OSError(f"pam_start fails with {status}")
    status = pam.pam_authenticate(handle, 0)
    pam.pam_end(handle, status)
    return bool(status == _SUCCESS)


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="irodsPamAuthCheck", description="STAND-IN for iRODS's.")
    parser.add_argument("username")
    parser.add_argument("--directory", help="where the file of the service irods is; for tests")
    options = parser.parse_args()
    try:
        accepted = authenticate(options.username, sys.stdin.readline().rstrip("\n"), options.directory)
    except (OSError, ValueError) as error:
        print(f"irodsPamAuthCheck: {error}", file=sys.stderr)
        return _NO_PAM
    print("Authenticated" if accepted else "Not Authenticated")
    return 0 if accepted else _BAD_PASSWORD


if __name__ == "__main__":
    sys.exit(main())
