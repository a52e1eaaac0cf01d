"""Programs that look for text in files: `grep` and its faster kin."""

from ringfence.shell.facts import READ
from ringfence.shell.options import Parsed, Table
from ringfence.shell.programs.draft import OPTION, Draft

_GREP = Table(
    {
        "": """E extended-regexp F fixed-strings G basic-regexp P perl-regexp i ignore-case no-ignore-case y
        w word-regexp x line-regexp z null-data s no-messages v invert-match V version help b byte-offset
        n line-number line-buffered H with-filename h no-filename o only-matching q quiet silent a text I L
        files-without-match l files-with-matches c count T initial-tab Z null no-group-separator U binary u
        unix-byte-offsets O S p J M""",
        "tree": "r recursive R dereference-recursive",
        "pattern=": "e regexp",
        "patterns=": "f file",
        "data=": """m max-count label binary-files d directories D devices include exclude exclude-dir B
        before-context A after-context C context group-separator include-dir""",
        "read=": "exclude-from",
        "data?=": "color colour",
        "search-zip": "decompress",
    },
    numbers=True,
    closed=True,
    risky=False,
)

_RG = Table(
    {
        "": """auto-hybrid-regex no-auto-hybrid-regex binary no-binary block-buffered no-block-buffered b
        byte-offset no-byte-offset s case-sensitive column no-column c count count-matches crlf no-crlf debug
        files l files-with-matches files-without-match F fixed-strings no-fixed-strings L follow no-follow
        glob-case-insensitive no-glob-case-insensitive h help heading no-heading hidden no-hidden i
        ignore-case ignore-file-case-insensitive no-ignore-file-case-insensitive include-zero v invert-match
        no-invert-match json no-json line-buffered no-line-buffered n line-number x line-regexp
        max-columns-preview no-max-columns-preview mmap U multiline no-multiline multiline-dotall
        no-multiline-dotall no-config I no-filename no-ignore ignore no-ignore-dot ignore-dot
        no-ignore-exclude ignore-exclude no-ignore-files ignore-files no-ignore-global ignore-global
        no-ignore-messages ignore-messages no-ignore-parent ignore-parent no-ignore-vcs ignore-vcs N
        no-line-number no-messages messages no-mmap no-pcre2-unicode pcre2-unicode no-require-git require-git
        no-unicode unicode 0 null null-data one-file-system no-one-file-system o only-matching passthru
        passthrough P pcre2 no-pcre2 pcre2-version p pretty q quiet S smart-case stats no-stats a text
        no-text trim no-trim type-list u unrestricted V version vimgrep H with-filename w word-regexp
        no-encoding no-pre no-search-zip no-sort-files sort-files trace no-hyperlink-format
        no-context-separator""",
        "data=": """A after-context B before-context color colors C context context-separator dfa-size-limit
        E encoding engine field-context-separator field-match-separator g glob iglob M max-columns m
        max-count d max-depth maxdepth max-filesize path-separator pre-glob regex-size-limit r replace sort
        sortr j threads t type type-add type-clear T type-not hyperlink-format stop-on-nonmatch""",
        "generate=": "generate",
        "pattern=": "e regexp",
        "patterns=": "f file",
        "read=": "ignore-file",
        "run=": "pre hostname-bin",
        # starts gzip, bzip2, xz, … from PATH
        "risk:option-runs-program": "z search-zip",
    },
    tree=True,
    closed=True,
)

_AG = Table(
    {
        "": """ackmate affinity no-affinity a all-types all-text t D debug c count color nocolor column f
        follow nofollow filename nofilename F fixed-strings group nogroup g h help heading noheading hidden
        H i ignore-case l files-with-matches L files-without-matches list-file-types Q literal m max-count
        multiline nomultiline n norecurse numbers nonumbers one-device o only-matching parallel passthrough
        passthru print-all-files print-long-lines R r recurse S smart-case s case-sensitive stats
        stats-only silent u unrestricted U skip-vcs-ignores v invert-match V version w word-regexp vimgrep
        0 null print0 py js html""",
        "data=": """A after B before C context color-line-number color-match color-path depth G
        file-search-regex ignore ignore-dir m max-count W width workers mmap""",
        "read=": "p path-to-ignore",
        "run=": "pager",
        "risk:option-runs-program": "z search-zip",
    },
    tree=True,
)

