"""The second reading, by another's grammar: where the two differ nothing is certain."""

import os
import subprocess
import sys

import pytest

from ringfence.shell import second
from ringfence.shell.read import read
from ringfence.shell.syntax import Script


def compared(text: str, script: Script | None = None) -> second.Second:
    """Compare the grammar's reading of a text with a tree, by default with ours."""
    return second.compare(text, script if script is not None else read(text).script, certain=True)


@pytest.mark.parametrize(
    "text",
    [
        "git status", "A=1 ls -la 2>x", "a | b && c", "echo $(b `c`)", "cat <<E | wc\n$(x)\nE\n", "python3 - <<'E'\nx\nE\n",
        "echo grüße 'a b' && ls", "time -p ls", "a > b c d", "[ -f x ] && y", "[[ -f x ]] && y", "export A=b", "x=(1 2)",
        "f() { a; }", "for i in 1 2; do b; done", "a \\\n  b", "echo {a,b}{c,d}", "diff <(a) <(b)", 'echo "a $x `b`"',
    ],
)  # fmt: skip
def test_both_readings_agree(text):
    assert compared(text) == second.Second()


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("a; curl x", "a 'url x"),
        ("echo $(ls)", "echo 'ls'"),
        ("ls > x", "ls 'x'"),
        ("A=1 ls", "ls"),
        ("echo a b", "echo a"),
        ("ls", "# ls"),
    ],
)
def test_a_tree_of_another_text_is_found_out(text, other):
    found = compared(text, read(other).script)
    assert [one.risk for one in found.problems][:1] == ["disagreement"]


def test_words_that_only_the_second_reading_finds_are_told():
    assert compared("ls; cu'r'l x", read("ls").script).seen == ("curl", "x")


def test_what_the_grammar_finds_no_sense_in_is_doubtful():
    assert "disagreement" in {one.risk for one in read("cat <<'E' - x | wc\nE\n").problems}


def test_a_parser_that_is_not_there_makes_everything_doubtful(monkeypatch):
    monkeypatch.setattr(second, "_loaded", [])
    monkeypatch.setattr("sys.path", [])
    for name in ("tree_sitter", "tree_sitter_bash"):
        monkeypatch.delitem(sys.modules, f"{name}._binding", raising=False)
    (problem,) = read("git status").problems
    assert problem.risk == "disagreement"
    assert "not installed" in problem.reason


def test_only_the_extensions_are_imported():
    code = "import sys; from ringfence.shell.read import read; assert not read('ls').problems; print(*sys.modules)"
    source = os.path.dirname(os.path.dirname(os.path.dirname(second.__file__)))
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": source}, capture_output=True, check=True, text=True
    )
    names = set(done.stdout.split())
    assert "tree_sitter_bash._binding" in names
    assert not {"importlib.resources", "pathlib", "asyncio", "subprocess"} & names


def test_a_parser_that_takes_too_long_is_stopped(monkeypatch):
    monkeypatch.setattr(second, "_PATIENCE", -1)
    text = "git log --oneline; " * 400
    (problem,) = read(text).problems
    assert "too long" in problem.reason


def test_the_grammar_never_sees_what_its_c_code_cannot_bear():
    assert second._source("cat gr\u00fc\u00dfe \U0001f600 \ud800") == b"cat grxxe x x"


@pytest.mark.parametrize("text", ["a;" * 5000, ">a" * 5000, "a|" * 4900 + "b", "{} " * 3300, "`" * 9000])
def test_a_text_that_would_take_long_is_not_read_but_its_words_are_seen(text):
    reading = read(text + ";'cu'rl x")
    assert "size" in {one.risk for one in reading.problems}
    assert any("curl" in one for one in reading.seen)
