"""Requests to Authentik's API: verified TLS, a bounded number of connections, pages in parallel, one clear
error.

What may pass by itself is tried again as long as the caller has patience: of reads everything that says so,
of writes only what was certainly not carried out. Authentik answers several failures of a write with 405 and
an empty body: an error of its own, a race that was lost, a wrong address. Whoever writes reads again then and
decides (`MaskedError`). No `Accept-Language` is sent: error texts would be translated.
"""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import httpx

from controlplane.at_address import AtAddress
from controlplane.model import Identity
from controlplane.systems.attempts import ServerError, patiently
from controlplane.systems.authentik.records import Answer, UnexpectedAnswerError

# httpx tells every request at INFO, which is the level of our services.
logging.getLogger("httpx").setLevel(logging.WARNING)

TIMEOUT = 30.0
"""Seconds to wait for a connection or an answer."""

CONNECTIONS = 4
"""Requests at a time: a server on two cores gains nothing from more."""

PAGE_SIZE = 100
"""Objects of a page: what a server gives at most unless told otherwise, and larger pages gain nothing."""

PATIENCE = 5.0
"""Seconds to go on trying to read while the server may come back."""

TORN_READS = 3
"""Attempts to read a list that changes while it is read."""

TRANSIENT = frozenset({429, 502, 503, 504})
"""Statuses that say that another attempt may succeed."""

T = TypeVar("T")

Query = Mapping[str, str | int | Sequence[str | int]]


class AuthentikError(ServerError):
    """A server that could not be reached or refused, in one line for people."""

    def __init__(self, message: str, status: int = 0, *, transient: bool = False) -> None:
        super().__init__(message, transient=transient or status in TRANSIENT)
        self.status = status
        """The HTTP status, or 0 when there was no answer."""


class MaskedError(AuthentikError):
    """A write that may or may not have been carried out: read again and decide."""


class UnreachableError(AuthentikError):
    """A server that takes no connection or breaks it off."""


@dataclass(frozen=True)
class Endpoint:
    """The server and the token to use there."""

    url: str
    """Without a slash at its end."""
    token: str = field(repr=False)
    ca_file: Path | None = None
    """The authority that its certificate must come from; None for those that this host trusts."""
    timeout: float = TIMEOUT
    addresses: Mapping[str, str] = field(default_factory=dict)
    """Where the server's name leads, unless a DNS must say so."""

    @property
    def host(self) -> str:
        """The server's name."""
        return urlsplit(self.url).hostname or self.url


def endpoint(identity: Identity, timeout: float = TIMEOUT) -> Endpoint:
    """The platform's login server. Raises SecretError when its token cannot be read."""
    return Endpoint(
        identity.url.rstrip("/"), identity.token.reveal(), identity.ca_file, timeout, identity.addresses
    )


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """A context that accepts only certificates of the authority in `ca_file`, for the right host.

    Raises AuthentikError when the file cannot be used.
    """
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror if isinstance(error, FileNotFoundError) else "it is not a PEM certificate"
        raise AuthentikError(f"the certificate authority {ca_file} cannot be read: {reason}") from error


