"""Edits of a facility's file change what they mean and nothing else, whatever the file looks like."""

import difflib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.errors import BadInputError
from controlplane.facility import edit
from controlplane.facility.document import Document, LayoutError
from controlplane.facility.text import entry_lines, flow
from controlplane.model.facility import Person
from controlplane.model.source import Route, parse

ROOT = Path(__file__).parents[3]
SHIPPED = sorted((ROOT / "inventories").glob("s*/facilities/*.yml"))
KNOWN = {"amartin": Person("amartin", "Aurélie Martin", "aurelie.martin@nantes.example")}
NEW = {"user": "zdupre", "name": "Zoé Dupré", "email": "zoe.dupre@nantes.example", "role": "contributor"}
NEW_LINE = "{user: zdupre, name: Zoé Dupré, email: zoe.dupre@nantes.example, role: contributor}"

COMMENTED = """\
# yaml-language-server: $schema=../../../schemas/facility.schema.json
# Above everything.
id: nantes   # never changes

# A heading
title:   "Nantes: light microscopy"   # aligned by hand
institution: 'Université de Nantes'
city: Nantes
data_centre: dc1
zone: bicZone
quota: { tier: standard }   # spaces inside
referents:   # one
# between key and list
- {user: amartin,   name: Aurélie Martin,
   email: aurelie.martin@nantes.example}   # over two lines
# below the list
buffer:
    host: buffer-nantes   # four columns in
    # about the address
    address: 10.77.0.21

storage_resources: {nantes-raw: {host: dc1-icat, vault: /srv/nantes}}
teams:
  # about the first team
  - id: cell-dynamics
    title: >-
      Cell
      dynamics
    pi: {user: jmoreau, name: Julie Moreau, email: julie.moreau@nantes.example}
    members:
      # the oldest member
      - {user: tnguyen, name: Thi Nguyen, email: thi.nguyen@nantes.example, role: contributor}

      # about Olivier
      # and his thesis
      - user: opetit   # in a block
        name: Olivier Petit
        email: olivier.petit@nantes.example

        role: collaborator
      # below the members
  # about the second team
  - id: empty
    members: []   # nobody yet
    title: Empty
    pi:
      user: kdiallo
      name: Karim Diallo
      email: karim.diallo@nantes.example
  - {id: flat, title: F, pi: {user: a, name: A, email: a@b}, members: [{user: b, name: B, email: b, role: x}]}
  - id: outside
    title: Outside
    pi: {user: c, name: C, email: c@b.c}
    members_from: bic-outside
# the end
"""

Change = Callable[[str, str], str]


def assign(*pairs: tuple[str, str]) -> Change:
    return lambda text, shown: edit.assign(text, shown, pairs, KNOWN)


def changed(before: str, after: str) -> list[str]:
    """The lines that differ, as `-old` and `+new`."""
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return [line[0] + line[2:] for line in lines if line[0] in "+-"]


