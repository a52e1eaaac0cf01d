"""What a text would do: commands, folders, files, values and what is uncertain about them."""

import pytest

from ringfence.shell.analyse import analyse
from ringfence.shell.facts import Analysis, Command


def look(text: str, shell: str = "bash", folder: str | None = "/w", home: str | None = "/home/u") -> Analysis:
    return analyse(text, shell=shell, folder=folder, home=home)


def risks(text: str, shell: str = "bash") -> set[str]:
    analysis = look(text, shell)
    return {one.risk for one in analysis.findings} | {one.risk for one in analysis.reading.problems}


def every(commands: tuple[Command, ...]) -> list[Command]:
    return [each for command in commands for each in (command, *every(command.runs))]


def spelled(text: str, shell: str = "bash") -> list[str]:
    """Return every command of a text, what others start included."""
    return [" ".join(word.text for word in command.words) for command in every(look(text, shell).commands)]


def touched(text: str) -> set[tuple[str, str, str | None]]:
    return {
        (access.kind, access.path.text, access.folder)
        for command in every(look(text).commands)
        for access in command.accesses
    }


EVALUATING = [
    "test -v 'a[$(curl x)]'", "[ -v 'a[$(curl x)]' ]", "[[ -v a[$(curl x)] ]]", "[[ $(curl x) -eq 0 ]]",
    "read 'a[$(curl x)]'", "unset 'a[$(curl x)]'", "mapfile -C 'curl x' a", "let 'a[$(curl x)]=1'",
    "getopts a 'a[$(curl x)]'", "printf -v 'a[$(curl x)]' y", "export 'a[$(curl x)]=1'", "a=([$(curl x)]=1)",
    "x='a[$(curl x)]'; echo $((x))", "x='$(curl x)'; echo ${x@P}", "declare -i n='a[$(curl x)]'",
    "x='a[$(curl x)]'; echo ${y:x}", "trap 'curl x' EXIT", "eval 'curl x'", "eval cur''l x", "alias ls='curl x'",
    "source <(curl x)", ". /dev/stdin <<< 'curl x'", "echo 'curl x' | sh", "bash <<< 'curl x'", "bash <<E\ncurl x\nE",
    "bash <(curl x)", "hash -p /usr/bin/curl ls",
]  # fmt: skip


@pytest.mark.parametrize("text", EVALUATING)
def test_what_is_evaluated_is_doubted_and_looked_into(text):
    assert risks(text)
    assert any(command.startswith(("curl", "/usr/bin/curl")) for command in spelled(text))


DANGEROUS = [
    "PATH=x ls", "PATH=x; ls", "export PATH=x", "declare PATH=x", "typeset -x LD_PRELOAD=x", "for PATH in x; do ls; done",
    "read PATH", "printf -v PATH x", "mapfile PATH", "unset PATH", ": ${PATH:=x}", "((PATH=1))", "let PATH=1",
    "getopts a PATH", "coproc PATH { :; }", "{PATH}> out ls", "PATH+=:x ls", "IFS=, ls", "BASH_ENV=x bash -c ls",
    "GIT_SSH_COMMAND=x git fetch", "PAGER=x git log", "env LD_PRELOAD=x ls", "NODE_OPTIONS=x npm run y", "PS4=x",
    "export FOO=bar; npm run x", "https_proxy=x curl y", "readonly PATH=x", "PATH=(x) ls",
]  # fmt: skip


@pytest.mark.parametrize("text", DANGEROUS)
def test_a_variable_that_chooses_what_runs_is_a_finding_however_it_is_set(text):
    assert "environment" in risks(text)


