"""Damaged inventories: always messages with file and line, never another error.

And the two parsers of YAML: what the fast one takes, the careful one reads alike.

Short by default. A long run: `BIC_FUZZ_EXAMPLES=20000 pytest tests/unit/controlplane/test_inventory_fuzz.py`.
"""

import copy
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, event, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from test_model_checks import FILES
from typer.testing import CliRunner

from controlplane.cli.main import app
from controlplane.model import InventoryError, Problem, load_platform
from controlplane.model.fast import is_plain, read_plain
from controlplane.model.source import parse

EXAMPLES = int(os.environ.get("BIC_FUZZ_EXAMPLES", "30"))
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
    ],
)
FILE_NAMES = sorted(FILES)


def words(text: str) -> list[str]:
    """The parts of a text between single spaces."""
    return text.split(" ")


# What YAML reads in its own way, and characters that trouble programs.
ODD_TEXTS = [
    *words("null Null ~ true True yes No on y 017 0o17 0x1F 0b11 1_000 1e3 1e999 .nan -.inf +1 -1 1. .5"),
    *words("12:30 1:30:45 2026-01-01 2026-01-01T10:00:00Z 99999999999999999999 = << - -- --- ... : a#b #a"),
    *words(
        "&a *a !a !!str | > %a @a `a 'a' 'a''b' \"a\" \"\\x41\" \"\\ud800\" \" ' { } [ ] {} [] , {a} [a,] [,]"
    ),
    *words("/ // /a/../b 10.0.0.1 10.0.0.0/8 \x00 \x07 \x7f \ufffe \u00b2 \u0661 \u212a e\u0301"),
    *(
        "- x",
        "? x",
        ": x",
        "x: y",
        "a #b",
        "!!python/object:os.system x",
        '"a\\\n  b"',
        "a, b",
        "{a: }",
        "[a: b]",
    ),
    *("a\tb", "\ta", "a\rb", "a\u0085b", "a\u2028b", "\ufeffa", "\u202eabc", "a\u00a0b", "\U0001f52c", ""),
    *("20 TiB", "1.5 TB", "0 B", "9999 PiB", "a" * 300, "9" * 5000),
]


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An inventory that says everything that can be said."""
    monkeypatch.delenv("BIC_STATE_DIR", raising=False)
    write(tmp_path, {name: text.encode() for name, text in FILES.items()})
    return tmp_path


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)


def look(folder: Path, damaged: dict[str, bytes]) -> None:
    """Load a damaged inventory, as a program and as a person; then mend it."""
    try:
        write(folder, damaged)
        found = problems_of(folder)
        for problem in found:
            assert problem.place.line > 0, problem
            assert problem.place.column > 0, problem
            assert Path(problem.place.file).is_relative_to(folder)
            assert problem.message
            assert len(problem.message) < 2000, problem
            str(problem).encode()
        result = CliRunner().invoke(app, ["--inventory", str(folder), "check"])
        assert result.exception is None or isinstance(result.exception, InventoryError), result.exception
    finally:
        write(folder, {name: FILES[name].encode() for name in damaged})


def problems_of(folder: Path) -> Sequence[Problem]:
    try:
        load_platform(folder)
    except InventoryError as error:
        return error.problems
    return ()


odd = st.one_of(
    st.sampled_from(ODD_TEXTS).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.binary(max_size=8),
    st.text(max_size=8).map(lambda text: text.encode("utf-8", "surrogatepass")),
)


@FUZZ
@given(name=st.sampled_from(FILE_NAMES), data=st.data())
def test_damaged_bytes(inventory: Path, name: str, data: st.DataObject) -> None:
    content = FILES[name].encode()
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(start + 40, len(content))))
        content = content[:start] + data.draw(odd) + content[end:]
    look(inventory, {name: content})


@FUZZ
@given(name=st.sampled_from(FILE_NAMES), data=st.data())
def test_damaged_lines(inventory: Path, name: str, data: st.DataObject) -> None:
    lines = FILES[name].splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, len(lines) - 1))
        other = data.draw(st.sampled_from(lines))
        match data.draw(st.sampled_from(["remove", "repeat", "swap", "indent", "outdent", "cut", "mix"])):
            case "remove":
                lines[index] = ""
            case "repeat":
                lines.insert(index, other)
            case "swap":
                lines[index], lines[-1] = lines[-1], lines[index]
            case "indent":
                lines[index] = " " * data.draw(st.integers(1, 4)) + lines[index]
            case "outdent":
                lines[index] = lines[index].lstrip()
            case "cut":
                lines[index] = lines[index][: data.draw(st.integers(0, len(lines[index])))]
            case "mix":
                lines[index] = lines[index][: len(lines[index]) // 2] + other[len(other) // 2 :]
    look(inventory, {name: "\n".join(lines).encode()})


def load_yaml(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def routes(part: Any, route: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to all values of a file but its top."""
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for step, value in items:
        yield (*route, step)
        yield from routes(value, (*route, step))


