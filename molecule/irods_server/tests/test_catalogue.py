"""The catalogue's database, which only the provider has."""

from __future__ import annotations

from pathlib import Path

from testinfra.host import Host

testinfra_hosts = ["ansible://mol-irods-provider"]


def test_catalogue_is_reached_over_tls_only(host: Host, state_dir: Path) -> None:
    target = "host=mol-irods-provider.mol.example dbname=ICAT user=irods"
    for mode, rc in (("verify-full", 0), ("disable", 2)):
        outcome = host.run(
            "PGPASSWORD=%s psql -X -c 'select 1' %s",
            (state_dir / "secrets/irods_database_password").read_text().strip(),
            f"{target} sslmode={mode} sslrootcert=/etc/bic/pki/ca.crt",
        )
        assert outcome.rc == rc, outcome.stderr
    odbc = host.file("/etc/odbc.ini").content_string
    assert "SSLmode=verify-full" in odbc
