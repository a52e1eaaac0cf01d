"""Programs that make, move, copy, change and remove files."""

from ringfence.shell.facts import DELETE, KNOWN, PATTERN, READ, WRITE, Value
from ringfence.shell.options import Parsed, Table, known, value_of
from ringfence.shell.programs.critical import guard
from ringfence.shell.programs.draft import OPTION, Draft

_CP = Table(
    {
        "": """a archive attributes-only b B c copy-contents d f force F i interactive H l link L dereference
        n no-clobber P no-dereference p parents remove-destination s strip-trailing-slashes symbolic-link
        T no-target-directory u update v verbose x one-file-system X Z debug keep-directory-symlink help
        version
        exchange no-copy""",
        "tree": "R r recursive",
        "data=": "no-preserve sparse S suffix",
        "data?=": "backup preserve reflink context update",
        "target=": "t target-directory",
    },
    risky=True,
)

_LN = Table(
    {
        "": """b d F directory f force h i interactive L logical n no-dereference P physical r relative s
        symbolic T no-target-directory v verbose w help version""",
        "data=": "S suffix",
        "data?=": "backup",
        "target=": "t target-directory",
    },
    risky=True,
)

_INSTALL = Table(
    {
        "": """b c C compare D p preserve-timestamps s strip T no-target-directory v verbose
        preserve-context Z help version debug""",
        "make": "d directory",
        "data=": "g group m mode o owner S suffix",
        "data?=": "backup context",
        "run=": "strip-program",
        "target=": "t target-directory",
    },
)

_RM = Table(
    {
        "": """f force i I one-file-system no-preserve-root d dir P v verbose W x help version""",
        "tree": "r R recursive",
        "data?=": "interactive preserve-root",
    },
    operands="delete",
    risky=False,
)

_RMDIR = Table({"": "ignore-fail-on-non-empty p parents v verbose help version"}, operands="delete")

_MKDIR = Table(
    {"": "p parents v verbose Z help version", "data=": "m mode", "data?=": "context"},
    operands="out",
    risky=False,
)

_MKTEMP = Table(
    {"": "d directory u dry-run q quiet t help version", "data=": "suffix", "out?=": "p tmpdir"},
    operands="out",
    risky=False,
)

_TOUCH = Table(
    {
        "": "a c no-create f h no-dereference m help version",
        "data=": "d date t time A",
        "read=": "r reference",
    },
    operands="out",
    risky=False,
)

_TRUNCATE = Table(
    {"": "c no-create o io-blocks help version", "data=": "s size", "read=": "r reference"},
    operands="out",
    risky=False,
)

_SHRED = Table(
    {
        "": "f force u v verbose x exact z zero help version",
        "data=": "n iterations s size",
        "data?=": "remove",
        "read=": "random-source",
    },
    operands="delete",
    risky=False,
)

_TEE = Table(
    {"": "a append i ignore-interrupts p help version", "data?=": "output-error"}, operands="out", risky=False
)

_CHANGE_MODE = Table(
    {
        "": """c changes f silent quiet v verbose no-preserve-root preserve-root dereference h no-dereference
        H L P E C N x help version""",
        "tree": "R recursive",
        "data=": "from",
        "reference=": "reference",
    },
    risky=True,
)

_SPLIT = Table(
    {
        "": "d x e elide-empty-files u unbuffered verbose help version",
        "data=": "a suffix-length additional-suffix b bytes C line-bytes l lines n number t separator p",
        "data?=": "numeric-suffixes hex-suffixes",
        "run=": "filter",
    },
    numbers=True,
)

_CSPLIT = Table(
    {
        "": "k keep-files suppress-matched s quiet silent z elide-empty-files help version",
        "data=": "b suffix-format n digits",
        "prefix=": "f prefix",
    },
    risky=True,
)

_PATCH = Table(
    {
        "": """l ignore-whitespace c context e ed n normal u unified N forward R reverse merge E
        remove-empty-files Z set-utc T set-time b backup backup-if-mismatch no-backup-if-mismatch t batch
        f force s quiet silent verbose dry-run posix binary v version help follow-symlinks C check""",
        "data=": """p strip F fuzz D ifdef quoting-style V version-control B prefix Y basename-prefix z suffix
        g get reject-format read-only x debug""",
        "read=": "i input",
        "write=": "o output r reject-file",
        "folder=": "d directory",
    },
    numbers=True,
)

_LINK = Table({"": "help version"}, risky=True)
_UNLINK = Table({"": "help version"}, operands="delete", risky=False)
_MKFIFO = Table({"": "Z help version", "data=": "m mode", "data?=": "context"}, risky=True)


def _destination(draft: Draft, parsed: Parsed, *, tree: bool = False) -> list[Value]:
    """Split operands into sources, returned, and where they go, noted."""
    targets = parsed.values("target")
    sources = parsed.operands
    if not targets and len(sources) > 1:
        targets, sources = sources[-1:], sources[:-1]
    for target in targets:
        draft.write(target, tree=tree)
        for source in sources:
            inside = _inside(target, source)
            if inside is not None:
                draft.write(inside, tree=tree)
    return list(sources)


def _inside(target: Value, source: Value) -> Value | None:
    """Return where a source lands if the target is a folder: `cp x/config .git` writes `.git/config`."""
    if target.certainty != KNOWN or source.certainty != KNOWN:
        return None
    name = source.text.rstrip("/").rpartition("/")[2]
    return known(f"{target.text.rstrip('/') or ''}/{name}", target) if name not in {"", ".", ".."} else None


def _copy(draft: Draft) -> None:
    parsed = draft.apply(_CP)
    tree = "tree" in parsed.roles() or parsed.has("a", "archive")
    sources = _destination(draft, parsed, tree=tree)
    draft.each(sources, "read", tree=tree)
    if parsed.has("l", "link", "s", "symbolic-link"):
        draft.each(sources, "out")


