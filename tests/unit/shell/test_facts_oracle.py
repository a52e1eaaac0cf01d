"""What is said to be known is what bash does: random scripts, analysed, then run with a program that shows its words.

Only scripts in which nothing is doubted count: of those, every call that bash makes has to be one that the
analysis has foretold, word for word, in a folder that it holds possible.
"""

import os
import subprocess

from hypothesis import assume, given, settings
from hypothesis import strategies as st

import brief
from ringfence.shell.analyse import analyse
from ringfence.shell.facts import Command

SHOW = "p() { printf '%s\\037' \"$PWD\" \"$@\"; printf '\\036'; }\n"
WORDS = [
    "a", "'b c'", '"$x"', "$x", '"$y"', "$y", '"${x}z"', "${x:-d}", '"${x:=e}"', '"$HOME"', "~", "~/q", '"$1"', '"$@"', '"${v[@]}"',
    '"${v[1]}"', "{a,b}", "{1..3}", "x{,y}z", '"$i"', "$i", "$'\\x41'", "a\\ b", '"$PWD"', "$PWD/s", '"$OLDPWD"', "${x%b}", '"${y#a}"',
    "$((1+1))", '"$(p file sub)"', "~+", '"$IFS"', "{~,a}", "$x{1,2}", "a'*'b", '"${#x}"', "${x/a/b}", "'~'", "x=~", '"$x$y"',
]  # fmt: skip
SIMPLE = [
    "x=a", "x=b", "y=$x", 'y="$x/s"', "x=", "x+=c", "v=(a 'b c')", "v=(d)", "v[1]=e", "set -- g 'h i'", "shift", "unset x", "export x=f",
    "declare x=a", "readonly w=1", "cd s", "cd ..", "cd /tmp", "cd nowhere", "cd s && x=k", "cd nowhere || x=l", "cd nowhere && x=m",
    "cd s/../s", "pushd s > /dev/null", "cd - > /dev/null", "cd", "cd nowhere; cd s", "! cd s", "true", "false", "x=n y=o p file q", "x=n true", "(cd s)",
    "(x=q)", "x=r | true", "true | x=t", "x=u & wait", ": ${x:=v}", ": ${y:=w}", "read x <<< z", "printf -v x z", "x=$(echo a)", "x=1",
    "((x++))", "x=$((x+1))", "let x=2", "false && x=aa", "true || x=bb", "f", "declare -u x", "declare -i x", "local x=1", "x=$y", "[ -n a ]",
    "exec 3>&1", "x=~", "x=a:~", "break", "continue", "export x", "eval x=ee", "[[ -n $x ]]", "x='a b'", "x='*'", "x=-n",
]  # fmt: skip
AROUND = [
    "@", "{ @; }", "(@)", "if true; then @; fi", "if false; then @; else :; fi", "if @; then @; else @; fi", "for i in 1 2; do @; done",
    "for i in a 'b c' d; do @; @; done", "for x in q r; do @; done", "while @; do @; break; done", "until @; do @; break; done",
    "case $x in a) @;; *) @;; esac", "f() { @; }", "f() { @; }; @; f", "@ && @", "@ || @", "@ && @ || @", "@ | @", "@ & wait", "! @", "@; @",
    "n=0; while [ $n = 0 ]; do @; n=1; done", "for ((j=0; j<2; j++)); do @; done", "f() (@)", "true && { @; }", "x=$(@)", 'echo "$(@)" > /dev/null',
    "if cd s; then @; else @; fi", "for i in 1 2; do cd s; @; done", "for i in {1..2}; do x=$i; @; done", "while read x; do @; done <<< 'k\nl'",
]  # fmt: skip

calls = st.lists(st.sampled_from(WORDS), max_size=3).map(lambda words: " ".join(["p file", *words]))
leaves = st.one_of(calls, calls, st.sampled_from(SIMPLE))


@st.composite
def scripts(draw, depth=2):
    """Draw a script."""
    lines = []
    for _ in range(draw(st.integers(1, 4))):
        text = draw(st.sampled_from(AROUND)) if depth else "@"
        while "@" in text:
            inner = draw(scripts(depth - 1)) if depth and draw(st.booleans()) else draw(leaves)
            text = text.replace("@", inner.replace("@", "\0"), 1)
        lines.append(text.replace("\0", "@"))
    return "; ".join(lines).replace("&;", "&").replace("wait; ", "wait; ")


def every(commands: tuple[Command, ...]) -> list[Command]:
    """Return commands and all that they start."""
    return [each for command in commands for each in (command, *every(command.runs))]


def foretold(commands: tuple[Command, ...]) -> set[tuple[str, ...]]:
    """Return the words of every call of `p` that is known as a whole, behind each folder that it may run in."""
    return {
        (access.folder or "", *(word.text for word in command.words[1:]))
        for command in every(commands)
        if command.words[:1]
        and command.words[0].text == "p"
        and all(w.certainty == "known" for w in command.words)
        for access in command.accesses
        if access.path.text == "file"
    }


def doubtful(commands: tuple[Command, ...]) -> bool:
    """Say whether a call of `p` has words that are not known."""
    return any(
        word.certainty != "known"
        for command in every(commands)
        if command.words[:1] and command.words[0].text == "p"
        for word in command.words
    )


def run(text: str, folder: str) -> list[list[str]]:
    """Run a script and return the folder and words of every call."""
    os.makedirs(os.path.join(folder, "s", "s"), exist_ok=True)
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/home/u", "LC_ALL": "C"}
    try:
        done = brief.run(["/bin/bash", "--norc", "-c", SHOW + text], cwd=folder, env=environment, timeout=2)
    except subprocess.TimeoutExpired:
        return []
    return [call.split("\x1f")[:-1] for call in done.stdout.decode(errors="replace").split("\x1e")[:-1]]


@settings(max_examples=200, deadline=None)
@given(text=scripts())
def test_bash_calls_only_what_was_foretold(text, tmp_path_factory):
    folder = os.path.realpath(tmp_path_factory.getbasetemp())
    analysis = analyse(text, folder=folder, home="/home/u")
    assume(not analysis.findings and not analysis.reading.problems and not doubtful(analysis.commands))
    expected = foretold(analysis.commands)
    for call in run(text, folder):
        assert tuple(call) in expected
