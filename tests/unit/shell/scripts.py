"""Makes scripts at random, from the grammar of bash's quotes, expansions and commands, without side effects.

No name in them is a program; a script ends by itself, and writes nowhere but in its own folder.
"""

import random

_NAMES = ["a", "b1", "cc", "git", "rm", "x.y", "a-b", "_z", "p", "de"]
_PLAIN = [
    "x",
    "-f",
    "--o=v",
    "a=b",
    "1",
    "a/b",
    "a,b",
    "@",
    "%",
    "^",
    "+",
    ":",
    ".",
    "..",
    "=",
    "a:b",
    "é",
    "c#d",
    "]",
    "!",
    "in",
    "do",
    "if",
    "}",
    "fi",
    "~",
    "~/x",
    "a~",
    "x=~",
    "x=a:~/b",
    "{}",
    "{a",
    "a}",
    "{a}",
    "[",
    "[[",
    "]]",
    "time",
    "function",
]
_CHARS = list("ab 1$'\"\\`(){}[]<>|&;#!~*?=,.\t\n-")


class Maker:
    """Makes one script."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._depth = 0
        self._heredocs: list[str] = []

    def _one(self, *makers):
        return self._random.choice(makers)()

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def script(self, most: int = 3) -> str:
        """Return a list of commands."""
        self._depth += 1
        made = ""
        for _ in range(self._random.randint(1, most)):
            made += self.pipeline()
            made += self._end()
        self._depth -= 1
        return made

    def _end(self) -> str:
        if self._heredocs:
            waiting, self._heredocs = self._heredocs, []
            return self._random.choice(["", " # c", " "]) + "\n" + "".join(waiting)
        return self._random.choice(["; ", ";", "\n", " \n\n ", " # comment ' \" $(x\n", ";\n", "\n# '\n"])

    def pipeline(self) -> str:
        made = self._random.choice(["", "", "", "", "! "]) + self.command()
        while self._chance(0.25) and not self._heredocs:
            made += (
                self._random.choice([" | ", "|", " |\n", " && ", "&&", " &&\n\n", " |& ", " && \\\n"])
                + self.command()
            )
        return made

    def command(self) -> str:
        if self._depth > 4 or self._chance(0.7):
            return self.simple()
        return self._one(
            self._group, self._subshell, self._if, self._for, self._case, self._test, self._function
        )

    def _inner(self) -> str:
        outer, self._heredocs = self._heredocs, []
        made = self.script(2)
        self._heredocs = outer
        return made

    def _group(self) -> str:
        return "{ " + self._inner() + "}" + self._tail()

    def _subshell(self) -> str:
        return "( " + self._inner() + ")" + self._tail()

    def _if(self) -> str:
        return (
            "if "
            + self._inner()
            + "then "
            + self._inner()
            + self._random.choice(
                ["", "else " + self._inner(), "elif " + self._inner() + "then " + self._inner()]
            )
            + "fi"
            + self._tail()
        )

    def _for(self) -> str:
        return (
            "for q in "
            + " ".join(self.word() for _ in range(self._random.randint(0, 3)))
            + "; do "
            + self._inner()
            + "done"
            + self._tail()
        )

    def _case(self) -> str:
        arms = "".join(
            self._random.choice(["", "("])
            + self._pattern()
            + ") "
            + self._inner()
            + ";;"
            + self._random.choice(["\n", " "])
            for _ in range(self._random.randint(0, 2))
        )
        return "case " + self.word() + " in " + arms + "esac"

    def _pattern(self) -> str:
        return self._random.choice(["a", "*", "a|b", '"x y"', "$v", "a*", "[ab]", "?|'('"])

    def _test(self) -> str:
        return self._random.choice(
            [
                "[[ -f x ]]",
                '[[ $v == a* && -n "$w" ]]',
                "[[ ! ( a < b || -z $e ) ]]",
                "[[ $v =~ ^(a|b\\ c)+$ ]]",
                "(( 1 + (2 * 3) ))",
                "(( v > 0 ))",
                '[[ "$(a x)" = y ]]',
            ]
        )

    def _function(self) -> str:
        return self._random.choice(["f() ", "f () ", "function f ", "f()\n"]) + "{ " + self._inner() + "}"

    def _tail(self) -> str:
        return self._random.choice(["", "", "", " >.o", " 2>&1", " <<<w"])

    def simple(self) -> str:
        made = "".join(
            f"q{self._random.choice(['=', '+='])}{self._value()} "
            for _ in range(self._random.choice([0, 0, 0, 1, 2]))
        )
        pieces = [
            self.word() if not self._chance(0.15) else self._redirect()
            for _ in range(self._random.randint(0, 4))
        ]
        pieces.insert(0, self._random.choice(_NAMES))
        return made + self._blank().join(pieces)

    def _blank(self) -> str:
        return self._random.choice([" ", " ", " ", "\t", "  ", " \\\n  "])

    def _redirect(self) -> str:
        if self._chance(0.35) and self._depth <= 4:
            return self._heredoc()
        return self._random.choice(
            [
                ">.o",
                "> .o",
                "2>&1",
                ">>.o",
                "2>/dev/null",
                "</dev/null",
                "&>.o",
                "<<<" + self._piece(),
                ">&2",
                "3<&-",
                "2>>.o",
                "{fd}>.o",
            ]
        )

    def _heredoc(self) -> str:
        end = self._random.choice(["E", "EOF", "X_1"])
        dash = self._random.choice(["", "-"])
        written = self._random.choice([end, "'" + end + "'", '"' + end + '"', "\\" + end])
        lines = "".join(self._body_line(written == end) for _ in range(self._random.randint(0, 3)))
        self._heredocs.append(lines + ("\t" if dash else "") + end + "\n")
        return "<<" + dash + self._random.choice(["", " "]) + written

    def _body_line(self, expanded: bool) -> str:
        plain = [
            "text\n",
            "\tx 'y\n",
            "it's\n",
            '"\n',
            "a # b\n",
            "\\$(no)\n",
            "$v ${w}\n",
            "E E\n",
            "a\\\nb\n",
        ]
        lively = ["$(b1 in)\n", "`cc`\n", '$((1+2)) "$(a b)"\n', "${e:-$(b1)}\n"]
        return self._random.choice(plain + (lively if expanded else ["$(b1 no)\n", "`no\n"]))

    def _value(self) -> str:
        return self._random.choice(["", self.word()])

    def word(self) -> str:
        return "".join(self._piece() for _ in range(self._random.choice([1, 1, 1, 2, 3])))

    def _piece(self) -> str:
        return self._one(
            self._plain, self._plain, self._plain, self._single, self._double, self._double, self._escaped, self._ansi, self._name, self._substitution, self._braces, self._glob, self._arithmetic, self._parameter,
        )  # fmt: skip

    def _plain(self) -> str:
        return self._random.choice(_PLAIN)

    def _junk(self, without: str) -> str:
        return "".join(
            c for c in self._random.choices(_CHARS, k=self._random.randint(0, 6)) if c not in without
        )

    def _single(self) -> str:
        return "'" + self._junk("'") + "'"

    def _escaped(self) -> str:
        return "\\" + self._random.choice(_CHARS)

    def _double(self) -> str:
        makers = (
            lambda: self._junk('$`"\\'),
            self._escaped,
            self._name,
            self._substitution,
            self._arithmetic,
            self._parameter,
        )
        return '"' + "".join(self._one(*makers) for _ in range(self._random.randint(0, 3))) + '"'

    def _ansi(self) -> str:
        return (
            "$'"
            + "".join(
                self._random.choice(
                    ["a", " ", "\\n", "\\t", "\\x41", "\\'", '\\"', "\\\\", "\\101", "\\u0041", "$(x)", '"']
                )
                for _ in range(self._random.randint(0, 4))
            )
            + "'"
        )

    def _name(self) -> str:
        return self._random.choice(["$v", "${v}", "$w", "$e", "$?", "$$", "$#", "$@", "$1", "$ "]).strip()

    def _substitution(self) -> str:
        if self._depth > 4:
            return "$v"
        made = self._inner()
        if "`" not in made and "\\" not in made and '"' not in made and self._chance(0.3):
            return "`" + made + "`"
        return "$( " + made + ")"

    def _braces(self) -> str:
        return self._random.choice(
            [
                "{a,b}",
                "{a,b{c,d}}",
                "{1..3}",
                "{a..c}",
                "{,x}",
                "{a,'b c'}",
                "{a}",
                "x{}",
                "{a,$v}",
                "{1..5..2}",
                '{"a,b",c}',
            ]
        )

    def _glob(self) -> str:
        return self._random.choice(["*", "?", "[ab]", "*.x", "[!a-c]*"])

    def _arithmetic(self) -> str:
        return self._random.choice(["$((1+2))", "$(( (v) * 2 ))", "$[1+1]", "$(( $(a 1) + 1 ))"])

    def _parameter(self) -> str:
        return self._random.choice(
            [
                "${v:-x}",
                "${e:-a b}",
                "${e:-$(a y)}",
                "${v#a*}",
                "${v%%x}",
                "${v/a/b}",
                "${v:1}",
                "${v:1:2}",
                "${#v}",
                "${v^^}",
                "${!v}",
                "${v:+y}",
                "${e:-'a'}",
                '${e:-"b c"}',
                "${v@Q}",
            ]
        )
