"""What each of git's commands does with its arguments."""

from ringfence.shell.facts import DELETE, KNOWN, WRITE, Value
from ringfence.shell.options import Parsed, Table, part
from ringfence.shell.programs import gitoptions as options
from ringfence.shell.programs.draft import OPTION, Draft

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Words = tuple[Value, ...]
    Handler = Callable[[Draft, Words], None]

_REMOTE_HELPER = "::"  # `ext::sh -c …`: a transport that runs a program


def _file(value: Value) -> Value:
    """Return the path in `REVISION:PATH`, which git reads from its history, or the word itself."""
    text = value.text
    if value.certainty == KNOWN and ":" in text and "://" not in text and not text.startswith(":"):
        return part(value, text.index(":") + 1)
    if text.startswith(":") and len(text) > 1:
        inside = text.rpartition(")")[2] if text.startswith(":(") else text.lstrip(":!^/0123")
        return part(value, len(text) - len(inside))
    return value


def _files(draft: Draft, values: "Iterable[Value]", kind: str = "read", *, tree: bool = True) -> None:
    for value in values:
        path = _file(value)
        if path.text or path.certainty != KNOWN:
            draft.touch(kind, path, tree=tree)


def _doubt(draft: Draft, parsed: Parsed) -> None:
    for value in parsed.operands:
        if value.certainty == "unknown":
            draft.uncertain(value)


def _reads(table: Table) -> "Handler":
    """Return what reads a command that shows history or files."""

    def look(draft: Draft, words: "Words") -> None:
        parsed = draft.apply(table, words)
        _files(draft, parsed.operands)

    return look


def _format_patch(draft: Draft, words: "Words") -> None:
    parsed = draft.apply(options.FORMAT_PATCH, words)
    _doubt(draft, parsed)
    if not parsed.has("stdout", "o", "output-directory"):
        draft.finding("option-writes", "writes a file for each commit")
        draft.here(WRITE)


def _grep(draft: Draft, words: "Words") -> None:
    parsed = draft.apply(options.GREP, words)
    operands = parsed.operands
    draft.each(parsed.values("patterns"), "read")
    if not {"pattern", "patterns"} & parsed.roles():
        for pattern in operands[:1]:
            if pattern.certainty != KNOWN:
                draft.uncertain(pattern)
        operands = operands[1:]
    _files(draft, operands)
    if not operands:
        draft.here("read", tree=True)


def _status(draft: Draft, words: "Words") -> None:
    _doubt(draft, draft.apply(options.STATUS, words))


def _mild(draft: Draft, words: "Words") -> None:
    """Read a command whose options are no risk; what may be a file is read."""
    parsed = draft.apply(options.MILD, words)
    draft.complete = True
    for word in parsed.unsure:
        draft.uncertain(word)
    for word in parsed.strange:
        if word.text.startswith(("--textc", "--filte")):
            draft.finding("git-runs", "", word)
    _files(draft, parsed.operands)


def _changes(kind: str, *, behind: bool = False) -> "Handler":
    """Return what reads a command that changes the files it names, or those behind `--` alone."""

    def look(draft: Draft, words: "Words") -> None:
        parsed = draft.apply(options.MILD, words)
        for word in parsed.unsure:
            draft.uncertain(word)
        named = parsed.behind() if behind else parsed.operands
        for word in parsed.operands:
            if word in named:
                draft.touch(kind, _file(word), tree=True)
            elif word.certainty == "unknown":
                draft.uncertain(word)

    return look


def _add(draft: Draft, words: "Words") -> None:
    _files(draft, draft.apply(options.ADD, words).operands, tree=False)


def _commit(draft: Draft, words: "Words") -> None:
    parsed = draft.apply(options.COMMIT, words)
    for word in parsed.unsure:
        draft.uncertain(word)
    for one in parsed.given:
        if one.name in {"e", "edit"}:
            draft.finding("git-runs", "starts the editor that the configuration names", one.word)
    _files(draft, parsed.operands)


def remote(draft: Draft, value: Value) -> None:
    """Note a remote: a name, a URL, a path, or a transport that runs something."""
    text = value.text
    if value.certainty != KNOWN:
        draft.uncertain(value)
    if _REMOTE_HELPER in text.partition("/")[0] or text.startswith("-"):
        draft.finding("git-runs", "uses a transport that runs a program", value)
        kind = text.partition(_REMOTE_HELPER)[0]
        if kind == "ext":
            draft.scripts.append(part(value, len(kind) + 2))
        return
    if "://" in text or (
        ":" in text and "/" not in text.partition(":")[0] and not text.startswith(("/", "."))
    ):
        draft.endpoint(value)
    elif text.startswith(("/", ".")) and text != ".":
        draft.finding("git-other-repository", "talks to another repository on this machine", value)
        draft.read(value, tree=True)


def _talks(table: Table) -> "Handler":
    """Return what reads a command whose first operand is a remote."""

    def look(draft: Draft, words: "Words") -> None:
        parsed = draft.apply(table, words)
        for value in (*parsed.values("remote"), *parsed.operands[:1]):
            remote(draft, value)
        for value in parsed.operands[1:]:
            if value.certainty != KNOWN:
                draft.uncertain(value)

    return look


