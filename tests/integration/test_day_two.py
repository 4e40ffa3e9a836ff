"""Day two of a zone: its catalogue is backed up, the backup proven, and the zone taken back to it."""

import json
import time

from nation import BIN, Nation, Run

from controlplane.systems.irods.client import endpoint, open_session


def play(nation: Nation, name: str, *words: str) -> Run:
    inventory = nation.inventory / "platform.yml"
    return nation.run(BIN / "ansible-playbook", "-i", inventory, f"playbooks/{name}.yml", *words)


def collections(nation: Nation, new: str = "") -> set[str]:
    """The collections directly below the zone's home, after making one more there."""
    platform = nation.platform
    (zone,) = platform.zones.values()
    with open_session(endpoint(zone, platform.hosts["dc1-icat"])) as session:
        home = f"/{zone.name}/home"
        if new:
            session.collections.create(f"{home}/{new}")
        return {collection.name for collection in session.collections.get(home).subcollections}


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
