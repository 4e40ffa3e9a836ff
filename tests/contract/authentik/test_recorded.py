"""The server against our recording of a real Authentik 2026.2.2, exchange by exchange.

The exchanges run once, in the recording's order, on a fresh server. Then each is compared: status, the
methods that the answer allows, its media type, and its body but for what each server makes up (keys must
correspond one to one all the same) and what 2026.8 has beyond 2026.2.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from authentik_under_test import AuthentikServer, server_under_test
from recorded_exchanges import EXCHANGES, Correspondence, differences, learn
from replayed import DIFFERENT, LEFT_OUT, NOT_REPLAYED, headers_of, subject_of, wait_for


@pytest.fixture(scope="module")
def replay(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[list[httpx.Response | None], Correspondence]]:
    """What the server answered to each exchange, and which keys stand for which."""
    keys, answers = Correspondence(), []
    with (
        server_under_test(tmp_path_factory.mktemp("recorded")) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        seen: dict[str, Any] = {}
        for exchange in EXCHANGES:
            answer = None if exchange["op"] in NOT_REPLAYED else _send(client, server, exchange, keys, seen)
            answers.append(answer)
            for request in LEFT_OUT.get(exchange["n"], []):
                client.post(request[0], json=request[1], headers={"Authorization": f"Bearer {server.token}"})
        yield answers, keys


def _send(
    client, server: AuthentikServer, exchange, keys: Correspondence, seen: dict[str, Any]
) -> httpx.Response:
    request = exchange["request"]
    wait_for(exchange, client, server, keys)
    query = json.loads(keys.translate(json.dumps(request.get("query"))))
    answer = client.request(
        request["method"],
        keys.translate(request["path"]),
        params=query,
        content=_content(request, keys),
        headers=headers_of(exchange, server, seen),
    )
    body = exchange["response"]["body"]
    if answer.headers.get("content-type", "").startswith("application/json") and answer.content:
        live = answer.json()
        learn(body, live, keys)
        seen[exchange["op"]] = live
        if answer.status_code == exchange["response"]["status"] == 201 and "/providers/" in request["path"]:
            keys.numbers[body["pk"]] = live["pk"]
        elif exchange["op"] == "txapp/result app":
            keys.numbers[body["provider"]] = live.get("provider")
    return answer


def _content(request, keys: Correspondence) -> str | None:
    if "body" not in request:
        return None
    body = request["body"]
    if isinstance(body, str):
        return body
    for name in ("provider", "providers"):
        if isinstance(body.get(name), int):
            body = {**body, name: keys.numbers.get(body[name], body[name])}
        elif isinstance(body.get(name), list):
            body = {**body, name: [keys.numbers.get(item, item) for item in body[name]]}
    return keys.translate(json.dumps(body))


INDICES = [index for index, exchange in enumerate(EXCHANGES) if exchange["op"] not in NOT_REPLAYED]


@pytest.mark.parametrize("index", INDICES, ids=[f"{EXCHANGES[i]['n']} {EXCHANGES[i]['op']}" for i in INDICES])
def test_answer_is_as_recorded(index, replay):
    answers, keys = replay
    recorded, answer = EXCHANGES[index]["response"], answers[index]
    op = EXCHANGES[index]["op"]
    assert answer.status_code == DIFFERENT.get(op, (recorded["status"],))[0], answer.text[:600]
    if op in DIFFERENT:
        return
    if answer.status_code != 204:
        kind = recorded["headers"].get("content-type", "").partition(";")[0]
        assert answer.headers.get("content-type", "").partition(";")[0] == kind
    if "allow" in recorded["headers"]:
        assert answer.headers.get("allow") == recorded["headers"]["allow"]
    if recorded["body"] and answer.headers.get("content-type", "").startswith("application/json"):
        assert list(differences(recorded["body"], answer.json(), keys, subject_of(EXCHANGES[index]))) == []


def test_every_reason_is_needed():
    """What is not replayed, or differs, is in the recording and says why."""
    ops = {exchange["op"] for exchange in EXCHANGES}
    assert NOT_REPLAYED.keys() | DIFFERENT.keys() <= ops
    assert all(NOT_REPLAYED.values())


def test_recording_is_ours(replay):
    assert len(INDICES) > 350
    assert Path(__file__).parent.joinpath("recorded/README.md").exists()
