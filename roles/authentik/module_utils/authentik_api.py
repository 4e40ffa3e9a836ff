"""The few things that the role's modules ask of Authentik's REST API."""

from __future__ import annotations

import json
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode

from ansible.module_utils.urls import open_url

PAGE = 100
"""Objects a page; the server gives no more unless told otherwise."""


class ApiError(Exception):
    """What the API refused or did not answer; the message is for people and holds no secret."""


class Api:
    """One server, and the token as whose owner it is asked."""

    def __init__(self, url: str, token: str, seconds: int = 60) -> None:
        self._root = f"{url.rstrip('/')}/api/v3/"
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        self._seconds = seconds

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One request. Raises ApiError, with the status where there was an answer."""
        try:
            answer = open_url(
                self._root + path,
                method=method,
                data=None if body is None else json.dumps(body),
                headers={**self._headers, "Content-Type": "application/json"},
                timeout=self._seconds,
                use_proxy=False,
            )
            text = answer.read()
        except HTTPError as error:
            said = error.read().decode("utf-8", "replace")[:500] if error.fp else ""
            told = said or error.reason
            raise ApiError(f"{method} {path} was answered with {error.code}: {told}") from None
        except (URLError, OSError) as error:
            raise ApiError(f"{method} {path} was not answered: {error}") from None
        try:
            return json.loads(text) if text else None
        except ValueError:
            raise ApiError(f"{method} {path} was answered with what is no JSON") from None

    def all(self, path: str, /, **query: str) -> list[dict[str, Any]]:
        """All objects of a list, page by page. Raises ApiError."""
        found: list[dict[str, Any]] = []
        page = 1
        while page:
            asked = urlencode({**query, "page": page, "page_size": PAGE, "ordering": "pk"})
            answer = self.call("GET", f"{path}?{asked}")
            found += answer["results"]
            page = answer["pagination"]["next"]
        return found
