"""Shells: a text behind `-c`, a script file, or standard input; and builtins that read text as commands."""

from ringfence.shell.facts import KNOWN, Value
from ringfence.shell.options import Table
from ringfence.shell.programs.draft import OPTION, Draft

_SETTERS = frozenset("-o +o -O +O --rcfile --init-file".split())
_LONG = frozenset(
    """--login --norc --noprofile --noediting --posix --restricted --verbose --version --help --debugger
    --dump-po-strings --dump-strings --debug --no-config --private --interactive --no-rcs --emulate
    --no-globalrcs --no-execute --command --init-command --profile --features --print-rusage-self""".split()
)


def _shell(draft: Draft) -> None:
    """Read `sh`, `bash`, `zsh`, `dash`, `ksh`, `fish`: `-c` may stand anywhere in a cluster."""
    words = list(draft.arguments)
    at = 0
    command = reads_input = False
    while at < len(words):
        word = words[at]
        if word.certainty != KNOWN:
            draft.uncertain(word)
            break
        text = word.text
        if text[:1] not in {"-", "+"} or text in {"-", "--"}:
            at += text in {"-", "--"}
            break
        at += 1
        name, equals, _ = text.partition("=")
        if name in {"--command", "--init-command"} or (draft.program == "fish" and text == "-C"):
            value = Value(text=text[len(name) + 1 :], span=word.span) if equals else None
            if value is None and at < len(words):
                value, at = words[at], at + 1
            if value is not None:
                draft.script(value)
                command = True
            continue
        if text in _SETTERS or name in {"--rcfile", "--init-file"}:
            at = _setter(draft, words, at, name)
            continue
        if text.startswith("--"):
            draft.complete = draft.complete and text in _LONG
            continue
        command = command or ("c" in text and text[0] == "-")
        reads_input = reads_input or "s" in text
        if text[-1:] in {"o", "O"}:
            at += 1
    _rest(draft, words[at:], command=command, reads_input=reads_input)


def _setter(draft: Draft, words: list[Value], at: int, name: str) -> int:
    if name in {"--rcfile", "--init-file"}:
        for value in words[at : at + 1]:
            draft.read(value, OPTION)
        draft.finding("unseen-instructions", "runs a file at its start", words[at - 1])
        return at if "=" in words[at - 1].text else at + 1
    return at + 1


def _rest(draft: Draft, words: list[Value], *, command: bool, reads_input: bool) -> None:
    draft.runner = True
    if command:
        if draft.scripts:
            return
        for value in words[:1]:
            draft.script(value)
        return
    if words and not reads_input:
        draft.read(words[0])
        draft.literal = draft.arguments.index(words[0]) + 2 if words[0] in draft.arguments else 0
        return
    if any(word.text in {"--version", "--help"} for word in draft.arguments):
        draft.runner = False
        return
    given = draft.invocation.input
    if given is not None:
        draft.script(given)
    draft.finding("interpreter-code", "runs commands that it reads from its input", given)


def _multicall(draft: Draft) -> None:
    """Read `busybox`: its first operand is the program."""
    words = draft.arguments
    if words and words[0].text in {"--list", "--list-full", "--help"}:
        return
    draft.runner = True
    draft.run(words[1:] if words and words[0].text == "--" else words)


def _eval(draft: Draft) -> None:
    """Read `eval`: the shell joins its words with blanks and reads them anew."""
    words = (
        draft.arguments[1:] if draft.arguments[:1] and draft.arguments[0].text == "--" else draft.arguments
    )
    draft.runner = True
    if all(word.certainty == KNOWN for word in words) and words:
        draft.script(Value(text=" ".join(word.text for word in words), span=words[0].span))
    for word in words:
        if word.certainty != KNOWN:
            draft.uncertain(word)
    draft.finding("interpreter-code", "has the shell read text as commands")


def _source(draft: Draft) -> None:
    """Read `source` and `.`: a file is run in this very shell."""
    words = (
        draft.arguments[1:] if draft.arguments[:1] and draft.arguments[0].text == "--" else draft.arguments
    )
    draft.runner = True
    for value in words[:1]:
        draft.read(value)
        draft.literal = 2
    draft.finding("unseen-instructions", "runs a file in this shell, which changes what follows")


