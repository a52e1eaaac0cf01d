"""What our own reader makes of a text: byte by byte, the doubtful before the certain."""

import os
import time

import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.shell.read import CERTAIN, read
from ringfence.shell.syntax import Compound, Parameter, Simple, Substitution, Text

HERE = os.path.dirname(__file__)


def problems(text: str, shell: str = "bash") -> set[str]:
    """Return the risks of a text's problems."""
    return {problem.risk for problem in read(text, shell).problems}


def commands(text: str, shell: str = "bash") -> list[list[str]]:
    """Return every command of a text, its words as far as they are literal."""
    return [
        ["".join(part.value if isinstance(part, Text) else "…" for part in word.parts) for word in one.words]
        for one in sorted(oracle.simples(read(text, shell).script), key=lambda one: one.span)
        if one.words
    ]


@pytest.mark.parametrize(
    ("text", "risk"),
    [
        ("git status\r\ncurl x", "characters"),
        ("git status\x00; curl x", "characters"),
        ("git\ufeff status", "characters"),
        ("git status \x1b[2K", "characters"),
        ("git status\x0btouch", "characters"),
        ("git status\x7f", "characters"),
        ("git status\x85ls", "characters"),
        ("echo \ud800", "characters"),
        ("echo 'a\u200bb'", "characters"),
        ("echo 'a\u202eb'", "characters"),
        ("echo 'a\U000e0041b'", "characters"),
        ("echo 'a\u2028b'", "characters"),
        ("git\u00a0status", "characters"),
        ("echo a\u3000b", "characters"),
        ("echo 'a\u00a0\u00a0\u00a0\u00a0\u00a0b'", "characters"),
        ("echo \u201ca\u201d", "characters"),
        ("ls \u2014help", "characters"),
        ("ls \uff0dhelp", "characters"),
        ("echo '\u2800'", "characters"),
        ("echo \ue000", "characters"),
        ("\u0441url x", "lookalike"),
        ("-la", "syntax"),
        ("git status `touch x", "syntax"),
        ("git status ;;", "syntax"),
        ("&& git status", "syntax"),
        ("git status &&", "syntax"),
        ("git status |", "syntax"),
        ("if git status; then", "syntax"),
        ("git status; ; ls", "syntax"),
        ("git status)", "syntax"),
        ("{ git status }", "syntax"),
        ("( )", "syntax"),
        ("echo 'a", "syntax"),
        ('echo "a', "syntax"),
        ("echo $(ls", "syntax"),
        ("echo ${x", "syntax"),
        ("echo a\\", "syntax"),
        ("ls >", "syntax"),
        ("ls > 2>x", "syntax"),
        ("cat <<E\nx", "syntax"),
        ("cat <<E", "syntax"),
        ("$(cat <<E)\nx\nE\n", "syntax"),
        ("f() ls", "syntax"),
        ("case x in a) ls", "syntax"),
        ("then", "syntax"),
        ("a[0", "syntax"),
        ("[[ -f ]]x", "syntax"),
        ("[[ a b ]]", "syntax"),
        ("echo {1..99999999}", "size"),
        ("echo " + "{a,b}" * 20, "size"),
        ("$(" * 60 + "ls" + ")" * 60, "size"),
        ("echo " + "a" * CERTAIN, "size"),
        ('echo $"curl"', "dialect"),
        ("echo @(a|b)", "dialect"),
        ("echo $((ls); (ls))", "dialect"),
        ("((ls); (ls))", "dialect"),
        ("echo \"${x:-'a'}\"", "dialect"),
        ("cu\\\nrl x", "continuation"),
        ('echo "$\\\n(ls)"', "continuation"),
        ("echo a &\\\n& ls", "continuation"),
        ("# a \\\nls", "continuation"),
    ],
)
def test_what_is_doubtful_is_a_problem(text, risk):
    assert risk in problems(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("cu\\\nrl x", ["curl", "x"]),
        ('echo "$\\\n(curl x)"', ["curl", "x"]),
        ("git status ;; curl x", ["curl", "x"]),
        ("git status ) ; curl x", ["curl", "x"]),
        ("fi; curl x", ["curl", "x"]),
        ("'a\ncurl x", ["curl", "x"]),
        ("((a); curl x; (b))", ["curl", "x"]),
        ("a && ;; `curl x`", ["curl", "x"]),
        ("$'\\x63url' x", ["curl", "x"]),
        ('$"curl" x', ["curl", "x"]),
        ("echo $(( $(curl x) ))", ["curl", "x"]),
        ("echo $[ $(curl x) ]", ["curl", "x"]),
        ("echo ${a:-$(curl x)}", ["curl", "x"]),
        ("echo ${a[$(curl x)]}", ["curl", "x"]),
        ("a[$(curl x)]=1", ["curl", "x"]),
        ("a=([$(curl x)]=1)", ["curl", "x"]),
        ("echo {a,$(curl x)}", ["curl", "x"]),
        ("cat <<E\n$(curl x)\nE\n", ["curl", "x"]),
        ("cat <<-E\n\t`curl x`\n\tE\n", ["curl", "x"]),
        ("cat <<< $(curl x)", ["curl", "x"]),
        ("cat <<'E' ; curl x\nE\n", ["curl", "x"]),
        ("> $(curl x)", ["curl", "x"]),
        ("coproc curl x", ["curl", "x"]),
        ("time -p curl x", ["curl", "x"]),
        ("[[ -n $(curl x) ]]", ["curl", "x"]),
        ("[[ a =~ $(curl x) ]]", ["curl", "x"]),
        ("case $(curl x) in a) ;; esac", ["curl", "x"]),
        ("case a in $(curl x)) ;; esac", ["curl", "x"]),
        ("for i in $(curl x); do ls; done", ["curl", "x"]),
        ("for ((i=$(curl x);;)); do ls; done", ["curl", "x"]),
        ("echo @(a|$(curl x))", ["curl", "x"]),
        ("declare a=($(curl x))", ["curl", "x"]),
        ("f() { curl x; }", ["curl", "x"]),
        ("function f { curl x; }", ["curl", "x"]),
        ("select a in b; do curl x; done", ["curl", "x"]),
        ('echo "`echo \\"\\`curl x\\`\\"`"', ["curl", "x"]),
        ("echo # a\ncurl x", ["curl", "x"]),
        ("# a \\\ncurl x", ["curl", "x"]),
        ("cat <(curl x)", ["curl", "x"]),
        ("echo a<(curl x)", ["curl", "x"]),
        ("\ud800; curl x", ["curl", "x"]),
    ],
)
def test_a_command_is_found_however_it_hides(text, found):
    assert found in commands(text)


