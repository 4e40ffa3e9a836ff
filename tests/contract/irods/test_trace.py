"""The stand-in against a recording of a real iRODS 5.0.2 server, operation by operation and message by
message.

The operations run once, in the recording's order, with an unmodified python-irodsclient. Then each is
compared: whether it succeeded, the client's exception, and every API request and reply on the wire. What
cannot be the same is masked: object ids (which must correspond one to one all the same), times,
passwords, and where the server's own host keeps its vault. Rows are compared without their order, except
where the client asked for one.
"""

import base64
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import defusedxml.ElementTree as ET
import irods.message
import pytest
from irods.connection import Connection
from recorded_operations import HOST, OPERATIONS, Context, prepare
from zone_under_test import open_session, standin_server

TRACE = [json.loads(line) for line in (Path(__file__).parent / "trace-5.0.2.jsonl").read_text().splitlines()]

# Operations of the recording that the stand-in deliberately does not carry out, with the reason; each must
# answer the protocol's own error. There are none at present.
UNSUPPORTED: dict[str, str] = {}

# Replies whose content is the server's own, so that only what clients rely on is compared.
CLIENT_HINTS, GENQUERY1, GENQUERY2, AUTHENTICATION = 10215, 702, 10221, 110000
ORDERED = {"query order limit offset", "genquery2 users", "genquery2 members"}
# Which rows these return is the database's choice: only their number is comparable.
ANY_ROWS = {"query paging 500+", "genquery2 default limit"}
VAULT_PATHS = ("307", "410")
IDS = {201, 301, 317, 401, 402, 423, 500, 603, 613, 633, 643, 703, 704, 713, 714, 900, 2000, 2001}


class Recorder:
    """Keeps the API requests and replies of the client, in the form of the recording."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wire: list[dict[str, Any]] = []
        send, recv = Connection.send, irods.message.iRODSMessage.recv

        def recording_send(connection: Connection, message: Any) -> None:
            packed = str(message.msg.pack()) if message.msg else ""
            self._keep("send", message.msg_type, message.int_info, packed, b"")
            send(connection, message)

        def recording_recv(sock: Any) -> Any:
            message = recv(sock)
            self._keep(
                "recv", message.msg_type, message.int_info, (message.msg or b"").decode(), message.error
            )
            return message

        monkeypatch.setattr(Connection, "send", recording_send)
        monkeypatch.setattr(irods.message.iRODSMessage, "recv", staticmethod(recording_recv))

    def _keep(self, direction: str, kind: str, int_info: int, msg: str, error: bytes | None) -> None:
        self.wire.append(
            {
                "dir": direction,
                "type": kind,
                "int_info": int_info,
                "msg": msg,
                "error": (error or b"").decode(),
            }
        )


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Any]]]:
    """What each operation did on a fresh zone, by name."""
    outcomes: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        monkeypatch = stack.enter_context(pytest.MonkeyPatch.context())
        directory = tmp_path_factory.mktemp("trace")
        server = stack.enter_context(standin_server(directory, host=HOST))
        local = {"host": "localhost"}
        session = stack.enter_context(open_session(server, **local))
        recorder = Recorder(monkeypatch)
        context = Context(session, lambda **overrides: open_session(server, **(local | overrides)))
        for recorded in TRACE:
            name = recorded["op"]
            recorder.wire = []
            prepare(name, session)
            recorder.wire = []
            try:
                result, error = OPERATIONS[name](context), None
            except Exception as refusal:
                result, error = None, refusal
            outcomes[name] = {"result": result, "error": error, "wire": recorder.wire, "directory": directory}
        yield outcomes


def test_every_recorded_operation_is_replayed():
    assert [recorded["op"] for recorded in TRACE] == list(OPERATIONS)


@pytest.mark.parametrize("recorded", TRACE, ids=[recorded["op"] for recorded in TRACE])
def test_operation_ends_as_recorded(recorded, replay):
    outcome = replay[recorded["op"]]
    error = outcome["error"]
    if recorded["op"] in UNSUPPORTED:
        assert getattr(error, "code", None) in (-12000, -66000)
        return
    assert type(error).__name__ == (recorded["error"] or "NoneType"), error
    assert getattr(error, "code", None) == recorded["code"]


@pytest.mark.parametrize("recorded", TRACE, ids=[recorded["op"] for recorded in TRACE])
def test_operation_says_the_same_on_the_wire(recorded, replay):
    name = recorded["op"]
    if name in UNSUPPORTED:
        pytest.skip(UNSUPPORTED[name])
    theirs = exchanges(recorded["wire"], name, None)
    ours = exchanges(replay[name]["wire"], name, replay[name]["directory"])
    assert ours == theirs


def test_object_ids_correspond_one_to_one(replay):
    pairs: set[tuple[str, str]] = set()
    for recorded in TRACE:
        if recorded["op"] in UNSUPPORTED or recorded["op"] in ANY_ROWS:
            continue
        theirs = api_messages(recorded["wire"])
        ours = api_messages(replay[recorded["op"]]["wire"])
        for their, our in zip(theirs, ours, strict=True):
            if "<GenQueryOut_PI>" in their["msg"]:
                pairs |= matching_ids(genquery_rows(their["msg"]), genquery_rows(our["msg"]))
    assert len({their for their, _ in pairs}) == len({our for _, our in pairs}) == len(pairs)
    assert len(pairs) > 15


def test_rule_output_is_the_text_and_zero_bytes(replay):
    buffer = replay["rule writeLine"]["result"].MsParam_PI[0].inOutStruct.stdoutBuf.buf
    assert buffer.rstrip(b"\0") == b"hi\n"


def test_client_hints_name_the_checksum_scheme(replay):
    hints = replay["client_hints"]["result"]
    assert (hints["hash_scheme"], hints["match_hash_policy"], hints["strict_acls"]) == (
        "SHA256",
        "compatible",
        "on",
    )


@pytest.mark.parametrize("name", sorted(ANY_ROWS))
def test_number_of_rows_is_as_recorded(name, replay):
    assert str(replay[name]["result"]) == next(line["result"] for line in TRACE if line["op"] == name)


def api_messages(wire: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the API messages but for authentication, which differs, and replies to reads, not recorded."""
    found, skipping = [], False
    for message in wire:
        if message["type"] not in ("RODS_API_REQ", "RODS_API_REPLY"):
            continue
        if message["dir"] == "send":
            skipping = message["int_info"] in (AUTHENTICATION, 675)
            if message["int_info"] == 675:
                found.append(message)
        if not skipping:
            found.append(message)
    return found


