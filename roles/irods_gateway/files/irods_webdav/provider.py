"""Collections and data objects as WebDAV resources."""

import contextlib
import mimetypes
from collections.abc import Iterator
from typing import Any

from irods.data_object import iRODSDataObjectFileRaw
from irods.session import iRODSSession
from wsgidav.dav_error import HTTP_BAD_REQUEST, HTTP_FORBIDDEN, DAVError
from wsgidav.dav_provider import DAVCollection, DAVNonCollection, DAVProvider

from irods_webdav import catalogue
from irods_webdav.catalogue import Collection, DataObject, Entry
from irods_webdav.errors import LIBRARY_ERRORS, answer, answered
from irods_webdav.sessions import Lease

LEASE = "irods_webdav.lease"
"""The key under which a request's environment holds its session."""

LONGEST_PATH = 1024
"""Bytes of a path, MAX_NAME_LEN of iRODS 5.0.2 less its end."""

Environ = dict[str, Any]


def session_of(environ: Environ) -> iRODSSession:
    """The session of the user who sent this request."""
    lease: Lease = environ[LEASE]
    return lease.session


class Provider(DAVProvider):
    """The zone below one collection."""

    def __init__(self, root: str) -> None:
        super().__init__()
        self.root = root

    def logical_path(self, path: str) -> str:
        """The path in the zone for one of WebDAV. Raises DAVError for one that iRODS does not take."""
        segments = [segment for segment in path.split("/") if segment]
        if any(segment in (".", "..") for segment in segments) or not path.isprintable():
            raise DAVError(HTTP_BAD_REQUEST, "The path has '.', '..' or a control character in it.")
        logical = "/".join([self.root, *segments])
        if len(logical.encode()) >= LONGEST_PATH:
            raise DAVError(HTTP_BAD_REQUEST, "The path is too long for the zone.")
        return logical

    def dav_path(self, logical: str) -> str:
        """The path of WebDAV for one in the zone below `root`."""
        return logical.removeprefix(self.root) or "/"

    def resource(self, entry: Entry, environ: Environ) -> "CollectionResource | DataObjectResource":
        """The WebDAV resource for something of the zone."""
        if isinstance(entry, Collection):
            return CollectionResource(self, entry, environ)
        return DataObjectResource(self, entry, environ)

    def get_resource_inst(
        self, path: str, environ: Environ
    ) -> "CollectionResource | DataObjectResource | None":
        """What is at a path, or None."""
        logical = self.logical_path(path)
        if logical == self.root:
            # It is there for everybody, also for those who may read only single collections in it.
            return CollectionResource(self, Collection(logical, 0, 0), environ)
        with answered():
            entry = catalogue.find(session_of(environ), logical)
        return self.resource(entry, environ) if entry else None


class _Common:
    """What is the same for collections and data objects."""

    provider: Provider
    environ: Environ
    entry: Entry

    def prevent_locking(self) -> bool:
        """One who may only read must not keep those out who may write. Other requests need no answer."""
        if self.environ["REQUEST_METHOD"] != "LOCK" or (
            isinstance(self.entry, DataObject) and not self.entry.id
        ):
            return False
        with answered():
            return not catalogue.may_write(session_of(self.environ), self.entry)

    def support_recursive_delete(self) -> bool:
        """A collection goes into the trash in one call."""
        return True

    def support_recursive_move(self, dest_path: str) -> bool:
        """A collection is renamed in one call."""
        return True

    def move_recursive(self, dest_path: str) -> list[tuple[str, DAVError]]:
        """Rename it; what was at the destination has been deleted before."""
        session, target = session_of(self.environ), self.provider.logical_path(dest_path)
        with answered():
            if isinstance(self.entry, Collection):
                session.collections.move(self.entry.path, target)
            else:
                session.data_objects.move(self.entry.path, target)
        return []


