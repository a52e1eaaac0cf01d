"""`awk` in its versions: options, program, files."""

from ringfence.shell.facts import KNOWN, Value
from ringfence.shell.options import Table, known
from ringfence.shell.programs.awkscript import read
from ringfence.shell.programs.draft import OPTION, Draft

_AWK = Table(
    {
        "": """b characters-as-bytes c traditional C copyright h help g gen-pot I trace k csv M bignum N
        use-lc-numeric n non-decimal-data O optimize P posix r re-interval s no-optimize S sandbox t
        lint-old V version version""",
        "data=": "F field-separator v assign",
        "data?=": "L lint W",
        "program=": "e source",
        "program-file=": "f file E exec",
        "load=": "i include l load",
        "writes?=": "d dump-variables o pretty-print p profile",
        "risk:awk-program?=": "D debug",
    },
    permute=False,
    closed=True,
)


def _awk(draft: Draft) -> None:
    parsed = draft.apply(_AWK)
    operands = parsed.operands
    programs = parsed.values("program")
    files = parsed.values("program-file")
    for value in (*files, *parsed.values("load")):
        draft.read(value, OPTION)
        draft.finding("awk-program", "takes its program from a file, which may do anything", value)
    for one in parsed.given:
        if one.role == "writes":
            draft.finding("option-writes", "", one.word)
            draft.write(one.value or known("awkvars.out", one.word), OPTION)
        if one.name == "W":
            draft.finding("awk-program", "is given an option of its own kind", one.word)
    if not programs and not files:
        programs, operands = operands[:1], operands[1:]
    for value in programs:
        _program(draft, value)
    for value in operands:
        name, equals, _ = value.text.partition("=")
        if not (equals and name.isidentifier() and value.certainty == KNOWN):
            draft.read(value)


def _program(draft: Draft, value: Value) -> None:
    if value.certainty != KNOWN:
        draft.uncertain(value)
        return
    program = read(value.text)
    for name in program.reads:
        draft.read(known(name, value))
    for name in program.writes:
        draft.write(known(name, value))
    for text in program.runs:
        draft.scripts.append(known(text, value))
    for reason in program.reasons:
        draft.finding("awk-program", f"has a program that {reason}", value)


PROGRAMS = {**dict.fromkeys(("awk", "gawk", "mawk", "nawk", "original-awk", "goawk", "igawk"), _awk)}