def at(part: Any, route: tuple[Any, ...]) -> Any:
    for step in route:
        part = part[step]
    return part


PARTS = {name: load_yaml(text) for name, text in FILES.items()}
ALL_VALUES = [at(part, route) for part in PARTS.values() for route in routes(part)]

values = st.one_of(
    st.sampled_from(ALL_VALUES),
    st.sampled_from(ODD_TEXTS),
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.lists(st.sampled_from(ALL_VALUES), max_size=3),
    st.dictionaries(st.sampled_from(["id", "host", "user", "tier", "x"]), st.text(max_size=3), max_size=3),
)


def damaged_part(data: st.DataObject, name: str) -> Any:
    """A file's data with some values replaced, removed, repeated or under another key."""
    part = copy.deepcopy(PARTS[name])
    for _ in range(data.draw(st.integers(1, 4))):
        known = list(routes(part))
        assume(known)
        *way, last = data.draw(st.sampled_from(known))
        around = at(part, tuple(way))
        match data.draw(st.sampled_from(["replace", "remove", "repeat", "rename"])):
            case "replace":
                around[last] = copy.deepcopy(data.draw(values))
            case "remove":
                del around[last]
            case "repeat" if isinstance(around, list):
                around.append(copy.deepcopy(around[last]))
            case "rename" if isinstance(around, dict):
                around[data.draw(st.sampled_from([*ODD_TEXTS, *map(str, around)]))] = around.pop(last)
    return part


@FUZZ
@given(name=st.sampled_from(FILE_NAMES), data=st.data(), flow=st.booleans())
def test_damaged_structure(inventory: Path, name: str, data: st.DataObject, flow: bool) -> None:
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = flow
    writer.allow_unicode = True
    text = io.StringIO()
    writer.dump(damaged_part(data, name), text)
    look(inventory, {name: text.getvalue().encode("utf-8", "surrogatepass")})


@FUZZ
@given(data=st.data())
def test_references_between_files_that_are_wrong_in_values_only(inventory: Path, data: st.DataObject) -> None:
    """Every name of one kind in the place of another: the checks across files meet all their cases."""
    texts = sorted({value for value in ALL_VALUES if isinstance(value, str)})
    damaged: dict[str, bytes] = {}
    for name in data.draw(st.lists(st.sampled_from(FILE_NAMES), min_size=1, max_size=3, unique=True)):
        text = FILES[name]
        for _ in range(data.draw(st.integers(1, 3))):
            old = data.draw(st.sampled_from([each for each in texts if each in text] or [" "]))
            text = text.replace(old, data.draw(st.sampled_from(texts)), data.draw(st.sampled_from([1, -1])))
        damaged[name] = text.encode()
    look(inventory, damaged)


# --- the two parsers ---

WORDS = [
    *(
        "a",
        "Jean Élan",
        "x-y",
        "/srv/a",
        "it's",
        "a.b@c.example",
        "20 TiB",
        "10.0.0.1",
        "7",
        "0",
        "true",
        "null",
    ),
    *("yes", "2027-06-30", '"a: b"', '"#"', '""', "a-", "a?", "a = b", "a & b", "a|b"),
]
GLUE = [
    *(
        "\n",
        "\n  ",
        "\n    ",
        "\n- ",
        "\n  - ",
        ": ",
        ":\n",
        ":\n  ",
        ":\n- ",
        ", ",
        "{",
        "}",
        "[",
        "]",
        " ",
        "- ",
    ),
    *(" # c\n", "\n# c\n", "\n\n", ",", " ,", ":", " :", "\n }", "\n ]", '"', ": {", ": [", "}\n", "]\n"),
]
# Mostly what both parsers may read: a text with one doubtful word in it proves nothing.
plain_words = st.one_of(
    *[st.sampled_from([word]) for word in WORDS],
    st.sampled_from(ODD_TEXTS),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
)
glue = st.sampled_from(GLUE)
yaml_texts = st.lists(st.one_of(plain_words, glue), max_size=14).map("".join)