def _clone(draft: Draft, words: "Words") -> None:
    parsed = draft.apply(options.CLONE, words)
    for value in parsed.values("setting"):
        draft.finding("git-option", "sets configuration, which may name programs to run", value)
    for value in parsed.operands[:1]:
        remote(draft, value)
    for value in parsed.operands[1:2]:
        draft.write(value, tree=True)
    if len(parsed.operands) == 1 and parsed.operands[0].certainty == KNOWN:
        address = parsed.operands[0]
        name = address.text.rstrip("/").removesuffix("/.git").removesuffix(".git")
        start = max(name.rfind("/"), name.rfind(":")) + 1
        if name[start:]:
            draft.write(Value(text=name[start:], span=address.span), tree=True)


def _remote(draft: Draft, words: "Words") -> None:
    parsed = draft.apply(
        Table(
            {
                "": "v verbose f n dry-run p prune push add delete d a all tags no-tags",
                "data=": "t m",
                "data?=": "mirror",
            }
        ),
        words,
    )
    _doubt(draft, parsed)
    operands = parsed.operands
    if operands and operands[0].text in {"add", "set-url"}:
        for value in operands[2:]:
            remote(draft, value)


def _archive(draft: Draft, words: "Words") -> None:
    parsed = draft.apply(options.ARCHIVE, words)
    for value in parsed.values("remote"):
        remote(draft, value)
    _files(draft, parsed.operands[1:])


def _bundle(draft: Draft, words: "Words") -> None:
    for at, word in enumerate(words):
        if word.certainty != KNOWN:
            draft.uncertain(word)
        elif at > 0 and not word.text.startswith("-") and words[0].text == "create":
            draft.finding("option-writes", "writes the bundle", word)
            draft.write(word)
            break
        elif at > 0 and not word.text.startswith("-"):
            draft.read(word)
            break


def _rebase(draft: Draft, words: "Words") -> None:
    parsed = draft.apply(options.REBASE, words)
    for value in parsed.values("script"):
        draft.finding("git-runs", "runs a command after each commit", value)
        draft.script(value)
    _doubt(draft, parsed)


def _config(draft: Draft, words: "Words") -> None:
    """Read `git config`: whatever is not surely a question changes what git runs."""
    parsed = draft.apply(options.CONFIG, words)
    roles = parsed.roles()
    operands = parsed.operands
    _doubt(draft, parsed)
    named = operands[0].text if operands else ""
    asks = ("get" in roles and "set" not in roles) or (
        "set" not in roles and (named in {"get", "list", "get-color", "get-colorbool"} or len(operands) == 1)
    )
    if asks and named not in {"set", "unset", "edit", "rename-section", "remove-section"}:
        return
    if not words:
        return
    draft.finding("git-option", "changes its configuration, which may name programs to run")
    for value in operands[-1:]:
        if len(operands) > 1 and value.certainty == KNOWN and value.text:
            draft.scripts.append(part(value, 1) if value.text[0] == "!" else value)
    for value in parsed.values("read"):
        draft.write(value, OPTION)


def _tool(draft: Draft, words: "Words") -> None:
    parsed = draft.apply(options.TOOL, words)
    for one in parsed.given:
        if one.name in {"x", "extcmd"} and one.value is not None:
            draft.scripts.append(one.value)
    draft.finding("git-runs", "starts the tool that the configuration names")
    _doubt(draft, parsed)


def _apply(draft: Draft, words: "Words") -> None:
    """Read `apply` and `am`: what they change stands in the patch."""
    parsed = draft.apply(options.APPLY, words)
    draft.each(parsed.operands, "read")
    if parsed.has("stat", "numstat", "summary", "check") and not parsed.has("apply"):
        return
    if parsed.has("unsafe-paths"):
        draft.finding("option-writes", "lets a patch write outside the working tree")
    draft.finding("unseen-instructions", "changes the files that a patch names")
    draft.here(WRITE, tree=True)


def _bisect(draft: Draft, words: "Words") -> None:
    for word in words:
        if word.certainty != KNOWN:
            draft.uncertain(word)
    if words and words[0].text == "run":
        draft.finding("git-runs", "runs a command for each commit", words[0])
        draft.runner = True
        draft.run(words[1:])
    elif words and words[0].text in {"visualize", "view"}:
        draft.finding("git-runs", "starts a viewer", words[0])


def _submodule(draft: Draft, words: "Words") -> None:
    names = [word for word in words if not word.text.startswith("-")]
    for word in words:
        if word.certainty != KNOWN:
            draft.uncertain(word)
    verb = names[0].text if names else ""
    if verb == "foreach":
        draft.finding("git-runs", "runs shell code in each submodule", names[0])
        rest = names[1:]
        if rest:
            text = " ".join(word.text for word in rest)
            draft.scripts.append(Value(text=text, span=rest[0].span))
    elif verb == "add":
        for value in names[1:2]:
            remote(draft, value)
        draft.each(names[2:3], "out")
    elif verb == "update":
        draft.finding(
            "git-runs", "fetches other repositories, and may run what the configuration says", names[0]
        )
        draft.here(WRITE, tree=True)
    elif verb in {"init", "sync", "set-url", "deinit", "set-branch", "absorbgitdirs"}:
        draft.here(WRITE, tree=True)