def exchanges(wire: list[dict[str, Any]], name: str, directory: Path | None) -> list[Any]:
    """Return the API messages with everything masked that may differ."""
    number, found = 0, []
    for message in api_messages(wire):
        if message["dir"] == "send":
            number = message["int_info"]
            found.append(("request", number, _request(number, message["msg"])))
        else:
            error = re.sub(r"\s+", " ", message["error"] or "").strip()
            found.append(
                ("reply", message["int_info"], error, _reply(number, message["msg"], name, directory))
            )
    return found


def _request(number: int, msg: str) -> str:
    msg = re.sub(r"(<arg3>password</arg3>)<arg4>.*?</arg4>", r"\1<arg4>hidden</arg4>", msg, flags=re.S)
    return re.sub(r"'\d{5}'", "'#'", msg) if number == GENQUERY1 else msg


def genquery_rows(msg: str) -> list[list[tuple[int, str]]]:
    """Return the rows of a `GenQueryOut_PI`, each as pairs of column number and value."""
    columns = [
        [(int(column.findtext("attriInx", "0")), value.text or "") for value in column.findall("value")]
        for column in ET.fromstring(msg).findall("SqlResult_PI")
        if column.findtext("attriInx") != "0"
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def _masked(row: list[tuple[int, str]], vault: str) -> tuple[Any, ...]:
    cells = []
    for column, value in row:
        shown = value.replace(vault, "/var/lib/irods/Vault") if vault else value
        if column in IDS and re.fullmatch(r"\d{5}", value):
            shown = "#"
        elif re.fullmatch(r"0\d{10}", value) and value != "00000000000":
            shown = "@"
        cells.append((column, shown))
    return tuple(cells)


def matching_ids(theirs: list[Any], ours: list[Any]) -> set[tuple[str, str]]:
    """Return pairs of ids from rows that are the only ones of their kind once ids are masked."""
    pairs = set()
    masked = [_masked(row, "") for row in ours]
    for row in theirs:
        mask = _masked(row, "")
        if masked.count(mask) == 1 and [_masked(other, "") for other in theirs].count(mask) == 1:
            match = ours[masked.index(mask)]
            pairs |= {
                (a, b)
                for (column, a), (_, b) in zip(row, match, strict=True)
                if column in IDS and len(a) == 5
            }
    return pairs


def _reply(number: int, msg: str, name: str, directory: Path | None) -> Any:  # noqa: PLR0911
    if not msg:
        return ""
    if number == CLIENT_HINTS:
        return sorted(json.loads(ET.fromstring(msg).findtext("buf", "")))
    if number == GENQUERY1:
        output = ET.fromstring(msg)
        counts = [output.findtext(field) for field in ("rowCnt", "attriCnt", "continueInx", "totalRowCount")]
        if name in ANY_ROWS:
            return counts
        rows = [_masked(row, f"{directory}/server/Vault" if directory else "") for row in genquery_rows(msg)]
        # Long vault paths make their column wider; where the vault is differs.
        widths = [
            (column.findtext("reslen") if column.findtext("attriInx") not in VAULT_PATHS else "")
            for column in output.findall("SqlResult_PI")
        ]
        return counts, widths, rows if name in ORDERED else sorted(rows)
    if number == GENQUERY2:
        document = ET.fromstring(msg).findtext("myStr", "")
        if not document.startswith("["):
            return document
        if name in ANY_ROWS:
            return len(json.loads(document))
        rows = [
            ["#" if re.fullmatch(r"\d{5}", cell) else cell for cell in row] for row in json.loads(document)
        ]
        return rows if name in ORDERED else sorted(rows)
    if "<BinBytesBuf_PI>" in msg:
        return re.sub(
            r"<buf>(.*?)</buf>", lambda match: base64.b64decode(match[1]).decode().rstrip("\0"), msg
        )
    return msg
