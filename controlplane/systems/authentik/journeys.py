"""A synthetic person's login to the portal: the authorization code flow as a browser goes it.

The login server's pages need scripts; what they ask is its flow executor, which is asked here directly.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import httpx

from controlplane.at_address import AtAddress
from controlplane.health.journeys.port import Place, Stage, Traveller
from controlplane.health.net import tls_context
from controlplane.health.port import LOGIN, CheckFailedError, FindingError, machine
from controlplane.model import Platform
from controlplane.model.platform import Identity, Portal, SyntheticPerson

TIMEOUT = 10.0
"""Seconds for one page."""

STEPS = 20
"""Questions of the login server, or pages on the way, after which somebody is sent in circles."""

LOGGED_IN = 'action="/logout"'
"""What only a page of somebody who is logged in to the portal has."""

_FLOW = re.compile(r"/if/flow/([-\w]+)/")


def stages(platform: Platform) -> Iterator[Stage]:
    """The stages of one login, where the inventory has a synthetic person for it."""
    if platform.identity and platform.portal and (person := platform.portal.synthetic_person):
        yield from _Login(platform, platform.identity, platform.portal, person).stages()


class _Login:
    """Somebody at a browser."""

    def __init__(
        self, platform: Platform, identity: Identity, portal: Portal, person: SyntheticPerson
    ) -> None:
        self.platform, self.identity, self.portal, self.person = platform, identity, portal, person
        self.login = httpx.URL(identity.url)
        self.browser: httpx.Client | None = None
        self.page = httpx.URL("")
        """Where the browser is."""

    def stages(self) -> Iterator[Stage]:
        stage = partial(
            Stage,
            "login to the portal",
            runbook="README#journeys",
            needs=(machine(self.portal.host), LOGIN),
        )
        yield stage(
            Place.ENTRY,
            "login page",
            self.open,
            "Nobody gets from the portal to the login page.",
        )
        yield stage(Place.ENTRY, "log in", self.log_in, "Nobody can log in, whatever the application.")
        yield stage(Place.TEAM, "portal", self.enter, "People log in, and the portal does not know them.")
        yield stage(Place.END, "log out", self.log_out, "Somebody who logs out stays logged in.")

    def open(self, traveller: Traveller) -> str:
        """The portal sends the browser to the login server."""
        trust = tls_context(self.identity.ca_file)
        trust.load_verify_locations(str(self.platform.ca_file))
        self.browser = httpx.Client(
            transport=AtAddress(self.platform.service_addresses, trust),
            follow_redirects=True,
            timeout=TIMEOUT,
            trust_env=False,
        )
        answer = self._asked("GET", httpx.URL(f"{self.portal.url}/login"))
        if not self._flow(answer.url):
            raise FindingError(f"the portal leads to {_place(answer.url)}, which is no login page")
        self.page = answer.url
        return f"{_place(answer.url)} asks who it is"

    def log_in(self, traveller: Traveller) -> str:
        """Name and password are accepted."""
        self.page = self._through(self.page)
        return "name and password accepted"

    def enter(self, traveller: Traveller) -> str:
        """The browser comes back to the portal, which knows the person."""
        for _ in range(STEPS):
            answer = self._asked("GET", self.page)
            if not self._flow(answer.url):
                break
            self.page = self._through(answer.url)
        if answer.url.netloc != httpx.URL(self.portal.url).netloc or LOGGED_IN not in answer.text:
            raise FindingError(f"after the login, {_place(answer.url)} does not know the person")
        return "the portal knows the person"

    def log_out(self, traveller: Traveller) -> str:
        """The sessions at the portal and at the login server end."""
        if self.browser is None:
            return "nobody was logged in"
        try:
            self._asked("POST", httpx.URL(f"{self.portal.url}/logout"))
            if LOGGED_IN in self._asked("GET", httpx.URL(self.portal.url)).text:
                raise FindingError("after the logout, the portal still knows the person")
        finally:
            self.browser.close()
        return "logged out"

    def _flow(self, page: httpx.URL) -> str:
        """The name of the login server's flow that a page is of; empty for every other page."""
        found = _FLOW.fullmatch(page.path) if page.netloc == self.login.netloc else None
        return found[1] if found else ""

    def _through(self, page: httpx.URL) -> httpx.URL:
        """Answer what a flow asks, and give where it leads. Raises CheckFailedError."""
        address = self.login.copy_with(path=f"/api/v3/flows/executor/{self._flow(page)}/")
        address = address.copy_merge_params({"query": page.query.decode()})
        challenge = self._challenge("GET", address)
        for _ in range(STEPS):
            if challenge.get("component") == "xak-flow-redirect":
                return page.join(str(challenge.get("to")))
            if errors := challenge.get("response_errors"):
                told = [
                    str(one.get("string"))
                    for some in errors.values()
                    for one in some
                    if isinstance(one, dict)
                ]
                raise FindingError(f"the login server refuses the synthetic person: {' '.join(told)}")
            challenge = self._challenge("POST", address, self._answer(challenge))
        raise FindingError("the login server asks without end")

    def _answer(self, challenge: Mapping[str, Any]) -> dict[str, Any]:
        component = str(challenge.get("component"))
        match component:
            case "ak-stage-identification":
                answer = {"component": component, "uid_field": self.person.username}
                if challenge.get("password_fields"):
                    answer["password"] = self.person.password.reveal()
                return answer
            case "ak-stage-password":
                return {"component": component, "password": self.person.password.reveal()}
            case "ak-stage-user-login":
                return {"component": component, "remember_me": False}
        raise FindingError(
            f"the login server asks the synthetic person for more than name and password: {component}"
        )

    def _challenge(
        self, method: str, address: httpx.URL, body: dict[str, Any] | None = None
    ) -> Mapping[str, Any]:
        answer = self._asked(method, address, body)
        try:
            challenge = answer.json()
        except ValueError:
            challenge = None
        if not isinstance(challenge, dict):
            raise CheckFailedError(f"{_place(address)} does not answer as a login server does")
        return challenge

    def _asked(self, method: str, address: httpx.URL, body: dict[str, Any] | None = None) -> httpx.Response:
        """A success, wherever it leads. Raises CheckFailedError."""
        if self.browser is None:
            raise CheckFailedError("the browser was never opened")
        try:
            answer = self.browser.request(method, address, json=body)
        except httpx.HTTPError as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise CheckFailedError(f"{_place(error.request.url)}: {reason}") from error
        if not answer.is_success:
            raise CheckFailedError(f"{_place(answer.url)} answers {answer.status_code}")
        return answer


def _place(address: httpx.URL) -> str:
    """An address without its query, in which there may be codes."""
    return f"{address.scheme}://{address.netloc.decode()}{address.path}"