def test_what_is_no_substitution_is_none():
    assert commands('echo "$$\\\n(touch x)"') == [["echo", "…(touch x)"]]
    assert commands("echo '$(touch x)' \\$(x)")[0][:2] == ["echo", "$(touch x)"]
    assert commands("cat <<'E'\n$(touch x)\nE\n") == [["cat"]]
    assert commands("# $(touch x)\nls") == [["ls"]]
    assert commands("echo \"\\$(x)\" '`x`'") == [["echo", "$(x)", "`x`"]]


@pytest.mark.parametrize("depth", [100, 1500, 3000])
@pytest.mark.parametrize("opening", ["(", "$(", "$((", "((", "${a:-", "if ", "@(", "a[", '"$(', "<("])
def test_nesting_never_ends_in_an_exception_and_rules_see_what_is_inside(opening, depth):
    reading = read(opening * depth + " curl x")
    assert reading.problems
    everything = [*reading.seen, *(word for one in commands(opening * depth + " curl x") for word in one)]
    assert any("curl" in one for one in everything)


@pytest.mark.parametrize(
    "text", ["a;" * 500, "\\" * 5000, "a|" * 400, "'" * 999, "cat <<E;\nx\nE\n" * 100, "a \\\n" * 500]
)
def test_long_texts_take_no_longer_than_their_length(text):
    begun = time.thread_time()
    read(text)
    once = time.thread_time() - begun
    begun = time.thread_time()
    read(text * 4)
    assert time.thread_time() - begun < max(once, 0.003) * 16