EDITS: dict[str, tuple[Change, list[str]]] = {
    "a quoted value": (
        assign(("title", "Été à Nantes")),
        [
            '-title:   "Nantes: light microscopy"   # aligned by hand',
            "+title:   Été à Nantes   # aligned by hand",
        ],
    ),
    "a value that needs quotes": (
        assign(("institution", "CNRS: #1")),
        ["-institution: 'Université de Nantes'", '+institution: "CNRS: #1"'],
    ),
    "inside a flow mapping": (
        assign(("quota.tier", "large")),
        [
            "-quota: { tier: standard }   # spaces inside",
            "+quota: { tier: large }   # spaces inside",
        ],
    ),
    "a key for another": (
        assign(("quota.total", "20 TiB"), ("quota.tier", "")),
        [
            "-quota: { tier: standard }   # spaces inside",
            "+quota: { total: 20 TiB }   # spaces inside",
        ],
    ),
    "a quota as people say it": (
        assign(("quota", "20 TiB")),
        [
            "-quota: { tier: standard }   # spaces inside",
            "+quota: {total: 20 TiB}   # spaces inside",
        ],
    ),
    "the last key of a mapping": (
        assign(("quota.tier", "")),
        ["-quota: { tier: standard }   # spaces inside"],
    ),
    "over two lines": (
        assign(("referents.amartin.email", "a@nantes.example")),
        [
            "-   email: aurelie.martin@nantes.example}   # over two lines",
            "+   email: a@nantes.example}   # over two lines",
        ],
    ),
    "a second item without indentation": (
        assign(("referents.zdupre", "zdupre,Zoé Dupré,zoe@nantes.example")),
        ["+- {user: zdupre, name: Zoé Dupré, email: zoe@nantes.example}"],
    ),
    "a block mapping, key by key": (
        assign(("buffer", "{host: buffer-nantes, address: 10.77.0.99}")),
        ["-    address: 10.77.0.21", "+    address: 10.77.0.99"],
    ),
    "a new mapping in its usual place": (
        assign(("omero.host", "dc1-omero")),
        ["+omero: {host: dc1-omero}"],
    ),
    "a new entry of a flow mapping": (
        assign(("storage_resources.more", "{host: dc1-icat, vault: /srv/more}")),
        [
            "-storage_resources: {nantes-raw: {host: dc1-icat, vault: /srv/nantes}}",
            "+storage_resources: {nantes-raw: {host: dc1-icat, vault: /srv/nantes}, "
            "more: {host: dc1-icat, vault: /srv/more}}",
        ],
    ),
    "a folded text": (
        assign(("teams.cell-dynamics.title", "Cells")),
        ["-    title: >-", "+    title: Cells", "-      Cell", "-      dynamics"],
    ),
    "somebody known": (
        assign(("teams.cell-dynamics.pi", "amartin")),
        [
            "-    pi: {user: jmoreau, name: Julie Moreau, email: julie.moreau@nantes.example}",
            "+    pi: {user: amartin, name: Aurélie Martin, email: aurelie.martin@nantes.example}",
        ],
    ),
    "a role in a block": (
        assign(("teams.cell-dynamics.members.opetit.role", "contributor")),
        ["-        role: collaborator", "+        role: contributor"],
    ),
    "a switch": (assign(("teams.empty.omero", "yes")), ["+    omero: true"]),
    "removing a key": (
        assign(("buffer", "")),
        [
            "-# below the list",
            "-buffer:",
            "-    host: buffer-nantes   # four columns in",
            "-    # about the address",
            "-    address: 10.77.0.21",
        ],
    ),
    "adding a member below a block": (
        lambda text, shown: edit.add_member(text, shown, "cell-dynamics", NEW),
        [f"+      - {NEW_LINE}"],
    ),
    "adding the first member": (
        lambda text, shown: edit.add_member(text, shown, "empty", NEW),
        ["-    members: []   # nobody yet", "+    members:", f"+      - {NEW_LINE}   # nobody yet"],
    ),
    "adding a member on one line": (
        lambda text, shown: edit.add_member(text, shown, "flat", NEW),
        [
            "-" + next(line for line in COMMENTED.splitlines() if "id: flat" in line),
            "+"
            + next(line for line in COMMENTED.splitlines() if "id: flat" in line).replace(
                "]}", f", {NEW_LINE}]}}"
            ),
        ],
    ),
    "removing the first member, whose comment may be the list's": (
        lambda text, shown: edit.remove_member(text, shown, "cell-dynamics", "tnguyen"),
        ["-      - {user: tnguyen, name: Thi Nguyen, email: thi.nguyen@nantes.example, role: contributor}"],
    ),
    "removing a member with the comments above": (
        lambda text, shown: edit.remove_member(text, shown, "cell-dynamics", "opetit"),
        [
            "-      # about Olivier",
            "-      # and his thesis",
            "-      - user: opetit   # in a block",
            "-        name: Olivier Petit",
            "-        email: olivier.petit@nantes.example",
            "-",
            "-        role: collaborator",
        ],
    ),
    "removing the only member on one line": (
        lambda text, shown: edit.remove_member(text, shown, "flat", "b"),
        [
            "-" + next(line for line in COMMENTED.splitlines() if "id: flat" in line),
            "+  - {id: flat, title: F, pi: {user: a, name: A, email: a@b}}",
        ],
    ),
    "removing a team on one line": (
        lambda text, shown: edit.remove_team(text, shown, "flat"),
        ["-" + next(line for line in COMMENTED.splitlines() if "id: flat" in line)],
    ),
    "adding a team": (
        lambda text, shown: edit.add_team(
            text, shown, {"pi": {"user": "x", "name": "X", "email": "x@b.c"}, "id": "new", "title": "New"}
        ),
        ["+  - id: new", "+    title: New", "+    pi: {user: x, name: X, email: x@b.c}"],
    ),
}


