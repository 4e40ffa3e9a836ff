"""Events, and the webhooks that tell of them."""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from test_permissions import BASE, admin, make

__all__ = ["admin"]
DEADLINE_SECONDS = 90


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[dict]]]:
    """An address that takes webhooks, and what it was sent."""
    received: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append(
                {"path": self.path, "body": json.loads(body), "agent": self.headers["User-Agent"]}
            )
            self.send_response(500 if self.path == "/fail" else 200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()
    server.server_close()
    thread.join()


def test_changes_of_groups_are_events_with_the_person_who_made_them(admin):
    group = make(admin, "core/groups", name=f"seen-{uuid.uuid4().hex[:8]}")
    query = {"action": "model_created", "context_model_name": "group", "ordering": "-created", "page_size": 1}
    event = admin.get(f"{BASE}/events/events/", params=query).json()["results"][0]
    assert event["context"]["model"] == {
        "pk": group["pk"].replace("-", ""),
        "app": "authentik_core",
        "name": group["name"],
        "model_name": "group",
    }
    assert event["user"]["username"] == admin.get(f"{BASE}/core/users/me/").json()["user"]["username"]


def test_keys_that_are_looked_at_are_events(admin):
    token = make(admin, "core/tokens", identifier=f"looked-{uuid.uuid4().hex[:8]}")
    admin.get(f"{BASE}/core/tokens/{token['identifier']}/view_key/")
    query = {"action": "secret_view", "ordering": "-created", "page_size": 1}
    event = admin.get(f"{BASE}/events/events/", params=query).json()["results"][0]
    assert event["context"]["secret"]["name"] == token["identifier"]


def test_a_rule_sends_what_its_policy_matches_and_nothing_else(admin, receiver):
    url, received = receiver
    mark = uuid.uuid4().hex[:8]
    me = admin.get(f"{BASE}/core/users/me/").json()["user"]["pk"]
    listeners = make(admin, "core/groups", name=f"listeners-{mark}", users=[me])
    transport = make(
        admin,
        "events/transports",
        name=f"hook-{mark}",
        mode="webhook",
        webhook_url=f"{url}/hook",
        send_once=True,
    )
    rule = make(
        admin,
        "events/rules",
        name=f"rule-{mark}",
        transports=[transport["pk"]],
        destination_group=listeners["pk"],
    )
    policy = make(
        admin,
        "policies/event_matcher",
        name=f"match-{mark}",
        action="model_updated",
        model="authentik_core.group",
    )
    make(admin, "policies/bindings", target=rule["pk"], policy=policy["pk"], order=0)
    make(admin, "core/users", username=f"nobody-{mark}", name="No match")
    admin.post(f"{BASE}/core/groups/{listeners['pk']}/add_user/", json={"pk": me})
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not received and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [item["path"] for item in received] == ["/hook"]
    assert received[0]["agent"].startswith("authentik@")
    assert received[0]["body"]["body"].startswith("model_updated: ")
    assert f"listeners-{mark}" in received[0]["body"]["body"]
    admin.delete(f"{BASE}/events/rules/{rule['pk']}/")


def test_a_webhook_that_fails_is_said(admin, receiver):
    url, received = receiver
    mark = uuid.uuid4().hex[:8]
    good, bad = (
        make(admin, "events/transports", name=f"{name}-{mark}", mode="webhook", webhook_url=f"{url}/{name}")
        for name in ("good", "fail")
    )
    answer = admin.post(f"{BASE}/events/transports/{good['pk']}/test/")
    assert (answer.status_code, answer.json()) == (200, {"messages": ["200", "ok"]})
    answer = admin.post(f"{BASE}/events/transports/{bad['pk']}/test/")
    assert answer.status_code == 500
    assert "500 Server Error" in answer.json()
    assert [item["path"] for item in received] == ["/good", "/fail"]
