"""`find`: paths, then an expression of tests and actions, some of which run, write or delete."""

from ringfence.shell.facts import DELETE, KNOWN, LIST, PATTERN, READ, UNKNOWN, Value
from ringfence.shell.options import prefix, single
from ringfence.shell.programs.critical import guard
from ringfence.shell.programs.draft import NOWHERE, OPTION, Draft

_BARE = frozenset(
    """-true -false -empty -readable -writable -executable -nouser -nogroup -print -print0 -ls -prune -quit
    -depth -d -xdev -mount -x -daystart -follow -noleaf -ignore_readdir_race -noignore_readdir_race -warn
    -nowarn -help --help -version --version -not -a -and -o -or ! ( ) , -H -L -P -X -E -s -x -O0 -O1 -O2 -O3
    -show-control-chars -delete""".split()
)
_VALUE = frozenset(
    """-name -iname -path -ipath -wholename -iwholename -regex -iregex -lname -ilname -type -xtype -size -amin
    -atime -cmin -ctime -mmin -mtime -uid -gid -user -group -perm -links -inum -fstype -maxdepth -mindepth
    -regextype -printf -used -context -D -flags -Bmin -Btime -Bnewer -acl -sparse""".split()
)
_FILE = frozenset("-newer -anewer -cnewer -samefile -mnewer".split())
_WRITES = frozenset("-fprint -fprint0 -fls".split())
_RUNS = frozenset("-exec -execdir -ok -okdir".split())
_STARTERS = frozenset("-H -L -P".split())
_BEFORE_EXPRESSION = ("-", "(", "!", ",")


def _find(draft: Draft) -> None:
    words = draft.arguments
    at = _options(words)
    roots, at = _roots(draft, words, at)
    deletes = False
    while at < len(words):
        word = words[at]
        at += 1
        if word.certainty == PATTERN:
            draft.finding("glob-option", "may find a pattern's files among its actions: quote it", word)
        elif word.certainty == UNKNOWN:
            draft.uncertain(word)
        elif word.text in _RUNS:
            at = _action(draft, words, at)
        elif word.text == "-delete":
            deletes = True
            draft.finding("find-action", "deletes what it finds", word)
        else:
            at = _primary(draft, words, at)
    _walk(draft, roots, deletes=deletes)


def _options(words: tuple[Value, ...]) -> int:
    at = 0
    while at < len(words) and words[at].certainty == KNOWN:
        text = words[at].text
        if text == "-D":
            at += 1
        elif not (text in _STARTERS or text.startswith("-O") or text == "--"):
            break
        at += 1
    return at


def _roots(draft: Draft, words: tuple[Value, ...], at: int) -> tuple[list[Value], int]:
    roots = []
    while at < len(words):
        word = words[at]
        front = prefix(word)
        if word.certainty == KNOWN and (word.text[:1] in _BEFORE_EXPRESSION):
            break
        if word.certainty != KNOWN and not front:
            draft.uncertain(word)
        if front[:1] == "-":
            break
        roots.append(word)
        at += 1
    return roots, at


def _walk(draft: Draft, roots: list[Value], *, deletes: bool) -> None:
    for root in roots:
        draft.list(root, tree=True)
        if deletes:
            draft.touch(DELETE, root, tree=True)
    if not roots:
        draft.here(LIST, tree=True)
        if deletes:
            draft.here(DELETE, tree=True)
    if deletes:
        guard(draft, [root for root in roots if root.text not in {".", "./"}], "deletes in")


def _primary(draft: Draft, words: tuple[Value, ...], at: int) -> int:
    """Take one primary; `at` is behind its name."""
    word = words[at - 1]
    text = word.text
    if text in _BARE:
        return at
    if text in _VALUE or text.startswith("-newer") or text in _FILE:
        if at < len(words):
            value = words[at]
            if not single(value):
                draft.uncertain(value)
            if text in _FILE:
                draft.list(value, OPTION)
        return at + 1
    if text in _WRITES or text == "-fprintf":
        draft.finding("find-action", "writes a file", word)
        for value in words[at : at + 1]:
            if value.text not in NOWHERE:
                draft.write(value, OPTION)
        return at + (2 if text == "-fprintf" else 1)
    if text in {"-files0-from", "-f"}:
        for value in words[at : at + 1]:
            draft.touch(READ, value, OPTION)
        draft.finding("unseen-instructions", "takes the paths to search from a file", word)
        return at + 1
    draft.finding("find-action", f"has no primary {text!r} that is known", word)
    return at


def _action(draft: Draft, words: tuple[Value, ...], at: int) -> int:
    """Take the command of `-exec` and its kin, up to `;` or `{} +`."""
    end = at
    while end < len(words):
        text = words[end].text
        if text == ";" or (text == "+" and end > at and words[end - 1].text.endswith("{}")):
            break
        end += 1
    draft.finding("find-action", "runs a command for what it finds", words[at - 1])
    draft.runner = True
    draft.run([_found(word) for word in words[at:end]])
    return end + 1


def _found(word: Value) -> Value:
    """Return a word of an action, in which `{}` stands for what was found."""
    if "{}" not in word.text:
        return word
    return Value(text=word.text, certainty=UNKNOWN, span=word.span)


PROGRAMS = {"find": _find, "gfind": _find}
