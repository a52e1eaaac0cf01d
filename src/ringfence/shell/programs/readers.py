"""Programs that read the files they are given and print something about them."""

from ringfence.shell.facts import LIST
from ringfence.shell.options import Table
from ringfence.shell.programs.draft import Draft

_SUM = Table(
    {
        "": """b binary c check tag untagged debug r sysv t text z zero ignore-missing quiet status strict
        w warn help version""",
        "data=": "l length a algorithm",
    },
    operands="read",
)

_CAT = Table(
    {
        "": """A show-all b number-nonblank e E show-ends n number s squeeze-blank t T show-tabs u v l
        show-nonprinting help version""",
    },
    operands="read",
)

_HEAD = Table(
    {"": "q quiet silent v verbose z zero-terminated help version", "data=": "c bytes n lines"},
    operands="read",
    numbers=True,
)

_TAIL = Table(
    {
        "": "f F r q quiet silent retry v verbose z zero-terminated help version b",
        "data=": "c bytes n lines max-unchanged-stats pid s sleep-interval",
        "data?=": "follow",
    },
    operands="read",
    numbers=True,
)

_WC = Table(
    {
        "": "c bytes m chars l lines L max-line-length w words help version debug",
        "data=": "total",
        "risk:unseen-instructions=": "files0-from",
    },
    operands="read",
)

_OD = Table(
    {
        "": "v output-duplicates traditional help version a b c d f i l o s x",
        "data=": "A address-radix endian j skip-bytes N read-bytes t format",
        "data?=": "S strings w width",
    },
    operands="read",
)

_HEXDUMP = Table(
    {
        "": """b one-byte-octal c one-byte-char C canonical d two-bytes-decimal o two-bytes-octal x
        two-bytes-hex v no-squeezing h help V version X one-byte-hex""",
        "data=": "e format n length s skip",
        "read=": "f format-file",
        "data?=": "L color",
    },
    operands="read",
)

_XXD = Table(
    {
        "": """a autoskip b bits C capitalize E EBCDIC e h help i include p ps plain postscript r revert t
        u uppercase v version d decimal""",
        "data=": "c cols g groupsize l len n name o offset R color",
        "data?=": "s seek skip",
    },
    single=True,
    risky=True,
)

_STRINGS = Table(
    {
        "": "a all d data f print-file-name o w include-all-whitespace h help v V version",
        "data=": "n bytes t radix T target e encoding s output-separator U unicode",
    },
    operands="read",
    numbers=True,
)

_BASE = Table(
    {
        "": """d D decode i ignore-garbage help version base64 base64url base32 base32hex base16 base2msbf
        base2lsbf z85""",
        "data=": "w wrap b break",
        "write=": "o output",  # macOS
    },
    operands="read",
)

_DIFF = Table(
    {
        "": """normal q brief s report-identical-files e ed n rcs y side-by-side left-column
        suppress-common-lines p show-c-function t expand-tabs T initial-tab suppress-blank-empty
        no-dereference N new-file unidirectional-new-file ignore-file-name-case P
        no-ignore-file-name-case i ignore-case E ignore-tab-expansion Z ignore-trailing-space b
        ignore-space-change w ignore-all-space B ignore-blank-lines a text strip-trailing-cr d minimal
        speed-large-files help v version c u H""",
        "tree": "r recursive",
        "risk:option-runs-program": "l paginate",  # starts `pr`
        "data=": """W width F show-function-line label L tabsize x exclude I ignore-matching-lines D ifdef
        old-group-format new-group-format unchanged-group-format changed-group-format line-format
        old-line-format new-line-format unchanged-line-format horizon-lines palette C U""",
        "data?=": "context unified color",
        "read=": "X exclude-from S starting-file from-file to-file",
    },
    operands="read",
    numbers=True,
    risky=False,
)

_CMP = Table(
    {"": "b print-bytes l verbose s quiet silent help v version", "data=": "i ignore-initial n bytes"},
    operands="read",
)

_DIFF3 = Table(
    {
        "": """A show-all e ed E show-overlap 3 easy-only x overlap-only X i m merge a text
        strip-trailing-cr T initial-tab help v version""",
        "run=": "diff-program",
        "data=": "L label",
    },
    operands="read",
)

_SDIFF = Table(
    {
        "": """i ignore-case E ignore-tab-expansion Z ignore-trailing-space b ignore-space-change W
        ignore-all-space B ignore-blank-lines strip-trailing-cr a text l left-column s
        suppress-common-lines t expand-tabs d minimal H speed-large-files help v version""",
        "write=": "o output",
        "data=": "I ignore-matching-lines w width tabsize",
        "run=": "diff-program",
    },
    operands="read",
)

_TAC = Table({"": "b before r regex help version", "data=": "s separator"}, operands="read")