def _exec(draft: Draft) -> None:
    """Read `exec`: the shell becomes another program."""
    parsed = draft.apply(Table({"": "c l", "data=": "a"}, permute=False, risky=True))
    if parsed.operands:
        draft.runner = True
        draft.run(parsed.operands)


def _script(draft: Draft) -> None:
    """Read `script`: it records a shell, or the command behind `-c`."""
    table = Table(
        {
            "": "a append e return f flush force q quiet h help V version k p r F",
            "data=": "E echo m logging-format o output-limit t T",
            "write=": "I log-in O log-out B log-io T log-timing",
            "script=": "c command",
        },
        risky=True,
    )
    parsed = draft.apply(table)
    for value in parsed.values("script"):
        draft.script(value)
    draft.runner = True
    draft.each(parsed.operands[:1], "out")
    draft.run(parsed.operands[1:])
    if not parsed.values("script") and len(parsed.operands) < 2:
        draft.finding("interpreter-code", "starts a shell that reads from its input")


def _terminal(draft: Draft) -> None:
    """Read `tmux` and `screen`: what runs in their windows is out of sight."""
    draft.complete = False
    verbs = {
        "ls",
        "list-sessions",
        "-V",
        "-v",
        "-ls",
        "-list",
        "has-session",
        "list-windows",
        "list-panes",
        "display-message",
        "info",
    }
    words = [word.text for word in draft.arguments]
    if words and words[0] in verbs:
        return
    draft.runner = True
    draft.finding("runner", "starts commands in a terminal of its own")
    for at, word in enumerate(draft.arguments):
        if word.certainty == KNOWN and " " in word.text:
            draft.scripts.append(word)
        elif at and not word.text.startswith("-"):
            draft.run(draft.arguments[at:])


def _parallel(draft: Draft) -> None:
    """Read GNU `parallel`: its words are shell code, with what `:::` lists put in."""
    words = list(draft.arguments)
    cut = next((at for at, word in enumerate(words) if word.text.startswith(":::")), len(words))
    table = Table(
        {
            "": """k keep-order v t verbose X m xargs 0 null q quote u ungroup group line-buffer lb bar eta
            progress dry-run dryrun will-cite citation no-notice pipe pipepart silent resume tag
            halt-on-error-x
            no-run-if-empty r linebuffer shuf fg bg semaphore version help""",
            "data=": """j jobs n max-args N max-replace-args L max-lines d delimiter C colsep halt timeout
            retries delay load memfree joblog results tmpdir block recstart recend I i nice s max-chars
            progress-x limit trim basefile wd workdir env""",
            "files=": "a arg-file",
            "host=": "S sshlogin sshloginfile slf",
        },
        permute=False,
        risky=True,
    )
    parsed = draft.apply(table, words[:cut])
    draft.runner = True
    draft.each(parsed.values("files"), "read")
    if parsed.operands:
        draft.run([*parsed.operands, Value(text="{}", certainty="unknown", span=draft.invocation.span)])
        draft.scripts.append(
            Value(text=" ".join(word.text for word in parsed.operands), span=parsed.operands[0].span)
        )
    else:
        draft.scripts.extend(words[cut + 1 :])
        draft.finding("interpreter-code", "runs what it reads as commands")


def _history(draft: Draft) -> None:
    """Read `history`: some of its options write the history into a file."""
    for at, word in enumerate(draft.arguments):
        if word.certainty != KNOWN:
            draft.uncertain(word)
        elif word.text.startswith("-") and set(word.text[1:]) & set("anrwsp"):
            draft.finding("option-writes", "reads or writes a file of commands", word)
            kind = "read" if set(word.text) & set("nr") else "write"
            for value in draft.arguments[at + 1 : at + 2]:
                draft.touch(kind, value)


PROGRAMS = {
    **dict.fromkeys(
        "sh bash zsh dash ksh mksh pdksh yash ash rbash rzsh fish csh tcsh posh oksh lksh hush".split(),
        _shell,
    ),
    **dict.fromkeys(("busybox", "toybox", "coreutils"), _multicall),
    "eval": _eval,
    **dict.fromkeys(("source", "."), _source),
    "exec": _exec,
    **dict.fromkeys(("script", "scriptlive"), _script),
    **dict.fromkeys(("tmux", "screen", "byobu", "zellij", "dtach", "abduco"), _terminal),
    **dict.fromkeys(("parallel", "rust-parallel", "sem"), _parallel),
    "history": _history,
}