def test_a_text_over_every_limit_is_searched_for_words_all_the_same():
    assert "curl" in read("echo a;" * 20_000 + "cu'r'l x").seen


def test_spans_are_of_the_text_as_written():
    text = "ls \\\n  -la 'a b' >x \"$v\""
    (simple,) = oracle.simples(read(text).script)
    assert [text[slice(*word.span)] for word in simple.words] == ["ls", "-la", "'a b'", '"$v"']
    assert text[slice(*simple.redirects[0].span)] == ">x"
    assert text[slice(*simple.words[3].parts[0].span)] == "$v"


def test_a_redirection_is_none_of_the_words():
    (simple,) = oracle.simples(read("2>>log cmd <in a 3<&- {fd}<>x &>all >|y b").script)
    assert [one.words for one in oracle.simples(read("> f").script)] == [()]
    assert [(one.descriptor, one.operator) for one in simple.redirects] == [
        ("2", ">>"), ("", "<"), ("3", "<&"), ("{fd}", "<>"), ("", "&>"), ("", ">|"),
    ]  # fmt: skip
    assert [word.parts[0].value for word in simple.words] == ["cmd", "a", "b"]


def test_assignments_stand_before_the_command_only():
    (simple,) = oracle.simples(read("A=1 b[2]+=x c=(1 $v) cmd D=2").script)
    assert [(one.name, one.append) for one in simple.assignments] == [("A", False), ("b", True), ("c", False)]
    assert simple.assignments[1].index.parts[0].value == "2"
    assert len(simple.assignments[2].items) == 2
    assert len(simple.words) == 2


def test_expansions_say_what_they_are():
    simple = max(
        oracle.simples(read('x $v "${w:-a}" ${!n} ${#l} $(a) `b` "$@" ${t@P}').script),
        key=lambda one: len(one.words),
    )
    parts = [word.parts[0] for word in simple.words[1:]]
    assert [(one.name, one.operation, one.quoted) for one in parts[:2]] == [
        ("v", "", False),
        ("w", ":-a", True),
    ]
    assert parts[2].indirect
    assert parts[3].length
    assert [one.kind for one in parts[4:6] if isinstance(one, Substitution)] == ["command", "backquote"]
    assert isinstance(parts[6], Parameter)
    assert parts[7].operation == "@P"


def test_compounds_hold_their_bodies_in_order():
    (step,) = read("if a; then b; elif c; then d; else e; fi >x").script.steps
    (made,) = step.pipeline.commands
    assert isinstance(made, Compound)
    assert (made.kind, len(made.bodies), len(made.redirects)) == ("if", 5, 1)


def test_a_quoted_empty_word_is_a_word():
    (simple,) = oracle.simples(read("a '' \"\" $v''").script)
    assert [len(word.parts) for word in simple.words] == [1, 0, 0, 2]


