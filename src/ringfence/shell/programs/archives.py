"""Programs that pack, unpack and compress."""

from ringfence.shell.facts import KNOWN, LIST, READ, WRITE, Value
from ringfence.shell.options import Parsed, Table, known
from ringfence.shell.programs.draft import OPTION, Draft

_TAR = Table(
    {
        "": """d diff compare check-device G incremental ignore-failed-read
        no-check-device n seek no-seek S sparse exclude-backups exclude-caches exclude-caches-all
        exclude-caches-under ignore-command-error exclude-vcs
        exclude-vcs-ignores no-null no-recursion no-unquote no-verbatim-files-from null recursion unquote
        verbatim-files-from anchored ignore-case no-anchored no-ignore-case no-wildcards
        no-wildcards-match-slash wildcards wildcards-match-slash keep-directory-symlink keep-newer-files k
        keep-old-files no-overwrite-dir overwrite overwrite-dir recursive-unlink skip-old-files U
        unlink-first W verify no-ignore-command-error O to-stdout clamp-mtime delay-directory-restore m touch
        no-delay-directory-restore no-same-owner no-same-permissions numeric-owner p preserve-permissions
        same-permissions same-owner s preserve-order same-order acls no-acls no-selinux no-xattrs selinux
        xattrs force-local M multi-volume B read-full-records i ignore-zeros old-archive portability posix a
        auto-compress j bzip2 J xz lzip lzma lzop no-auto-compress zstd z gzip gunzip ungzip Z compress
        uncompress hard-dereference h dereference one-file-system absolute-paths full-time l check-links R
        block-number show-defaults show-omitted-dirs show-snapshot-field-ranges show-transformed-names
        show-stored-names utc v verbose w interactive confirmation o ? help usage version options-x""",
        "create": "c create r append u update A catenate concatenate delete",
        "extract": "x extract get",
        "list-names": "t list test-label",
        "removes": "remove-files",
        "absolute": "P absolute-names",
        "data=": """hole-detection level sparse-version exclude exclude-ignore exclude-ignore-recursive
        exclude-tag exclude-tag-all exclude-tag-under group mode mtime owner sort
        xattrs-exclude xattrs-include L tape-length b blocking-factor record-size H format pax-option V
        label K starting-file newer-mtime N newer after-date suffix strip-components transform xform warning
        no-quote-chars quote-chars quoting-style set-mtime-format restrict-x options uid gid uname gname""",
        "data?=": "occurrence atime-preserve backup checkpoint totals",
        "folder=": "C directory",
        "target?=": "one-top-level",
        "archive=": "f file",
        "read=": "T files-from X exclude-from add-file group-map owner-map",
        "write=": "g listed-incremental index-file volno-file",
        "run=": "I use-compress-program F info-script new-volume-script to-command rmt-command rsh-command",
        "checkpoint=": "checkpoint-action",
        "restricted": "restrict",
    },
    risky=True,
    closed=False,
)
_OLD = "AcdrtuxBCFIKLMNOPRSTUVWXZabfghijklmnopsvwz"


def _tar(draft: Draft) -> None:
    parsed = draft.apply(_TAR, _dashed(draft.arguments))
    roles = parsed.roles()
    for value in parsed.values("checkpoint"):
        if not value.text.startswith(("dot", ".", "echo", "bell", "ttyout", "sleep", "totals", "wait")):
            draft.finding("archive-action", "runs something at checkpoints", value)
            draft.scripts.append(known(value.text.partition("=")[2], value))
    if any(name in {"TAPE", "TAR_OPTIONS"} for name, _ in draft.invocation.assignments):
        draft.finding("archive-action", "is given options by its environment")
    if "absolute" in roles and "extract" in roles:
        draft.finding("archive-action", "writes wherever the archive says")
    _folders(draft, parsed)
    archives = parsed.values("archive")
    creates = "create" in roles
    for value in archives:
        _archive(draft, value, WRITE if creates or "removes" in roles else READ)
    if creates:
        draft.each(parsed.operands, "read", tree=True)
        if "removes" in roles:
            for value in parsed.operands:
                draft.touch("delete", value, tree=True)
    elif "extract" in roles and not parsed.has("O", "to-stdout"):
        _extracts(draft, parsed)


def _dashed(words: tuple[Value, ...]) -> list[Value]:
    """Return arguments in the new style: the first word of the old one has no dash, values follow in turn."""
    if not words or words[0].certainty != KNOWN or not words[0].text or words[0].text[0] == "-":
        return list(words)
    letters = words[0].text
    if any(letter not in _OLD for letter in letters):
        return list(words)
    rest = list(words[1:])
    made: list[Value] = []
    for letter in letters:
        made.append(known(f"-{letter}", words[0]))
        option = _TAR.letters().get(letter)
        if option is not None and option.arity == 1 and rest:
            made.append(rest.pop(0))
    return [*made, *rest]


