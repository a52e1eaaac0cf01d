"""What the index, the fallback and the whole of all programs promise."""

import os
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from looking import files, hosts, look_at, reads, risks, runs

from ringfence.shell import programs
from ringfence.shell.facts import KNOWN, PATTERN, UNKNOWN, Value
from ringfence.shell.invocation import Effects, Invocation
from ringfence.shell.options import Table
from ringfence.shell.programs import index, look

FOLDER = os.path.dirname(programs.__file__)
NAMES = sorted({name for names in index._FAMILIES.values() for name in names.split()})


def families():
    for file in sorted(os.listdir(FOLDER)):
        if file.endswith(".py") and file != "__init__.py":
            name = file.removesuffix(".py")
            module = __import__(f"ringfence.shell.programs.{name}", fromlist=["PROGRAMS"])
            if hasattr(module, "PROGRAMS"):
                yield name, module.PROGRAMS


def test_the_index_says_what_the_modules_say():
    told = {name: set(names.split()) for name, names in index._FAMILIES.items()}
    assert told == {name: set(table) for name, table in families()}


def test_no_program_is_in_two_families():
    seen = [program for _, table in families() for program in table]
    assert len(seen) == len(set(seen))


def test_every_program_can_be_asked_about():
    for name in NAMES:
        assert isinstance(look_at(name), Effects)
        assert isinstance(look_at(f"{name} a b -x --long=v «y» «z*» -"), Effects)


def test_asking_about_one_program_imports_only_its_family():
    code = (
        "import sys; from ringfence.shell.programs import look; from ringfence.shell.invocation import Invocation;"
        "look(Invocation(program='cat', arguments=()));"
        "print(sorted(m.rpartition('.')[2] for m in sys.modules if m.startswith('ringfence.shell.programs.')))"
    )
    import subprocess

    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(os.path.dirname(FOLDER)))},
    )
    assert done.stdout.strip() == "['draft', 'index', 'readers']"


@pytest.mark.parametrize(
    ("program", "plain"), [("python3.12", "python"), ("gcc-13", "gcc"), ("git.exe", "git"), ("lua5.4", "lua")]
)
def test_a_version_in_the_name_changes_nothing(program, plain):
    assert programs.handler_of(program) is programs.handler_of(plain)


@pytest.mark.parametrize(
    "program", ["", "-", ".", "/", "frobnicate", "gitt", "GIT", "7", "\ud800", "[" * 5000]
)
def test_what_is_not_known_is_not_known(program):
    assert not programs.knows(program) or program == "."


def test_operands_of_an_unknown_program_are_taken_for_files_that_it_reads():
    assert reads("frobnicate a/b .env --conf=/etc/x -I/y -v") == ["a/b", ".env", "/etc/x", "/y"]
    assert hosts("frobnicate https://example.com/") == ["https://example.com/"]
    assert risks("frobnicate «x»") == ["uncertain-argument"]
    assert not look_at("frobnicate a").complete


WORDS = st.builds(
    Value,
    text=st.one_of(
        st.text(max_size=12),
        st.sampled_from(
            [
                "-",
                "--",
                "-x",
                "-c",
                "--exec",
                "-o",
                "a=b",
                "{}",
                ";",
                "+",
                "s/a/b/w x",
                "BEGIN{",
                "-e",
                ":::",
                "run",
                "-exec",
            ]
        ),
    ),
    certainty=st.sampled_from([KNOWN, KNOWN, PATTERN, UNKNOWN]),
    start=st.sampled_from(["", "-", "--out="]),
    single=st.booleans(),
)


@given(st.sampled_from(NAMES), st.lists(WORDS, max_size=6), st.sampled_from([None, "/w"]))
@settings(max_examples=1500, deadline=None)
def test_nothing_raises_on_any_arguments(name, words, folder):
    assert isinstance(
        look(Invocation(program=name, arguments=tuple(words), folder=folder, home=folder)), Effects
    )


def _careless(name):
    """Programs whose arguments name nothing that a rule could be about, and which no option makes dangerous."""
    handler = programs.handler_of(name)
    return (type(handler) is Table and handler.operands == "data" and not handler.risky) or name in {
        "test",
        "[",
        "printenv",
    }


def test_a_word_that_is_not_known_is_a_finding_or_the_program_has_no_use_for_it():
    silent = [
        name
        for name in NAMES
        if not _careless(name)
        and not risks(f"{name} a b «x*»")
        and not risks(f"{name} «x*»")
        and not look_at(f"{name} «x*»").runs  # a wrapper's command: it is looked at in turn
        and look_at(f"{name} «x*»").complete  # else the caller finds it
        and not look_at(f"{name} «x*»").runner
    ]
    assert silent == []


def test_looking_takes_microseconds():
    lines = [
        "git log --oneline -5",
        "grep -rn TODO src",
        "sed -n 1,20p f",
        "find . -name x",
        "npm run build",
        "ls -la",
    ]
    asked = [look_at(line) and line.split() for line in lines]
    calls = [
        Invocation(program=one[0], arguments=tuple(Value(text=text) for text in one[1:]), folder="/w")
        for one in asked
    ]
    best = min(_seconds(calls) for _ in range(5))
    assert best / len(calls) < 300e-6  # ten times the budget: machines are busy


def _seconds(calls):
    start = time.perf_counter()
    for call in calls:
        look(call)
    return time.perf_counter() - start


@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000,
        "-" * 100_000,
        "(" * 50_000,
        "[" * 50_000,
        "/" * 50_000,
        "\\" * 50_000,
        "s/" * 40_000,
        '"' * 50_000,
    ],
)
@pytest.mark.parametrize(
    "name", ["sed", "awk", "git", "rm", "curl", "find", "tar", "python3", "frobnicate", "jq"]
)
def test_long_words_take_little_time(name, text):
    start = time.process_time()
    look(Invocation(program=name, arguments=(Value(text=text), Value(text=text)), folder="/w"))
    assert time.process_time() - start < 2.0


def test_files_of_a_data_program_do_not_exist():
    assert files("echo a/b .env", "read", "write") == []
    assert runs("echo curl") == []
