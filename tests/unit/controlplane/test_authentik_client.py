"""The client against recorded answers of a real Authentik 2026.2.2, and against servers that fail.

Where that version and the API document of 2026.8 differ in what is read here: none of the recorded answers
does. `tests/contract/authentik` holds the client to a server that follows the document.
"""

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from controlplane.systems.authentik import calls, people, rights
from controlplane.systems.authentik.client import AuthentikError, Client, Endpoint, MaskedError, tls_context
from controlplane.systems.authentik.people import People
from controlplane.systems.authentik.records import Myself, RoleRights

RECORDED = {
    exchange["op"]: exchange
    for exchange in map(
        json.loads, (Path(__file__).parent / "authentik-2026.2.2.jsonl").read_text().splitlines()
    )
}
GROUP = "8543f919-081c-43d7-bb47-2f10404e911c"
ROLE = "b2cad341-6175-4af7-8c31-68aaac7ef616"

Answer = Callable[[httpx.Request], httpx.Response]


def client(answer: Answer, **given: Any) -> Client:
    server = Endpoint("https://login.bic.example", "a-secret-key")
    return Client(server, transport=httpx.MockTransport(answer), **given)


@pytest.fixture
def sent() -> list[httpx.Request]:
    return []


def replaying(op: str, sent: list[httpx.Request]) -> Client:
    """A client whose server gives the recorded answer of an operation."""
    response = RECORDED[op]["response"]

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        if "json" in response["type"]:
            return httpx.Response(response["status"], json=response["body"])
        return httpx.Response(
            response["status"], text=response["body"] or "", headers={"content-type": response["type"]}
        )

    return client(answer, patience=0)


@pytest.mark.parametrize(
    ("op", "work"),
    [
        ("me", calls.myself),
        ("nonadmin/me", calls.myself),
        ('groups/list {"include_users": "false"}', calls.groups),
        ("groups/create min", lambda one: calls.create_group(one, {"name": "g-one"})),
        (
            "groups/create parents",
            lambda one: calls.create_group(one, {"name": "g-child", "parents": [GROUP]}),
        ),
        (
            "groups/patch attributes",
            lambda one: calls.change_group(
                one, GROUP, RECORDED["groups/patch attributes"]["request"]["body"]
            ),
        ),
        (
            "groups/add_user",
            lambda one: calls.change_member(
                one, "add", GROUP, RECORDED["groups/add_user"]["request"]["body"]["pk"]
            ),
        ),
        (
            "groups/remove_user",
            lambda one: calls.change_member(
                one, "remove", GROUP, RECORDED["groups/remove_user"]["request"]["body"]["pk"]
            ),
        ),
        (
            "groups/remove_user not member",
            lambda one: calls.change_member(
                one, "remove", GROUP, RECORDED["groups/remove_user not member"]["request"]["body"]["pk"]
            ),
        ),
        (
            "groups/delete child",
            lambda one: calls.delete_group(
                one, RECORDED["groups/delete child"]["request"]["path"].split("/")[-2]
            ),
        ),
        ("tokens/create min", lambda one: calls.create_token(one, {"identifier": "tok-one"})),
        ("tokens/view_key", lambda one: calls.key_of(one, "tok-one")),
        ("tokens/delete", lambda one: calls.delete_token(one, "tok-two")),
        ('tokens/list {"user__username": "ana"}', lambda one: calls.tokens(one, {"user__username": "ana"})),
        ("rbac/role create", lambda one: calls.create_role(one, "role-view")),
        ("rbac/role list", lambda one: calls.role_named(one, "role-view")),
        ("rbac/assign object", lambda one: calls.change_rights(one, "assign", ROLE, GROUP, ["change_group"])),
        ("rbac/unassign", lambda one: calls.change_rights(one, "unassign", ROLE, "", ["view_group"])),
        ("sessions/bulk_delete", lambda one: calls.end_sessions(one, [10])),
        ("events/list actions", calls.newest_change),
    ],
)
def test_requests_are_those_that_a_real_server_answered(
    op: str, work: Callable[[Client], object], sent: list[httpx.Request]
) -> None:
    work(replaying(op, sent))
    (request,) = sent
    recorded = RECORDED[op]["request"]
    assert (request.method, request.url.path) == (recorded["method"], recorded["path"])
    assert (json.loads(request.content) if request.content else None) == recorded["body"]
    asked = dict(request.url.params)
    # Filters and pages beyond the recorded ones do not change what an answer looks like.
    for name, value in (recorded["query"] or {}).items():
        assert name in {"page_size", "actions"} or asked[name] == str(value)
    assert request.headers["authorization"] == "Bearer a-secret-key"
    assert "accept-language" not in request.headers


