"""Stages of several systems become one journey."""

import base64
import hashlib
from collections.abc import Callable
from typing import Any

from controlplane.errors import BicError
from controlplane.health.journeys.plan import journeys
from controlplane.health.journeys.port import SIZE, Place, Stage, Traveller
from controlplane.health.port import CheckFailedError
from controlplane.health.run import Status, run_probes


def stage(journey: str, place: Place, name: str, run: Callable[[Traveller], str], **fields: Any) -> Stage:
    return Stage(journey, place, name, run, "Nobody can work.", "README#journeys", **fields)


def fail(traveller: Traveller) -> str:
    raise CheckFailedError("lost")


def test_stages_of_several_systems_follow_each_other_and_share_what_they_carry() -> None:
    def bring(traveller: Traveller) -> str:
        traveller.where["one"] = "/here"
        return traveller.token

    found: list[Traveller] = []

    def look(traveller: Traveller) -> str:
        found.append(traveller)
        return f"from {traveller.where['one']}"

    way = [
        stage("data", Place.END, "clean", lambda _: "clean", needs=("a",)),
        stage("data", Place.APPLICATIONS, "shown", look, needs=("b", "a"), serves=frozenset({"x"})),
        stage("login", Place.ENTRY, "log in", look),
        stage("data", Place.ENTRY, "enter", bring, serves=frozenset({"y"})),
    ]
    probes = list(journeys(way))
    assert [(one.system, one.target, one.needs, one.serves) for one in probes] == [
        ("journey", "data", ("a", "b"), None),
        ("journey", "login", (), None),
    ]
    assert [check.name for check in probes[0].checks] == ["enter", "shown", "clean"]
    results = run_probes(probes[:1], 60)
    assert [result.detail for result in results] == [found[0].token, "from /here", "clean"]
    digest = base64.b64decode(found[0].checksum)
    assert digest == hashlib.sha256(found[0].content).digest()
    assert len(found[0].content) == SIZE


def test_whose_way_it_is() -> None:
    way = [stage("data", Place.ENTRY, str(name), fail, serves=frozenset({name})) for name in "xy"]
    assert next(journeys(way)).serves == frozenset("xy")


def test_whatever_happens_on_the_way_it_is_cleaned_up() -> None:
    cleaned: list[str] = []

    def clean(traveller: Traveller) -> str:
        cleaned.append(traveller.token)
        raise BicError("not all")

    way = [
        stage("data", Place.ENTRY, "enter", fail),
        stage("data", Place.TEAM, "read", lambda _: "never"),
        stage("data", Place.END, "clean", clean),
    ]
    results = run_probes(list(journeys(way)), 60)
    assert [(result.status, result.detail) for result in results] == [
        (Status.FAILED, "lost"),
        (Status.SKIPPED, "because enter failed"),
        (Status.FAILED, "not all"),
    ]
    assert len(cleaned) == 1
