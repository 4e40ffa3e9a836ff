"""How the role base has exporters ask for a password; to see that needs no exporter."""

import shutil
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import yaml
from rendering import run_tasks

ROLE = Path(__file__).parents[3] / "roles/base"
PASSWORD = "só-secret"


def written(folder: Path, password: str, name: str = "node_exporter") -> dict[str, Any]:
    """The web configuration that the role writes for an exporter."""
    folder.mkdir(exist_ok=True)
    (task,) = yaml.safe_load((ROLE / "tasks/exporter_web.yml").read_text())
    shutil.copytree(ROLE / "templates", folder / "templates", dirs_exist_ok=True)
    arguments = task["ansible.builtin.template"]
    file = folder / f"{name}.yml"
    here = {"name": task["name"], "ansible.builtin.template": {"src": arguments["src"], "dest": str(file)}}
    given = {"base_exporter_web_name": name, "base_exporter_web_password": password}
    run_tasks(folder, ROLE, [here], yaml.safe_dump(given))
    assert PASSWORD not in file.read_text()
    result: dict[str, Any] = yaml.safe_load(file.read_text())
    return result


def test_an_exporter_keeps_the_hash_of_its_password_and_the_same_in_each_run(tmp_path: Path) -> None:
    first = written(tmp_path, PASSWORD)
    assert first["tls_server_config"]["cert_file"] == "/etc/bic/pki/node_exporter.crt"
    (kept,) = first["basic_auth_users"].values()
    assert bcrypt.checkpw(PASSWORD.encode(), kept.encode())
    assert not bcrypt.checkpw(b"another", kept.encode())
    assert written(tmp_path, PASSWORD) == first
    other = written(tmp_path, PASSWORD, "postgres_exporter")["basic_auth_users"]
    assert other["prometheus"] != kept


def test_without_a_password_an_exporter_asks_for_none(tmp_path: Path) -> None:
    assert "basic_auth_users" not in written(tmp_path, "")


def test_a_password_that_bcrypt_would_cut_off_is_refused(tmp_path: Path) -> None:
    written(tmp_path, "é" * 36)
    with pytest.raises(AssertionError, match="has at most 72 bytes"):
        written(tmp_path, "é" * 36 + "x")