def _archive(draft: Draft, value: Value, kind: str) -> None:
    text = value.text
    if value.certainty == KNOWN and ":" in text.partition("/")[0]:
        draft.endpoint(value)
        draft.finding("option-runs-program", "keeps the archive on another machine", value)
    else:
        draft.touch(kind, value, OPTION)


def _folders(draft: Draft, parsed: Parsed) -> None:
    for value in parsed.values("folder"):
        draft.list(value, OPTION)


def _extracts(draft: Draft, parsed: Parsed) -> None:
    """Note where an archive is unpacked: members may have any name below that."""
    targets = [*parsed.values("folder"), *parsed.values("target")]
    for value in targets:
        draft.write(value, OPTION, tree=True)
    if not targets:
        draft.here(WRITE, tree=True)


_ZIP = Table(
    {
        "": """r recurse-paths q quiet v verbose u update f freshen m move j junk-paths 0 1 2 3 4 5 6 7 8 9 l
        to-crlf c entry-comments z archive-comment e encrypt x-none D no-dir-entries S X no-extra y symlinks o
        latest-time A adjust-sfx J junk-sfx d delete F fix FF T test-x g grow h help L license sf show-files
        DF difference-archive FS filesync @ k p w V""",
        "data=": """x exclude i include n suffixes t from-date tt before-date P password s split-size ws sp
        sc so Z lf-x""",
        "list-of=": "O output-file out lf logfile-path b temp-path",
        "run=": "TT unzip-command",
        "risk:archive-action": "T test",
    },
    single=False,
    risky=True,
)
_UNZIP = Table(
    {
        "": "l f n o p q t u v z a A j L M C D K U V W X Z aa bb h :",
        "data=": "P x",
        "folder=": "d",
        "data?=": "I O",
    },
    risky=True,
)


def _zip(draft: Draft) -> None:
    words = [word for word in draft.arguments if word.text not in {"-TT", "--unzip-command"}]
    for at, word in enumerate(draft.arguments):
        if word.text in {"-TT", "--unzip-command"} or word.text.startswith(("-TT", "--unzip-c")):
            draft.finding("option-runs-program", "", word)
            for value in draft.arguments[at + 1 : at + 2]:
                draft.scripts.append(value)
    parsed = draft.apply(_ZIP, words)
    for value in parsed.values("list-of"):
        draft.write(value, OPTION)
    for value in parsed.operands[:1]:
        draft.write(value)
    draft.each(parsed.operands[1:], "read", tree=True)


def _unzip(draft: Draft) -> None:
    parsed = draft.apply(_UNZIP)
    for value in parsed.operands[:1]:
        draft.read(value)
    if parsed.has("l", "p", "t", "v", "z", "Z") or draft.program in {"zipinfo", "zipgrep"}:
        return
    if parsed.has(":"):
        draft.finding("archive-action", "writes wherever the archive says")
    targets = parsed.values("folder")
    for value in targets:
        draft.write(value, OPTION, tree=True)
    if not targets:
        draft.here(WRITE, tree=True)


def _seven(draft: Draft) -> None:
    """Read `7z` and `rar`: a verb, switches with their values attached, the archive, files."""
    draft.complete = False
    operands = []
    target = None
    for word in draft.arguments:
        if word.certainty == "unknown":
            draft.uncertain(word)
        if word.text.startswith("-o") and len(word.text) > 2:
            target = known(word.text[2:], word)
        elif word.text.startswith("@"):
            draft.read(known(word.text[1:], word), OPTION)
        elif not word.text.startswith("-"):
            operands.append(word)
    verb = operands[0].text if operands else ""
    reads = verb in {"x", "e", "l", "t"}
    for value in operands[1:2]:
        draft.touch(READ if reads else WRITE, value)
    if verb in {"x", "e"}:
        if target is not None:
            draft.write(target, OPTION, tree=True)
        else:
            draft.here(WRITE, tree=True)
    elif verb not in {"l", "t"}:
        draft.each(operands[2:], "read", tree=True)


_CPIO = Table(
    {
        "": """0 null a reset-access-time A append b swap B c d make-directories f nonmatching k l link L
        dereference
        m preserve-modification-time n numeric-uid-gid r rename s swap-bytes S swap-halfwords u unconditional
        v verbose V dot quiet force-local no-preserve-owner only-verify-crc sparse to-stdout help version
        device-independent renumber-inodes ignore-devno ignore-dirnlink""",
        "in": "i extract",
        "out-mode": "o create",
        "pass": "p pass-through",
        "list-names": "t list",
        "absolute": "absolute-filenames",
        "data=": "C io-size H format M message R owner block-size warning",
        "folder=": "D directory",
        "read=": "E pattern-file I",
        "write=": "O",
        "archive=": "F file",
        "run=": "rsh-command",
    },
    risky=True,
)


