"""Compilers, linkers, converters and tools of networks: what they write, and what they load or start."""

from ringfence.shell.facts import KNOWN
from ringfence.shell.options import Table, part
from ringfence.shell.programs.draft import OPTION, Draft

_COMPILER = Table(
    {
        "": """c S E v w g pipe ansi pedantic static shared pthread nostdlib rdynamic s r M MM MG MP MD
        MMD P C H
        save-temps time Werror Wall Wextra help version verbose dumpversion dumpmachine""",
        "data=": """D U l x std march mtune mcpu target arch O W f m isysroot sysroot Xpreprocessor MT MQ
        param
        z u h e T-x soname rpath rpath-link dynamic-linker framework Wl Wa Wp""",
        "folder=": "I L isystem iquote idirafter iprefix F",
        "read=": "include imacros T script version-script",
        "out=": "o MF Map dumpdir",
        "risk:option-runs-program=": """wrapper B specs fplugin plugin plugin-opt Xlinker Xclang load fuse-ld
        load-pass-plugin fpass-plugin ccc-gcc-name print-x""",
    },
    single=True,
    risky=True,
)
_RUSTC = Table(
    {
        "": "g O v verbose V version h help test",
        "data=": """crate-type crate-name edition emit print cfg A allow W warn D deny F forbid codegen target
        l explain error-format color cap-lints json""",
        "folder=": "L",
        "out=": "o out-dir",
        "risk:option-runs-program=": "C codegen Z sysroot extern",
    },
    risky=True,
)
_PACKETS = Table(
    {
        "": "A b d D e f H I J K l L n N O p q S t u U v x X # help version Q-x",
        "data=": "B c C G i j m-x M s T y W Q immediate-mode number time-stamp-precision Y a R k o E 2",
        "read=": "r F V m",
        "write=": "w",
        "run=": "z",
        "risk:privilege=": "Z",
    },
    risky=True,
)
_NMAP = Table(
    {
        "": """n R F r O A v d h V 6 open reason packet-trace iflist privileged unprivileged sn sS sT sU sV
        sC Pn""",
        "data=": """p T e g S D top-ports exclude max-rate min-rate max-retries host-timeout ttl
        dns-servers s P""",
        "write=": "oN oX oS oG oA log-errors",
        "read=": "iL excludefile",
        "risk:option-runs-program=": """script script-args script-args-file datadir servicedb resume
        stylesheet""",
    },
    operands="host",
    risky=True,
    single=True,
)
_DAEMON = Table(
    {
        "": """S K start stop T status b background m make-pidfile o oknodo t test q quiet v verbose C
        no-close V H""",
        "data=": """n name u user g group s signal R retry N nicelevel P procsched I iosched k umask c
        chuid pid ppid""",
        "folder=": "r chroot d chdir",
        "out=": "p pidfile O output",
        "program=": "x exec a startas",
    },
    permute=False,
    risky=True,
)
_CONVERTER = Table(
    {
        "data=": """f from t to r read w write V variable M metadata toc-depth columns wrap highlight-style
        pdf-engine-x shift-heading-level-by""",
        "": "s standalone toc number-sections v verbose h help version",
        "read=": """template c css H include-in-header B include-before-body A include-after-body
        bibliography csl""",
        "out=": "o output extract-media",
        "run=": "F filter L lua-filter pdf-engine",
        "risk:unseen-instructions=": """d defaults data-dir metadata-file reference-doc abbreviations
        syntax-definition""",
    },
    operands="read",
    risky=True,
)
_LOADED = ("-fplugin", "-specs", "--specs", "-B", "-wrapper", "--wrapper", "-fuse-ld=", "-plugin", "--plugin")


def _compiler(draft: Draft) -> None:
    """Read a compiler or linker: `@file` holds more options."""
    for word in draft.arguments:
        if word.text.startswith("@") and len(word.text) > 1:
            draft.read(part(word, 1), OPTION)
            draft.finding("unseen-instructions", "", word)
        elif word.text.startswith(_LOADED):
            draft.finding("option-runs-program", "", word)
    words = [word for word in draft.arguments if not word.text.startswith(("@", *_LOADED))]
    parsed = draft.apply(_COMPILER, words)
    draft.complete = draft.complete and not parsed.strange
    for value in parsed.values("folder"):
        draft.list(value, OPTION)
    draft.each(parsed.operands, "read")
    if not parsed.values("out"):
        draft.here("write")


def _rustc(draft: Draft) -> None:
    parsed = draft.apply(_RUSTC)
    draft.each(parsed.operands, "read")
    if not parsed.values("out"):
        draft.here("write")


def _daemon(draft: Draft) -> None:
    """Read `start-stop-daemon`."""
    parsed = draft.apply(_DAEMON)
    draft.runner = True
    draft.finding("scheduler", "starts something that stays")
    for value in parsed.values("program"):
        draft.run([value, *parsed.operands])


def _tex(draft: Draft) -> None:
    """Read TeX: a document may run programs where it is let, and writes files by its own words."""
    draft.complete = False
    for word in draft.arguments:
        if word.certainty != KNOWN:
            draft.uncertain(word)
        elif word.text.lstrip("-").startswith(
            ("shell-esc", "enable-write18", "lua", "fmt", "cnf-line", "e", "r")
        ):
            draft.finding("option-runs-program", "lets documents run programs, or loads code", word)
        elif "\\" in word.text:
            draft.finding("interpreter-code", "runs TeX that stands in its arguments", word)
        elif not word.text.startswith("-"):
            draft.read(word)
    draft.here("write")


def _media(draft: Draft) -> None:
    """Read converters of pictures and films: the last operand is written, `-i` is read."""
    words = draft.arguments
    for at, word in enumerate(words):
        if word.certainty != KNOWN:
            draft.uncertain(word)
        elif "://" in word.text:
            draft.endpoint(word)
        elif word.text.startswith(("@", "msl:", "ephemeral:", "text:@", "caption:@", "label:@", "|", "mvg:")):
            draft.finding("unseen-instructions", "", word)
            draft.read(part(word, word.text.find("@") + 1))
        elif at == len(words) - 1:
            draft.write(word)
        elif not word.text.startswith("-"):
            draft.read(word)
    draft.complete = False


PROGRAMS = {
    **dict.fromkeys(
        "gcc cc g++ c++ clang clang++ ld gold lld ld.lld ld.gold as cpp gfortran tcc icc emcc".split(),
        _compiler,
    ),
    "rustc": _rustc,
    **dict.fromkeys(("tcpdump", "tshark", "dumpcap"), _PACKETS),
    **dict.fromkeys(("nmap", "masscan"), _NMAP),
    "start-stop-daemon": _daemon,
    "pandoc": _CONVERTER,
    **dict.fromkeys("tex latex pdftex pdflatex xelatex lualatex luatex latexmk".split(), _tex),
    **dict.fromkeys("ffmpeg convert magick mogrify composite montage identify gs ps2pdf".split(), _media),
}
