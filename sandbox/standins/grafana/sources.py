"""Data sources: read from the provisioning files at the start, and asked whether they answer.

Source: Grafana's documentation "Provision Grafana" and "Data source HTTP API".
"""

import json
import logging
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from .settings import expand

_LOG = logging.getLogger("provisioning.datasources")
HEALTH_SECONDS = 10.0


class ProvisioningError(Exception):
    """What is wrong with a provisioning file; Grafana does not start with it."""


@dataclass(frozen=True)
class DataSource:
    """One data source."""

    id: int
    uid: str
    name: str
    url: str
    access: str
    is_default: bool
    editable: bool
    json_data: Mapping[str, Any]
    secrets: Mapping[str, str]
    """What is only ever written: no answer has it."""

    @property
    def shown(self) -> dict[str, Any]:
        """What the API says of it."""
        return {
            "id": self.id,
            "uid": self.uid,
            "orgId": 1,
            "name": self.name,
            "type": "prometheus",
            "access": self.access,
            "url": self.url,
            "user": "",
            "database": "",
            "basicAuth": False,
            "isDefault": self.is_default,
            "jsonData": dict(self.json_data),
            "readOnly": not self.editable,
        }

    def health(self) -> tuple[int, dict[str, str]]:
        """Ask it, and return the status and body that Grafana answers with."""
        try:
            problem = self._problem()
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, ValueError) as error:
            problem = str(error) or type(error).__name__
        if problem:
            return 400, {
                "status": "ERROR",
                "message": f"{problem} - There was an error returned querying the Prometheus API.",
            }
        return 200, {"status": "OK", "message": "Successfully queried the Prometheus API."}

    def _problem(self) -> str:
        authority = self.secrets.get("tlsCACert") if self.json_data.get("tlsAuthWithCACert") else None
        if authority == "":
            return "tlsCACert is empty"
        trust = ssl.create_default_context(cadata=authority)
        method = str(self.json_data.get("httpMethod", "POST")).upper()
        asked = {"data" if method == "POST" else "params": {"query": "1+1"}}
        with httpx.Client(verify=trust, timeout=HEALTH_SECONDS) as client:
            answer = client.request(method, f"{self.url.rstrip('/')}/api/v1/query", **asked)  # type: ignore[arg-type]
        if answer.status_code != httpx.codes.OK:
            return f"{answer.status_code} {answer.reason_phrase}"
        found = answer.json()
        result = found.get("data", {}).get("result") if isinstance(found, dict) else None
        return "" if result and result[-1] == "2" else f"1+1 is {json.dumps(result)}"


def read(folder: Path) -> dict[str, DataSource]:
    """Read all files of a folder; return the data sources by uid.

    A later entry of the same name replaces an earlier one. Raises ProvisioningError.
    """
    by_name: dict[str, DataSource] = {}
    for place, entry in _entries(folder):
        made = _made(entry, len(by_name) + 1, place)
        by_name[made.name] = made
    found: dict[str, DataSource] = {}
    for made in by_name.values():
        if made.uid in found:
            raise ProvisioningError(f"data source {made.name!r}: another one has the uid {made.uid!r}")
        found[made.uid] = made
    if sum(made.is_default for made in found.values()) > 1:
        raise ProvisioningError("only one data source can be marked as default (isDefault)")
    return found


def _entries(folder: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if not folder.is_dir():
        _LOG.error("cannot read data sources from %s: there is no such folder", folder)
        return
    for path in sorted(folder.glob("*.y*ml")):
        content = document(path)
        for key, value in content.items():
            if key not in {"apiVersion", "prune", "datasources", "deleteDatasources"}:
                _LOG.warning("%s: %r means nothing to the stand-in: %r", path, key, value)
        for number, entry in enumerate(content.get("datasources") or [], 1):
            if not isinstance(entry, Mapping):
                raise ProvisioningError(f"{path}: data source {number} is no mapping")
            yield f"{path}: data source {number}", entry


def document(path: Path) -> dict[str, Any]:
    """Read a provisioning file of version 1; an empty one is an empty mapping. Raises ProvisioningError."""
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ProvisioningError(f"{path}: {error}") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ProvisioningError(f"{path}: this is no mapping")
    if found.get("apiVersion") != 1:
        raise ProvisioningError(f"{path}: the stand-in reads files with apiVersion: 1")
    return found


def expanded(value: object, place: str) -> object:
    """Put files and environment variables into all texts below a value. Raises ProvisioningError."""
    if isinstance(value, Mapping):
        return {key: expanded(inner, place) for key, inner in value.items()}
    if isinstance(value, list):
        return [expanded(inner, place) for inner in value]
    if not isinstance(value, str):
        return value
    try:
        # `$$` is a dollar that begins nothing.
        return "$".join(expand(part) for part in value.split("$$"))
    except OSError as error:
        raise ProvisioningError(f"{place}: {error}") from None


def _made(raw: Mapping[str, Any], number: int, place: str) -> DataSource:
    entry = expanded(raw, place)
    if not isinstance(entry, dict):
        raise ProvisioningError(f"{place}: this is no mapping")
    name, kind, url = (str(entry.get(key) or "") for key in ("name", "type", "url"))
    if not name:
        raise ProvisioningError(f"{place} has no name")
    if kind != "prometheus":
        raise ProvisioningError(
            f"{place} ({name}): the stand-in has the type prometheus only, and this is {kind!r}"
        )
    if not url:
        raise ProvisioningError(f"{place} ({name}): the url of a Prometheus cannot be empty")
    return DataSource(
        id=number,
        uid=str(entry.get("uid") or name.lower().replace(" ", "-")),
        name=name,
        url=url,
        access=str(entry.get("access") or "proxy"),
        is_default=bool(entry.get("isDefault")),
        editable=bool(entry.get("editable")),
        json_data=entry.get("jsonData") or {},
        secrets=entry.get("secureJsonData") or {},
    )