PLAIN = [
    "git status && ls -la", "git log --oneline -5 2>/dev/null", "npm run build 2>&1 | grep -i error", "NODE_ENV=test npm run test",
    'echo "$HOME"', 'echo "$(git rev-parse HEAD)"', "cd src && ls", 'f=README.md; cat "$f"', "for f in a b; do wc -l $f; done",
    'for f in src/*.ts; do wc -l "$f"; done', "(git status)", "if git status; then ls; fi", "! git status", "n=1; echo $((n + 1))",
    "diff <(sort a) <(sort b)", "set -euo pipefail; ls", "cat <<'E'\n$(x)\nE", "while true; do ls; break; done", "ls &",
    "[[ -f a && -n $b ]]", "[ -n \"$b\" ] && ls", "i=0; while [ $i != 3 ]; do i=$((i+1)); done", "echo {a,b}", "ls *.py", "test -d a || mkdir a",
    "greet() { echo hello; }; greet", "v=(a b); wc -l \"${v[@]}\"", "exec 2>&1", "command -v git", "x=$(git rev-parse HEAD); echo $x",
    "[[ $# -gt 0 ]]", "printf '%s\\n' \"$x\"", "case $1 in a) ls;; *) pwd;; esac", "sort < a > b", "git commit -m 'a $(b) `c`'",
]  # fmt: skip


@pytest.mark.parametrize("text", PLAIN)
def test_ordinary_commands_have_no_findings(text):
    assert risks(text) == set()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x=a; x=b; p $x", "p b"),
        ("x=a; p '$x' \"${x}b\"", "p $x ab"),
        ("p ~ ~/a $HOME/b", "p /home/u /home/u/a /home/u/b"),
        ("p {a,b}c {1..3} {03..1}", "p ac bc 1 2 3 03 02 01"),
        ("set -- a 'b c'; p \"$2\" \"$@\"", "p b c a b c"),
        ("v=(a b); p \"${v[1]}\"", "p b"),
        ("cd a && p $PWD", "p /w/a"),
        ("x=$'\\x41'; p \"$x\"", "p A"),
    ],
)  # fmt: skip
def test_what_is_known_of_words_is_put_in(text, words):
    assert words in spelled(text)
    assert all(word.certainty == "known" for word in look(text).commands[-1].words)


@pytest.mark.parametrize(
    "text",
    [
        "if y; then x=a; fi; p $x", "y && x=a; p $x", "while y; do p $x; x=a; done", "x=a; f() { x=b; }; f; p $x", "x=a | y; p $x",
        "(x=a); p $x", "x='a b'; p $x", "x='*'; p $x", "declare -u x; x=a; p $x", "readonly x=a; x=b; p $x", "read x; p $x",
        "x=a; p $x{1,2}", "p {$,}HOME", "p {~,a}", "p $(y)", "p $1", "RANDOM=1; p $RANDOM", "x=a p $x", "x+=b; p $x", "p ${x%y}",
        "x=a; case y in z) x=b;; esac; p $x", "x=a & p $x", "for x in $(y); do p $x; done", "unset x; p $x", "select x in a; do p $x; done",
    ],
)  # fmt: skip
def test_what_is_not_certain_is_not_called_known(text):
    last = next(each for each in every(look(text).commands) if each.words and each.words[0].text == "p")
    assert any(word.certainty == "unknown" for word in last.words[1:])
    assert "uncertain-argument" in risks(text)


def test_a_pattern_keeps_its_literal_characters_escaped():
    word = look("ls a'*'b*").commands[0].words[1]
    assert (word.text, word.certainty) == ("a\\*b*", "pattern")


def test_an_unknown_word_says_what_it_starts_with_and_whether_it_stays_one():
    quoted, bare = look('p --a="$x" --b=$x').commands[0].words[1:]
    assert (quoted.start, quoted.single) == ("--a=", True)
    assert (bare.start, bare.single) == ("--b=", False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cat < a > b", {("read", "a", "/w"), ("write", "b", "/w")}),
        ("cat 3< a <&3", {("read", "a", "/w")}),
        ("true 3<> a", {("read", "a", "/w"), ("write", "a", "/w")}),
        ("> a", {("write", "a", "/w")}),
        ("{ true; } > a", {("write", "a", "/w")}),
        ("if true; then true; fi &> a", {("write", "a", "/w")}),
        ("true > /dev/null 2>&1 < /dev/null", set()),
        ("true >| a", {("write", "a", "/w")}),
        ("exec >> a", {("write", "a", "/w")}),
        ("(cd a && cat b); cat c", {("list", "a", "/w"), ("read", "b", "/w/a"), ("read", "c", "/w")}),
        ("cd a; cat b", {("list", "a", "/w"), ("read", "b", "/w/a"), ("read", "b", "/w")}),
        ("cd a || cat b", {("list", "a", "/w"), ("read", "b", "/w")}),
        ("cd a/../b && cat c", {("list", "a/../b", "/w"), ("read", "c", "/w/b")}),
    ],
)  # fmt: skip
def test_files_are_held_against_the_folder_they_are_used_in(text, expected):
    assert touched(text) == expected