def test_recorded_groups_and_tokens_are_read(sent: list[httpx.Request]) -> None:
    groups = {
        group.name: group for group in calls.groups(replaying('groups/list {"include_users": "false"}', sent))
    }
    assert groups["authentik Admins"].users == {3}
    assert groups["authentik Read-only"].roles == ("authentik Read-only",)
    (token,) = calls.tokens(
        replaying('tokens/list {"user__username": "ana"}', sent), {"user__username": "ana"}
    )
    assert (token.identifier, token.user, token.intent) == ("tok-ana", 10, "api")
    me = calls.myself(replaying("me", sent))
    assert (me.username, me.superuser) == ("akadmin", True)
    assert not calls.myself(replaying("nonadmin/me", sent)).superuser
    created = client(lambda _: httpx.Response(200, json=RECORDED["users/create min"]["response"]["body"]))
    person = calls.user(created, 10)
    assert person is not None
    assert (person.username, person.active, person.person, person.joined[:4]) == ("ana", True, True, "2026")


@pytest.mark.parametrize(
    ("op", "status", "text"),
    [
        ("auth/none users", 403, "Authentication credentials were not provided"),
        ("auth/wrong token", 403, "Token invalid/expired"),
        ("nonadmin/GET /rbac/roles/", 403, "You do not have permission"),
        ("proto/no trailing slash GET", 404, "no reason"),
        ("proto/big int: list now", 500, "no reason"),
        ('groups/list {"page": 999}', 404, "Invalid page."),
    ],
)
def test_refused_reads_are_one_line_and_no_empty_list(
    op: str, status: int, text: str, sent: list[httpx.Request]
) -> None:
    with pytest.raises(AuthentikError, match=text) as caught:
        calls.groups(replaying(op, sent))
    assert caught.value.status == status
    assert "\n" not in str(caught.value)
    assert "<" not in str(caught.value)
    assert "a-secret-key" not in str(caught.value)


@pytest.mark.parametrize(
    ("op", "kind", "text"),
    [
        ("groups/create duplicate", AuthentikError, "name: Group with this name already exists."),
        ("tokens/create duplicate", AuthentikError, "identifier: Token with this identifier already exists."),
        ("groups/add_user unknown", AuthentikError, "No User matches|404"),
        ("nonadmin/group add_user", AuthentikError, "You do not have permission"),
        ("proto/method not allowed", AuthentikError, 'Method "PUT" not allowed'),
        ("proto/no trailing slash POST", MaskedError, "says no reason"),
        ("rbac/assign unknown perm", MaskedError, "says no reason"),
    ],
)
def test_refused_writes_say_whether_they_may_have_been_carried_out(
    op: str, kind: type[AuthentikError], text: str, sent: list[httpx.Request]
) -> None:
    with pytest.raises(AuthentikError, match=text) as caught:
        replaying(op, sent).write(RECORDED[op]["request"]["method"], "core/groups/", {"name": "x"})
    assert type(caught.value) is kind


