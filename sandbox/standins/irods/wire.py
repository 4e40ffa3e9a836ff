"""The iRODS native protocol's framing and XML: reading and packing messages, with nothing of their meaning.

A message is a four-byte big-endian length, an XML header of that length (`MsgHeader_PI`), then the packed
structure, the error stack and the binary part, whose lengths the header gives.
"""

import base64
import contextlib
import re
import select
import socket
import ssl
import struct
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass
from xml.sax.saxutils import escape

MAX_HEADER = 1088
MAX_PART = 256 * 1024 * 1024
_HEADER = re.compile(
    rb"<MsgHeader_PI>\s*<type>([A-Za-z0-9_-]+)</type>\s*<msgLen>(-?\d+)</msgLen>\s*<errorLen>(-?\d+)</errorLen>"
    rb"\s*<bsLen>(-?\d+)</bsLen>\s*<intInfo>(-?\d+)</intInfo>\s*</MsgHeader_PI>\s*"
)
_ENTITIES = {"'": "&apos;", '"': "&quot;"}


class ProtocolError(Exception):
    """The peer sent something that is not the iRODS protocol, or went away in the middle of a message."""


class Disconnected(ProtocolError):
    """The peer closed the connection between two messages."""


class Heartbeat(ProtocolError):
    """The peer only asks whether the server is alive."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its type, packed structure, error stack, binary part and the header's integer."""

    type: str
    body: bytes = b""
    error: bytes = b""
    bs: bytes = b""
    int_info: int = 0


class Channel:
    """Whole messages over a TCP or TLS socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = bytearray()
        self._closed = False

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return isinstance(self.sock, ssl.SSLSocket)

    def start_tls(
        self, context: ssl.SSLContext, *, server_side: bool = False, server_hostname: str | None = None
    ) -> None:
        """Go on encrypted.

        Raises `ProtocolError` when the peer sent plain bytes ahead of the handshake, which must not count,
        `Disconnected` when another thread has closed the channel, and `OSError` when the handshake fails.
        """
        if self._buffer:
            raise ProtocolError("plain bytes ahead of the TLS handshake")
        # Wrapping takes the connection from the plain socket, so whoever closes the channel just then has
        # nothing to close; the TLS socket, in place before the handshake, finds out.
        self.sock = tls = context.wrap_socket(
            self.sock, server_side=server_side, server_hostname=server_hostname, do_handshake_on_connect=False
        )
        if self._closed:
            raise Disconnected("closed ahead of the TLS handshake")
        tls.do_handshake()

    def close(self) -> None:
        """Close the connection whatever state it is in; another thread that waits for it goes on."""
        self._closed = True
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def read_exactly(self, size: int) -> bytes:
        """Return the next `size` bytes, or raise `ProtocolError` when the connection ends before them."""
        while len(self._buffer) < size:
            # Before TLS, read no further than asked: the handshake's bytes belong to the TLS socket.
            chunk = self.sock.recv(
                max(size - len(self._buffer), 65536) if self.tls else size - len(self._buffer)
            )
            if not chunk:
                if not self._buffer:
                    raise Disconnected("connection closed")
                raise ProtocolError("connection closed in the middle of a message")
            self._buffer += chunk
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def read_header(self) -> tuple[str, int, int, int, int]:
        """Return the next header's type, three lengths and integer."""
        (length,) = struct.unpack(">i", self.read_exactly(4))
        if not 0 < length <= MAX_HEADER:
            raise ProtocolError(f"header of {length} bytes")
        header = self.read_exactly(length)
        match = _HEADER.fullmatch(header)
        if match is None and b"<type>HEARTBEAT</type>" in header:
            raise Heartbeat("heartbeat")
        if match is None:
            raise ProtocolError("malformed header")
        return match[1].decode(), int(match[2]), int(match[3]), int(match[4]), int(match[5])

    def read(self) -> Message:
        """Return the next message."""
        kind, body, error, bs, int_info = self.read_header()
        if not all(0 <= part <= MAX_PART for part in (body, error, bs)):
            raise ProtocolError("part of the message is too long")
        return Message(
            kind, self.read_exactly(body), self.read_exactly(error), self.read_exactly(bs), int_info
        )

    def connected(self) -> bool:
        """Whether the peer is still there, as far as this side has heard."""
        descriptor = self.sock.fileno()
        if descriptor < 0:
            return False
        poll = select.poll()
        poll.register(descriptor, select.POLLRDHUP)
        return not poll.poll(0)

    def write(self, message: Message) -> None:
        """Send a message."""
        self.sock.sendall(pack(message))


