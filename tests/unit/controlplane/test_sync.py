"""Syncs: the part of a plan that follows from people, passes, following, and words of the login server."""

import socket
import ssl
import sys
import threading
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from memory import Memory, silent
from store_site import Site

sys.path.insert(0, str(Path(__file__).parents[2] / "contract" / "irods"))

from throwaway_pki import create_authority, issue

from controlplane.errors import BadInputError
from controlplane.model import Limits, Platform
from controlplane.reconcile.port import ObservationError
from controlplane.reconcile.run import Report
from controlplane.state import Action, Key, Resource, State, make_plan
from controlplane.store import open_store
from controlplane.sync import status
from controlplane.sync.follow import WHOLE, Follower, Work
from controlplane.sync.part import people_part
from controlplane.sync.run import Synced, sync
from controlplane.sync.status import Status
from controlplane.sync.webhook import PATH, listening


class Following(Memory):
    """A system in memory in which users, and the members of groups, follow from people."""

    people_fields: Mapping[str, frozenset[str] | None] = {"user": None, "group": frozenset({"members"})}
    tells_people = False


def group(name: str, *members: str, quota: str = "", **given: Any) -> Resource:
    needed = frozenset(Key("user", member) for member in members)
    return Resource(Key("group", name), {"members": members, "quota": quota}, needed, **given)


def user(name: str) -> Resource:
    return Resource(Key("user", name), {"type": "x"}, keep="accounts stay")


def test_only_what_follows_from_people_is_in_the_part() -> None:
    desired = State(
        [user("ana"), user("bo"), group("a", "ana", "bo", quota="2"), group("b", "bo"), group("c")]
    )
    observed = State([user("ana"), group("a", "ana", quota="1"), group("d", "ana", retired={"members": ()})])
    part = people_part(Following(), make_plan("x", desired, observed))
    assert [(change.action, change.key.name) for change in part.changes] == [
        (Action.CREATE, "bo"),
        (Action.UPDATE, "a"),
    ]
    (item,) = part.changes[1].fields
    assert (item.name, item.added) == ("members", ("bo",))
    assert part.changes[1].depends_on == {Key("user", "bo")}


def test_what_waits_for_something_that_only_an_apply_makes_waits_too() -> None:
    new = replace(user("ana"), depends_on=frozenset({Key("zone", "far")}))
    desired = State([Resource(Key("zone", "far")), new, group("a", "ana")])
    observed = State([group("a")])
    assert people_part(Following(), make_plan("x", desired, observed)).changes == ()


def test_what_retires_destroys_or_is_taken_over_is_left_to_people() -> None:
    kept = group("kept", "ana", keep="data", retired={"members": ()})
    doomed = group("doomed", "ana", destroys="1 object")
    strange = Resource(Key("user", "bo"), {"type": "x"}, owned=False)
    plan = make_plan("x", State([user("bo")]), State([kept, doomed, strange]), adopt=True)
    assert len(plan.changes) == 3
    assert people_part(Following(), plan).changes == ()


def test_a_system_that_does_not_follow_is_left_alone() -> None:
    assert people_part(Memory(), make_plan("x", State([user("ana")]), State())).changes == ()


def test_a_sync_of_one_system_leaves_the_others_alone_and_closes_all(tmp_path: Path) -> None:
    platform = cast(Platform, SimpleNamespace(name="test", limits=Limits(share=0.3, objects=10)))
    systems = [Following([user("ana")], id=f"memory/{name}") for name in "ab"]
    with open_store(Site(tmp_path)) as store:
        done = sync(
            lambda: list(systems), platform, store, actor="x", watch=silent, only=frozenset({"memory/b"})
        )
    assert [(report.id, len(report.done)) for report in done.reports] == [("memory/b", 1)]
    assert systems[0].calls == ["close"]
    assert systems[1].calls[-1] == "close"


class Scripted:
    """What a follower sees and does."""

    def __init__(self) -> None:
        self.now, self.inventory, self.newest = 1000.0, "i", "1"
        self.asked: list[AbstractSet[str]] = []
        """The systems of each sync; none stands for all."""
        self.told: list[Status] = []
        self.result = Synced([Report("A", "a")], 0.1, 1)
        self.error: Exception | None = None
        self.follower = Follower(
            Work(lambda: self.inventory, self._newest, self._sync, self.told.append), clock=lambda: self.now
        )

    def _newest(self) -> str:
        if self.error:
            raise self.error
        return self.newest

    @property
    def synced(self) -> int:
        return len(self.asked)

    def _sync(self, only: AbstractSet[str]) -> Synced:
        self.asked.append(only)
        return self.result


def test_a_follower_syncs_when_something_may_have_changed_and_not_otherwise() -> None:
    world = Scripted()
    look = world.follower.look
    assert look()
    assert not look()
    world.newest = "2"
    assert look()
    assert not look()
    world.inventory = "j"
    assert look()
    assert look(told=True)
    assert not look()
    world.now += WHOLE
    assert look()
    assert world.synced == 5
    assert all(told.ok for told in world.told)


def test_what_did_not_follow_is_tried_again_at_each_look_and_nothing_else() -> None:
    world = Scripted()
    world.follower.look()
    before = world.now
    assert world.told[-1].followed == {"a": before}
    world.newest, world.now = "2", world.now + 5
    world.result = Synced(
        [Report("A", "a", error="it is away"), Report("B", "b"), Report("C", "c", error="?")]
    )
    world.follower.look()
    # Who follows is not held against those who do not.
    assert (world.told[-1].ok, world.told[-1].followed) == (False, {"a": before, "b": world.now, "c": 0.0})
    world.now += 5
    world.result = Synced([Report("A", "a", error="it is away"), Report("C", "c")])
    world.follower.look()
    assert world.asked[1:] == [set(), {"a", "c"}]
    assert (world.told[-1].ok, world.told[-1].followed) == (
        False,
        {"a": before, "b": world.now, "c": world.now},
    )
    world.result = Synced([Report("A", "a")], 0.1, 1)
    world.follower.look()
    assert world.asked[3:] == [{"a"}]
    assert (world.told[-1].ok, world.told[-1].followed) == (True, dict.fromkeys("abc", world.now))
    assert not world.follower.look()


