"""People as Authentik knows them, for questions about access."""

from collections.abc import Iterator

from controlplane.access.reach import Known
from controlplane.model import Platform
from controlplane.systems.authentik import directory, people
from controlplane.systems.authentik.client import Client, endpoint
from controlplane.systems.authentik.system import PEOPLE_FILE


def known_people(platform: Platform) -> Iterator[Known]:
    """Everybody in Authentik, with the groups that they are in. Raises BicError."""
    if platform.identity is None:
        return
    with Client(endpoint(platform.identity)) as client:
        file = platform.state_dir / PEOPLE_FILE
        known = people.load(file, client.server.url)
        found = directory.read(client, known)
        people.keep(file, known)
        groups: dict[int, list[str]] = {}
        for group in found.groups.values():
            for key in group.users:
                groups.setdefault(key, []).append(group.name)
        for user in found.people.values():
            yield Known(
                f"Authentik {client.server.host}",
                directory.account_of(user),
                user.username,
                user.name,
                user.email,
                user.active,
                tuple(sorted(groups.get(user.pk, ()))),
                user.last_login,
            )