_ACK = Table(
    {
        "": """i ignore-case no-ignore-case I S smart-case no-smart-case v invert-match w word-regexp Q
        literal l files-with-matches L files-without-matches o only-matching h no-filename H with-filename
        c count column nocolumn group nogroup color nocolor colour nocolour f g heading noheading break
        nobreak passthru print0 s sort-files show-types n no-recurse R r recurse follow nofollow k
        known-types 1 env noenv nofilter filter help man version thpppt bar cathy flush underline
        proximate""",
        "data=": """A after-context B before-context C context m max-count match type t T type-add type-set
        type-del ignore-dir noignore-dir ignore-directory ignore-file color-match color-filename
        color-lineno and or not range-start range-end p""",
        "patterns=": "files-from x",
        "risk:interpreter-code=": "output",  # a Perl expression
        "risk:unseen-instructions=": "ackrc",
        "run=": "pager",
    },
    tree=True,
)

_FD = Table(
    {
        "": """H hidden I no-ignore u unrestricted s case-sensitive i ignore-case F fixed-strings g glob a
        absolute-path l list-details L follow p full-path 0 print0 h help V version 1 q quiet
        show-errors no-ignore-vcs no-ignore-parent one-file-system strip-cwd-prefix prune regex""",
        "data=": """d max-depth min-depth exact-depth t type e extension S size changed-within
        changed-before newer older o owner c color j threads E exclude max-results max-buffer-time
        path-separator and max-one-result format hyperlink""",
        "list=": "search-path base-directory C",
        "read=": "ignore-file",
    },
    tree=True,
    risky=True,
)


def _operands(draft: Draft, parsed: Parsed, *, tree: bool, here: bool) -> None:
    """Note what is searched: operands behind the pattern, or the working directory."""
    for value in parsed.values("patterns"):
        draft.read(value, OPTION)
    files = parsed.operands
    if not {"pattern", "patterns"} & parsed.roles() and not parsed.has("files", "type-list"):
        for pattern in files[:1]:
            if pattern.certainty != "known":
                draft.uncertain(pattern)
        files = files[1:]
    for value in files:
        draft.read(value, tree=tree)
    if here and not files:
        draft.here(READ, tree=tree)


def _grep(draft: Draft) -> None:
    parsed = draft.apply(_GREP)
    for value in parsed.unsure:
        draft.uncertain(value)
    tree = "tree" in parsed.roles() or draft.program == "rgrep"
    if any(value.text == "recurse" for value in parsed.values("data")):
        tree = True
    _operands(draft, parsed, tree=tree, here=tree)


def _rg(draft: Draft) -> None:
    parsed = draft.apply(_RG)
    if parsed.has("type-list", "version", "help", "V", "h"):
        return
    _operands(draft, parsed, tree=True, here=True)


def _ag(draft: Draft) -> None:
    parsed = draft.apply(_AG)
    _operands(draft, parsed, tree=True, here=True)


def _ack(draft: Draft) -> None:
    parsed = draft.apply(_ACK)
    if parsed.has("match"):
        draft.each(parsed.operands, "read", tree=True)
        return
    _operands(draft, parsed, tree=True, here=True)


def _fd(draft: Draft) -> None:
    """Read `fd`: all that follows `-x` or `-X` is a command."""
    words = draft.arguments
    for at, word in enumerate(words):
        if word.text in {"-x", "-X", "--exec", "--exec-batch"} or word.text.startswith(
            ("--exec=", "--exec-batch=")
        ):
            draft.finding("find-action", "runs a command for what it finds", word)
            draft.runner = True
            draft.run(words[at + 1 :])
            words = words[:at]
            break
    parsed = draft.apply(_FD, words)
    draft.each(parsed.operands[1:], "list", tree=True)
    if len(parsed.operands) < 2:
        draft.here("list", tree=True)


PROGRAMS = {
    **dict.fromkeys(("grep", "egrep", "fgrep", "rgrep", "zgrep", "bzgrep", "xzgrep", "ggrep"), _grep),
    "rg": _rg,
    "ag": _ag,
    "ack": _ack,
    **dict.fromkeys(("fd", "fdfind"), _fd),
}