def test_where_the_start_has_no_name_the_folder_goes_into_the_path():
    access = look("cd a && cat b", folder=None).commands[1].accesses[0]
    assert (access.path.text, access.folder) == ("a/b", None)


@pytest.mark.parametrize(
    ("text", "risk"),
    [
        ("cd a && git status", "cd-git"), ("pushd a; git log", "cd-git"), ("if cd a; then git log; fi", "cd-git"),
        ("cd .. && touch a", "cd-write"), ("cd /tmp && echo x > a", "cd-write"), ("cd $x && ls", "uncertain-folder"),
        ("popd; ls", "uncertain-folder"), ("while true; do cd a; ls; done", "uncertain-folder"),
        ("f() { cd a; }; f; ls", "uncertain-folder"), ("f() { ls; }; cd a; f", "uncertain-folder"),
        (";".join(f"cd a{n}" for n in range(9)) + "; ls", "uncertain-folder"),
        ("echo x > $f", "redirect-target"), ("echo x > *.a", "redirect-target"), ("echo x > ~/a", "redirect-target"),
        ("echo x > /dev/udp/h/1", "network-device"), ("git() { ls; }", "function-shadow"), ("shopt -s dotglob", "shell-option"),
        ("set -k", "shell-option"), ("history -w a", "builtin-writes"), ("echo ${!x}", "indirect"), ("declare -n x=y", "indirect"),
        ("/usr/bin/c?rl x", "uncertain-command"), ("base64 -d a | (cd b; sh)", "piped-code"), ("python3 < a", "piped-code"),
        ("fc -s", "evaluation"), ("complete -C 'x' y", "evaluation"), ("enable -f a b", "function-shadow"),
        ("[ $x ]", "evaluated-name"), ("nohup " * 40 + "ls", "size"),
    ],
)  # fmt: skip
def test_a_risk_of_structure_is_found(text, risk):
    assert risk in risks(text)


@pytest.mark.parametrize(
    "text",
    [
        "cd . && git status",
        "cd /w && git status",
        "cd a || git status",
        "cd a && ls",
        "cd a && touch b",
        "f() { ls; }; f",
    ],
)
def test_a_near_twin_is_not(text):
    assert risks(text) == set()


@pytest.mark.parametrize(
    "text",
    [
        "zmodload zsh/net/tcp",
        "autoload x",
        "=curl x",
        "- curl x",
        "sysopen a",
        "print -P x",
        "emulate sh -c x",
    ],
)
def test_what_zsh_alone_evaluates_is_doubted(text):
    assert risks(text, "zsh")


def test_commands_stand_in_the_order_of_the_text():
    assert spelled('a $(b "$(c)") > "$(d)"; e')[:1] == ['a $(b "$(c)")']
    assert [each.split()[0] for each in spelled("a $(b `c`); d <(e) | f")] == ["a", "b", "c", "d", "e", "f"]


def test_every_command_after_many_is_found():
    assert "curl x" in spelled("true;" * 350 + "curl x")


def test_more_commands_than_are_looked_at_are_a_finding():
    assert "size" in {one.risk for one in analyse("true;" * 401).findings}
    assert "size" not in {one.risk for one in analyse("true;" * 400).findings}


@pytest.mark.parametrize(
    "text",
    [
        "$(" * 3000,
        "((" * 3000,
        "eval " * 2000 + "x",
        "x=1;" * 2000,
        "cd $x;" * 1500,
        "for i in a b c d e f g h; do " * 30 + "echo $i;" + "done;" * 30,
    ],
)
@pytest.mark.timeout(10)
def test_large_and_deep_texts_end(text):
    assert look(text).reading.text == text
