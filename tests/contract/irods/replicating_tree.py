"""A storage resource of the zone under test that keeps two copies."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from facility_site import Site
from irods.exception import PycommandsException, iRODSException
from zone_under_test import open_session


@contextmanager
def replicating_tree(site: Site) -> Iterator[str]:
    """Make the site, with a replication resource over a folder and one below a passthru; its name."""
    site.edit_platform(
        "    ca_file:",
        f"""    storage_resources:
      {{id}}-tree: {{{{type: replication, children: [{{id}}-one, {{id}}-through]}}}}
      {{id}}-through: {{{{type: passthru, children: [{{id}}-two]}}}}
      {{id}}-one: {{{{host: {site.host}, vault: /var/lib/irods/{{id}}-one}}}}
      {{id}}-two: {{{{host: {site.host}, vault: /var/lib/irods/{{id}}-two}}}}
    ca_file:""",
    )
    try:
        site.settle()
        yield f"{site.id}-tree"
    finally:
        with open_session(site.server) as session:
            # The library has no name for the code of a child that is not there, and raises a KeyError.
            for parent, child in (("tree", "one"), ("tree", "through"), ("through", "two")):
                with suppress(iRODSException, PycommandsException, KeyError):
                    session.resources.remove_child(f"{site.id}-{parent}", f"{site.id}-{child}")
            for name in ("tree", "through", "one", "two"):
                with suppress(iRODSException, PycommandsException, KeyError):
                    session.resources.remove(f"{site.id}-{name}")
