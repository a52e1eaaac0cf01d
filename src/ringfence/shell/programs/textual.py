"""Programs that sort, cut, join and reshape lines of text."""

from ringfence.shell.facts import KNOWN, WRITE, Value
from ringfence.shell.options import Table
from ringfence.shell.programs.draft import Draft

_NL = Table(
    {
        "": "p no-renumber help version",
        "data=": """b body-numbering d section-delimiter f footer-numbering h header-numbering i
        line-increment
        l join-blank-lines n number-format s number-separator v starting-line-number w number-width""",
    },
    operands="read",
)

_CUT = Table(
    {
        "": "n complement s only-delimited z zero-terminated help version M w",
        "data=": "b bytes c characters d delimiter f fields output-delimiter",
    },
    operands="read",
)

_UNIQ = Table(
    {
        "": "c count d repeated D i ignore-case u unique z zero-terminated help version",
        "data=": "f skip-fields s skip-chars w check-chars",
        "data?=": "all-repeated group",
    },
    numbers=True,
    risky=True,
)

_COMM = Table(
    {
        "": "1 2 3 check-order nocheck-order total z zero-terminated help version i",
        "data=": "output-delimiter",
    },
    operands="read",
)

_JOIN = Table(
    {
        "": "i ignore-case check-order nocheck-order header z zero-terminated help version",
        "data=": "a e j o t v 1 2",
    },
    operands="read",
)

_PASTE = Table({"": "s serial z zero-terminated help version", "data=": "d delimiters"}, operands="read")

_FOLD = Table({"": "b bytes s spaces c help version", "data=": "w width"}, operands="read", numbers=True)

_FMT = Table(
    {
        "": "c crown-margin s split-only t tagged-paragraph u uniform-spacing help version",
        "data=": "p prefix w width g goal",
    },
    operands="read",
    numbers=True,
)

_PR = Table(
    {
        "": """a across c show-control-chars d double-space F f form-feed J join-lines m merge r
        no-file-warnings t omit-header T omit-pagination v show-nonprinting help version""",
        "data=": """C columns D date-format h header l length N first-line-number o indent w width W
        page-width""",
        "data?=": "e expand-tabs i output-tabs n number-lines s separator S sep-string pages",
    },
    operands="read",
    numbers=True,
)

_EXPAND = Table(
    {"": "i initial a all first-only help version", "data=": "t tabs"}, operands="read", numbers=True
)

_COLUMN = Table(
    {
        "": """t table e table-header-repeat d table-noheadings J json L keep-empty-lines x fillrows h help
        V version m table-maxout""",
        "data=": """c output-width s separator o output-separator N table-columns H table-hide R table-right
        T table-truncate E table-noextreme W table-wrap O table-order n table-name C table-column
        l table-columns-limit i tree-id p tree-parent r tree S use-spaces""",
    },
    operands="read",
)

_JQ = Table(
    {
        "": """c compact-output e exit-status n null-input s slurp r raw-output R raw-input C color-output M
        monochrome-output S sort-keys tab j join-output a ascii-output seq stream stream-errors unbuffered
        h help V version b binary raw-output0""",
        "data=": "indent",
        "folder=": "L",
        "script-file=": "f from-file",
        "pair": "arg argjson slurpfile rawfile argfile",
        "args": "args jsonargs",
    },
    risky=True,
)

_SHUF = Table(
    {
        "": "e echo r repeat z zero-terminated help version",
        "data=": "i input-range n head-count",
        "write=": "o output",
        "read=": "random-source",
    },
)

_ICONV = Table(
    {
        "": "l list c s silent verbose ? help usage V version",
        "data=": "f from-code t to-code",
        "write=": "o output",
    },
    operands="read",
)

_SORT = Table(
    {
        "": """b ignore-leading-blanks d dictionary-order f ignore-case g general-numeric-sort i
        ignore-nonprinting M month-sort h human-numeric-sort n numeric-sort R random-sort r reverse V
        version-sort debug m merge s stable u unique z zero-terminated help version c C""",
        "data=": "sort batch-size k key S buffer-size t field-separator parallel",
        "data?=": "check",
        "read=": "random-source",
        "risk:unseen-instructions=": "files0-from",
        "write=": "o output",
        "scratch=": "T temporary-directory",
        "run=": "compress-program",
    },
    operands="read",
    closed=True,
)

_TSORT = Table({"": "help version"}, operands="read")


def _uniq(draft: Draft) -> None:
    """Read `uniq [INPUT [OUTPUT]]`."""
    parsed = draft.apply(_UNIQ)
    for value in parsed.operands[:1]:
        draft.read(value)
    for value in parsed.operands[1:]:
        draft.finding("option-writes", "writes its second operand", value)
        draft.write(value)


def _sort(draft: Draft) -> None:
    parsed = draft.apply(_SORT)
    for value in parsed.values("scratch"):
        draft.touch(WRITE, value, "option")


def _shuf(draft: Draft) -> None:
    parsed = draft.apply(_SHUF)
    if not parsed.has("e", "echo", "i", "input-range"):
        draft.each(parsed.operands, "read")


def _jq(draft: Draft) -> None:
    """Read `jq`: some options take two words, which the table leaves among the operands."""
    words = list(draft.arguments)
    rest = []
    at = 0
    while at < len(words):
        text = words[at].text
        if text in {"--slurpfile", "--rawfile", "--argfile"}:
            draft.each(words[at + 2 : at + 3], "read")
        if text in {"--slurpfile", "--rawfile", "--argfile", "--arg", "--argjson"}:
            at += 3
            continue
        rest.append(words[at])
        at += 1
    parsed = draft.apply(_JQ, rest)
    operands = parsed.operands
    for value in parsed.values("script-file", "folder"):
        draft.read(value, "option")
    if not parsed.values("script-file"):
        for program in operands[:1]:
            _jq_program(draft, program)
        operands = operands[1:]
    if "args" not in parsed.roles():
        draft.each(operands, "read")


def _jq_program(draft: Draft, program: Value) -> None:
    if program.certainty != KNOWN:
        draft.uncertain(program)
    elif "import" in program.text.split() or "include" in program.text.split():
        draft.finding("unseen-instructions", "", program)


PROGRAMS = {
    **dict.fromkeys(("expand", "unexpand"), _EXPAND),
    "column": _COLUMN,
    "comm": _COMM,
    "cut": _CUT,
    "fmt": _FMT,
    "fold": _FOLD,
    "iconv": _ICONV,
    "join": _JOIN,
    "jq": _jq,
    "nl": _NL,
    "paste": _PASTE,
    "pr": _PR,
    "shuf": _shuf,
    "sort": _sort,
    "tsort": _TSORT,
    "uniq": _uniq,
}