def _cpio(draft: Draft) -> None:
    parsed = draft.apply(_CPIO)
    roles = parsed.roles()
    for value in parsed.values("archive"):
        _archive(draft, value, WRITE if "out-mode" in roles else READ)
    _folders(draft, parsed)
    if "pass" in roles:
        draft.each(parsed.operands[:1], "out", tree=True)
    elif "in" in roles and "list-names" not in roles:
        _extracts(draft, parsed)
    if {"out-mode", "pass"} & roles:
        draft.finding("unseen-instructions", "copies the files that its input names")


_SUFFIXES = {
    "gzip": ".gz",
    "pigz": ".gz",
    "bzip2": ".bz2",
    "xz": ".xz",
    "lzma": ".lzma",
    "zstd": ".zst",
    "lz4": ".lz4",
}
_ZSTDS = frozenset("zstd unzstd zstdcat zstdmt pzstd".split())
_SUFFIXES |= {"brotli": ".br", "compress": ".Z", "lzop": ".lzo"}
_COMPRESS = Table(
    {
        "": """d decompress f force h help H long-help k keep l list L license n no-name N name q quiet r
        recursive rsyncable t test v verbose V version 1 2 3 4 5 6 7 8 9 0 fast best z compress e extreme
        s small i m c-x
        19 ultra rm no-sparse sparse single-stream no-progress progress no-check check no-content-size D-x 11
        asyncronous x ignore-check no-adjust no-warn quiet-x robot""",
        "stdout": "c stdout to-stdout",
        "suffix=": "S suffix",
        "data=": """T threads F format C check memlimit M memory memlimit-compress
        memlimit-decompress block-size filters block-list flush-timeout p lzma1 lzma2 x86 delta""",
        "data?=": "synchronous long adapt auto-threads",
        "read=": "D files files0 patch-from",
        "write=": "o output-dir-flat output-dir-mirror output",
        "tree-x": "",
    },
    numbers=True,
    risky=True,
)


_ZSTD = Table(
    {
        "": """d decompress f force h help H k keep l list q quiet r recursive rsyncable t test v verbose
        V version
        1 2 3 4 5 6 7 8 9 0 z compress ultra rm no-sparse sparse no-progress progress no-check check
        no-content-size single-thread exclude-compressed no-dictID no-asyncio asyncio m pass-through
        content-size train no-name n N no S row-match-finder no-row-match-finder mmap-dict C""",
        "stdout": "c stdout",
        "data?=": """T M B b e i fast long adapt train-cover train-fastcover train-legacy memory memlimit
        memlimit-decompress auto-threads""",
        "data=": """threads format stream-size size-hint target-compressed-block-size maxdict dictID priority
        block-size zstd""",
        "read=": "D patch-from filelist",
        "write=": "o output-dir-flat output-dir-mirror trace",
    },
    risky=True,
)


def _compress(draft: Draft) -> None:
    """Read `gzip` and its kin, which put a file in the place of the one they are given."""
    program = draft.program
    parsed = draft.apply(_ZSTD if program in _ZSTDS else _COMPRESS)
    draft.each(parsed.operands, "read")
    if program.endswith("cat") or "stdout" in parsed.roles() or parsed.has("t", "test", "l", "list"):
        return
    for value in parsed.operands:
        draft.write(value)
        suffix = next((one.text for one in parsed.values("suffix")), _SUFFIXES.get(draft.program, ""))
        if suffix and value.certainty == KNOWN:
            draft.write(known(value.text + suffix, value))
        ends = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".Z", ".lzma", ".br")
        if value.certainty == KNOWN and value.text.endswith(ends):
            draft.write(known(value.text.rpartition(".")[0], value))


def _ar(draft: Draft) -> None:
    """Read `ar` and its kin: a key, the archive, its members."""
    words = [word for word in draft.arguments if not word.text.startswith("--")]
    for word in words:
        if word.certainty == "unknown":
            draft.uncertain(word)
    draft.complete = False
    for value in words[1:2]:
        draft.touch(READ if words[0].text.lstrip("-")[:1] in {"t", "p", "x"} else WRITE, value)
    draft.each(words[2:], "read")
    if words and "x" in words[0].text:
        draft.here(WRITE)


def _zipinfo(draft: Draft) -> None:
    for value in draft.apply(_UNZIP).operands[:1]:
        draft.touch(LIST, value)


PROGRAMS = {
    **dict.fromkeys(("tar", "bsdtar", "gtar", "star"), _tar),
    **dict.fromkeys(("zip", "zipcloak", "zipnote"), _zip),
    "unzip": _unzip,
    "zipinfo": _zipinfo,
    **dict.fromkeys(("7z", "7za", "7zr", "7zz", "rar", "unrar", "arj", "lha", "unar"), _seven),
    "cpio": _cpio,
    **dict.fromkeys(
        """gzip gunzip bzip2 bunzip2 xz unxz lzma unlzma zstd unzstd lz4 unlz4 brotli compress uncompress
        pigz lzop zcat gzcat bzcat xzcat zstdcat lzcat lz4cat zstdmt""".split(),
        _compress,
    ),
    **dict.fromkeys(("ar", "ranlib", "dpkg-deb"), _ar),
}