@pytest.mark.parametrize("change", ["newest", "inventory", "told", "now"])
def test_while_something_is_away_all_follow_what_changes(change: str) -> None:
    world = Scripted()
    world.result = Synced([Report("A", "a", error="it is away"), Report("B", "b")])
    world.follower.look()
    if change == "now":
        world.now += WHOLE
    elif change != "told":
        setattr(world, change, "another")
    world.follower.look(told=change == "told")
    world.follower.look()
    assert world.asked == [set(), set(), {"a"}]


def test_after_an_outage_of_the_login_server_all_are_read() -> None:
    world = Scripted()
    world.result = Synced([Report("A", "a", error="it is away"), Report("B", "b")])
    world.follower.look()
    world.error = ObservationError("no answer")
    world.follower.look()
    world.error = None
    world.follower.look()
    assert world.asked == [set(), set()]


def test_an_outage_is_told_once_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    world = Scripted()
    world.error = ObservationError("login.bic.example: no answer within 10 s")
    for _ in range(3):
        assert not world.follower.look()
    assert [record.message for record in caplog.records] == [
        "not all systems follow: login.bic.example: no answer within 10 s"
    ]
    assert not world.told[-1].ok
    world.error = None
    assert world.follower.look()
    assert world.told[-1].ok


def test_a_follower_ends_when_told_and_wakes_up_at_a_word() -> None:
    world = Scripted()
    stop, word = threading.Event(), threading.Event()
    thread = threading.Thread(target=world.follower.run, args=(stop, word, 3600.0))
    thread.start()
    deadline = threading.Event()
    for wanted in (1, 2):
        for _ in range(600):
            if world.synced >= wanted:
                break
            deadline.wait(0.1)
        assert world.synced == wanted
        word.set()
    stop.set()
    word.set()
    thread.join(60)
    assert not thread.is_alive()


def test_status_is_replaced_as_a_whole_and_private(tmp_path: Path) -> None:
    assert status.read(tmp_path) is None
    now = Status(1.0, True, {"irods/oneZone": 1.0}, 0.5, 3)
    status.write(tmp_path, now)
    assert status.read(tmp_path) == now
    assert [file.name for file in tmp_path.iterdir()] == ["sync.json"]
    assert (tmp_path / "sync.json").stat().st_mode & 0o777 == 0o600
    (tmp_path / "sync.json").write_text("{")
    assert status.read(tmp_path) is None


def post(port: int, **given: Any) -> int:
    path = given.pop("path", PATH)
    return httpx.post(f"http://127.0.0.1:{port}{path}", timeout=60, trust_env=False, **given).status_code


def test_word_is_believed_with_the_secret_alone() -> None:
    word = threading.Event()
    right = {"Authorization": "Bearer s3cret"}
    with listening("127.0.0.1", 0, "s3cret", word) as port:
        assert post(port, json={}) == 403
        assert post(port, json={}, headers={"Authorization": "Bearer other"}) == 403
        assert post(port, json={}, headers=right, path="/other") == 404
        assert post(port, content=b"x" * 1_000_001, headers=right) == 413
        assert httpx.get(f"http://127.0.0.1:{port}{PATH}", headers=right, timeout=60).status_code == 501
        assert not word.is_set()
        assert post(port, json={"body": "model_updated"}, headers=right) == 204
        assert word.is_set()


def test_word_comes_over_tls(tmp_path: Path) -> None:
    authority = create_authority(tmp_path)
    files = issue(authority, tmp_path)
    where = {"certificate": Path(files.certificate_chain_file), "key": Path(files.certificate_key_file)}
    given: dict[str, Any] = {"json": {}, "headers": {"Authorization": "Bearer s"}, "timeout": 60}
    word = threading.Event()
    with listening("127.0.0.1", 0, "s", word, **where) as port:
        with pytest.raises(httpx.HTTPError):
            httpx.post(f"http://127.0.0.1:{port}{PATH}", trust_env=False, **given)
        assert not word.is_set()
        trust = ssl.create_default_context(cafile=authority.ca_file)
        told = httpx.post(f"https://127.0.0.1:{port}{PATH}", verify=trust, trust_env=False, **given)
        assert told.status_code == 204
        assert word.is_set()


def test_somebody_who_connects_and_says_nothing_holds_up_nobody() -> None:
    word = threading.Event()
    with listening("127.0.0.1", 0, "s", word) as port, socket.create_connection(("127.0.0.1", port)):
        assert post(port, json={}, headers={"Authorization": "Bearer s"}) == 204


def test_a_port_or_certificate_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    with (
        listening("127.0.0.1", 0, "s", threading.Event()) as port,
        pytest.raises(BadInputError, match="cannot listen"),
    ):
        listening("127.0.0.1", port, "s", threading.Event()).__enter__()
    (tmp_path / "x.pem").write_text("x")
    with pytest.raises(BadInputError, match="cannot be used"):
        listening(
            "127.0.0.1", 0, "s", threading.Event(), certificate=tmp_path / "x.pem", key=tmp_path / "x.pem"
        ).__enter__()