_FILE = Table(
    {
        "": """help v version z uncompress Z uncompress-noreport b brief c checking-printout i I mime apple
        extension mime-type mime-encoding k keep-going l list L dereference h no-dereference n no-buffer
        N no-pad 0 print0 p preserve-date r raw s special-files S no-sandbox d debug E""",
        "data=": "e exclude exclude-quiet F separator P parameter",
        "risk:unseen-instructions=": "m magic-file f files-from",
        "risk:option-writes": "C compile",
    },
    operands="read",
    risky=True,
)

_STAT = Table(
    {"": "L dereference f F file-system t terse help version l n q r s x", "data=": "c format printf cached"},
    operands="list",
)

_DU = Table(
    {
        "": """0 null a all apparent-size b bytes c total D dereference-args H h human-readable inodes k L
        dereference l count-links m g P no-dereference S separate-dirs si s summarize x one-file-system
        help version""",
        "data=": "B block-size d max-depth t threshold time-style exclude I",
        "data?=": "time",
        "read=": "X exclude-from",
        "risk:unseen-instructions=": "files0-from",
    },
    operands="list",
    tree=True,
    numbers=True,
)

_DF = Table(
    {
        "": """a all h human-readable H si i inodes k l local m g b n no-sync P portability sync total T
        print-type v help version""",
        "data=": "B block-size t type x exclude-type",
        "data?=": "output",
    },
    operands="list",
)

_READLINK = Table(
    {
        "": """f canonicalize e canonicalize-existing m canonicalize-missing n no-newline q quiet s silent v
        verbose z zero help version E L logical P physical strip no-symlinks""",
        "data=": "relative-to relative-base",
    },
    operands="list",
)

LS = Table(
    {
        "": """a all A almost-all author b escape B ignore-backups c C d directory D dired f file-type
        full-time g group-directories-first G no-group h human-readable si H dereference-command-line
        dereference-command-line-symlink-to-dir i inode k kibibytes l L dereference m n numeric-uid-gid N
        literal o O e q hide-control-chars show-control-chars Q quote-name r reverse s size S t u U v x X
        Z context zero 1 p W @ help version""",
        "tree": "R recursive",
        "data=": """block-size format hide indicator-style I ignore quoting-style sort time time-style T
        tabsize w width""",
        "data?=": "color F classify hyperlink",
    },
    operands="list",
)

_TREE = Table(
    {
        "": """a d l f x R q N Q p u g s h si D F v t c U r n C A S i X J J inodes device dirsfirst
        filesfirst noreport nolinks prune matchdirs metafirst ignore-case caseless fromfile fromtabfile
        gitignore du info hintro houtro version help""",
        "data=": "L P I H T filelimit charset timefmt sort gitfile infofile",
        "write=": "o",
    },
    operands="list",
    tree=True,
    single=False,
)

_MANY_ZIPPED = Table(
    {
        "": "f force l list q quiet t test v verbose c stdout k keep r h help V version d n name L license",
        "data=": "S suffix",
    },
    operands="read",
)
_BAT = Table(
    {
        "": """A show-all p plain n number d diff f force-colorization u unbuffered L list-languages
        list-themes V version h help P no-config""",
        "data=": """l language H highlight-line file-name diff-context tabs wrap terminal-width color
        italic-text decorations paging m map-syntax ignored-suffix theme style r line-range
        nonprintable-notation
        strip-ansi binary S chop-long-lines squeeze-limit squeeze-blank""",
        "risk:option-runs-program=": "pager",
        "risk:option-runs-program": "lessopen diagnostic",
    },
    operands="read",
)


def _xxd(draft: Draft) -> None:
    """Read `xxd [INPUT [OUTPUT]]`."""
    parsed = draft.apply(_XXD)
    for value in parsed.operands[:1]:
        draft.read(value)
    for value in parsed.operands[1:]:
        draft.write(value)


def ls(draft: Draft) -> None:
    """Read `ls`, which lists where it stands if it is told nothing."""
    parsed = draft.apply(LS)
    if not parsed.operands:
        draft.here(LIST, tree="tree" in parsed.roles())


PROGRAMS = {
    **dict.fromkeys(
        """md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum b3sum cksum sum shasum md5
        crc32""".split(),
        _SUM,
    ),
    **dict.fromkeys("cat tac rev".split(), _CAT),
    "tac": _TAC,
    "head": _HEAD,
    "tail": _TAIL,
    "wc": _WC,
    "od": _OD,
    **dict.fromkeys("hexdump hd".split(), _HEXDUMP),
    "xxd": _xxd,
    "strings": _STRINGS,
    **dict.fromkeys("base64 base32 basenc".split(), _BASE),
    **dict.fromkeys("diff colordiff".split(), _DIFF),
    "cmp": _CMP,
    "diff3": _DIFF3,
    "sdiff": _SDIFF,
    "file": _FILE,
    "stat": _STAT,
    "du": _DU,
    "df": _DF,
    **dict.fromkeys("readlink realpath".split(), _READLINK),
    **dict.fromkeys("ls dir vdir gls".split(), ls),
    "tree": _TREE,
    **dict.fromkeys("zcmp zdiff bzdiff xzdiff".split(), _MANY_ZIPPED),
    **dict.fromkeys("bat batcat".split(), _BAT),
}