def paged(names: list[str], size: int = 100) -> Answer:
    """A list of roles in pages."""

    def answer(request: httpx.Request) -> httpx.Response:
        page = int(request.url.params["page"])
        total = max(1, -(-len(names) // size))
        if page > total:
            return httpx.Response(404, json={"detail": "Invalid page."})
        some = [{"pk": name, "name": name} for name in names[(page - 1) * size : page * size]]
        pagination = {"next": page + 1 if page < total else 0, "count": len(names), "total_pages": total}
        return httpx.Response(200, json={"pagination": pagination, "results": some})

    return answer


def in_turn(answers: Iterable[Answer], then: Answer | None = None) -> Answer:
    """A server that answers each request in another way, and at last always in one."""
    left = iter(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        found = next(left, then)
        assert found is not None
        return found(request)

    return answer


def test_all_pages_are_read_a_few_at_a_time() -> None:
    names = [f"r{number}" for number in range(950)]
    running, most, lock = 0, 0, threading.Lock()
    answer = paged(names)

    def counted(request: httpx.Request) -> httpx.Response:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        try:
            return answer(request)
        finally:
            with lock:
                running -= 1

    one = client(counted)
    assert [role["name"] for role in one.pages("rbac/roles/")] == names
    assert one.requests == 10
    assert most <= one.connections


def test_a_list_that_changes_while_it_is_read_is_read_again() -> None:
    answers = iter([paged([f"r{n}" for n in range(150)]), paged([f"r{n}" for n in range(149)])])
    later = paged([f"r{n}" for n in range(149)])
    one = client(in_turn(answers, later))
    assert len(one.pages("rbac/roles/")) == 149


def test_a_list_that_never_stands_still_is_an_error() -> None:
    count = range(150, 1000)
    one = client(in_turn(paged([f"r{n}" for n in range(size)]) for size in count))
    with pytest.raises(AuthentikError, match="changed again and again"):
        one.pages("rbac/roles/")


def test_a_page_that_is_gone_is_no_end_of_the_list() -> None:
    full, short = paged([f"r{n}" for n in range(150)]), paged([f"r{n}" for n in range(90)])
    answers = iter([full, short])
    one = client(in_turn(answers, short))
    assert len(one.pages("rbac/roles/")) == 90


def failing(*statuses: int | Exception) -> Iterator[Answer]:
    for status in statuses:

        def answer(request: httpx.Request, status: int | Exception = status) -> httpx.Response:
            if isinstance(status, Exception):
                raise status
            return httpx.Response(status, text="<html>")

        yield answer


def test_reads_that_fail_for_a_moment_are_tried_again() -> None:
    answers = failing(503, httpx.ConnectError("refused"), httpx.ReadTimeout("late"), 429)
    good = paged(["one"])
    one = client(in_turn(answers, good), patience=60)
    assert len(one.pages("rbac/roles/")) == 1


@pytest.mark.parametrize("trouble", [httpx.ConnectError("refused"), httpx.ReadError("broken")])
def test_writes_are_sent_once_and_a_lost_answer_is_unclear(trouble: Exception) -> None:
    answers = failing(trouble)
    one = client(in_turn(answers), patience=60)
    with pytest.raises(MaskedError) as caught:
        one.write("POST", "core/groups/", {})
    assert caught.value.transient
    assert one.requests == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"pagination": {"total_pages": 1, "count": 1}},
        {"pagination": {"total_pages": 1, "count": 1}, "results": [{"pk": "x", "name": "x"}]},
    ],
)
def test_answers_that_lack_something_are_no_answers(body: object) -> None:
    with pytest.raises(AuthentikError, match="does not promise"):
        calls.groups(client(lambda request: httpx.Response(200, json=body)))


def test_an_authority_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AuthentikError, match="cannot be read"):
        tls_context(tmp_path / "missing.crt")
    (tmp_path / "ca.crt").write_text("no certificate")
    with pytest.raises(AuthentikError, match="not a PEM certificate"):
        tls_context(tmp_path / "ca.crt")


