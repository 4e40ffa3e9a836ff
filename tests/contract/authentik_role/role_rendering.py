"""The blueprints of the role authentik as a host would have them."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.demo import ansible

ROOT = Path(__file__).parents[3]
ROLE = ROOT / "roles" / "authentik"

FILES = ["10-login.yaml", "20-applications.yaml", "30-ldap.yaml", "40-accounts.yaml", "50-brand.yaml"]
GIVEN: dict[str, Any] = {
    "authentik_name": "login.bic.example",
    "authentik_domain": "bic.example",
    "authentik_fqdn": "idp.bic.example",
    "authentik_title": 'A "title" of ours: all',
    "authentik_platform": "sandbox",
    "authentik_secret_key": "k" * 50,
    "authentik_database_host": "icat.bic.example",
    "authentik_database_password": "p" * 32,
    "authentik_bootstrap_token": "b" * 40,
    "authentik_control_plane_token": "c" * 40,
    "authentik_exporter_token": "e" * 40,
    "authentik_portal_token": "r" * 40,
    "authentik_ldap_outpost_token": "o" * 40,
    "authentik_ldap_search_password": "s" * 40,
    "authentik_terms_url": "https://portal.bic.example/terms",
    "authentik_federation": {
        "title": "My institution",
        "issuer": "https://federation.bic.example",
        "client_secret": "f" * 40,
    },
    "authentik_applications": {
        "portal": {
            "title": "Portal",
            "launch_url": "https://portal.bic.example/",
            "redirect_uris": ["https://portal.bic.example/login/callback"],
            "client_secret": "1" * 40,
        },
        "grafana": {
            "title": "Grafana",
            "redirect_uris": ["https://grafana.bic.example/login/generic_oauth"],
            "client_secret": "2" * 40,
            "scopes": ["offline_access"],
        },
        "omero-web": {"title": "OMERO.web", "client_secret": "3" * 40},
    },
}


def render(folder: Path, variables: Mapping[str, Any]) -> Path:
    """Write secrets and blueprints by the role's own templates; return the folder of the blueprints."""
    folder.mkdir(parents=True, exist_ok=True)
    blueprints, secrets = folder / "blueprints" / "bic", folder / "secrets"
    blueprints.mkdir(parents=True, exist_ok=True)
    secrets.mkdir(exist_ok=True)
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable},
        "vars_files": [str(ROLE / "defaults/main.yml"), str(ROLE / "vars/main.yml")],
        "tasks": [
            {
                "ansible.builtin.template": {
                    "src": f"{ROLE}/templates/blueprints/{{{{ item.file }}}}.j2",
                    "dest": f"{blueprints}/{{{{ item.file }}}}",
                    "mode": "0600",
                },
                "loop": "{{ authentik_blueprints }}",
            },
            {
                "ansible.builtin.copy": {
                    "content": "{{ item.value }}",
                    "dest": f"{secrets}/{{{{ item.key }}}}",
                    "mode": "0600",
                },
                "loop": "{{ authentik_secrets | dict2items }}",
                "no_log": True,
            },
        ],
    }
    (folder / "play.yml").write_text(json.dumps([play]), "utf-8")
    (folder / "given.json").write_text(
        json.dumps({**variables, "authentik_secrets_dir": str(secrets)}), "utf-8"
    )
    signing(secrets)
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("BIC_", "ANSIBLE_"))}
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible-playbook")),
            *(
                "-i",
                "localhost,",
                "-e",
                f"@{folder / 'given.json'}",
                str(folder / "play.yml"),
            ),
        ],
        env={
            **keep,
            **ansible.environment(),
            "ANSIBLE_INVENTORY_ENABLED": "host_list",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCALHOST_WARNING": "false",
        },
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return blueprints


def signing(secrets: Path) -> None:
    """Make the key that signs tokens, with the role's own command."""
    if (secrets / "signing.key").exists():
        return
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:3072", "-nodes", "-days", "7300"),
            *("-subj", "/CN=test tokens", "-keyout", str(secrets / "signing.key")),
            *("-out", str(secrets / "signing.crt")),
        ],
        check=True,
        capture_output=True,
    )
