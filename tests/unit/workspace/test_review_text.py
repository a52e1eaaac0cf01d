"""What an agent wrote is shown as what it is."""

import pytest

from ringfence.workspace.review import text


@pytest.mark.guarantee("V3")
@pytest.mark.parametrize(
    ("data", "shown", "kind"),
    [
        (b"\x1b[31mred", "<ESC>[31mred", text.TERMINAL),
        (
            b"\x1b]8;;http://evil\x07click\x1b]8;;\x07",
            "<ESC>]8;;http://evil<BEL>click<ESC>]8;;<BEL>",
            text.TERMINAL,
        ),
        ("\u009b31m".encode(), "<U+009B>31m", text.TERMINAL),
        (b"safe\rrm -rf /", "safe<CR>rm -rf /", text.RETURN),
        (b"ab\x08\x08cd", "ab<BS><BS>cd", text.TERMINAL),
        (b"a\x00b", "a<NUL>b", text.CONTROL),
        (b"a\x0cb\x7f", "a<FF>b<DEL>", text.CONTROL),
        ('if level != "user\u202e \u2066// admin\u2069 \u2066"'.encode(), None, text.BIDI),
        ("a\u200bb".encode(), "a<U+200B>b", text.INVISIBLE),
        ("\ufeffimport os".encode(), "<U+FEFF>import os", text.INVISIBLE),
        ("pass\u00adword".encode(), "pass<U+00AD>word", text.INVISIBLE),
        ("x\ufe01y".encode(), "x<U+FE01>y", text.INVISIBLE),
        ("const {\u3164} = x".encode(), "const {<U+3164>} = x", text.INVISIBLE),
        ("ok\U000e0041\U000e007f".encode(), "ok<U+E0041><U+E007F>", text.TAG),
        ("a\u00a0b\u2028c".encode(), "a<U+00A0>b<U+2028>c", text.SPACE),
        ("\ue000".encode(), "<U+E000>", text.UNKNOWN),
        (b"caf\xe9", "caf\\xe9", text.BYTES),
        ("p\u0430ssword".encode(), "p<U+0430>ssword", text.LOOK_ALIKE),
        ("\uff45val(x)".encode(), "<U+FF45>val(x)", text.LOOK_ALIKE),
        ("\U0001d41eval(x)".encode(), "<U+1D41E>val(x)", text.LOOK_ALIKE),
        ("if a \u01c3= b".encode(), "if a <U+01C3>= b", text.LOOK_ALIKE),
        ("x = 1\u037e y".encode(), "x = 1<U+037E> y", text.LOOK_ALIKE),
        ("\u0441\u043e\u0440 = 1".encode(), "<U+0441><U+043E><U+0440> = 1", text.LOOK_ALIKE),
    ],
)
def test_what_deceives_is_escaped_and_named(data, shown, kind):
    found, kinds = text.shown(data)
    assert kind in kinds
    assert shown is None or found == shown
    assert all(char.isprintable() or char == "\t" for char in found)
    assert not text.is_plain(data)


@pytest.mark.parametrize(
    "plain",
    [
        "tabs\tand ~ signs", "Gr\u00fc\u00dfe, caf\u00e9, na\u00efve", "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440: \u0441\u043e\u0440", "\u03b1\u03b2\u03b3 = 1",
        "\u4f60\u597d\uff0c\u4e16\u754c\uff01", "\u3053\u3093\u306b\u3061\u306f", "fine \u2764\ufe0f and \U0001f468\u200d\U0001f469\u200d\U0001f467", "5 m\u00b2 \u2014 \u2018quoted\u2019 \u2026 \u2192",
        "\u05e9\u05dc\u05d5\u05dd", "\u0645\u0631\u062d\u0628\u0627", "keycap 1\ufe0f\u20e3",
    ],
)  # fmt: skip
def test_honest_text_in_any_language_stays_as_it_is(plain):
    assert text.shown(plain.encode()) == (plain, frozenset())


def test_a_newline_never_comes_out_of_one_line():
    assert "\n" not in text.shown(b"a\nb")[0]


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (b"src/main.py", "src/main.py"),
        ("caf\u00e9.txt".encode(), "caf\u00e9.txt"),
        (b"a b", "a b"),
        (b"a\nb", '"a\\nb"'),
        (b'say "hi"', '"say \\"hi\\""'),
        (b"\x1b[31m", '"\\033[31m"'),
        (b"\xff.txt", '"\\377.txt"'),
        ("\u202egpj.exe".encode(), '"\\342\\200\\256gpj.exe"'),
        ("m\u0430in.py".encode(), '"m\\320\\260in.py"'),
    ],
)
@pytest.mark.guarantee("V3")
def test_a_path_is_quoted_as_git_does_where_it_is_odd(path, shown):
    assert text.shown_path(path) == shown


def test_carriage_returns_at_line_ends_are_no_news_to_a_whole_text():
    assert text.kinds_of(b"a\r\nb\r\n") == frozenset()
    assert text.kinds_of(b"a\rb\r\n") == {text.RETURN}
