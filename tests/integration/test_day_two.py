"""Day two: zone and login server are upgraded, the upgrades undone, a catalogue taken back to a backup."""

import json
import time

from nation import BIN, OLDER, Nation, Run, set_versions

from sandbox.standins.authentik.release import VERSION as NEWER_AUTHENTIK
from sandbox.standins.irods.release import VERSION

OLDER_IRODS, OLDER_AUTHENTIK = OLDER["irods_server_version"], OLDER["authentik_version"]
NEWER_IRODS = ".".join(map(str, VERSION))


def play(nation: Nation, name: str, *words: str, until: str | None = None) -> Run:
    inventory = nation.inventory / "platform.yml"
    return nation.run(BIN / "ansible-playbook", "-i", inventory, f"playbooks/{name}.yml", *words, until=until)


def collections(nation: Nation, new: str = "") -> set[str]:
    """The collections directly below the zone's home, after making one more there."""
    with nation.administrator() as session:
        home = f"/{session.zone}/home"
        if new:
            session.collections.create(f"{home}/{new}")
        return {collection.name for collection in session.collections.get(home).subcollections}


def versions(nation: Nation) -> dict[str, str]:
    """What each server of the zone answers as."""
    (zone,) = nation.platform.zones.values()
    found = {}
    for name in (zone.catalog_provider, *zone.catalog_consumers):
        with nation.administrator(name) as session:
            found[name] = ".".join(map(str, session.server_version))
    return found


def backups(nation: Nation) -> list[str]:
    command = ["runuser", "-u", "postgres", "--", "postgresql-backup", "list", "ICAT"]
    listing = nation.bic("sandbox", "exec", "dc1-icat", "--", *command)
    assert listing.code == 0, listing.output
    return [manifest["backup"] for manifest in json.loads(listing.output[listing.output.index("[") :])]


def wait_for_the_database(nation: Nation, name: str) -> None:
    """Wait until a collection of that name is in the database: the stand-in copies its catalogue behind."""
    query = "select coll_name from r_coll_main"
    command = ["runuser", "-u", "postgres", "--", "psql", "-X", "-A", "-t", "-d", "ICAT", "-c", query]
    end = time.monotonic() + 120
    while f"/{name}" not in (found := nation.bic("sandbox", "exec", "dc1-icat", "--", *command)).output:
        assert time.monotonic() < end, found.output
        time.sleep(1)


def test_zone_is_taken_back_to_its_backup_and_no_further_unless_told(nation: Nation) -> None:
    kept, lost = f"day-two-before-{time.time_ns()}", f"day-two-after-{time.time_ns()}"
    before = collections(nation, kept)
    wait_for_the_database(nation, kept)
    made = play(nation, "irods-backup")
    assert made.code == 0, made.output
    name = backups(nation)[-1]
    assert f"backup {name}" in made.output
    assert lost in collections(nation, lost)
    wait_for_the_database(nation, lost)

    drill = play(nation, "irods-restore-drill")
    assert drill.code == 0, drill.output
    assert "is whole" in drill.output
    assert "written since then: 1 collections" in " ".join(drill.output.split())

    words = ["-e", f"zone={next(iter(nation.platform.zones))}", "-e", f"backup={name}"]
    refused = play(nation, "irods-restore", *words)
    assert refused.code != 0
    assert "accept_loss=true" in refused.output
    assert lost in collections(nation)

    restored = play(nation, "irods-restore", *words, "-e", "accept_loss=true")
    assert restored.code == 0, restored.output
    assert collections(nation) == before


def test_zone_is_upgraded_though_killed_and_the_upgrade_undone(nation: Nation) -> None:
    kept, lost = f"day-two-old-{time.time_ns()}", f"day-two-new-{time.time_ns()}"
    before = collections(nation, kept)
    wait_for_the_database(nation, kept)
    servers = versions(nation)
    assert set(servers.values()) == {OLDER_IRODS}

    set_versions(nation.inventory, OLDER | {"irods_server_version": NEWER_IRODS})
    refused = nation.ansible("--limit", "dc1-icat", "--tags", "irods_server")
    assert refused.code != 0
    assert "run playbooks/irods-upgrade.yml" in " ".join(refused.output.split())
    killed = play(nation, "irods-upgrade", until="irods_server : Upgrade configuration and catalogue")
    assert killed.killed_at
    upgraded = play(nation, "irods-upgrade")
    assert upgraded.code == 0, upgraded.output
    assert versions(nation) == dict.fromkeys(servers, NEWER_IRODS)
    assert collections(nation) == before

    assert lost in collections(nation, lost)
    wait_for_the_database(nation, lost)
    refused = play(nation, "irods-rollback")
    assert refused.code != 0
    assert "accept_loss=true" in refused.output
    assert versions(nation) == dict.fromkeys(servers, NEWER_IRODS)
    undone = play(nation, "irods-rollback", "-e", "accept_loss=true")
    assert undone.code == 0, undone.output
    set_versions(nation.inventory, OLDER)
    assert versions(nation) == servers
    assert collections(nation) == before
    assert nation.bic("plan").code == 0


def login_groups(nation: Nation) -> set[str]:
    answer = nation.ask_login_server("GET", "core/groups/?include_users=false&page_size=1000")
    return {group["name"] for group in answer["results"]}


def login_server_version(nation: Nation) -> str:
    return str(nation.ask_login_server("GET", "admin/version/")["version_current"])


def test_login_server_is_upgraded_though_killed_and_the_upgrade_undone(nation: Nation) -> None:
    before = login_groups(nation)
    assert login_server_version(nation) == OLDER_AUTHENTIK

    set_versions(nation.inventory, OLDER | {"authentik_version": NEWER_AUTHENTIK})
    refused = nation.ansible("--limit", "dc1-idp", "--tags", "authentik")
    assert refused.code != 0
    assert "run playbooks/authentik-upgrade.yml" in " ".join(refused.output.split())
    assert login_server_version(nation) == OLDER_AUTHENTIK
    killed = play(nation, "authentik-upgrade", until="authentik : Install Authentik and its LDAP outpost")
    assert killed.killed_at
    upgraded = play(nation, "authentik-upgrade")
    assert upgraded.code == 0, upgraded.output
    assert login_server_version(nation) == NEWER_AUTHENTIK
    assert login_groups(nation) == before

    nation.ask_login_server("POST", "core/groups/", {"name": "day-two"})
    assert login_groups(nation) == before | {"day-two"}
    undone = play(nation, "authentik-rollback", "-e", "accept_loss=true")
    assert undone.code == 0, undone.output
    set_versions(nation.inventory, OLDER)
    assert login_server_version(nation) == OLDER_AUTHENTIK
    assert login_groups(nation) == before
    assert nation.bic("plan").code == 0