@st.composite
def laid_out(draw: st.DrawFn) -> str:
    """A document that is mostly right, laid out in the many ways that YAML allows."""

    def flow(depth: int) -> str:
        kind = draw(st.sampled_from(["word", "map", "list"])) if depth else "word"
        space = draw(st.sampled_from(["", " ", "\n   ", "\n    # c\n   "]))
        if kind == "word":
            return draw(plain_words)
        count = range(draw(st.integers(0, 3)))
        if kind == "map":
            inner = f",{space or ' '}".join(f"{draw(plain_words)}: {flow(depth - 1)}" for _ in count)
            return f"{{{space}{inner}{space}}}"
        return "[" + f",{space or ' '}".join(flow(depth - 1) for _ in count) + space + "]"

    def block(depth: int, indent: str) -> str:
        kind = draw(st.sampled_from(["flow", "map", "list", "folded"])) if depth else "flow"
        if kind == "flow":
            return f" {flow(2)}"
        if kind == "folded":
            return f" {draw(plain_words)}\n{indent} {draw(plain_words)}"
        lines = []
        for _ in range(draw(st.integers(1, 3))):
            lead = f"{draw(plain_words)}:" if kind == "map" else "-"
            lines.append(f"\n{indent}{lead}{block(depth - 1, indent + '  ')}")
            lines.append(draw(st.sampled_from(["", "", " # c", f"\n{indent}# c", "\n", " "])))
        return "".join(lines)

    return block(3, "").removeprefix("\n") + "\n"


def assert_read_alike(text: str) -> None:
    fast = read_plain(text)
    if fast is None:
        event("left to the careful parser" if not is_plain(text) else "plain, and wrong or empty")
        return
    event("read by both")
    found: list[Problem] = []
    source = parse(text, "file", found)
    assert source is not None, (text, fast, found)
    if found or source.data != fast:
        # What no model takes need not be told apart: keys that are not text.
        assert not_text_keys(fast), (text, fast, source.data, found)
        return
    assert repr(source.data) == repr(fast)


def not_text_keys(data: Any) -> bool:
    if isinstance(data, dict):
        return any(not isinstance(key, str) or not_text_keys(value) for key, value in data.items())
    return isinstance(data, list) and any(not_text_keys(item) for item in data)


PARSER_FUZZ = settings(FUZZ, max_examples=EXAMPLES * 20)


@PARSER_FUZZ
@given(yaml_texts)
@example("a: 017\n")
@example("a: &b c\n")
@example("a: b: c\n")
@example("- a\n- - b\n")
@example("a: b\n  c\n")
@example("{a, b: , c}\n")
@example("{2027-06-30, a: b}\n")
@example("{{a: b}: c, [d]: e}\n")
@example("a: 'b\n\n  c'\n")
@example('a: "b\n\n  c"\n')
def test_both_parsers_read_any_text_alike(text: str) -> None:
    assert_read_alike(text)


@PARSER_FUZZ
@given(laid_out())
def test_both_parsers_read_laid_out_text_alike(text: str) -> None:
    assert_read_alike(text)


@PARSER_FUZZ
@given(data=st.data())
def test_both_parsers_read_damaged_files_alike(data: st.DataObject) -> None:
    text = FILES[data.draw(st.sampled_from(FILE_NAMES))]
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(start + 20, len(text))))
        text = text[:start] + data.draw(st.one_of(plain_words, glue)) + text[end:]
    assert_read_alike(text)


@pytest.mark.parametrize("name", FILE_NAMES)
def test_ordinary_files_are_read_by_the_fast_parser(name: str) -> None:
    problems: list[Problem] = []
    source = parse(FILES[name], name, problems)
    assert source is not None
    assert read_plain(FILES[name]) == source.data


DOUBTFUL = [
    *words("017 1_000 1e999 00 +1 -1 .5 0x1F 12:30 = << ~ &a *a !a | 'a' \"\\x41\" 99999999999999999"),
    *("a\tb", "a\rb", "a\u0085b", "a\u2028b", "\ufeffa", "b\n---\nc: d", "b\n...", "? x", "a\n\x00"),
]


@pytest.mark.parametrize("text", DOUBTFUL)
def test_doubtful_text_is_left_to_the_careful_parser(text: str) -> None:
    assert not is_plain(f"a: {text}\n")


def test_nesting_without_end_is_a_message(inventory: Path) -> None:
    look(inventory, {"platform.yml": b"[" * 1000})
    look(inventory, {"platform.yml": b"a: [" * 300 + b"]" * 300})
