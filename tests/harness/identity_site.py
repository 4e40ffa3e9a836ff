"""A platform with a zone and a login server, both stand-ins, and the control plane's commands in this
process."""

import contextlib
import io
import secrets
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
from local_zone import PASSWORD, PASSWORD_VARIABLE, Pki, make_pki, serving, write_nation
from ruamel.yaml import YAML
from tls_front import Front, fronted

from controlplane.cli import main
from controlplane.generate.nation import Nation
from controlplane.model import Platform, load_platform
from controlplane.systems.authentik.rights import GRANTED
from sandbox.standins.authentik.launcher import Running, running
from sandbox.standins.irods.server import Server

CONTROL_PLANE = "bic-control-plane"


@dataclass(frozen=True)
class Ran:
    """What a command said."""

    code: int
    out: str
    err: str


@dataclass
class Admin:
    """What an administrator does at the login server, by its API."""

    http: httpx.Client
    keys: dict[str, int] = field(default_factory=dict)
    """Of users, by user name."""

    def call(self, method: str, path: str, body: object = None, **query: Any) -> Any:
        response = self.http.request(method, path, json=body, params=query or None)
        assert response.is_success, (method, path, response.status_code, response.text)
        return response.json() if response.content else None

    def user(self, username: str, name: str = "", *, kind: str = "external", **attributes: object) -> int:
        """Somebody new, as the federation would make them."""
        body = {
            "username": username,
            "name": name or username,
            "email": username if "@" in username else "",
            "type": kind,
            "attributes": attributes,
        }
        key: int = self.call("POST", "core/users/", body)["pk"]
        self.keys[username] = key
        return key

    def group(self, name: str) -> dict[str, Any]:
        found = self.call("GET", "core/groups/", name=name)["results"]
        (group,) = [each for each in found if each["name"] == name]
        return dict(group)

    def members(self, name: str) -> set[int]:
        return set(self.group(name)["users"])

    def put(self, username: str, group: str, verb: str = "add") -> None:
        """What a PI does: somebody comes into a group or leaves it."""
        key = self.group(group)["pk"]
        self.call("POST", f"core/groups/{key}/{verb}_user/", {"pk": self.keys[username]})

    def attributes(self, username: str) -> dict[str, Any]:
        return dict(self.call("GET", f"core/users/{self.keys[username]}/")["attributes"])

    def username(self, once: str) -> str:
        """What somebody is called now who was made with the user name `once`."""
        return str(self.call("GET", f"core/users/{self.keys[once]}/")["username"])

    def account(self, username: str) -> str:
        return str(self.attributes(username).get("bic_account", ""))

    def activate(self, username: str, *, active: bool) -> None:
        self.call("PATCH", f"core/users/{self.keys[username]}/", {"is_active": active})

    def token(self, username: str, intent: str = "api", identifier: str = "") -> tuple[str, str]:
        """A new token of somebody: its identifier and its key."""
        identifier = identifier or f"{username.replace('.', '-').replace('@', '-')}-{secrets.token_hex(4)}"
        body = {"identifier": identifier, "intent": intent, "user": self.keys[username], "expiring": False}
        self.call("POST", "core/tokens/", body)
        return identifier, str(self.call("GET", f"core/tokens/{identifier}/view_key/")["key"])

    def role(self, name: str, username: str, permissions: tuple[str, ...]) -> str:
        """Give somebody permissions on all objects."""
        key: str = self.call("POST", "rbac/roles/", {"name": name})["pk"]
        self.call(
            "POST", f"rbac/permissions/assigned_by_roles/{key}/assign/", {"permissions": list(permissions)}
        )
        self.call("POST", f"rbac/roles/{key}/add_user/", {"pk": self.keys[username]})
        return key


@dataclass
class IdentitySite:
    """The platform's folder, its servers, and commands."""

    folder: Path
    zone: Server
    login: Running
    front: Front
    admin: Admin

    @property
    def inventory(self) -> Path:
        return self.folder / "inventory"

    @property
    def platform(self) -> Platform:
        with self._environment():
            return load_platform(self.inventory)

    @property
    def token_file(self) -> Path:
        return self.folder / "token"

    def edit(self, file: str, change: Any) -> None:
        """Change a file of the inventory by a function of its data."""
        yaml = YAML(typ="safe")
        yaml.default_flow_style = False
        path = self.inventory / file
        data = yaml.load(path)
        change(data)
        with path.open("w") as out:
            yaml.dump(data, out)

    @contextlib.contextmanager
    def _environment(self) -> Iterator[None]:
        given: Mapping[str, str] = {PASSWORD_VARIABLE: PASSWORD, "BIC_STATE_DIR": str(self.folder / "state")}
        with mock.patch.dict("os.environ", given):
            yield

    def bic(self, *arguments: str, given: str = "") -> Ran:
        """Run a command as a person does, in this process, with a text on its standard input."""
        out, err, code = io.StringIO(), io.StringIO(), 0
        argv = ["bic", "--inventory", str(self.inventory), *arguments]
        with (
            self._environment(),
            mock.patch.object(sys, "argv", argv),
            mock.patch.object(sys, "stdin", io.StringIO(given)),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                main.main()
            except SystemExit as end:
                code = int(end.code or 0)
        return Ran(code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def identity_site(folder: Path, nation: Nation, pki: Pki | None = None) -> Iterator[IdentitySite]:
    """A nation whose teams all take their people from the login server, except the first one of each
    facility."""
    pki = pki or make_pki(folder / "pki")
    with contextlib.ExitStack() as stack:
        zone = stack.enter_context(serving(folder / "zone", pki))
        login = stack.enter_context(running(folder / "login"))
        front = stack.enter_context(fronted(pki.server, int(login.url.rpartition(":")[2])))
        http = stack.enter_context(
            httpx.Client(
                base_url=f"{login.url}/api/v3/",
                headers={"Authorization": f"Bearer {login.token}"},
                timeout=60,
            )
        )
        admin = Admin(http)
        site = IdentitySite(folder, zone, login, front, admin)
        write_nation(site.inventory, nation, pki.ca_file, {"bicZone": zone.port})
        identity = {
            "url": f"https://localhost:{front.port}",
            "token": {"file": str(site.token_file)},
            "ca_file": str(pki.ca_file),
        }
        site.edit("platform.yml", lambda data: data.update(identity=identity))
        for file in sorted((site.inventory / "facilities").iterdir()):
            site.edit(f"facilities/{file.name}", _from_login_server)
        admin.user(CONTROL_PLANE, kind="service_account")
        admin.role("bic-control-plane", CONTROL_PLANE, GRANTED)
        site.token_file.write_text(admin.token(CONTROL_PLANE, identifier=CONTROL_PLANE)[1])
        yield site


def _from_login_server(data: dict[str, Any]) -> None:
    for team in data["teams"][1:]:
        team.pop("members", None)