class CollectionResource(_Common, DAVCollection):
    """A collection."""

    def __init__(self, provider: Provider, entry: Collection, environ: Environ) -> None:
        super().__init__(provider.dav_path(entry.path), environ)
        self.provider = provider
        self.entry = entry

    def get_creation_date(self) -> float | None:
        """Seconds since 1970."""
        return self.entry.created or None

    def get_last_modified(self) -> float | None:
        """Seconds since 1970."""
        return self.entry.modified or None

    def get_member_names(self) -> list[str]:
        """The names of what is directly in it."""
        return [member.name for member in self.get_member_list()]

    def get_member_list(self) -> "list[CollectionResource | DataObjectResource]":
        """What is directly in it."""
        with answered():
            found = catalogue.members(session_of(self.environ), self.entry.path)
        return [self.provider.resource(entry, self.environ) for entry in found]

    def get_descendants(
        self,
        *,
        collections: bool = True,
        resources: bool = True,
        depth_first: bool = False,
        depth: str = "infinity",
        add_self: bool = False,
    ) -> "list[CollectionResource | DataObjectResource]":
        """What is in it, to a depth of `0`, `1` or `infinity`, in two queries whatever the depth."""
        found: list[CollectionResource | DataObjectResource] = []
        if depth == "1":
            found = self.get_member_list()
        elif depth == "infinity":
            with answered():
                entries = catalogue.descendants(session_of(self.environ), self.entry.path)
            found = [self.provider.resource(entry, self.environ) for entry in entries]
        found = [item for item in found if (collections if item.is_collection else resources)]
        if add_self:
            found.insert(0, self)
        if depth_first:
            found.reverse()
        return found

    def create_empty_resource(self, name: str) -> "DataObjectResource":
        """A data object that is made now for a lock, and for an upload when its content comes."""
        path = self.provider.logical_path(f"{self.path.rstrip('/')}/{name}")
        made = DataObjectResource(self.provider, DataObject(path, 0, 0, 0, 0, ""), self.environ, new=True)
        if self.environ["REQUEST_METHOD"] == "LOCK":
            made.begin_write().close()
            made.end_write(with_errors=False)
        return made

    def create_collection(self, name: str) -> None:
        """Make a collection in it."""
        path = self.provider.logical_path(f"{self.path.rstrip('/')}/{name}")
        with answered():
            session_of(self.environ).collections.create(path, recurse=False)

    def copy_move_single(self, dest_path: str, *, is_move: bool) -> None:
        """Make the copy of the collection itself; its members follow one by one."""
        target = self.provider.logical_path(dest_path)
        with answered():
            session = session_of(self.environ)
            if catalogue.find(session, target) is None:
                session.collections.create(target, recurse=False)

    def handle_copy(self, dest_path: str, *, depth_infinity: bool) -> bool:
        """Copy the collection alone, where a client asks for no more; else leave it to WsgiDAV."""
        if depth_infinity:
            return False
        if existing := self.provider.get_resource_inst(dest_path, self.environ):
            existing.delete()
        self.copy_move_single(dest_path, is_move=False)
        return True

    def delete(self) -> None:
        """Move it, with all it holds, into the user's trash."""
        if self.entry.path == self.provider.root:
            raise DAVError(HTTP_FORBIDDEN, "The root cannot be deleted.")
        with answered():
            session_of(self.environ).collections.remove(self.entry.path, recurse=True, force=False)
        self.remove_all_locks(recursive=True)