@pytest.mark.parametrize(
    ("text", "shell"),
    [
        ("a=(1)", "sh"), ("[[ a ]]", "sh"), ("cat <(ls)", "sh"), ("echo $'a'", "sh"), ("ls &>x", "sh"), ("cat <<<x", "sh"),
        ("echo {a,b}", "sh"), ("function f { ls; }", "sh"), ("a+=1", "sh"), ("time ls", "sh"), ("ls |& wc", "sh"),
        ("echo ${x/a/b}", "sh"), ("echo ${!x}", "sh"), ("select a in b; do ls; done", "sh"), ("((1))", "sh"),
        ("=curl x", "zsh"), ("ls *(e:'x':)", "zsh"), ("true; - curl x", "zsh"), ("echo x >! f", "zsh"),
        ("echo =(ls)", "zsh"), ("echo $x[1]", "zsh"), ('echo "$x:h"', "zsh"), ("echo ${(f)x}", "zsh"),
        ("repeat 2 ls", "zsh"), ("{ ls; } always { ls; }", "zsh"), ("() { ls; }", "zsh"), ("echo ~x/y", "zsh"),
        ("for x (a b) ls", "zsh"), ("if [[ a ]] { ls }", "zsh"), ("ls &!", "zsh"), ("ls &|", "zsh"), ("ls # x", "zsh"),
        ("echo <1-5>", "zsh"), ("foreach x (a); ls; end", "zsh"), ("echo $+x", "zsh"), ("echo }", "zsh"),
        ("echo $=x", "zsh"), ("a==ls", "zsh"), ("time -p ls", "zsh"), ("a[1]=x", "zsh"), ("echo ${x}[1]", "zsh"),
    ],
)  # fmt: skip
def test_what_this_shell_reads_differently_is_a_problem(text, shell):
    assert problems(text, shell)


@pytest.mark.parametrize("shell", ["powershell", "fish", "", "x" * 999])
def test_an_unknown_shell_has_no_reading(shell):
    reading = read("ls", shell)
    assert (reading.script, len(reading.problems)) == (None, 1)


@pytest.mark.parametrize("shell", ["bash", "sh", "zsh"])
@pytest.mark.parametrize(
    "text",
    [
        "git status",
        "ls -la | grep x",
        "cd src && npm test 2>&1",
        'echo "$HOME"',
        "noglob ls",
        "f() { ls; }",
        "a; b & c || d",
    ],
)
def test_what_all_shells_read_alike_is_certain(text, shell):
    assert not problems(text, shell)


def test_ordinary_commands_are_certain():
    with open(os.path.join(HERE, "ordinary.txt"), encoding="utf-8") as file:
        texts = [line.rstrip("\n").replace("⏎", "\n").replace("⇥", "\t") for line in file]
    doubtful = [text for text in texts if read(text).problems]
    assert len(doubtful) <= len(texts) // 100, doubtful


@given(st.text(alphabet=st.characters(), max_size=60))
def test_no_text_ends_in_an_exception(text):
    for shell in ("bash", "sh", "zsh"):
        assert not any("failed" in problem.reason for problem in read(text, shell).problems)


TOKENS = [
    *(
        "a",
        "x",
        "-f",
        "=",
        "+=",
        "[",
        "]",
        "{",
        "}",
        ",",
        "..",
        "(",
        ")",
        "((",
        "))",
        "$",
        "$(",
        "`",
        "${",
        "$v",
        "'",
        '"',
    ),
    *(
        "\\",
        "\\\n",
        "\n",
        " ",
        "\t",
        ";",
        "&",
        "&&",
        "||",
        "|",
        "<",
        ">",
        "<<",
        "<<E\n",
        "\nE\n",
        "<<-'E'\n",
        "#",
        "!",
        "~",
    ),
    *(
        "*",
        "?",
        "$'",
        '$"',
        "if ",
        "then ",
        "fi",
        "for ",
        "in ",
        "do ",
        "done",
        "case ",
        "esac",
        ";;",
        "[[",
        "]]",
        "=~",
    ),
    *(
        "f()",
        "function ",
        "time ",
        "<(",
        ">(",
        "<<<",
        "2>",
        "&>",
        "@(",
        "é",
        "$((",
        "$[",
        "a[0]=",
        "a=(",
        "coproc ",
        "\x00",
    ),
]


@given(st.lists(st.sampled_from(TOKENS), max_size=25).map("".join))
def test_no_row_of_tokens_ends_in_an_exception(text):
    for shell in ("bash", "sh", "zsh"):
        assert not any("failed" in problem.reason for problem in read(text, shell).problems)
    assert all(isinstance(one, Simple) for one in oracle.simples(read(text).script))
