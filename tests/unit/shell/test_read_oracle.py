"""What our reading is certain of, the real shell does: scripts at random, run where no program exists."""

import random
import shutil

import oracle
import pytest
import shell_scripts
from test_reader import TOKENS

from ringfence.shell.read import read

SCRIPTS = 150  # of each kind; seeds are fixed, so that a failure repeats

needs_zsh = pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
SHELLS = ["bash", pytest.param("zsh", marks=needs_zsh)]


def certain(shell: str, texts):
    """Yield those texts that we read without a problem."""
    return [text for text in texts if not read(text, shell).problems]


def rows(seed: int, count: int):
    """Return rows of tokens, most of them no sense at all."""
    chooser = random.Random(seed)
    loops = {"while ", "until "}
    tokens = [one for one in TOKENS if one not in loops and one not in ("coproc ", "\x00")]
    return ["a " + "".join(chooser.choices(tokens, k=chooser.randint(1, 12))) for _ in range(count)]


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts_run_just_the_commands_that_were_read(tmp_path, shell):
    texts = certain(
        shell, [shell_scripts.Maker(seed).script() for seed in range(SCRIPTS * (2 if shell == "bash" else 6))]
    )
    assert len(texts) > SCRIPTS // 4
    found = {text: oracle.unclaimed(text, str(tmp_path), shell) for text in texts}
    assert {text: calls for text, calls in found.items() if calls} == {}


def test_rows_of_tokens_run_just_the_commands_that_were_read(tmp_path):
    texts = certain("bash", rows(1, SCRIPTS * 6))
    assert len(texts) > SCRIPTS // 3
    found = {text: oracle.unclaimed(text, str(tmp_path)) for text in texts}
    assert {text: calls for text, calls in found.items() if calls} == {}


def test_bash_accepts_what_is_read_without_a_problem():
    texts = certain(
        "bash",
        [*rows(2, SCRIPTS * 6), *(shell_scripts.Maker(seed).script() for seed in range(500, 500 + SCRIPTS))],
    )
    assert [text for text in texts if not oracle.accepted(text)] == []


def test_the_oracle_itself_can_say_no(tmp_path):
    assert oracle.run("a 'b c'; x $(y)", str(tmp_path)) == [["a", "b c"], ["y"], ["x"]]
    assert oracle.run("a (", str(tmp_path)) is None
    assert not oracle.accepted("a (")
    assert oracle.claims(read("a 'b c' $d; e").script) == [["e"], None]