class DataObjectResource(_Common, DAVNonCollection):
    """A data object."""

    def __init__(self, provider: Provider, entry: DataObject, environ: Environ, *, new: bool = False) -> None:
        super().__init__(provider.dav_path(entry.path), environ)
        self.provider = provider
        self.entry: DataObject = entry
        self._new = new
        self._reader: Reader | None = None

    def get_content_length(self) -> int:
        """Bytes."""
        return self.entry.size

    def get_content_type(self) -> str:
        """The media type that its name suggests."""
        return mimetypes.guess_type(self.entry.path)[0] or "application/octet-stream"

    def get_creation_date(self) -> float | None:
        """Seconds since 1970."""
        return self.entry.created or None

    def get_last_modified(self) -> float | None:
        """Seconds since 1970."""
        return self.entry.modified or None

    def get_etag(self) -> str | None:
        """Changes with the content; None for what is being made."""
        return self.entry.version if self.entry.id else None

    def support_etag(self) -> bool:
        """Clients may ask whether it has changed."""
        return True

    def support_ranges(self) -> bool:
        """Clients may ask for a part."""
        return True

    def finalize_headers(self, environ: Environ, response_headers: list[tuple[str, str]]) -> None:
        """Open it before an answer begins, so that a refusal can still be said."""
        if environ["REQUEST_METHOD"] == "GET":
            with answered():
                self._reader = Reader(session_of(environ), self.entry.path)

    def get_content(self) -> "Reader":
        """Its content."""
        if self._reader is None:
            with answered():
                self._reader = Reader(session_of(self.environ), self.entry.path)
        return self._reader

    def begin_write(self, *, content_type: str | None = None) -> "Writer":
        """Open it for a new content, which its present one gives way to."""
        length = self.environ.get("CONTENT_LENGTH") or None
        expected = int(length) if length and self.environ["REQUEST_METHOD"] == "PUT" else None
        with answered():
            return Writer(session_of(self.environ), self.entry.path, expected)

    def end_write(self, *, with_errors: bool) -> None:
        """See what it is like now; or, where an upload of a new one broke off, remove what there is of it."""
        session = session_of(self.environ)
        if with_errors:
            self.environ[LEASE].broken = True
            if self._new:
                # The reason that is told is why the upload failed, not why its rest may be left.
                with contextlib.suppress(*LIBRARY_ERRORS):
                    session.data_objects.unlink(self.entry.path, force=True)
            return
        with answered():
            found = catalogue.find(session, self.entry.path)
        if isinstance(found, DataObject):
            self.entry = found

    def copy_move_single(self, dest_path: str, *, is_move: bool) -> None:
        """Copy it on the server, over what is there."""
        with answered():
            session_of(self.environ).data_objects.copy(
                self.entry.path, self.provider.logical_path(dest_path), forceFlag=""
            )

    def delete(self) -> None:
        """Move it into the user's trash."""
        with answered():
            session_of(self.environ).data_objects.unlink(self.entry.path, force=False)
        self.remove_all_locks(recursive=True)


class Reader:
    """The content of a data object, from the server block by block."""

    def __init__(self, session: iRODSSession, path: str) -> None:
        self._raw: iRODSDataObjectFileRaw = _open(session, path, "r", create=False)

    def seek(self, offset: int) -> None:
        """Go to a byte."""
        with answered():
            if offset:
                self._raw.seek(offset)

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`; none at the end."""
        with answered():
            return self._raw.read(size) or b""

    def close(self) -> None:
        """End reading."""
        with answered():
            self._raw.close()


class Writer:
    """A new content for a data object, to the server block by block."""

    def __init__(self, session: iRODSSession, path: str, expected: int | None) -> None:
        self._raw: iRODSDataObjectFileRaw = _open(session, path, "w", create=True)
        self._expected = expected
        self._written = 0

    def writelines(self, blocks: Iterator[bytes]) -> None:
        """Write what a client sends. When it fails, what was opened is closed and the reason raised."""
        try:
            for block in blocks:
                with answered():
                    self._raw.write(block)
                self._written += len(block)
        except BaseException:
            with contextlib.suppress(*LIBRARY_ERRORS):
                self._raw.close()
            raise

    def close(self) -> None:
        """End writing. Raises DAVError when the client sent less than it announced."""
        try:
            self._raw.close()
        except LIBRARY_ERRORS as error:
            raise answer(error) from error
        if self._expected is not None and self._written != self._expected:
            raise DAVError(
                HTTP_BAD_REQUEST,
                f"{self._written} of {self._expected} bytes came before the connection ended.",
            )


def _open(session: iRODSSession, path: str, mode: str, *, create: bool) -> iRODSDataObjectFileRaw:
    # The raw file underneath: a buffered one would ask for 8 KiB at a time, and read before it writes.
    buffered, raw = session.data_objects.open_with_FileRaw(
        path, mode, create=create, allow_redirect=False, auto_close=False
    )
    buffered.detach()
    return raw
