"""`git`: its global options, then what each command does.

Git runs programs that its configuration, its arguments and the repository name. What the repository's own
configuration names is not seen here; what the arguments add to it is: `-c`, `--upload-pack`, `ext::`, an
external diff, a tool, an alias. A command that git does not have is an alias or a program of that name.
"""

from ringfence.shell.facts import KNOWN, Value
from ringfence.shell.options import part, prefix, single
from ringfence.shell.programs.draft import OPTION, Draft
from ringfence.shell.programs.gitcommands import COMMANDS
from ringfence.shell.programs.gitlists import PLUMBING, READS_ONLY, WRITES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_HARMLESS = frozenset(
    """--no-pager -P --no-optional-locks --no-replace-objects --no-advice --no-lazy-fetch --literal-pathspecs
    --glob-pathspecs --noglob-pathspecs --icase-pathspecs""".split()
)
_INFORMS = frozenset("--version -v --html-path --man-path --info-path --exec-path".split())
_OTHER = frozenset("--git-dir --work-tree --namespace --super-prefix --attr-source --shallow-file".split())
_SAFE_KEYS = (
    "color.",
    "advice.",
    "column.",
    "user.name=",
    "user.email=",
    "i18n.",
    "log.",
    "init.defaultbranch=",
)
_SAFE_SETTINGS = frozenset(
    """core.quotepath core.autocrlf core.longpaths commit.gpgsign tag.gpgsign diff.renames diff.renamelimit
    merge.renames core.abbrev core.ignorecase diff.context diff.noprefix diff.mnemonicprefix status.short
    status.branch status.showuntrackedfiles fetch.prune pull.rebase pull.ff merge.ff rebase.autostash
    rebase.autosquash push.default push.autosetupremote http.postbuffer pack.threads core.commentchar
    gc.auto maintenance.auto http.version core.fsmonitor=false core.pager=cat core.pager= pager.log=false
    submodule.recurse=false grep.linenumber blame.date""".split()
)
_EMPTY_SETTINGS = frozenset({"core.pager", "core.fsmonitor", "credential.helper", "core.sshcommand"})


def _git(draft: Draft) -> None:
    words = draft.arguments
    at = 0
    start = 0
    plain = True
    while at < len(words):
        word = words[at]
        if word.certainty != KNOWN:
            break
        text = word.text
        if not text.startswith("-"):
            break
        at += 1
        if text in _HARMLESS:
            continue
        plain = False
        at = _global(draft, words, at)
        if at < 0:
            return
    start = at
    if start >= len(words):
        return
    if words[start].certainty != KNOWN:
        draft.uncertain(words[start])
        return
    if start > 0:
        program = Value(text=draft.program, span=draft.invocation.span)
        draft.canonical = (program, *words[start:])
    draft.complete = plain or not draft.findings
    _command(draft, words[start], words[start + 1 :])


def _global(draft: Draft, words: tuple[Value, ...], at: int) -> int:
    """Take one global option that matters; return where to go on, or -1 where git only informs."""
    word = words[at - 1]
    text = word.text
    name, equals, _ = text.partition("=")
    if text in {"-C", "-c", "--config-env"} or (name in _OTHER and not equals):
        if at >= len(words):
            return -1
        _setting(draft, name, words[at], word)
        return at + 1
    if equals and name in {*_OTHER, "--config-env", "--exec-path", "--list-cmds"}:
        if name == "--list-cmds":
            return -1
        _setting(draft, name, part(word, len(name) + 1), word)
        return at
    if text in _INFORMS:
        return -1
    if text in {"-h", "--help"}:
        if at < len(words):
            draft.finding("pager", "opens a manual page, in a pager or a browser", word)
        return -1
    if text in {"-p", "--paginate"}:
        draft.finding("git-option", "starts the pager that the configuration names", word)
        return at
    if text == "--bare":
        draft.finding("git-other-repository", "takes the folder for a repository", word)
        return at
    draft.finding("git-option", f"has no global option {text!r} that is known", word)
    return at


def _setting(draft: Draft, name: str, value: Value, word: Value) -> None:
    if name == "-C" and value.certainty == KNOWN and value.text in {".", "./", "", draft.folder}:
        return
    if name in {"-C", *_OTHER}:
        if value.certainty != KNOWN:
            draft.uncertain(value)
        if name == "-C":
            draft.folder = _joined(draft.folder, value)
        draft.list(value, OPTION)
        draft.finding(
            "git-other-repository",
            "works in another repository, whose configuration may name programs to run",
            value,
        )
    elif name == "-c" and value.certainty == KNOWN and _safe(value.text):
        return
    elif name == "--exec-path":
        draft.finding("git-option", "takes its own commands from another folder", word)
    else:
        if value.certainty != KNOWN:
            draft.uncertain(value)
        draft.finding("git-option", "changes its configuration, which may name programs to run", word)
        _key_runs(draft, value)


def _key_runs(draft: Draft, value: Value) -> None:
    """Note the command that an alias or setting on the command line holds, for rules that deny it."""
    key, equals, command = value.text.partition("=")
    if value.certainty != KNOWN or not equals or not command:
        return
    draft.scripts.append(part(value, len(key) + 1 + (command[0] == "!")))


def _safe(setting: str) -> bool:
    key, equals, value = setting.partition("=")
    lower = key.lower()
    if f"{lower}={value}".startswith(_SAFE_KEYS) or lower in _SAFE_SETTINGS:
        return True
    return f"{lower}={value}" in _SAFE_SETTINGS or (bool(equals) and not value and lower in _EMPTY_SETTINGS)


def _joined(folder: str | None, value: Value) -> str | None:
    if value.certainty != KNOWN:
        return None
    if value.text.startswith("/"):
        return value.text
    return f"{folder}/{value.text}" if folder else None


def _command(draft: Draft, name: Value, words: tuple[Value, ...]) -> None:
    _anywhere(draft, words)
    handler: Callable[[Draft, tuple[Value, ...]], None] | None = COMMANDS.get(name.text)
    if handler is not None:
        handler(draft, words)
        return
    if name.text in PLUMBING:
        _plumbing(draft, name, words)
        return
    draft.complete = False
    draft.finding("git-runs", f"has no command {name.text!r}: it is an alias or another program", name)
    for word in words:
        if word.certainty != KNOWN:
            draft.uncertain(word)


def _anywhere(draft: Draft, words: tuple[Value, ...]) -> None:
    """Note options of `git diff` that many commands hand on (`shortlog`, `blame`, `range-diff`)."""
    for word in words:
        text = word.text
        if text == "--":
            return
        name = text.partition("=")[0]
        if not name.startswith(("--ou", "--ext", "--textc")) or word.certainty != KNOWN:
            continue
        if "--output".startswith(name) and len(text) > len(name):
            draft.finding("option-writes", "", word)
            draft.write(part(word, len(name) + 1), OPTION)
        elif "--output-directory".startswith(name):
            draft.finding("option-writes", "", word)
        elif "--ext-diff".startswith(name) or "--textconv".startswith(name):
            draft.finding("git-runs", "", word)


def _plumbing(draft: Draft, name: Value, words: tuple[Value, ...]) -> None:
    """Read a command without a table of its own."""
    draft.complete = False
    for word in words:
        if word.certainty != KNOWN and not (single(word) and prefix(word)[:1] not in {"", "-"}):
            draft.uncertain(word)
        elif not word.text.startswith("-"):
            draft.read(word)
    if name.text in WRITES:
        draft.finding("git-runs", WRITES[name.text], name)
    elif name.text not in READS_ONLY:
        draft.here("write", tree=True)


PROGRAMS = {"git": _git}