def _worktree(draft: Draft, words: "Words") -> None:
    parsed = draft.apply(
        Table(
            {
                "": """f force detach d checkout no-checkout guess-remote no-guess-remote track no-track
                lock q quiet orphan porcelain z n dry-run v verbose relative-paths no-relative-paths""",
                "data=": "b B reason expire",
            }
        ),
        words,
    )
    operands = parsed.operands
    _doubt(draft, parsed)
    verb = operands[0].text if operands else ""
    if verb == "add":
        draft.each(operands[1:2], "out", tree=True)
    elif verb == "move":
        draft.each(operands[1:3], "out", tree=True)
    elif verb == "remove":
        for value in operands[1:]:
            draft.touch(DELETE, value, tree=True)


def _clean(draft: Draft, words: "Words") -> None:
    parsed = draft.apply(
        Table({"": "q quiet n dry-run f force i interactive d x X", "data=": "e exclude"}), words
    )
    if parsed.has("n", "dry-run"):
        return
    _files(draft, parsed.operands, DELETE)
    if not parsed.operands:
        draft.here(DELETE, tree=True)


def _stash(draft: Draft, words: "Words") -> None:
    parsed = draft.apply(options.LOG, words)
    _doubt(draft, parsed)
    _files(draft, parsed.behind())


def _moves(draft: Draft, words: "Words") -> None:
    parsed = draft.apply(Table({"": "v verbose f force k n dry-run sparse"}, risky=True), words)
    for value in parsed.operands[:-1]:
        draft.read(value, tree=True)
        draft.touch(DELETE, value, tree=True)
    for value in parsed.operands[-1:]:
        draft.write(value, tree=True)


def _help(draft: Draft, words: "Words") -> None:
    if any(word.text in {"-a", "--all", "-g", "--guides", "-c", "--config"} for word in words) or not words:
        return
    draft.finding("pager", "opens a manual page, in a pager or a browser")


def _init(draft: Draft, words: "Words") -> None:
    draft.apply(options.INIT, words)


def _branch(draft: Draft, words: "Words") -> None:
    parsed = draft.apply(options.MILD, words)
    draft.complete = True
    for value in (*parsed.operands, *parsed.unsure):
        if value.certainty != KNOWN:
            draft.uncertain(value)
    if any(word.text.startswith("--edit-d") for word in parsed.strange):
        draft.finding("git-runs", "starts the editor that the configuration names")


def _careful(handler: "Handler") -> "Handler":
    """Return what reads a command that has `--help`: it opens the manual page."""

    def look(draft: Draft, words: "Words") -> None:
        if any(word.text == "--help" for word in words):
            draft.finding("pager", "opens a manual page, in a pager or a browser")
        handler(draft, words)

    return look


COMMANDS: "dict[str, Handler]" = {
    **dict.fromkeys(("log", "show", "whatchanged", "rev-list", "reflog", "diff-tree"), _reads(options.LOG)),
    **dict.fromkeys(("diff", "diff-files", "diff-index"), _reads(options.DIFF)),
    "shortlog": _reads(options.SHORTLOG),
    **dict.fromkeys(("blame", "annotate"), _reads(options.BLAME)),
    "format-patch": _format_patch,
    "grep": _grep,
    "status": _status,
    **dict.fromkeys(("add", "stage"), _add),
    "commit": _commit,
    **dict.fromkeys(("branch", "tag", "merge", "cherry-pick", "revert", "switch", "notes"), _branch),
    **dict.fromkeys(("checkout", "reset"), _changes(WRITE, behind=True)),
    "restore": _changes(WRITE),
    "rm": _changes(DELETE),
    "mv": _moves,
    "clean": _clean,
    "stash": _stash,
    **dict.fromkeys(("fetch", "pull"), _talks(options.FETCH)),
    "push": _talks(options.PUSH),
    "clone": _clone,
    "ls-remote": _talks(options.LS_REMOTE),
    "remote": _remote,
    "archive": _archive,
    "bundle": _bundle,
    "rebase": _rebase,
    "config": _config,
    **dict.fromkeys(("difftool", "mergetool"), _tool),
    **dict.fromkeys(("apply", "am"), _apply),
    "bisect": _bisect,
    "submodule": _submodule,
    "worktree": _worktree,
    "help": _help,
    **dict.fromkeys(("init", "init-db"), _init),
    **dict.fromkeys(
        """rev-parse describe ls-files ls-tree cat-file show-ref for-each-ref merge-base""".split(),
        _mild,
    ),
}
COMMANDS = {name: _careful(handler) for name, handler in COMMANDS.items()}
