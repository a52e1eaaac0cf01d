"""Keys and values are found where they stand, however they are written."""

import json
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.policy import positions

TEXT = '''\
# a comment [x]
title = "a # b" # c
"quoted key" . 'lit' = 1
multi = """
[not.a.table]
key = "\\"""" # three quotes
lit = \'\'\'x'\'\'\'
list = [ 1, # one
  "two", [3, 4], {a = {b = 5}},
]
inline = { x.y = 'v', "z" = [ {k = true} ] }
[table]
key = 2020-01-01 00:00:00
[table.sub]
deep = -1.5e3
[[many]]
n = 1
[[many]]
n = 2
[many.inner]
m = 3
[[many.list]]
q = 0x1F
[[many.list]]
q = 9
'''


def at(found: positions.Positions, *path: object) -> str:
    start, end = found.values[path]
    return found.text[start:end]


def name(found: positions.Positions, *path: object) -> str:
    start, end = found.names[path]
    return found.text[start:end]


def test_every_kind_of_value_is_found():
    found = positions.toml(TEXT)
    tomllib.loads(TEXT)
    assert at(found, "title") == '"a # b"'
    assert at(found, "quoted key", "lit") == "1"
    assert name(found, "quoted key") == '"quoted key"'
    assert at(found, "multi").endswith('\\""""')
    assert at(found, "lit") == "'''x''''"
    assert [at(found, "list", index) for index in range(4)] == ["1", '"two"', "[3, 4]", "{a = {b = 5}}"]
    assert at(found, "list", 3, "a", "b") == "5"
    assert at(found, "inline", "x", "y") == "'v'"
    assert at(found, "inline", "z", 0, "k") == "true"
    assert at(found, "table", "key") == "2020-01-01 00:00:00"
    assert at(found, "table", "sub", "deep") == "-1.5e3"
    assert at(found, "many", 1, "n") == "2"
    assert at(found, "many", 1, "inner", "m") == "3"
    assert at(found, "many", 1, "list", 1, "q") == "9"
    assert name(found, "many", 0) == "[[many]]"


def test_what_is_not_there_is_told_at_the_nearest_thing_around_it():
    found = positions.toml("[a]\nb = 1\n")
    assert found.find(("a", "c", "d"), name=True) == found.names[("a",)]
    assert found.find(("x",), name=True) is None


def test_json_is_found_with_what_stands_twice():
    text = '{"a": [1, {"b\\u0063": "x\\"y"}], "a": {}, "e": [], "n": -1.5}'
    found = positions.json(text)
    assert at(found, "a", 1, "bc") == '"x\\"y"'
    assert at(found, "n") == "-1.5"
    assert [path for path, _ in found.twice] == [("a",)]


def test_a_span_is_one_line_and_harmless():
    text = "x = 1\nkey = [\n 1,\n 2]\n"
    span = positions.span(text, "f", (6, len(text) - 1))
    assert (span.line, span.column, span.length, span.text) == (2, 1, 7, "key = [")
    assert positions.span("a = '\x9b2J\u202e'", "f", (0, 1)).text == "a = '\ufffd2J\ufffd'"
    crlf = positions.span("a = 1\r\nb = 2\r\n", "f", (7, 8))
    assert (crlf.line, crlf.text) == (2, "b = 2")


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


def _paths(value: object, path: tuple[object, ...] = ()) -> dict[tuple[object, ...], object]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = {path: value} if path else {}
    for key, inner in inside:
        found |= _paths(inner, (*path, key))
    return found


KEYS = st.text("abc.[]{}=\"'# \\", max_size=4)
TREES = st.recursive(
    st.booleans() | st.integers(-99, 99) | st.text("ab\"'#,]}\\ \n", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(KEYS, TREES, max_size=3))
def test_every_path_of_every_text_is_found_where_it_is(tree):
    text = "\n".join(f"{json.dumps(key)} = {_toml(value)}" for key, value in tree.items())
    assert tomllib.loads(text) == tree
    found = positions.toml(text)
    for path, value in _paths(tree).items():
        assert tomllib.loads(f"x = {at(found, *path)}") == {"x": value}
    found = positions.json(json.dumps(tree))
    for path, value in _paths(tree).items():
        assert json.loads(at(found, *path)) == value


@pytest.mark.parametrize("text", ["", "\n", "# only\n", "a=1", "[a]", "a=1#x"])
def test_small_texts_are_walked_to_their_end(text):
    assert positions.toml(text).text == text