@pytest.mark.parametrize(("change", "lines"), EDITS.values(), ids=EDITS)
def test_only_the_intended_lines_differ(change: Change, lines: list[str]) -> None:
    assert changed(COMMENTED, change(COMMENTED, "nantes.yml")) == lines


@pytest.mark.parametrize("change", [change for change, _ in EDITS.values()], ids=EDITS)
def test_windows_line_ends_a_byte_order_mark_and_no_last_line_end_stay(change: Change) -> None:
    expected = change(COMMENTED, "nantes.yml")
    odd = "\ufeff" + COMMENTED.replace("\n", "\r\n").removesuffix("\r\n")
    assert change(odd, "nantes.yml") == "\ufeff" + expected.replace("\n", "\r\n").removesuffix("\r\n")


@pytest.mark.parametrize("ending", ["", "\n", "\n\n# end"])
def test_appending_at_the_end_of_the_file(ending: str) -> None:
    text = "id: a\nteams:\n- id: one" + ending
    after = Document(text, "a.yml").append(("teams",), {"id": "two"}).text
    assert after == "id: a\nteams:\n- id: one\n- {id: two}\n" + ending.removeprefix("\n")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_each_value_of_a_shipped_file_can_be_set_by_itself(path: Path) -> None:
    text = path.read_text("utf-8")
    document = Document(text, path.name)
    for route, value in scalars(document.data):
        after = document.set(route, "Zoé: #1")
        assert len(changed(text, after.text)) == 2, route
        assert after.set(route, value).at(route) == value
    for index, _ in enumerate(document.at(("teams",))):
        added = edit.add_team(text, path.name, {"id": "new", "title": "N", "pi": {"user": "z"}})
        assert edit.remove_team(added, path.name, "new") == text
        team = document.at(("teams", index))
        if "members" in team:
            added = edit.add_member(text, path.name, team["id"], NEW)
            assert changed(text, added) == [f"+      - {NEW_LINE}"]
            assert edit.remove_member(added, path.name, team["id"], "zdupre") == text


