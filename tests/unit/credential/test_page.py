"""The page on credentials says what the code does: its tables, and examples that load."""

import os
import re
import tomllib

import pytest

from ringfence.policy import kinds
from ringfence.policy.build import build
from ringfence.policy.decode import USER, decode

PAGE = os.path.join(os.path.dirname(__file__), "..", "..", "..", "docs", "credentials.md")
with open(PAGE, encoding="utf-8") as file:
    TEXT = file.read()


def rows(start):
    table = TEXT.partition(start)[2].partition("\n\n")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table]


def test_the_table_of_kinds_names_each_with_its_own_fields():
    found = {
        row[0].partition("`")[2].partition("`")[0]: set(re.findall(r"`(\w+)`", row[3]))
        for row in rows("<!-- kinds")
    }
    assert found == {kind: {*needed, *allowed} for kind, (needed, allowed) in kinds.KINDS.items()}


def test_the_table_of_sources_names_each():
    assert tuple(row[0].strip("`").partition(":")[0] for row in rows("<!-- sources")) == kinds.SOURCES


@pytest.mark.parametrize("example", re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL))
def test_every_example_loads(example):
    layer, problems = decode(tomllib.loads(example), USER)
    assert problems == []
    assert build(layer, ()).credentials
