"""Reading a command line without argparse."""

import pytest

from ringfence.cli.options import Option, help_text, read
from ringfence.errors import UsageError

KNOWN = (
    Option(name="--allow", value="HOST", many=True, help="let out"),
    Option(name="--mode", value="MODE"),
    Option(name="--quiet"),
)


def given(*words):
    return read(list(words), KNOWN, "usage")


def test_the_first_word_that_is_no_option_begins_the_command():
    one = given("--quiet", "run", "--mode", "x")
    assert (one.switches, one.rest) == ({"--quiet"}, ("run", "--mode", "x"))


def test_two_dashes_end_the_options_and_are_not_passed_on_but_a_second_pair_is():
    assert given("--quiet", "--", "--allow", "--").rest == ("--allow", "--")


def test_a_single_dash_is_a_word():
    assert given("-").rest == ("-",)


def test_values_stand_behind_or_after_an_equals_sign_and_may_look_like_options():
    one = given("--allow", "--", "--allow=a=b", "--mode=", "x")
    assert (one.all("--allow"), one.one("--mode", "default"), one.rest) == (("--", "a=b"), "", ("x",))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--nope",), "unknown option `--nope`"), (("-q",), "unknown option `-q`"), (("--quiet=yes",), "`--quiet` takes no value"),
        (("--mode",), "`--mode` needs a value: --mode MODE"), (("--mode", "a", "--mode", "b"), "`--mode` is given twice"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_an_error(words, message):
    with pytest.raises(UsageError) as error:
        given(*words)
    assert (error.value.message, error.value.status) == (message, 2)


def test_a_near_miss_is_guessed():
    with pytest.raises(UsageError) as error:
        given("--alow")
    assert error.value.hint == "did you mean `--allow`?"


def test_the_help_names_every_option():
    text = help_text("ringfence run", "About.", KNOWN)
    assert text.startswith("usage: ringfence run\n\nAbout.\n\n  --allow HOST  let out\n")
