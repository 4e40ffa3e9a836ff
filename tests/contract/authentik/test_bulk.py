"""The nation in its real size: 1,600 groups with members, and 8,000 people, read in pages."""

import math

import pytest
from authentik_under_test import RECORDED_TOKEN, AuthentikServer, named_server

from sandbox.standins.authentik.launcher import running
from sandbox.standins.authentik.models.core import GROUP, USER

PEOPLE, GROUPS, PAGE = 8_000, 1_600, 100


@pytest.fixture(scope="module")
def nation(tmp_path_factory):
    if named_server():
        pytest.skip("8,000 people are not made on a real server")
    with running(tmp_path_factory.mktemp("bulk"), token=RECORDED_TOKEN) as server:
        with server.store.write() as tx:
            people = [
                tx.insert(USER, {"username": f"person{n:05}", "name": f"Person {n}"})["pk"]
                for n in range(PEOPLE)
            ]
            for n in range(GROUPS):
                tx.insert(GROUP, {"name": f"team{n:04}", "users": people[n * 5 : n * 5 + 5]})
        yield AuthentikServer(server.url, server.token)


def read_all(client, path: str, **query) -> tuple[list[dict], int]:
    found, requests, page = [], 0, 1
    while page:
        body = client.get(f"/api/v3/{path}/", params={"page": page, "page_size": PAGE, **query}).json()
        found += body["results"]
        page = body["pagination"]["next"]
        requests += 1
    return found, requests


def test_all_memberships_are_read_with_a_request_for_each_hundred_groups(nation):
    with nation.client() as client:
        groups, requests = read_all(client, "core/groups", include_users="false")
    teams = [group for group in groups if group["name"].startswith("team")]
    assert requests == math.ceil(len(groups) / PAGE)
    assert len(teams) == GROUPS
    assert len({pk for group in teams for pk in group["users"]}) == PEOPLE


def test_all_people_are_read_once_each(nation):
    with nation.client() as client:
        people, requests = read_all(client, "core/users", include_groups="false", include_roles="false")
    assert requests == math.ceil(len(people) / PAGE)
    assert len({person["uuid"] for person in people}) == len(people) >= PEOPLE
