"""Interpreters, shells, editors, pagers: code in arguments, in files, from input."""

import pytest
from looking import look_at, reads, risks, runs, writes

CODE = [
    "python3 -c x", "python -uc x", "python3 -Sc x", "python3 -W ignore -c x", "python3 -", "python3", "python2 -c x", "python3.12 -c x", "pypy3 -c x",
    "perl -e x", "perl -ne x f", "perl -pi -e x f", "perl -lane x", "perl -E x", "perl -Mx f", "perl -i.bak -pe x f", "perl -d f", "perl -Idir f", "perl -wle x",
    "ruby -e x", "ruby -ne x", "ruby -rx f", "node -e x", "node --eval=x", "node --eval x", "node -pe x", "node -p x", "node -r x f", "node --require x f", "node --import=x f",
    "node --loader x f", "node --ev x", "node", "deno eval x", "bun -e x", "php -r x", "php -S a:1", "lua -e x", "Rscript -e x", "java -javaagent:x y", "tclsh -c x", "julia -e x",
    "gdb -ex 'shell x'", "gdb -batch -ex=x", "gdb --eval-command=x", "gdb -x x", "gdb -iex x", "lldb -o x", "sqlite3 a '.shell x'", "sqlite3 a .read", "psql -c '\\! x'", "psql -f x",
    "mysql -e 'system x'", "eval x", "source x", ". x", "sh", "bash -s", "bash", "osascript -e x", "pwsh -c x", "m4 -c x",
    "vim -c x f", "vim +x f", "vim '+!x' f", "vim --cmd x f", "vim -S x", "vim -es f", "vim -u x f", "vim f", "ed f", "ex f", "emacs --eval x", "emacs -l x", "emacs -f x", "emacs --batch --exec x",
    "emacsclient -e x", "emacs -x y", "less +x f", "less -o x f", "less -k x f", "less '++!x' f", "man x", "man -P x y", "man --html=x y", "man --pager x y", "man -M d x", "man -Hx y", "info x",
    "xdg-open x", "open x", "start x", "history -a x", "history -w", "script x", "parallel", "code --install-extension x",
]  # fmt: skip
CLEAN = [
    "python3 x.py -c", "python3 -m pytest -q", "python3 --version", "python -V", "perl x.pl -e", "perl -v", "ruby x.rb", "node x.js -e y", "node --version", "node --test",
    "php x.php", "lua x.lua", "Rscript x.R", "java -jar x.jar", "java -cp a:b Main", "java -version", "bash x.sh -c", "sh -c 'ls'", "bash -lc 'ls'", "bash --norc -x -c 'ls'", "bash --version",
    "deno run x.ts", "deno test", "bun test", "bun run build", "sqlite3 a 'select 1'", "psql -c 'select 1'", "history", "history 5", "nano f", "less f", "less -R f", "more f", "man -k x", "man -w x", "code .",
    "bash -n x.sh", "zsh x.zsh", "fish x.fish", "gdb --version", "tsx x.ts",
]  # fmt: skip


@pytest.mark.parametrize("line", CODE)
def test_code_that_is_not_read_here_is_found(line):
    assert risks(line)


@pytest.mark.parametrize("line", CLEAN)
def test_files_and_questions_are_clean(line):
    assert risks(line) == []


@pytest.mark.parametrize(
    "line",
    [
        "python3 .env",
        "perl .env",
        "ruby .env",
        "node .env",
        "bash .env",
        "sh -x .env",
        "source .env",
        ". .env",
        "php -f .env",
        "lua .env",
        "java -jar .env",
        "deno run .env",
        "vim .env",
        "vim -S .env",
        "nano .env",
        "ed .env",
        "emacs .env",
        "less .env",
        "view .env",
        "gdb -x .env",
        "bash --rcfile .env",
        "bash --rcfile .env -i",
        "psql -f .env",
        "node --env-file=.env x",
    ],
)
def test_files_that_are_run_or_opened_are_read(line):
    assert ".env" in reads(line)


@pytest.mark.parametrize(
    ("line", "texts"),
    [
        ("sh -c 'curl x'", ["curl x"]),
        ("bash --norc -x -c 'curl x' a", ["curl x"]),
        ("bash -o pipefail -ec 'curl x'", ["curl x"]),
        ("bash -O extglob -c 'curl x'", ["curl x"]),
        ("bash +e -c 'curl x'", ["curl x"]),
        ("bash -c -- 'curl x'", ["curl x"]),
        ("bash -c -x 'curl x'", ["curl x"]),
        ("zsh -fc 'curl x'", ["curl x"]),
        ("dash -c 'curl x'", ["curl x"]),
        ("fish --command='curl x'", ["curl x"]),
        ("fish -C 'curl x'", ["curl x"]),
        ("eval 'curl x'", ["curl x"]),
        ("eval curl x", ["curl x"]),
        ("eval -- curl x", ["curl x"]),
        ("vim -c ':!curl x'", ["curl x"]),
        ("vim '+!curl x'", ["curl x"]),
        ("python -m pip install x", ["pip install x"]),
    ],
)
def test_texts_for_a_shell_are_commands(line, texts):
    assert runs(line) == texts


def test_code_from_standard_input_is_a_command():
    assert [value.text for value in look_at("bash", given="curl x").scripts] == ["curl x"]
    assert [value.text for value in look_at("bash -s a", given="curl x").scripts] == ["curl x"]
    assert [value.text for value in look_at("ed -s f", given="!curl x\nq").scripts] == ["curl x"]
    assert "interpreter-code" in risks("python3", given="import os")
    assert "interpreter-code" in risks("psql", given="select 1")


def test_files_are_edited_where_they_are():
    assert [one.origin for one in look_at("perl -i -pe x f").accesses if one.kind == "write"] == ["in-place"]
    assert writes("vim f") == ["f"]


def test_unknown_words_are_found():
    for line in (
        "python3 «x»",
        "python3 -c «x»",
        "bash -c «x»",
        "bash «x»",
        "bash -«x»",
        "vim «x»",
        "python3 -m «x»",
        "eval «x»",
        "node «x*»",
        "man «x»",
    ):
        assert "uncertain-argument" in risks(line), line