def _move(draft: Draft) -> None:
    parsed = draft.apply(_CP)
    sources = _destination(draft, parsed, tree=True)
    for source in sources:
        draft.read(source, tree=True)
        draft.touch(DELETE, source, tree=True)
    guard(draft, sources, "moves")


def _ln(draft: Draft) -> None:
    """Read `ln`: both ends count, since what is written through the link is written to its target."""
    parsed = draft.apply(_LN)
    operands = parsed.operands
    targets = parsed.values("target")
    for source in operands if targets or len(operands) == 1 else operands[:-1]:
        draft.read(source)
        draft.write(source)
    if not targets and len(operands) == 1:
        name = operands[0].text.rstrip("/").rpartition("/")[2]
        draft.write(known(name or ".", operands[0]) if operands[0].certainty == KNOWN else operands[0])
    _destination(draft, parsed)


def _install(draft: Draft) -> None:
    parsed = draft.apply(_INSTALL)
    if "make" in parsed.roles():
        draft.each(parsed.operands, "out")
        return
    draft.each(_destination(draft, parsed), "read")


def _rm(draft: Draft) -> None:
    parsed = draft.apply(_RM)
    guard(draft, parsed.operands, "removes")


def _rmdir(draft: Draft) -> None:
    guard(draft, draft.apply(_RMDIR).operands, "removes")


def _change_mode(draft: Draft) -> None:
    """Read `chmod`, `chown`, `chgrp`, `chflags`, `setfacl`: a mode such as `-w` looks like an option."""
    parsed = draft.apply(_CHANGE_MODE)
    tree = "tree" in parsed.roles()
    operands = list(parsed.operands)
    references = parsed.values("reference")
    draft.each(references, "read")
    mode_was_an_option = draft.program == "chmod" and any(
        set(word.text[1:]) <= set("rwxXstugo,-+=") for word in parsed.strange
    )
    if not references and not mode_was_an_option:
        operands = operands[1:]
    for path in operands:
        draft.write(path, tree=tree)
    if tree:
        guard(draft, operands, "changes everything in")


def _dd(draft: Draft) -> None:
    for word in draft.arguments:
        if word.certainty != KNOWN:
            draft.uncertain(word)
        name, _, value = word.text.partition("=")
        path = Value(text=value, certainty=word.certainty, span=word.span)
        if name == "if":
            draft.read(path)
        elif name == "of":
            draft.write(path)
            if value.startswith("/dev/") and value not in {"/dev/null", "/dev/stdout", "/dev/stderr"}:
                draft.finding("system-change", "writes to a device", word)


def _split(draft: Draft) -> None:
    parsed = draft.apply(_SPLIT)
    draft.each(parsed.operands[:1], "read")
    draft.write(
        _begins(parsed.operands[1] if len(parsed.operands) > 1 else value_of("x", draft.invocation.span))
    )


def _begins(value: Value) -> Value:
    """Return the pattern of all names that begin with a word."""
    if value.certainty != KNOWN:
        return value
    escaped = "".join(f"\\{char}" if char in "*?[]\\" else char for char in value.text)
    return value_of(escaped + "*", value.span, PATTERN)


def _csplit(draft: Draft) -> None:
    parsed = draft.apply(_CSPLIT)
    draft.each(parsed.operands[:1], "read")
    prefixes = parsed.values("prefix") or [value_of("xx", draft.invocation.span)]
    for value in prefixes:
        draft.write(_begins(value), OPTION)


def _patch(draft: Draft) -> None:
    """Read `patch`: what it changes stands in the patch, or in its first operand."""
    parsed = draft.apply(_PATCH)
    draft.each(parsed.operands[:1], "out")
    draft.each(parsed.operands[1:], "read")
    for value in parsed.values("folder"):
        draft.touch(WRITE, value, OPTION, tree=True)
    if parsed.has("e", "ed"):
        draft.finding("editor-command", "runs `ed` on scripts that the patch holds")
    draft.here(WRITE, tree=True)


def _link(draft: Draft) -> None:
    for value in draft.apply(_LINK).operands:
        draft.read(value)
        draft.write(value)


def _mkfifo(draft: Draft) -> None:
    parsed = draft.apply(_MKFIFO)
    operands = parsed.operands
    if draft.program == "mknod":
        draft.finding("system-change", "makes a device")
        operands = operands[:1]
    draft.each(operands, "out")


def _rename(draft: Draft) -> None:
    """Read the two programs called `rename`: one takes Perl code."""
    draft.complete = False
    draft.finding("interpreter-code", "may take its expression for Perl code")
    for value in draft.arguments:
        if not value.text.startswith("-"):
            draft.touch(READ, value)
            draft.write(value)


PROGRAMS = {
    **dict.fromkeys(("cp", "gcp"), _copy),
    "mv": _move,
    "ln": _ln,
    "install": _install,
    "rm": _rm,
    "grm": _rm,
    "rmdir": _rmdir,
    **dict.fromkeys(("trash", "trash-put", "srm"), _rm),
    "unlink": _UNLINK,
    "link": _link,
    "mkdir": _MKDIR,
    "mktemp": _MKTEMP,
    "mkfifo": _mkfifo,
    "mknod": _mkfifo,
    "touch": _TOUCH,
    "truncate": _TRUNCATE,
    "shred": _SHRED,
    "tee": _TEE,
    "sponge": _TEE,
    **dict.fromkeys(("chmod", "chown", "chgrp"), _change_mode),
    "dd": _dd,
    "split": _split,
    "csplit": _csplit,
    "patch": _patch,
    **dict.fromkeys(("rename", "prename", "mmv"), _rename),
}