def pack(message: Message) -> bytes:
    """Return the bytes of a message."""
    header = (
        f"<MsgHeader_PI><type>{message.type}</type><msgLen>{len(message.body)}</msgLen>"
        f"<errorLen>{len(message.error)}</errorLen><bsLen>{len(message.bs)}</bsLen>"
        f"<intInfo>{message.int_info}</intInfo></MsgHeader_PI>"
    ).encode()
    return struct.pack(">i", len(header)) + header + message.body + message.error + message.bs


def text(value: object) -> str:
    """Return a value as XML character data, with the entities iRODS uses."""
    return escape(str(value), _ENTITIES)


def element(tag: str, *children: str) -> str:
    """Return an element around children that are already XML, laid out as the real server does."""
    return f"<{tag}>\n{''.join(children)}</{tag}>\n"


def leaf(tag: str, value: object) -> str:
    """Return an element with a value."""
    return f"<{tag}>{text(value)}</{tag}>\n"


def binary_json(document: str) -> str:
    """Return a `BinBytesBuf_PI` that carries JSON text, with the trailing zero byte of the real server."""
    raw = document.encode() + b"\0"
    return element("BinBytesBuf_PI", leaf("buflen", len(raw)), leaf("buf", base64.b64encode(raw).decode()))


def error_stack(entries: Iterable[tuple[int, str]]) -> bytes:
    """Return a packed `RError_PI`, or nothing when there are no entries."""
    listed = list(entries)
    if not listed:
        return b""
    items = [
        element("RErrMsg_PI", leaf("status", status), leaf("msg", message)) for status, message in listed
    ]
    return element("RError_PI", leaf("count", len(listed)), *items).encode()


# Clients pack control characters as they are, in scrambled passwords for one. XML knows most of them not at
# all and reads a carriage return as a line feed, so they travel through the parser as private-use characters.
_PRIVATE_USE = 0xE000
_CONTROLS = [byte for byte in range(1, 0x20) if byte not in (0x09, 0x0A)]
_DISGUISES = [(bytes([byte]), chr(_PRIVATE_USE + byte).encode()) for byte in _CONTROLS]
_UNMASK = {_PRIVATE_USE + byte: byte for byte in _CONTROLS}


def _disguised(body: bytes) -> bytes:
    for control, disguise in _DISGUISES:
        body = body.replace(control, disguise)
    return body


def _plain(text: str | None) -> str:
    return (text or "").translate(_UNMASK)


class Node:
    """A received structure: typed access to the fields by name."""

    def __init__(self, root: ET.Element) -> None:
        self._root = root

    @classmethod
    def parse(cls, body: bytes) -> "Node":
        """Parse a packed structure. Raises `ProtocolError` when it is not XML or declares entities."""
        if b"<!" in body:
            raise ProtocolError("document type declarations are not part of the protocol")
        try:
            return cls(ET.fromstring(_disguised(body.rstrip(b"\0"))))  # noqa: S314 - no entities: refused above
        except ET.ParseError as error:
            raise ProtocolError(f"malformed structure: {error}") from error

    @property
    def name(self) -> str:
        """The structure's name."""
        return self._root.tag

    def get(self, field: str, default: str = "") -> str:
        """Return a text field."""
        found = self._root.find(field)
        return default if found is None or found.text is None else _plain(found.text)

    def number(self, field: str, default: int = 0) -> int:
        """Return a number field. Raises `ProtocolError` when it is no number."""
        found = self._root.find(field)
        if found is None or not (found.text or "").strip():
            return default
        try:
            return int(found.text or "")
        except ValueError as error:
            raise ProtocolError(f"{field} is not a number") from error

    def texts(self, field: str) -> list[str]:
        """Return all texts of a repeated field."""
        return [_plain(found.text) for found in self._root.findall(field)]

    def child(self, field: str) -> "Node":
        """Return a substructure; an absent one is empty."""
        found = self._root.find(field)
        return Node(ET.Element(field) if found is None else found)

    def children(self, field: str) -> list["Node"]:
        """Return all substructures of a name."""
        return [Node(found) for found in self._root.findall(field)]

    def keywords(self) -> dict[str, str]:
        """Return the structure's `KeyValPair_PI` as a mapping."""
        pairs = self.child("KeyValPair_PI")
        return dict(zip(pairs.texts("keyWord"), pairs.texts("svalue"), strict=False))