def scalars(data: Any, route: Route = ()) -> Iterator[tuple[Route, str]]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield from scalars(value, (*route, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from scalars(value, (*route, index))
    else:
        yield route, data


def routes(data: Any, route: Route = ()) -> Iterator[Route]:
    """Every key and item, the outer ones first."""
    items: Any = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for step, value in items:
        yield (*route, step)
        yield from routes(value, (*route, step))


ALL_ROUTES = list(routes(Document(COMMENTED, "nantes.yml").data))


@pytest.mark.parametrize("route", ALL_ROUTES, ids=lambda route: ".".join(map(str, route)))
def test_anything_can_be_removed_replaced_or_is_refused(route: Route) -> None:
    document = Document(COMMENTED, "nantes.yml")
    comments = [line.strip() for line in COMMENTED.splitlines() if line.strip().startswith("#")]
    removed = document.remove(route)
    assert removed.at(route) != document.at(route)
    assert len(removed.text) < len(COMMENTED)
    for value in ("text", ["a", "b"], {"k": "v", "l": ["x"]}):
        try:
            replaced = document.set(route, value)
        except LayoutError as error:
            assert "cannot be replaced as a whole" in str(error)  # noqa: PT017
            continue
        assert replaced.at(route) == value
        if value == "text" and len(route) == 1:
            assert all(comment in replaced.text for comment in comments)


REFUSED = {
    "unknown key": (assign(("titel", "x")), "'titel': unknown key 'titel'; did you mean 'title'?"),
    "unknown team": (
        assign(("teams.cell-dynamic.title", "x")),
        "there is no 'cell-dynamic'; did you mean 'cell-dynamics'?",
    ),
    "identifier": (assign(("id", "x")), "'id' cannot be changed: groups and collections carry it"),
    "team's identifier": (assign(("teams.empty.id", "x")), "cannot be changed"),
    "several": (assign(("teams", "x")), "'teams' holds several; name one of them, as in teams.NAME"),
    "parts": (
        assign(("buffer", "x")),
        "set one of buffer.host, buffer.address, or all of them as {key: value",
    ),
    "no parts": (assign(("title.x", "x")), "'title.x': 'title' has no parts"),
    "not there": (assign(("omero", "")), "'omero' is not in nantes.yml, so it cannot be removed"),
    "unknown person": (assign(("teams.empty.pi", "nobody")), "nobody has the user name 'nobody' yet"),
    "half a person": (assign(("teams.empty.pi", "a,B")), "'a,B' has no email; write user,name,email"),
    "bad switch": (assign(("teams.empty.omero", "perhaps")), "is either true or false, not 'perhaps'"),
    "wrong name": (assign(("referents.x", "{user: y}")), "names 'x', but the value is for 'y'"),
    "no mapping": (assign(("quota", "{tier: [}")), "'{tier: [}' is not a mapping"),
    "twice": (
        lambda text, shown: edit.add_member(text, shown, "cell-dynamics", {**NEW, "user": "tnguyen"}),
        "nantes.yml: 'tnguyen' is already a member of team 'cell-dynamics'",
    ),
    "team twice": (
        lambda text, shown: edit.add_team(text, shown, {"id": "flat"}),
        "nantes.yml: there is already a team 'flat'",
    ),
    "members from elsewhere": (
        lambda text, shown: edit.add_member(text, shown, "outside", NEW),
        "come from the group 'bic-outside' of Authentik",
    ),
    "no member": (
        lambda text, shown: edit.remove_member(text, shown, "cell-dynamics", "tnguien"),
        "'tnguien' is no member of team 'cell-dynamics'; did you mean 'tnguyen'? members: opetit, tnguyen",
    ),
    "the PI": (
        lambda text, shown: edit.remove_member(text, shown, "cell-dynamics", "jmoreau"),
        "'jmoreau' leads team 'cell-dynamics'; name another principal investigator first",
    ),
    "no team": (
        lambda text, shown: edit.remove_team(text, shown, "empti"),
        "there is no team 'empti'; did you mean 'empty'?",
    ),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_said(change: Change, message: str) -> None:
    with pytest.raises(BadInputError) as caught:
        change(COMMENTED, "nantes.yml")
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a\n", "{id: a}\n", "id: [\n", "id: a\n\tb: c\n"])
def test_what_is_no_facility_is_not_edited(text: str) -> None:
    with pytest.raises(LayoutError, match=r"^x\.yml: this is not"):
        Document(text, "x.yml")


def test_aliases_are_left_to_people() -> None:
    """An anchor's text is in two places; an edit of one would change both."""
    text = "id: a\nbuffer: &b {host: c}\nomero: *b\n"
    with pytest.raises(LayoutError, match="edit it as text"):
        Document(text, "x.yml").set(("buffer", "host"), "d")


LEAVES = st.one_of(st.text(max_size=30), st.booleans(), st.integers(-(2**40), 2**40))
KEYS = st.text("abcdefghij-", min_size=1, max_size=8)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3), st.dictionaries(KEYS, inner, min_size=1, max_size=3)
    ),
    max_leaves=12,
)


@given(value=VALUES)
def test_written_values_are_read_back(value: Any) -> None:
    for text in ("\n".join(entry_lines("key", value, 0)) + "\n", f"key: {flow(value)}\n"):
        problems: list[Any] = []
        source = parse(text, "value.yml", problems)
        assert problems == []
        assert source is not None
        assert source.data == {"key": value}
