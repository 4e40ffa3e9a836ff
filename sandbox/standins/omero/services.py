"""What all services have in common: a call finds its session, needs a role, and is answered or refused.

Source: `BasicMethodSecurity`, `BasicSecuritySystem` and `IceMapper.handleException` of the server.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import Ice
import omero

from .accounts import Accounts, Caller
from .catalogue import Catalogue
from .errors import ApiUsageFault, Fault, SecurityFault
from .passwords import Passwords
from .remote import Remote
from .sessions import Session, Sessions
from .settings import Settings

_LOG = logging.getLogger("omero")
_KEY = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
EVERYBODY: tuple[str, ...] = ()
USERS = ("user",)
GUESTS_TOO = ("user", "guest")
ADMINISTRATORS = ("system",)

_Class = TypeVar("_Class", bound=type)
_Method = TypeVar("_Method", bound=Callable[..., Remote])


@dataclass(frozen=True)
class Parts:
    """What the server is made of."""

    settings: Settings
    catalogue: Catalogue
    passwords: Passwords
    sessions: Sessions
    accounts: Accounts


class Client:
    """One client's use of a session; several clients may share one."""

    def __init__(self, parts: Parts, key: str, client: str, *, joined: bool) -> None:
        """A client that begins or, `joined`, enters the session with this key."""
        self.parts = parts
        self.key = key
        self.client = client
        self.with_password = not joined
        self.closes = True

    def session(self) -> Session:
        """The session, if it is still open. Raises Fault."""
        return self.parts.sessions.find(self.key)

    def caller(self, context: dict[str, str] | None = None) -> Caller:
        """Who calls with this context. Raises SecurityFault for a group that is not the caller's."""
        caller = self.session().caller
        group = _number((context or {}).get("omero.group"))
        if group is None:
            group = caller.group
        if group >= 0 and not caller.administrator and group not in caller.member_of:
            raise SecurityFault(f"User {caller.user} is not a member of group {group} and cannot login")
        return caller


def role(*allowed: str, password: bool = False) -> Callable[[_Method], _Method]:
    """Say who may call an operation: members of these groups; with `password`, only after giving one."""

    def mark(method: _Method) -> _Method:
        method.__dict__["allowed"] = allowed
        method.__dict__["password"] = password
        return method

    return mark


def answering(cls: _Class) -> _Class:
    """Make a class answer each operation of its interface: by its method of that name, else by a refusal."""
    for name in sorted(each[4:] for each in dir(cls) if each.startswith("_op_")):
        method = cls.__dict__.get(name)
        asynchronous = f"{name}_async" if hasattr(cls, f"{name}_async") else None
        if asynchronous:
            setattr(cls, asynchronous, _asynchronous(name, method))
        elif method is None:
            setattr(cls, name, _synchronous(name))
    return cls


def _asynchronous(name: str, method: Callable[..., Remote] | None) -> Callable[..., None]:
    def answer(self: Remote, callback: Remote, *arguments: Remote) -> None:
        *values, current = arguments
        try:
            found = guarded(self, name, method, values, current)
        except Exception as error:
            callback.ice_exception(error)
            return
        if nothing:
            callback.ice_response()
        else:
            callback.ice_response(found)

    nothing = method is not None and method.__annotations__["return"] is None
    return answer


def _synchronous(name: str) -> Callable[..., Remote]:
    def refuse(self: Remote, *arguments: Remote) -> None:
        guarded(self, name, None, [], arguments[-1])

    return refuse


def guarded(
    servant: Remote,
    name: str,
    method: Callable[..., Remote] | None,
    values: list[Remote],
    current: Remote,
) -> Remote:
    """Run an operation for whoever may call it. Raises the exceptions that clients get."""
    interface = type(servant).__name__
    try:
        client: Client = servant.client
        caller = client.caller(current.ctx)
        found = _allowed(method, f"{interface}.{name}", client, caller)(servant, caller, *values)
    except Ice.Exception:
        raise
    except Fault as fault:
        _LOG.info("%s.%s: %s: %s", interface, name, fault.name, redacted(fault.message))
        raise exception(fault) from None
    except Exception as error:
        _LOG.exception("%s.%s failed", interface, name)
        raise exception(Fault(f"{type(error).__name__} in {interface}.{name}")) from None
    _LOG.info("%s.%s by %s", interface, name, caller.name)
    return found


def _allowed(
    method: Callable[..., Remote] | None, name: str, client: Client, caller: Caller
) -> Callable[..., Remote]:
    """The operation, if there is one and this caller may call it. Raises Fault."""
    if method is None:
        raise ApiUsageFault(f"the stand-in for OMERO.server does not have {name}")
    if getattr(method, "password", False) and not client.with_password:
        raise SecurityFault(
            "Bad authentication credentials for this action.\nSee setSecurityPassword for more information"
        )
    allowed: tuple[str, ...] = getattr(method, "allowed", USERS)
    if allowed and not set(allowed) & set(caller.roles):
        raise SecurityFault(
            f"No matching roles found in {list(caller.roles)} for session {caller.session} "
            f"(allowed: {list(allowed)})"
        )
    return method


def exception(fault: Fault) -> Remote:
    """The exception that a client gets."""
    return getattr(omero, fault.name)("", f"ome.conditions.{fault.name}", fault.message)


def redacted(text: str) -> str:
    """A text without the keys of sessions, with which anybody could enter them."""
    return _KEY.sub("***", text)


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None
