"""Programs that read and reshape text: which files they read, and which options make them do more."""

import pytest
from looking import files, look_at, reads, risks, runs, writes

CLEAN = [
    "cat -n a b", "cat -- -n", "head -5 a", "head -n 20 a", "tail -n +1 a", "tail -f a", "wc -l a", "nl a", "od -c a",
    "xxd a", "strings -n 8 a", "base64 -d a", "cut -d: -f1 a", "uniq -c a", "comm -12 a b", "join a b", "paste -s a",
    "diff -ru a b", "cmp a b", "fold -w 80 a", "column -t a", "file a", "stat -c %s a", "du -sh a", "df -h",
    "readlink -f a", "realpath a", "ls -la a", "tree -L 2 a", "jq .x a", "jq -r '.a | .b' a", "sort -u a",
    "sort -t, -k2,2n a", "sort -S 10M ./⟪*.txt⟫", "md5sum a", "sha256sum -c a", "grep -rn TODO src", "grep -E 'a|b' a",
    "grep -c --include=*.py -r x .", "grep --color=auto x a", "grep -A3 -B3 x a", "egrep x a", "rg -n TODO src",
    "rg --type py -g '*.py' x", "rg -uuu x", "ag x src", "ack x", "fd -e py x", "less a", "tr a-z A-Z", "seq 1 10",
    "date +%s", "date -u -d yesterday +%F", "basename a/b .c", "printf %s x", "echo -n a", "shuf -n 1 a", "iconv -f latin1 a",
    "zcat a.gz", "tac a", "column -t -s, a", "shuf -e a b",
]  # fmt: skip
RISKY = [
    ("sort -o x a", "option-writes"), ("sort a -o x", "option-writes"), ("sort -uox a", "option-writes"),
    ("sort --outp x a", "option-writes"), ("sort --o=x a", "option-writes"), ("sort --compress-program=sh a", "option-runs-program"),
    ("sort --comp sh a", "option-runs-program"), ("sort --files0-from=x", "unseen-instructions"), ("sort --frob a", "unknown-option"),
    ("sort ⟪*⟫", "glob-option"), ("sort ⟪*.txt⟫", "glob-option"), ("uniq a b", "option-writes"), ("shuf -o x a", "option-writes"),
    ("iconv -o x a", "option-writes"), ("tree -o x", "option-writes"), ("diff -l a b", "option-runs-program"),
    ("diff --pagin a b", "option-runs-program"), ("diff3 --diff-program=x a b c", "option-runs-program"), ("sdiff -o x a b", "option-writes"),
    ("file -m x a", "unseen-instructions"), ("file -f x", "unseen-instructions"), ("file -C -m x", "option-writes"),
    ("rg --pre ./x a", "option-runs-program"), ("rg --pre=./x a", "option-runs-program"), ("rg --hostname-bin ./x a", "option-runs-program"),
    ("rg -z a", "option-runs-program"), ("rg -nz a", "option-runs-program"), ("rg --search-zip a", "option-runs-program"),
    ("rg ⟪*⟫", "glob-option"), ("ag --pager x a", "option-runs-program"), ("ack --output=x a", "interpreter-code"),
    ("ack --pager=x a", "option-runs-program"), ("fd -x rm", "find-action"), ("fd x --exec-batch rm", "find-action"),
    ("bat --pager=x a", "option-runs-program"), ("date -s x", "system-change"), ("date 010203042026", "system-change"),
    ("hostname x", "system-change"), ("base64 -o x a", "option-writes"), ("jq -f x a", None), ("split --filter=sh a", "option-runs-program"),
    ("jq 'import \"x\" as x; .' a", "unseen-instructions"), ("cat «x»", "uncertain-argument"), ("grep «x» a", "uncertain-argument"),
    ("sort -k «x*» a", "uncertain-argument"),
]  # fmt: skip


@pytest.mark.parametrize("line", CLEAN)
def test_ordinary_use_is_clean(line):
    assert risks(line) == []
    assert look_at(line).complete
    assert not look_at(line).runner


@pytest.mark.parametrize(("line", "risk"), RISKY)
def test_what_is_more_than_reading_is_found(line, risk):
    assert risk is None or risk in risks(line)


@pytest.mark.parametrize(
    ("line", "paths"),
    [
        ("cat -n -- ./.env", ["./.env"]),
        ("cat a .env", ["a", ".env"]),
        ("head -c 5 .env", [".env"]),
        ("tail -n +1 .env", [".env"]),
        ("grep -f .env a", [".env", "a"]),
        ("grep -h '' -- .env", [".env"]),
        ("grep -e x .env", [".env"]),
        ("grep -r x .", ["./**"]),
        ("grep -rn x", ["./**"]),
        ("grep x .env", [".env"]),
        ("grep -ie x .env", [".env"]),
        ("grep -d recurse x a", ["a/**"]),
        ("grep --exclude-from=.env x a", [".env", "a"]),
        ("rg x", ["./**"]),
        ("rg x a", ["a/**"]),
        ("rg -f .env a", [".env", "a/**"]),
        ("diff a .env", ["a", ".env"]),
        ("diff -r a b", ["a/**", "b/**"]),
        ("diff --from-file=.env a", [".env", "a"]),
        ("sort .env", [".env"]),
        ("wc -l .env", [".env"]),
        ("cut -d= -f2 .env", [".env"]),
        ("base64 .env", [".env"]),
        ("od -c .env", [".env"]),
        ("xxd .env", [".env"]),
        ("strings .env", [".env"]),
        ("paste .env a", [".env", "a"]),
        ("jq . .env", [".env"]),
        ("jq --rawfile x .env '$x'", [".env"]),
        ("jq --slurpfile x .env -n '$x'", [".env"]),
        ("jq -f .env", [".env"]),
        ("date -f .env", [".env"]),
        ("date -r .env", [".env"]),
        ("file -f .env", []),
        ("column .env", [".env"]),
        ("md5sum -c .env", [".env"]),
        ("tac .env", [".env"]),
        ("less .env", [".env"]),
    ],
)
def test_files_that_are_read_are_named(line, paths):
    assert reads(line) == paths


def test_what_is_listed_is_not_read():
    assert files("ls -R src", "list") == ["src/**"]
    assert files("ls", "list") == ["."]
    assert files("du src", "list") == ["src/**"]
    assert reads("stat .env") == []


def test_what_is_written_is_named():
    assert writes("sort -o x a") == ["x"]
    assert writes("uniq a b") == ["b"]
    assert writes("xxd -r a b") == ["b"]
    assert writes("sort -o /dev/null a") == []


def test_programs_in_options_are_commands_too():
    assert runs("sort --compress-program='curl x' a") == ["curl x"]
    assert runs("fd x -x curl y") == ["curl y"]


def test_a_quoted_value_of_data_may_be_anything():
    assert risks("grep -e «x» a") == []
    assert risks("grep --regexp=«x» a") == []
    assert risks("cut -d«x» a") == []
    assert risks("echo «x*»") == []
    assert risks("printf «x» «y*»") == []