def test_a_token_that_may_not_see_everything_is_not_believed() -> None:
    me = Myself(5, "bic-control-plane", False, frozenset({"r1"}))
    seeing = RoleRights("r1", "reader", frozenset(), frozenset({"view_group"}))
    rights.demand(me, "group", [seeing])
    for roles in ([], [RoleRights("r2", "other", frozenset(), frozenset({"view_group"}))]):
        with pytest.raises(AuthentikError, match="bic-control-plane may not see all groups"):
            rights.demand(me, "group", roles)
    single = RoleRights("r1", "reader", frozenset({("view_group", "g")}), frozenset())
    with pytest.raises(AuthentikError, match="view_group is missing"):
        rights.demand(me, "group", [single])
    rights.demand(Myself(1, "akadmin", True, frozenset()), "group", [])


def person(pk: int, updated: str) -> dict[str, Any]:
    recorded: dict[str, Any] = RECORDED["users/create min"]["response"]["body"]
    return {**recorded, "pk": pk, "username": f"u{pk}", "last_updated": updated}


class Server:
    """Users in pages, as far as the reading of people asks."""

    def __init__(self, users: dict[int, dict[str, Any]]) -> None:
        self.users = users
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(
            request.url.path.removeprefix("/api/v3/")
            + ("?since" if "last_updated__gt" in request.url.params else "")
        )
        last = request.url.path.rstrip("/").rpartition("/")[2]
        if last.isdecimal():
            found = self.users.get(int(last))
            return httpx.Response(200, json=found) if found else httpx.Response(404, json={"detail": "No"})
        since = request.url.params.get("last_updated__gt", "")
        some = [user for user in self.users.values() if user["last_updated"] > since]
        page, size = int(request.url.params["page"]), 100
        pagination = {"count": len(some), "total_pages": max(1, -(-len(some) // size)), "next": 0}
        return httpx.Response(
            200, json={"pagination": pagination, "results": some[(page - 1) * size : page * size]}
        )


def test_people_are_read_once_and_then_only_what_changed(tmp_path: Path) -> None:
    file = tmp_path / "state" / "people.json"
    server = Server({pk: person(pk, f"2026-11-22T18:00:{pk:02}.000000+00:00") for pk in range(1, 41)})
    known = people.load(file, "https://login.bic.example")
    people.refresh(client(server), known, range(1, 41))
    people.keep(file, known)
    assert server.asked == ["core/users/"]
    assert file.stat().st_mode & 0o777 == 0o600
    server.asked.clear()
    server.users[7] = {**person(7, "2026-11-23T00:00:00.000000+00:00"), "is_active": False}
    again = people.load(file, "https://login.bic.example")
    people.refresh(client(server), again, range(1, 41))
    assert server.asked == ["core/users/?since"]
    assert not again.known[7].active
    assert again.known[8] == known.known[8]


def test_a_new_key_is_asked_for_and_one_that_leads_nowhere_is_an_error(tmp_path: Path) -> None:
    server = Server({1: person(1, "2026-11-22T18:00:00.000000+00:00")})
    known = People("https://login.bic.example")
    people.refresh(client(server), known, [1])
    # Not found by the time of its change: somebody whose clock was wrong, or an import.
    server.users[2] = person(2, "2020-01-01T00:00:00.000000+00:00")
    server.asked.clear()
    people.refresh(client(server), known, [1, 2])
    assert server.asked == ["core/users/?since", "core/users/2/"]
    with pytest.raises(AuthentikError, match="a member 3 who cannot be read"):
        people.refresh(client(server), known, [1, 2, 3])


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 0}', '{"version": 1, "server": "x"}'])
def test_a_kept_file_that_is_of_no_use_is_ignored(tmp_path: Path, content: str) -> None:
    (tmp_path / "people.json").write_text(content)
    assert people.load(tmp_path / "people.json", "x").known == {}


def test_after_a_day_everybody_is_read_again(tmp_path: Path) -> None:
    server = Server({1: person(1, "2026-11-22T18:00:00.000000+00:00")})
    known = People("x")
    people.refresh(client(server), known, [1])
    assert known.read is not None
    del server.users[1]
    people.refresh(client(server), known, [], now=known.read + people.LIFE * 1.01)
    assert known.known == {}
