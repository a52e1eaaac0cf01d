"""Options are read as getopt_long reads them, and what is not known of a word is never taken for harmless."""

import pytest
from looking import word

from ringfence.shell.options import Table, read

TABLE = Table(
    {
        "": "a b verbose version help",
        "data=": "n number",
        "data?=": "color",
        "write=": "o output",
        "run=": "compress-program",
    },
    closed=True,
)


def given(*words, table=TABLE):
    parsed = read(table, tuple(map(word, words)))
    return [(one.name, one.value.text if one.value else None) for one in parsed.given], [
        value.text for value in parsed.operands
    ]


@pytest.mark.parametrize(
    ("words", "options", "operands"),
    [
        (["-ab", "f"], [("a", None), ("b", None)], ["f"]),
        (["-abn5", "f"], [("a", None), ("b", None), ("n", "5")], ["f"]),
        (["-an", "5", "f"], [("a", None), ("n", "5")], ["f"]),
        (["f", "-o", "x"], [("o", "x")], ["f"]),
        (["--output=x"], [("output", "x")], []),
        (["--output", "x", "f"], [("output", "x")], ["f"]),
        (["--outp", "x", "f"], [("output", "x")], ["f"]),
        (["--comp=sh"], [("compress-program", "sh")], []),
        (["--color", "f"], [("color", None)], ["f"]),
        (["--color=always", "f"], [("color", "always")], ["f"]),
        (["--", "-o", "x"], [], ["-o", "x"]),
        (["-", "f"], [], ["-", "f"]),
        (["-o", "--", "f"], [("o", "--")], ["f"]),
        (["-o"], [("o", None)], []),
        (["-o", ""], [("o", "")], []),
    ],
)
def test_words_are_read_as_getopt_reads_them(words, options, operands):
    assert given(*words) == (options, operands)


def test_an_abbreviation_of_several_options_is_the_most_dangerous_of_them():
    assert given("--co=sh")[0] == [("compress-program", "sh")]
    assert given("--ver")[0] == [("verbose", None)]


def test_an_option_that_is_not_in_the_table_is_strange():
    parsed = read(TABLE, (word("--frobnicate"), word("-az")))
    assert [value.text for value in parsed.strange] == ["--frobnicate", "-az"]


def test_options_end_at_the_first_operand_where_a_program_says_so():
    table = Table({"": "a"}, permute=False)
    assert given("-a", "f", "-a", table=table) == ([("a", None)], ["f", "-a"])


def test_long_names_may_have_one_dash():
    table = Table({"data=": "in", "write=": "out o"}, single=True)
    assert given("-in", "x", "-out=y", "-oz", table=table)[0] == [("in", "x"), ("out", "y"), ("o", "z")]


@pytest.mark.parametrize("text", ["«x»", "«x*»", "-«x»", "--«x»", "--output«x»", "a«x*»", "-a«x»"])
def test_an_unknown_word_that_may_be_an_option_is_unsure(text):
    assert read(TABLE, (word(text),)).unsure


@pytest.mark.parametrize("words", [["--number=«x»"], ["-n«x»"], ["-n", "«x»"], ["a«x»"], ["--", "«x»"]])
def test_an_unknown_word_that_cannot_be_an_option_is_not(words):
    assert not read(TABLE, tuple(map(word, words))).unsure


@pytest.mark.parametrize("words", [["-n", "«x*»"], ["--number=«x*»"], ["-n", "⟪*⟫"]])
def test_a_value_that_may_be_several_words_is_unsure(words):
    assert read(TABLE, tuple(map(word, words))).unsure


def test_a_pattern_may_be_an_option_unless_it_begins_with_something_else():
    assert read(TABLE, (word("⟪*.c⟫"),)).globbed
    assert not read(TABLE, (word("⟪./*.c⟫"),)).globbed
    assert not read(TABLE, (word("--"), word("⟪*.c⟫"))).globbed
    assert read(TABLE, (word("⟪-*⟫"),)).unsure
