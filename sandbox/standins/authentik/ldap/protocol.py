"""The LDAP protocol: binds, searches, comparisons and StartTLS of one connection."""

import logging
from collections.abc import Callable
from typing import Any

from ldaptor.protocols import pureldap
from ldaptor.protocols.ldap import ldaperrors
from ldaptor.protocols.ldap.ldapserver import BaseLDAPServer
from twisted.internet import defer, threads

from .entries import root_entry
from .filters import UnsupportedFilterError, keeps
from .names import InvalidNameError, common_name
from .outpost import Outpost
from .search import BASE, Request, search, selected
from .server_api import NotAllowedError, Person, Provider, RefusedError, ServerError

LOG = logging.getLogger("authentik.outpost.ldap")
MAXIMUM_REQUEST_BYTES = 1024 * 1024
START_TLS = b"1.3.6.1.4.1.1466.20037"
Reply = Callable[[Any], None]


class Connection(BaseLDAPServer):  # type: ignore[misc] # ldaptor has no types
    """One client. Who has bound belongs to the connection alone."""

    fail_LDAPBindRequest = pureldap.LDAPBindResponse
    fail_LDAPSearchRequest = pureldap.LDAPSearchResultDone
    fail_LDAPCompareRequest = pureldap.LDAPCompareResponse

    def __init__(self, outpost: Outpost) -> None:
        super().__init__()
        self._outpost = outpost
        self._bound: tuple[Provider, Person] | None = None
        self._secure = False

    def dataReceived(self, recd: bytes) -> None:
        """Take bytes; a request that is too long, or is no LDAP, ends the connection."""
        if len(self.buffer) + len(recd) > MAXIMUM_REQUEST_BYTES:
            LOG.warning("a request of more than %d bytes", MAXIMUM_REQUEST_BYTES)
            self.transport.abortConnection()
            return
        super().dataReceived(recd)

    def handle_LDAPBindRequest(self, request: Any, controls: Any, reply: Reply) -> Any:  # noqa: ANN401
        """Bind by name and password; the server decides."""
        self.checkControls(controls)
        self._bound = None
        if request.version != 3:
            raise ldaperrors.LDAPProtocolError(f"version {request.version} is not supported")
        if request.sasl:
            raise ldaperrors.LDAPAuthMethodNotSupported("only simple binds are supported")
        answer = threads.deferToThread(self._bind, _text(request.dn), _text(request.auth))
        answer.addCallback(self._remember)
        return answer

    def _bind(self, name: str, password: str) -> tuple[int, tuple[Provider, Person] | None]:
        try:
            provider = self._outpost.provider_of(name)
            username = common_name(name)
        except InvalidNameError:
            provider, username = None, None
        if provider is None or username is None:
            LOG.info("bind as %r: below no provider's base", name)
            self._outpost.metrics.rejected("bind", "no_provider")
            return ldaperrors.LDAPInsufficientAccessRights.resultCode, None
        try:
            with self._outpost.metrics.timed("bind", provider.application):
                address = self.transport.getPeer().host
                person = self._outpost.server.bind(provider, username, password, address)
        except (RefusedError, ServerError) as refused:
            # As upstream: a flow that fails is answered like a wrong password.
            LOG.info("bind as %r refused: %s", name, refused)
            self._outpost.metrics.rejected("bind", "invalid_credentials")
            return ldaperrors.LDAPInvalidCredentials.resultCode, None
        except NotAllowedError:
            LOG.info("bind as %r: no access to application %s", name, provider.application)
            self._outpost.metrics.rejected("bind", "access_denied")
            return ldaperrors.LDAPInsufficientAccessRights.resultCode, None
        return ldaperrors.Success.resultCode, (provider, person)

    def _remember(self, result: tuple[int, tuple[Provider, Person] | None]) -> Any:  # noqa: ANN401
        code, self._bound = result
        return pureldap.LDAPBindResponse(resultCode=code)

    def handle_LDAPUnbindRequest(self, request: Any, controls: Any, reply: Reply) -> None:  # noqa: ANN401
        """End the connection."""
        self._bound = None
        self.transport.loseConnection()

    def handle_LDAPAbandonRequest(self, request: Any, controls: Any, reply: Reply) -> None:  # noqa: ANN401
        """Searches are not abandoned half-way; there is no answer to this request."""

    def handle_LDAPSearchRequest(self, request: Any, controls: Any, reply: Reply) -> Any:  # noqa: ANN401
        """Search as who has bound."""
        self.checkControls(controls)
        wanted = Request(
            base=_text(request.baseObject),
            scope=int(request.scope),
            filter=request.filter,
            attributes=[_text(attribute) for attribute in request.attributes],
        )
        if not wanted.base:
            return self._root(wanted, reply)
        if self._bound is None:
            raise ldaperrors.LDAPInsufficientAccessRights("Search Error: Anonymous BindDN not allowed")
        answer = threads.deferToThread(self._search, self._bound, wanted)
        answer.addCallback(self._send, reply, int(request.sizeLimit), bool(request.typesOnly))
        return answer

    def _root(self, wanted: Request, reply: Reply) -> Any:  # noqa: ANN401
        entry = root_entry(self._bound[0].tree if self._bound else None)
        found = wanted.scope == BASE and keeps(wanted.filter, entry)
        return self._send([selected(entry, wanted.attributes)] if found else [], reply, 0, False)

    def _search(self, bound: tuple[Provider, Person], wanted: Request) -> list[Any]:
        provider, person = bound
        try:
            with self._outpost.metrics.timed("search", provider.application):
                return list(search(self._outpost.server, provider, person, wanted))
        except InvalidNameError as problem:
            raise ldaperrors.LDAPInvalidDNSyntax(str(problem)) from problem
        except UnsupportedFilterError as problem:
            raise ldaperrors.LDAPOperationsError(
                f"Search Error: error parsing filter: {problem}"
            ) from problem
        except ServerError as problem:
            LOG.warning("search: %s", problem)
            self._outpost.metrics.rejected("search", "server_error")
            raise ldaperrors.LDAPOperationsError("the server did not answer") from problem

    def _send(self, found: list[Any], reply: Reply, limit: int, types_only: bool) -> Any:  # noqa: ANN401
        for entry in found[:limit] if limit else found:
            attributes = [(name, [] if types_only else values) for name, values in entry.attributes.items()]
            reply(pureldap.LDAPSearchResultEntry(objectName=entry.name, attributes=attributes))
        code = ldaperrors.LDAPSizeLimitExceeded if limit and len(found) > limit else ldaperrors.Success
        return pureldap.LDAPSearchResultDone(resultCode=code.resultCode)

    def handle_LDAPCompareRequest(self, request: Any, controls: Any, reply: Reply) -> Any:  # noqa: ANN401
        """Say whether an entry that may be seen has a value."""
        self.checkControls(controls)
        if self._bound is None:
            raise ldaperrors.LDAPInsufficientAccessRights("Search Error: Anonymous BindDN not allowed")
        everything = pureldap.LDAPFilter_present("objectClass")
        wanted = Request(base=_text(request.entry), scope=BASE, filter=everything, attributes=())
        answer = threads.deferToThread(self._search, self._bound, wanted)
        answer.addCallback(self._compare, request.ava)
        return answer

    def _compare(self, found: list[Any], assertion: Any) -> Any:  # noqa: ANN401
        if len(found) != 1:
            raise ldaperrors.LDAPNoSuchObject
        same = pureldap.LDAPFilter_equalityMatch(
            attributeDesc=assertion.attributeDesc, assertionValue=assertion.assertionValue
        )
        code = ldaperrors.LDAPCompareTrue if keeps(same, found[0]) else ldaperrors.LDAPCompareFalse
        return pureldap.LDAPCompareResponse(resultCode=code.resultCode)

    def handle_LDAPExtendedRequest(self, request: Any, controls: Any, reply: Reply) -> Any:  # noqa: ANN401
        """StartTLS; every other extension is a protocol error."""
        self.checkControls(controls)
        if request.requestName != START_TLS:
            raise ldaperrors.LDAPProtocolError(f"unknown extension {_text(request.requestName)}")
        if self._secure or self.transport.TLS:
            raise ldaperrors.LDAPOperationsError("TLS is in use")
        reply(pureldap.LDAPStartTLSResponse(resultCode=ldaperrors.Success.resultCode))
        self._secure = True
        self._bound = None
        self.transport.startTLS(self._outpost.tls)
        return defer.succeed(None)


def _text(value: Any) -> str:  # noqa: ANN401 - ldaptor has no types
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
