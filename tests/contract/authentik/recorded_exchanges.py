"""The recording: which exchanges are replayed, what stands in for their keys, and what may differ."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RECORDING = Path(__file__).parent / "recorded" / "exchanges.jsonl"
EXCHANGES: list[dict[str, Any]] = [json.loads(line) for line in RECORDING.read_text().splitlines()]

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_HEX = re.compile(r"\b[0-9a-f]{32}\b")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?")

# Values that each server makes up.
MADE_UP = {
    "avatar",
    "uid",
    "user_uid",
    "num_pk",
    "token",
    "key",
    "client_id",
    "client_secret",
    "fingerprint_sha1",
    "fingerprint_sha256",
    "x-authentik-id",
    "last_applied_hash",
    "link",
    "user_pk",
    # Helps the administration page to complete queries.
    "autocomplete",
    # The recording was made with a proxy-less server of its own address.
    "http_request",
    "user_agent",
    "last_user_agent",
    "string",
    "id",
    # The release, and what a build of it says of itself.
    "version_current",
    "version_latest",
    "version_latest_valid",
    "sentry_dsn",
    "capabilities",
    "avatars",
    "bound_to",
    # The text of the group that upstream ships.
    "notes",
}
# What 2026.8 has and the recorded 2026.2 had not.
NEW = {
    "grant_types",
    "meta_hide",
    "redirect_uri_type",
    "webhook_ca",
    "expires",
    "expiring",
    "query",
    "is_current",
    "users",
    "base_url",
    "branding_map_tiles",
    "flow_user_switch",
    "flow_lockdown",
    "flow_request",
    "user_switch",
    "remember_device",
    "core_default_app_access",
    "enterprise_audit_include_expanded_diff",
    "flows_continuous_login",
    "flows_refresh_others",
    "pbm_uuid",
}
# Default flows that the stand-in has none of.
NOT_SHIPPED = {"flow_user_settings"}


@dataclass
class Correspondence:
    """Which of the server's keys stand for which recorded ones, both ways one to one."""

    ours: dict[str, str] = field(default_factory=dict)
    theirs: dict[str, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    """Client ids."""
    numbers: dict[int, int] = field(default_factory=dict)
    """Keys of providers: a failed attempt costs a real database a number."""

    def meet(self, recorded: str, live: str) -> bool:
        """Let two keys stand for each other; whether they may."""
        known = self.ours.setdefault(recorded, live)
        back = self.theirs.setdefault(live, recorded)
        return known == live and back == recorded

    def translate(self, text: str) -> str:
        """Return a recorded text with the server's keys."""
        text = _UUID.sub(lambda match: self.ours.get(match[0].lower(), match[0]), text)
        text = _HEX.sub(lambda match: self._short(match[0]), text)
        for word, ours in self.words.items():
            text = text.replace(word, ours)
        return text

    def _short(self, text: str) -> str:
        dashed = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
        return self.ours[dashed].replace("-", "") if dashed in self.ours else text


def learn(recorded: Any, live: Any, keys: Correspondence) -> None:
    """Learn keys from two answers, as far as they have the same form."""
    if isinstance(recorded, Mapping) and isinstance(live, Mapping):
        for name in recorded.keys() & live.keys():
            learn(recorded[name], live[name], keys)
        if isinstance(recorded.get("client_id"), str) and isinstance(live.get("client_id"), str):
            keys.words[recorded["client_id"]] = live["client_id"]
    elif isinstance(recorded, list) and isinstance(live, list):
        for one, other in _pairs(recorded, live):
            learn(one, other, keys)
    elif all(isinstance(text, str) and _UUID.fullmatch(text) for text in (recorded, live)) and (
        recorded not in keys.ours and live not in keys.theirs
    ):
        keys.meet(recorded, live)


def _identity(item: Any) -> str | None:
    """Return what objects have in common that are the same on both servers."""
    if not isinstance(item, Mapping):
        return None
    return next((str(item[name]) for name in ("slug", "managed", "username", "name") if item.get(name)), None)


def _pairs(recorded: list[Any], live: list[Any]) -> list[tuple[Any, Any]]:
    """Return the items of two lists that belong together: by what they are called, else by their order."""
    names = [_identity(item) for item in [*recorded, *live]]
    if recorded and live and None not in names:
        found = {_identity(item): item for item in live}
        return [(item, found[_identity(item)]) for item in recorded if _identity(item) in found]
    return list(zip(recorded, live, strict=False))


def differences(recorded: Any, live: Any, keys: Correspondence, path: str = "") -> Iterator[str]:
    """Yield how two answers differ in more than made-up keys, times and what 2026.8 added."""
    name = path.rpartition(".")[2].partition("[")[0]
    if isinstance(recorded, Mapping) and recorded.keys() == {"cut"}:
        # A body too long for the recording.
        return
    if name in NOT_SHIPPED or (name in MADE_UP and type(recorded) is type(live)):
        return
    if isinstance(recorded, Mapping) and isinstance(live, Mapping):
        missing = recorded.keys() - live.keys() - MADE_UP
        added = live.keys() - recorded.keys() - NEW - MADE_UP
        yield from (f"{path}.{key} is missing" for key in sorted(missing))
        yield from (f"{path}.{key} is not recorded" for key in sorted(added))
        for key in recorded.keys() & live.keys():
            yield from differences(recorded[key], live[key], keys, f"{path}.{key}")
    elif isinstance(recorded, list) and isinstance(live, list):
        yield from _lists(recorded, live, keys, path)
    elif isinstance(recorded, str) and isinstance(live, str):
        if _masked(keys.translate(recorded)) != _masked(live):
            yield f"{path}: recorded {recorded!r}, now {live!r}"
    elif isinstance(recorded, int) and re.search(r"provider", path) and name in ("pk", "provider"):
        if keys.numbers.get(recorded, recorded) != live:
            yield f"{path}: recorded {recorded!r}, now {live!r}"
    elif recorded != live or type(recorded) is not type(live):
        yield f"{path}: recorded {recorded!r}, now {live!r}"


def _lists(recorded: list[Any], live: list[Any], keys: Correspondence, path: str) -> Iterator[str]:
    if len(recorded) != len(live):
        yield f"{path}: recorded {len(recorded)} items, now {len(live)}"
        return
    if all(isinstance(item, str | int) for item in [*recorded, *live]):
        # Links have no order.
        numbered = [keys.numbers.get(item, item) if "provider" in path else item for item in recorded]
        theirs = sorted(_masked(keys.translate(str(item))) for item in numbered)
        if theirs != sorted(_masked(str(item)) for item in live):
            yield f"{path}: recorded {recorded}, now {live}"
        return
    for index, (one, other) in enumerate(_pairs(recorded, live)):
        yield from differences(one, other, keys, f"{path}[{index}]")


def _masked(text: str) -> str:
    text = re.sub(r"http://127\.0\.0\.1:\d+", "http://server", text)
    text = re.sub(r"^JSON parse error - .*", "JSON parse error", text)
    text = re.sub(r"^Expression Syntax Error: .*", "Expression Syntax Error", text)
    return _TIME.sub("TIME", text)
