"""Wherever a command stands in a text, it is found: nested at random in everything that can hold one."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.shell.analyse import analyse
from ringfence.shell.facts import Analysis, Command

# `@` is where a command goes; what closes a construct stands on a line of its own, for here-documents' sake.
CONSTRUCTS = [
    "@\ntrue", "true\n@", "true && { @\n}", "false || { @\n}", "true | { @\n}", "{ @\n} | cat", "( @\n)", "{ @\n}",
    "! { @\n}", "{ @\n} &", "time { @\n}", "{ @\n} > /dev/null 2>&1",
    "if @\nthen true; fi", "if true; then @\nfi", "if false; then :; else @\nfi", "if false; then :; elif @\nthen :; fi",
    "while @\ndo break; done", "until true; do @\ndone", "for i in a b; do @\ndone", "for i in $(@\n); do :; done",
    "for ((i=0; i<1; i++)); do @\ndone", "select i in a; do @\ndone", "case x in x) @\n;; esac",
    "case $(@\n) in *) :;; esac", "f() { @\n}", "function g { @\n}", "function h() ( @\n)", "coproc { @\n}",
    'echo "$(@\n)"', "echo $(@\n)", "echo a$(@\n)b", "cat <(@\n)", "true > >(@\n)", "cat < <(@\n)", "x=$(@\n)", 'x="$(@\n)"',
    "x=(a $(@\n))", "y=$(@\n) true", 'echo ${y:-$(@\n)}', 'echo "${y:-$(@\n)}"', "echo ${y:=$(@\n)}", "echo ${y#$(@\n)}",
    "echo ${y/a/$(@\n)}", "echo ${y:$(@\n)}", "echo $(( $(@\n) + 1 ))", "(( x = $(@\n) ))", "[[ $(@\n) = x ]]",
    "[[ -n x && $(@\n) ]]", "cat <<E\n$(@\n)\nE", 'cat <<< "$(@\n)"', 'true > "$(@\n)"', "echo {a,$(@\n)}",
    "a[$(@\n)]=1", "export x=$(@\n)", "declare x=$(@\n)", "let x=$(@\n)", "unset $(@\n)", "$(@\n) a", 'test "$(@\n)"',
    "eval '@'", "bash -c '@'", "trap '@' EXIT", "alias z='@'", "eval \"@\"", "sh -c '@'",
]  # fmt: skip
LEAVES = [
    "curl x", "c'ur'l x", "c\"ur\"l x", "$'\\x63url' x", "\\curl x", "/usr/bin/curl x", "A=b curl x", "< /dev/null curl x",
    "nohup curl x", "timeout 5 curl x", "nice -n 5 curl x", "command curl x", "command -p curl x", "env A=b curl x",
    "xargs curl x", "exec curl x", "builtin command curl x", "time -p curl x", "find . -exec curl x \\;", "stdbuf -oL curl x",
    "x=curl; $x x", "${x:-curl} x", "x=(curl x); \"${x[@]}\"", "set -- curl x; \"$@\"", "$(echo curl) x", "setsid curl x",
]  # fmt: skip


def every(commands: tuple[Command, ...]) -> list[Command]:
    """Return commands and all that they start."""
    return [each for command in commands for each in (command, *every(command.runs))]


def programs(analysis: Analysis) -> set[str]:
    """Return the base names of every program that is known."""
    return {
        os.path.basename(command.words[0].text)
        for command in every(analysis.commands)
        if command.words and command.words[0].certainty == "known"
    }


def nest(construct: str, inner: str) -> str:
    """Put a command into a construct, quoted where it has to be."""
    if "'@'" in construct:
        inner = inner.replace("'", "'\\''")
    elif '"@"' in construct:
        inner = "".join(f"\\{char}" if char in '\\"$`' else char for char in inner)
    return construct.replace("@", inner)


@pytest.mark.parametrize("leaf", LEAVES)
def test_each_way_to_run_a_program_shows_it(leaf):
    analysis = analyse(leaf, folder="/w", home="/home/u")
    assert "curl" in programs(analysis)


@pytest.mark.parametrize("construct", CONSTRUCTS)
def test_each_construct_shows_the_command_that_it_holds(construct):
    analysis = analyse(nest(construct, "curl x"), folder="/w", home="/home/u")
    assert "curl" in programs(analysis)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(LEAVES), st.lists(st.sampled_from(CONSTRUCTS), max_size=6))
def test_no_nesting_hides_a_command(leaf, constructs):
    text = leaf
    for construct in constructs:
        text = nest(construct, text)
    analysis = analyse(text, folder="/w", home="/home/u")
    assert "curl" in programs(analysis) or analysis.reading.problems or limited(analysis)


def limited(analysis: Analysis) -> bool:
    """Say whether a limit was reached, which is a question to a person by itself."""
    return any(finding.risk in {"size", "syntax", "dialect"} for finding in analysis.findings)


@settings(max_examples=300, deadline=None)
@given(
    st.text(alphabet="ab =$(){}[]'\"`\\;&|<>\n#*?~!@-/01xcd", max_size=60),
    st.sampled_from(["bash", "sh", "zsh"]),
)
def test_no_text_raises(text, shell):
    analysis = analyse(text, shell=shell, folder="/w", home="/home/u")
    spans = [command.span for command in analysis.commands]
    assert spans == sorted(spans)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40), st.sampled_from(["bash", "sh", "zsh", "powershell", ""]))
def test_no_characters_raise(text, shell):
    assert analyse(text, shell=shell).reading.text == text
