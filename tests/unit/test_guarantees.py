"""GUARANTEES.md and the tests that prove it: neither stands without the other."""

import ast
import collections
import os
import re

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TESTS = os.path.join(ROOT, "tests")
LINE = re.compile(r"^\| ([A-Z]\d+) \| (.+) \|$", re.MULTILINE)


def promised() -> dict[str, str]:
    """Return each line of GUARANTEES.md by id."""
    with open(os.path.join(ROOT, "GUARANTEES.md"), encoding="utf-8") as file:
        return dict(LINE.findall(file.read()))


def proven() -> dict[str, list[str]]:
    """Return the tests that carry each id, found by reading the sources: no test needs to run."""
    found: dict[str, list[str]] = collections.defaultdict(list)
    for folder, _, names in os.walk(TESTS):
        for name in names:
            if name.endswith(".py"):
                path = os.path.join(folder, name)
                with open(path, encoding="utf-8") as file:
                    for identity in marks(ast.parse(file.read(), path)):
                        found[identity].append(os.path.relpath(path, ROOT))
    return found


def marks(tree: ast.AST) -> list[str]:
    """Return the ids of every `pytest.mark.guarantee(…)`: decorator, `pytestmark` or a parameter's marks."""
    ids = []
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "guarantee"
        ):
            ids += [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
    return ids


def test_every_id_stands_once():
    with open(os.path.join(ROOT, "GUARANTEES.md"), encoding="utf-8") as file:
        ids = [identity for identity, _ in LINE.findall(file.read())]
    assert ids
    assert [one for one, count in collections.Counter(ids).items() if count > 1] == []


def test_no_test_claims_a_guarantee_that_is_not_written():
    assert {one: files for one, files in proven().items() if one not in promised()} == {}


def test_no_guarantee_is_written_without_a_test():
    tested = proven()
    assert [f"{one}: {text}" for one, text in promised().items() if one not in tested] == []


@pytest.mark.parametrize(
    "source",
    [
        'import pytest\n@pytest.mark.guarantee("N3")\ndef test_x(): ...',
        'import pytest\npytestmark = pytest.mark.guarantee("N3")',
        'import pytest\nCASE = pytest.param(1, marks=pytest.mark.guarantee("N3"))',
    ],
)
def test_a_mark_is_found_wherever_it_stands(source):
    assert marks(ast.parse(source)) == ["N3"]
