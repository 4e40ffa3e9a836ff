"""A request as the login's views see it, and the addresses under which the server is reached."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import FormData, Headers
from starlette.requests import Request

from ..app import base_url, client_ip


@dataclass(frozen=True)
class Call:
    """One HTTP request, read whole."""

    method: str
    path: str
    query: Mapping[str, str]
    query_text: str
    form: Mapping[str, str]
    json: Mapping[str, Any] | None
    headers: Headers
    cookies: Mapping[str, str]
    client_ip: str
    base_url: str
    path_values: Mapping[str, str] = field(default_factory=dict)
    is_delegated: bool = False
    """Whether an outpost asks for somebody whose address it says."""

    @property
    def is_secure(self) -> bool:
        """Whether the browser speaks TLS to us (or to the proxy before us)."""
        return self.base_url.startswith("https://")

    @property
    def user_agent(self) -> str:
        """What the client calls itself."""
        return self.headers.get("user-agent", "")

    @property
    def parameters(self) -> Mapping[str, str]:
        """The form of a POST, else the query."""
        return self.form if self.method == "POST" else self.query

    def url(self, path: str) -> str:
        """The absolute address of a path of this server, under the name by which it was called."""
        return f"{self.base_url}{path}"

    @property
    def full_path(self) -> str:
        """Path and query, to come back to."""
        return f"{self.path}?{self.query_text}" if self.query_text else self.path


async def read(request: Request) -> Call:
    """Read a request: its form or JSON object too."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    form: dict[str, str] = {}
    body: Mapping[str, Any] | None = None
    if kind == "application/json":
        body = await _json(request)
    elif request.method == "POST":
        form = _texts(await request.form())
    return Call(
        method=request.method,
        path=request.url.path,
        query=dict(request.query_params),
        query_text=request.url.query,
        form=form,
        json=body,
        headers=request.headers,
        cookies=request.cookies,
        client_ip=client_ip(request),
        base_url=base_url(request),
        path_values=dict(request.path_params),
    )


async def _json(request: Request) -> Mapping[str, Any] | None:
    try:
        body = await request.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _texts(form: FormData) -> dict[str, str]:
    return {name: value for name, value in form.items() if isinstance(value, str)}


def with_query(address: str, **parameters: str) -> str:
    """The address with further parameters in its query."""
    separator = "&" if "?" in address else "?"
    return f"{address}{separator}{urlencode(parameters)}"
