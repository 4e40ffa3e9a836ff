"""What the outpost asks the server over HTTP: its providers, whether somebody may bind, people, groups."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from ..outposts import AGENT
from ..release import VERSION
from .entries import Numbers
from .names import Tree

PAGE_SIZE = 100
TIMEOUT_SECONDS = 30.0
# As upstream: more stages than that are no login any more.
MAXIMUM_STAGES = 10
_MFA_CODE = re.compile(r"(?s)(?P<password>.*);(?P<code>[0-9]{6}|[A-Za-z0-9]{8})")


class ServerError(Exception):
    """The server did not answer, or not with what was asked for."""


class RefusedError(Exception):
    """A login was refused."""


class NotAllowedError(Exception):
    """The login was right, and the person may not use the application."""


@dataclass(frozen=True)
class Provider:
    """An LDAP provider."""

    pk: int
    name: str
    application: str
    bind_flow: str
    unbind_flow: str | None
    tree: Tree
    numbers: Numbers
    certificate: str | None
    mfa_support: bool
    cached: bool


@dataclass(frozen=True)
class Person:
    """Who has bound."""

    pk: int
    may_search: bool


class Server:
    """One connection pool to the server, with the outpost's token."""

    def __init__(self, url: str, token: str, *, insecure: bool = False) -> None:
        self._token = token
        self._url = url
        self._verify = not insecure
        self._client = httpx.Client(
            base_url=f"{url}/api/v3",
            headers={"Authorization": f"Bearer {token}", "User-Agent": f"{AGENT}{VERSION}"},
            verify=self._verify,
            timeout=TIMEOUT_SECONDS,
        )

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def providers(self) -> list[Provider]:
        """The providers of the outpost that the token belongs to; raises `ServerError`."""
        return [_provider(found) for found in self._list("/outposts/ldap/", {})]

    def certificate(self, pk: str) -> tuple[bytes, bytes]:
        """Certificate chain and key (PEM) of a key pair; raises `ServerError`."""
        certificate = self._get(f"/crypto/certificatekeypairs/{pk}/view_certificate/", {})
        key = self._get(f"/crypto/certificatekeypairs/{pk}/view_private_key/", {})
        return str(certificate["data"]).encode(), str(key["data"]).encode()

    def users(self, query: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        """All people whom the query finds, with their groups; raises `ServerError`."""
        return self._list("/core/users/", {**query, "include_groups": "true"})

    def groups(self, query: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        """All groups that the query finds, with their members; raises `ServerError`."""
        wanted = {"include_users": "true", "include_children": "true", "include_parents": "true"}
        return self._list("/core/groups/", {**query, **wanted})

    def user(self, pk: int) -> Mapping[str, Any]:
        """One person; raises `ServerError`."""
        return self._get(f"/core/users/{pk}/", {})

    def bind(self, provider: Provider, username: str, password: str, client_address: str) -> Person:
        """Log somebody in through the provider's flow, as they themselves.

        With `mfa_support` a password may end in `;` and a code of an authenticator. Raises `RefusedError`,
        `NotAllowedError` or `ServerError`.
        """
        headers = {"X-authentik-remote-ip": client_address, "X-authentik-outpost-token": self._token}
        with httpx.Client(
            base_url=f"{self._url}/api/v3",
            headers=headers,
            verify=self._verify,
            timeout=TIMEOUT_SECONDS,
            follow_redirects=True,
        ) as client:
            _log_in(client, provider, username, password)
            access_path = f"/outposts/ldap/{provider.pk}/check_access/"
            checked = _json(client.get(access_path, params={"app_slug": provider.application}))
            if not checked["access"]["passing"]:
                raise NotAllowedError(username)
            me = _json(client.get("/core/users/me/"))
            if provider.unbind_flow:
                # What follows is asked with the outpost's own token: the session would only lie about.
                _json(client.get(f"/flows/executor/{provider.unbind_flow}/"))
            return Person(pk=int(me["user"]["pk"]), may_search=bool(checked.get("has_search_permission")))

    def _get(self, path: str, query: Mapping[str, str]) -> Mapping[str, Any]:
        try:
            return _json(self._client.get(path, params=query))
        except httpx.HTTPError as problem:
            raise ServerError(f"{path}: {problem}") from problem

    def _list(self, path: str, query: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        page = 1
        while page:
            answer = self._get(path, {**query, "page": str(page), "page_size": str(PAGE_SIZE)})
            yield from answer["results"]
            page = int(answer["pagination"]["next"])


def _provider(found: Mapping[str, Any]) -> Provider:
    return Provider(
        pk=int(found["pk"]),
        name=str(found["name"]),
        application=str(found["application_slug"]),
        bind_flow=str(found["bind_flow_slug"]),
        unbind_flow=found.get("unbind_flow_slug"),
        tree=Tree(str(found["base_dn"])),
        numbers=Numbers(int(found["uid_start_number"]), int(found["gid_start_number"])),
        certificate=found.get("certificate"),
        mfa_support=bool(found.get("mfa_support")),
        cached="cached" in (found.get("bind_mode"), found.get("search_mode")),
    )


def _json(answer: httpx.Response) -> Mapping[str, Any]:
    if answer.status_code != 200:
        raise ServerError(f"{answer.request.method} {answer.request.url.path}: status {answer.status_code}")
    body = answer.json()
    if not isinstance(body, dict):
        raise ServerError(f"{answer.request.method} {answer.request.url.path}: no JSON object")
    return body


def _log_in(client: httpx.Client, provider: Provider, username: str, password: str) -> None:
    code = ""
    if provider.mfa_support and (found := _MFA_CODE.fullmatch(password)):
        password, code = found["password"], found["code"]
    path = f"/flows/executor/{provider.bind_flow}/"
    query = {"query": "goauthentik.io%2Foutpost%2Fldap=true"}
    try:
        challenge = _json(client.get(path, params=query))
        for _ in range(MAXIMUM_STAGES):
            component = challenge["component"]
            if challenge.get("response_errors"):
                raise RefusedError(username)
            if component == "xak-flow-redirect":
                return
            answer = _answer(challenge, username, password, code)
            challenge = _json(client.post(path, params=query, json=answer))
    except httpx.HTTPError as problem:
        raise ServerError(f"{path}: {problem}") from problem
    raise RefusedError(username)


def _answer(challenge: Mapping[str, Any], username: str, password: str, code: str) -> dict[str, Any]:
    component = challenge["component"]
    match component:
        case "ak-stage-identification":
            answer = {"component": component, "uid_field": username}
            return {**answer, "password": password} if challenge.get("password_fields") else answer
        case "ak-stage-password":
            return {"component": component, "password": password}
        case "ak-stage-authenticator-validate" if code:
            return {"component": component, "code": code}
        case "ak-stage-user-login":
            return {"component": component, "remember_me": False}
        case _:
            # Access denied, or a stage that nobody can answer over LDAP.
            raise RefusedError(f"{username}: {component}")
