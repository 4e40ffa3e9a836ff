"""The vaults of other hosts: the file API between servers, from both ends."""

import json
import os
from typing import Any

from .errors import Code, IrodsError
from .handshake import json_body, request, request_json
from .vault import File, LocalVault
from .wire import Channel, Message, binary_json

FILE_OPEN, FILE_WRITE, FILE_CLOSE, FILE_LSEEK, FILE_READ = 501, 502, 503, 504, 505
FILE_UNLINK, FILE_STAT, FILE_FREE_SPACE, FILE_CHKSUM, FILE_RENAME = 506, 510, 514, 520, 522
NAMES = {
    FILE_OPEN: "FILE_OPEN_AN",
    FILE_WRITE: "FILE_WRITE_AN",
    FILE_CLOSE: "FILE_CLOSE_AN",
    FILE_LSEEK: "FILE_LSEEK_AN",
    FILE_READ: "FILE_READ_AN",
    FILE_UNLINK: "FILE_UNLINK_AN",
    FILE_STAT: "FILE_STAT_AN",
    FILE_FREE_SPACE: "FILE_GET_FS_FREE_SPACE_AN",
    FILE_CHKSUM: "FILE_CHKSUM_AN",
    FILE_RENAME: "FILE_RENAME_AN",
}


class RemoteFile:
    """An open file on another host."""

    def __init__(self, channel: Channel, descriptor: int) -> None:
        self._channel, self._descriptor = channel, descriptor

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes from the present position; none at the end."""
        return request(self._channel, FILE_READ, {"fd": self._descriptor, "len": size}).bs

    def write(self, data: bytes) -> int:
        """Write bytes at the present position and return how many."""
        return request(self._channel, FILE_WRITE, {"fd": self._descriptor}, data).int_info

    def seek(self, offset: int, whence: int) -> int:
        """Move the position as `lseek` does and return the new one."""
        document = {"fd": self._descriptor, "offset": offset, "whence": whence}
        return int(request_json(self._channel, FILE_LSEEK, document)["offset"])

    def close(self) -> None:
        """Close the file."""
        request(self._channel, FILE_CLOSE, {"fd": self._descriptor})


class RemoteVault:
    """The vault files of another host, over one connection to its server."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def open(self, path: str, flags: int) -> RemoteFile:
        """Open a file; with `O_CREAT` the directories above it are made."""
        reply = request(self._channel, FILE_OPEN, {"path": path, "flags": flags})
        return RemoteFile(self._channel, reply.int_info)

    def unlink(self, path: str) -> None:
        """Remove a file; one that is gone already is no error."""
        request(self._channel, FILE_UNLINK, {"path": path})

    def rename(self, source: str, target: str) -> None:
        """Give a file another name, making the directories above it."""
        request(self._channel, FILE_RENAME, {"path": source, "target": target})

    def size(self, path: str) -> int:
        """Return a file's size in bytes, or -1 when there is none."""
        return int(request_json(self._channel, FILE_STAT, {"path": path})["size"])

    def free(self, path: str) -> int:
        """Return the bytes that users may still write on the file system of a path."""
        return int(request_json(self._channel, FILE_FREE_SPACE, {"path": path})["free"])

    def checksum(self, path: str, scheme: str) -> str:
        """Return a file's checksum as iRODS writes it."""
        return str(request_json(self._channel, FILE_CHKSUM, {"path": path, "scheme": scheme})["checksum"])

    def disconnect(self) -> None:
        """End the connection."""
        self._channel.close()


class FileService:
    """Answers the file API for one connection of another server."""

    def __init__(self) -> None:
        self._vault = LocalVault()
        self._files: dict[int, File] = {}

    def answer(self, message: Message) -> Message:  # noqa: PLR0911 - one operation each
        """Carry out one request. Raises `IrodsError` when it fails."""
        document = json_body(message)
        number = message.int_info
        if number == FILE_OPEN:
            descriptor = next(fd for fd in range(3, len(self._files) + 4) if fd not in self._files)
            # Only the flags that iRODS knows: nothing that another platform could read differently.
            flags = int(document["flags"]) & (os.O_ACCMODE | os.O_CREAT | os.O_TRUNC | os.O_EXCL)
            self._files[descriptor] = self._vault.open(str(document["path"]), flags)
            return _reply(int_info=descriptor)
        if number == FILE_UNLINK:
            self._vault.unlink(str(document["path"]))
            return _reply()
        if number == FILE_RENAME:
            self._vault.rename(str(document["path"]), str(document["target"]))
            return _reply()
        if number == FILE_STAT:
            return _reply({"size": self._vault.size(str(document["path"]))})
        if number == FILE_FREE_SPACE:
            return _reply({"free": self._vault.free(str(document["path"]))})
        if number == FILE_CHKSUM:
            return _reply({"checksum": self._vault.checksum(str(document["path"]), str(document["scheme"]))})
        file = self._files.get(int(document.get("fd", -1)))
        if file is None:
            raise IrodsError(Code.BAD_INPUT_DESC_INDEX)
        if number == FILE_WRITE:
            return _reply(int_info=file.write(message.bs))
        if number == FILE_READ:
            data = file.read(int(document["len"]))
            return _reply(int_info=len(data), bs=data)
        if number == FILE_LSEEK:
            return _reply({"offset": file.seek(int(document["offset"]), int(document["whence"]))})
        if number == FILE_CLOSE:
            del self._files[int(document["fd"])]
            file.close()
            return _reply()
        raise IrodsError(Code.SYS_UNMATCHED_API_NUM)

    def close(self) -> None:
        """Close what the other server left open."""
        for file in self._files.values():
            file.close()
        self._files.clear()


def _reply(document: dict[str, Any] | None = None, *, int_info: int = 0, bs: bytes = b"") -> Message:
    body = b"" if document is None else binary_json(json.dumps(document)).encode()
    return Message("RODS_API_REPLY", body, b"", bs, int_info)