class Client:
    """A bounded set of connections to one server, for any number of threads."""

    def __init__(
        self,
        server: Endpoint,
        connections: int = CONNECTIONS,
        transport: httpx.BaseTransport | None = None,
        patience: float = PATIENCE,
    ) -> None:
        """Connect when needed; `transport` replaces the network. Raises AuthentikError."""
        self.server = server
        self.connections = connections
        self.patience = patience
        self.requests = 0
        """How many requests were sent."""
        self._lock = threading.Lock()
        self._http = httpx.Client(
            base_url=f"{server.url}/api/v3/",
            headers={"Authorization": f"Bearer {server.token}", "Accept": "application/json"},
            timeout=httpx.Timeout(server.timeout, pool=None),
            transport=transport or AtAddress(server.addresses, tls_context(server.ca_file), connections),
            trust_env=False,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave no connection open; the client cannot be used again."""
        self._http.close()

    def get(self, path: str, query: Query | None = None) -> Answer:
        """A JSON object; tried again while that may help. Raises AuthentikError."""
        answer = self.read(path, query)
        if not isinstance(answer, dict):
            raise self._unexpected(f"{path} is no object")
        return answer

    def read(self, path: str, query: Query | None = None) -> object:
        """Any JSON; tried again while that may help. Raises AuthentikError."""
        return patiently(lambda: self._send("GET", path, query=query), self.patience)

    def find(self, path: str) -> Answer | None:
        """A JSON object, or None when there is no such one. Raises AuthentikError."""
        try:
            return self.get(path)
        except AuthentikError as error:
            if error.status == httpx.codes.NOT_FOUND:
                return None
            raise

    def pages(
        self, path: str, query: Query | None = None, progress: Callable[[int, int], None] | None = None
    ) -> list[Answer]:
        """All objects of a list, its pages in parallel.

        A list that changes while it is read is read again. Raises AuthentikError; never gives half a list.
        """
        for _ in range(TORN_READS):
            found = self._pages(path, query or {}, progress or (lambda done, total: None))
            if found is not None:
                return found
        raise AuthentikError(f"{self.server.host}: {path} changed again and again while it was read")

    def _pages(self, path: str, query: Query, progress: Callable[[int, int], None]) -> list[Answer] | None:
        """The objects, or None when the pages do not fit together."""
        wanted = {**query, "page_size": PAGE_SIZE}
        first = _Page.of(self.get(path, {**wanted, "page": 1}), self._unexpected)
        progress(1, first.pages)
        pages = [first]
        if first.pages > 1:
            with ThreadPoolExecutor(self.connections, thread_name_prefix="pages") as workers:
                rest = workers.map(
                    lambda number: self._page(path, {**wanted, "page": number}), range(2, first.pages + 1)
                )
                for page in rest:
                    if page is None:
                        return None
                    pages.append(page)
                    progress(len(pages), first.pages)
        found = {str(item["pk"]): item for page in pages for item in page.objects if "pk" in item}
        keyless = [item for page in pages for item in page.objects if "pk" not in item]
        whole = len(found) + len(keyless) == first.count
        return [*found.values(), *keyless] if whole and len({page.count for page in pages}) == 1 else None

    def _page(self, path: str, query: Query) -> _Page | None:
        """A further page, or None when there is none any more."""
        try:
            return _Page.of(self.get(path, query), self._unexpected)
        except AuthentikError as error:
            if error.status == httpx.codes.NOT_FOUND:
                return None
            raise

    def write(self, method: str, path: str, body: object = None, query: Query | None = None) -> Answer:
        """Send a change once and return its answer, which is empty where it has none.

        Raises MaskedError when it may have been carried out all the same, and AuthentikError when it was not.
        """
        try:
            answer = self._send(method, path, query=query, body=body)
        except UnreachableError as error:
            raise MaskedError(str(error), transient=True) from error
        return answer if isinstance(answer, dict) else {}

    def _send(self, method: str, path: str, *, query: Query | None = None, body: object = None) -> object:
        with self._lock:
            self.requests += 1
        try:
            response = self._http.request(
                method, path, params=dict(query) if query else None, json=body if body is not None else None
            )
        except httpx.TimeoutException as error:
            raise UnreachableError(
                f"{self.server.host}: no answer within {self.server.timeout:g} s", transient=True
            ) from error
        except httpx.TransportError as error:
            raise self._lost(error) from error
        return self._read(method, path, response)

    def _lost(self, error: httpx.TransportError) -> AuthentikError:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return AuthentikError(
                    f"{self.server.host}: its certificate is not accepted: {cause.verify_message}"
                )
            cause = cause.__cause__ or cause.__context__
        text = " ".join(str(error).split()) or type(error).__name__
        return UnreachableError(f"{self.server.host}: {text}", transient=True)

    def _read(self, method: str, path: str, response: httpx.Response) -> object:
        status = response.status_code
        if response.is_success:
            if not response.content:
                return None
            try:
                answer: object = response.json()
            except ValueError:
                raise self._unexpected(f"{path} is no JSON") from None
            return answer
        if status == httpx.codes.METHOD_NOT_ALLOWED and not response.content and method != "GET":
            raise MaskedError(
                f"{self.server.host} did not carry out {method} {path} and says no reason", status
            )
        text = _reason(response)
        if status == httpx.codes.FORBIDDEN:
            raise AuthentikError(f"{self.server.host} refuses {method} {path}: {text}", status)
        raise AuthentikError(f"{self.server.host} answers {status} to {method} {path}: {text}", status)

    def _unexpected(self, what: str) -> AuthentikError:
        return AuthentikError(f"{self.server.host} answers what its API does not promise: {what}")

    def parsed(self, answers: Iterable[Answer], read: Callable[[Answer], T]) -> list[T]:
        """Answers as records. Raises AuthentikError when one is not what the API promises."""
        try:
            return [read(answer) for answer in answers]
        except UnexpectedAnswerError as error:
            raise self._unexpected(str(error)) from error


@dataclass(frozen=True)
class _Page:
    objects: list[Answer]
    pages: int
    count: int

    @classmethod
    def of(cls, answer: Answer, unexpected: Callable[[str], AuthentikError]) -> _Page:
        try:
            pagination = answer["pagination"]
            return cls(list(answer["results"]), int(pagination["total_pages"]), int(pagination["count"]))
        except (KeyError, TypeError, ValueError):
            raise unexpected("a list without pagination and results") from None


def _reason(response: httpx.Response) -> str:
    """What an answer says of its failure; errors of reads are HTML pages, which say nothing."""
    try:
        answer = response.json()
    except ValueError:
        return "no reason"
    if isinstance(answer, dict):
        if isinstance(detail := answer.get("detail"), str):
            return detail
        return "; ".join(f"{key}: {_words(value)}" for key, value in answer.items()) or "no reason"
    return _words(answer)


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
