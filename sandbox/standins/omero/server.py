"""Builds the server out of its parts, and runs it: for good, or in this process for tests.

    with running(folder, root_password="...", certificate=crt, key=pem) as server:
        client = omero.client(host="localhost", port=server.port)
        client.createSession("root", "...")

`config` has OMERO's own settings by name, such as `omero.ldap.config`. A block that is entered again with the
same folder finds what was there. As OMERO itself, and unlike what one might expect:

* With a directory configured, an experimenter with `ldap` set cannot be created: the new password is refused.
  Create without, then call `ILdap.setDN`.
* Who is not in the group `user` gets a session; its first call that needs a role is refused
  (SecurityViolation).
* An open session keeps its groups until the next synchronisation (`omero.sessions.sync_interval`).
* Blank passwords let everybody in only with `omero.security.password_required=false`.
"""

import contextlib
import logging
import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import Ice
from omero.ObjectFactoryRegistrar import registerObjectFactory
from omero.rtypes import ObjectFactories

from .accounts import Accounts
from .catalogue import ROOT_USER, Catalogue
from .directory import LdapDirectory
from .passwords import Passwords, digest
from .remote import Remote
from .router import Locator, Router
from .services import Parts
from .sessions import Sessions
from .settings import Settings, SettingsError, Tls, read

_LOG = logging.getLogger("ome.services.blitz")
_FILE = "omero.sqlite"


class Server:
    """A server that serves from the moment it is made."""

    def __init__(self, settings: Settings, root_hash: str) -> None:
        """Serve. Raises SettingsError when the certificate cannot be used or a port is taken."""
        settings.data.mkdir(parents=True, exist_ok=True)
        self._catalogue = Catalogue(settings.data / _FILE)
        self._catalogue.adopt_root_hash(root_hash)
        router = Router(_parts(settings, self._catalogue))
        try:
            self._communicator = _communicator(settings)
            self._adapter = self._communicator.createObjectAdapter("Router")
        except Ice.Exception as error:
            self._catalogue.close()
            raise SettingsError(f"the server cannot listen: {_reason(error)}") from error
        router.adapter = self._adapter
        self._adapter.addServantLocator(Locator(router), "")
        self._adapter.activate()
        endpoints = [endpoint.getInfo() for endpoint in self._adapter.getEndpoints()]
        self.port = int(next(info.port for info in endpoints if info.secure()))
        """The port that is spoken to with TLS."""

    def stop(self) -> None:
        """Stop serving: open calls end, connections are closed."""
        self._communicator.destroy()
        self._catalogue.close()


@dataclass(frozen=True)
class Running:
    """A server that runs in this process."""

    port: int
    server: Server

    def stop(self) -> None:
        """Stop it before the block ends."""
        self.server.stop()


@contextlib.contextmanager
def running(
    folder: Path,
    *,
    root_password: str,
    certificate: Path,
    key: Path,
    port: int = 0,
    config: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """A server with its data in this folder, on a port of the loopback address; 0 takes a free one.

    Wrong passwords are answered at once unless `config` says otherwise. Raises SettingsError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = {
        "omero.security.login_failure_throttle_time": "0",
        **(config or {}),
        "omero.data.dir": str(folder),
    }
    settings = replace(
        read(values),
        tls=_bundle(certificate, key, folder / "server.p12"),
        ssl_port=port,
        tcp_port=None,
        host="127.0.0.1",
    )
    server = Server(settings, digest(root_password, ROOT_USER))
    try:
        yield Running(server.port, server)
    finally:
        server.stop()


def _parts(settings: Settings, catalogue: Catalogue) -> Parts:
    directory = LdapDirectory(settings.ldap) if settings.ldap else None
    passwords = Passwords(
        catalogue, directory, required=settings.password_required, throttle=settings.throttle
    )
    sessions = Sessions(catalogue, settings.times)
    accounts = Accounts(catalogue, passwords, sessions.people_changed)
    if directory:
        passwords.create = lambda name, password: directory.create(accounts, name, password)
    return Parts(settings, catalogue, passwords, sessions, accounts)


def _communicator(settings: Settings) -> Remote:
    endpoints = [f"ssl -h {settings.host} -p {settings.ssl_port}"]
    if settings.tcp_port is not None:
        endpoints.append(f"tcp -h {settings.tcp_host} -p {settings.tcp_port}")
    start = Ice.InitializationData()
    start.properties = Ice.createProperties()
    for name, value in {
        "Router.Endpoints": ":".join(endpoints),
        "Ice.Plugin.IceSSL": "IceSSL:createIceSSL",
        "IceSSL.CertFile": settings.tls.bundle.absolute(),
        "IceSSL.Protocols": "TLS1_2,TLS1_3",
        "IceSSL.Password": settings.tls.password,
        "IceSSL.VerifyPeer": 0,
        "Ice.MessageSizeMax": 250_000,
        "Ice.ThreadPool.Server.Size": 8,
        "Ice.ThreadPool.Server.SizeMax": 50,
        "Ice.ACM.Server.Timeout": 60,
        "Ice.Warn.Connections": 0,
        "Ice.Warn.Dispatch": 0,
    }.items():
        start.properties.setProperty(name, str(value))
    communicator = Ice.initialize(start)
    registerObjectFactory(communicator, None)
    for factory in ObjectFactories.values():
        factory.register(communicator)
    return communicator


def _bundle(certificate: Path, key: Path, bundle: Path) -> Tls:
    """Put a certificate and its key into one file, as OMERO wants them."""
    password = secrets.token_hex(16)
    command = ["openssl", "pkcs12", "-export", *map(str, ("-in", certificate, "-inkey", key, "-out", bundle))]
    environment = {**os.environ, "BUNDLE_PASSWORD": password}
    subprocess.run([*command, "-passout", "env:BUNDLE_PASSWORD"], check=True, env=environment)
    return Tls(bundle, password)


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", "") or getattr(error, "_name", "") or error).strip()
