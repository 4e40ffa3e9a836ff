"""Files in a vault: on this host, and what a vault on another host must offer as well."""

import base64
import contextlib
import hashlib
import os
from pathlib import Path
from typing import Protocol

from .errors import Code, IrodsError

_CHUNK = 1024 * 1024


class File(Protocol):
    """An open file of a vault."""

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes from the present position; none at the end."""

    def write(self, data: bytes) -> int:
        """Write bytes at the present position and return how many."""

    def seek(self, offset: int, whence: int) -> int:
        """Move the position as `lseek` does and return the new one."""

    def close(self) -> None:
        """Close the file."""


class Vault(Protocol):
    """The files of one host. Failures raise `IrodsError` with iRODS's code less the system's error number."""

    def open(self, path: str, flags: int) -> File:
        """Open a file with the flags of `open`; with `O_CREAT` the directories above it are made."""

    def unlink(self, path: str) -> None:
        """Remove a file; one that is gone already is no error."""

    def rename(self, source: str, target: str) -> None:
        """Give a file another name, making the directories above it."""

    def size(self, path: str) -> int:
        """Return a file's size in bytes, or -1 when there is none."""

    def free(self, path: str) -> int:
        """Return the bytes that users may still write on the file system of a path."""

    def checksum(self, path: str, scheme: str) -> str:
        """Return a file's checksum as iRODS writes it, for scheme `SHA256` or `MD5`."""


def _failure(code: Code, error: OSError) -> IrodsError:
    return IrodsError(code - (error.errno or 0), f"{code.name}: {error.strerror}")


class LocalFile:
    """An open file of this host."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes from the present position; none at the end."""
        try:
            return os.read(self._descriptor, size)
        except OSError as error:
            raise _failure(Code.UNIX_FILE_READ_ERR, error) from error

    def write(self, data: bytes) -> int:
        """Write bytes at the present position and return how many."""
        written = 0
        try:
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError as error:
            raise _failure(Code.UNIX_FILE_WRITE_ERR, error) from error
        return written

    def seek(self, offset: int, whence: int) -> int:
        """Move the position as `lseek` does and return the new one."""
        try:
            return os.lseek(self._descriptor, offset, whence)
        except OSError as error:
            raise _failure(Code.UNIX_FILE_READ_ERR, error) from error

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class LocalVault:
    """The vault files of this host, with the modes that iRODS gives them by default."""

    FILE_MODE = 0o600
    DIRECTORY_MODE = 0o750

    def open(self, path: str, flags: int) -> LocalFile:
        """Open a file; with `O_CREAT` the directories above it are made."""
        try:
            if flags & os.O_CREAT:
                os.makedirs(Path(path).parent, self.DIRECTORY_MODE, exist_ok=True)
            return LocalFile(os.open(path, flags | os.O_CLOEXEC, self.FILE_MODE))
        except OSError as error:
            code = Code.UNIX_FILE_CREATE_ERR if flags & os.O_CREAT else Code.UNIX_FILE_OPEN_ERR
            raise _failure(code, error) from error

    def unlink(self, path: str) -> None:
        """Remove a file; one that is gone already is no error."""
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        except OSError as error:
            raise _failure(Code.UNIX_FILE_UNLINK_ERR, error) from error

    def rename(self, source: str, target: str) -> None:
        """Give a file another name, making the directories above it."""
        try:
            os.makedirs(Path(target).parent, self.DIRECTORY_MODE, exist_ok=True)
            os.rename(source, target)
        except OSError as error:
            raise _failure(Code.UNIX_FILE_RENAME_ERR, error) from error

    def size(self, path: str) -> int:
        """Return a file's size in bytes, or -1 when there is none."""
        try:
            return os.stat(path).st_size
        except FileNotFoundError:
            return -1
        except OSError as error:
            raise _failure(Code.UNIX_FILE_STAT_ERR, error) from error

    def free(self, path: str) -> int:
        """Return the bytes that users may still write on the file system of a path."""
        try:
            found = os.statvfs(path)
        except OSError as error:
            raise _failure(Code.UNIX_FILE_GET_FS_FREESPACE_ERR, error) from error
        return found.f_bavail * found.f_frsize

    def checksum(self, path: str, scheme: str) -> str:
        """Return a file's checksum as iRODS writes it."""
        digest = hashlib.new("md5" if scheme == "MD5" else "sha256", usedforsecurity=False)
        try:
            with open(path, "rb") as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
        except OSError as error:
            raise _failure(Code.UNIX_FILE_READ_ERR, error) from error
        if scheme == "MD5":
            return digest.hexdigest()
        return f"sha2:{base64.b64encode(digest.digest()).decode()}"
