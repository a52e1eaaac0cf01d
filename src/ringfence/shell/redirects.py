"""Where a command's files go: redirections as reads and writes, and what it finds on its standard input.

A redirection happens whether or not a command stands beside it, and before it. A copy of a descriptor
(`2>&1`) touches no file; the terminal's and the null device are nobody's secret; `/dev/tcp/HOST/PORT` is
not a file at all but a connection that bash makes. A target that starts with `~`, matches names or is not
known is a finding: where it would write is for a person to see.
"""

from ringfence.shell.facts import KNOWN, READ, UNKNOWN, WRITE, Access, Endpoint, Value
from ringfence.shell.state import joined
from ringfence.shell.syntax import Substitution, Tilde
from ringfence.shell.words import PIPE, escaped, expand, known, one
from ringfence.value import Struct, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.shell.state import State
    from ringfence.shell.syntax import Redirect, Word
    from ringfence.shell.walk import Walk
    from ringfence.shell.words import Scope

FREE = frozenset({
    "/dev/null", "/dev/stdout", "/dev/stderr", "/dev/stdin", "/dev/fd/0", "/dev/fd/1", "/dev/fd/2", PIPE,
})  # fmt: skip
NETWORK = ("/dev/tcp/", "/dev/udp/")
COPIES = frozenset({">&", "<&"})
HERE = frozenset({"<<", "<<-"})


class Input(Struct):
    """What a command finds on its standard input."""

    piped: bool = False  # another program's output, or a file's content
    text: Value | None = None  # what it is, where the text itself says so


NOTHING = Input()
PIPED = Input(piped=True)


class Files(Struct):
    """What the redirections of one command touch."""

    accesses: tuple[Access, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    input: Input | None = None  # None: whatever it was


UNTOUCHED = Files()


def files(walk: "Walk", redirects: "tuple[Redirect, ...]", scope: "Scope") -> Files:
    """Return what redirections touch; findings go to the walk."""
    accesses: list[Access] = []
    endpoints: list[Endpoint] = []
    standard: Input | None = None
    for redirect in redirects:
        if redirect.descriptor.startswith("{"):
            walk.assigned(redirect.descriptor.strip("{}"), scope.state, scope.span(redirect.span))
        if redirect.operator in HERE:
            found: Input | None = _here(walk, redirect, scope)
        elif redirect.operator == "<<<":
            found = _here_string(walk, redirect.target, scope)
        else:
            found = _file(walk, redirect, scope, accesses, endpoints)
        if found is not None and redirect.descriptor in {"", "0"}:
            standard = found
    return Files(accesses=tuple(accesses), endpoints=tuple(endpoints), input=standard)


def placed(kind: str, value: Value, state: "State", origin: str, *, tree: bool = False) -> list[Access]:
    """Return the accesses that one path means in every folder where the shell may be."""
    text = value.text
    if text[:1] in {"/", "~"} or (len(state.folders) == 1 and state.folders == state.failed):
        return [_access(kind, value, state.folders[0], origin, tree)]
    folders = dict.fromkeys(state.folders + state.failed)
    return [_access(kind, value, folder, origin, tree) for folder in folders]


def relative(value: Value) -> bool:
    """Say whether a path depends on the folder in which it is used."""
    first = value.text[:1]
    return first != "/" and not (first == "~" and value.certainty != KNOWN) and value.text != "-"


def _access(kind: str, value: Value, folder: str | None, origin: str, tree: bool) -> Access:  # noqa: FBT001
    """Make an access; a folder that is relative to the unnamed start goes into the path."""
    if folder is not None and not folder.startswith("/"):
        if folder != "." and value.text[:1] not in {"/", "~"}:
            value = replace(value, text=_under(folder, value))
        folder = None
    return Access(kind=kind, path=value, folder=folder, origin=origin, tree=tree)


def _under(folder: str, value: Value) -> str:
    """Put a folder before a path."""
    if value.certainty == KNOWN and ".." in value.text:
        return joined(folder, value.text) or value.text
    return f"{folder if value.certainty == KNOWN else escaped(folder)}/{value.text}"


def _here(walk: "Walk", redirect: "Redirect", scope: "Scope") -> Input:
    """Return the input that a here-document is."""
    if redirect.body is None:
        return Input(text=known("", scope.span(redirect.span)))
    walk.scan(redirect.body, scope)
    return Input(text=one(redirect.body, scope), piped=True)


def _here_string(walk: "Walk", word: "Word", scope: "Scope") -> Input:
    """Return the input that a here-string is."""
    walk.scan(word, scope)
    return Input(text=one(word, scope), piped=True)


def _file(
    walk: "Walk", redirect: "Redirect", scope: "Scope", accesses: list[Access], endpoints: list[Endpoint]
) -> Input | None:
    """Note what a redirection to or from a file touches; return the input that it makes."""
    walk.scan(redirect.target, scope)
    reads = redirect.operator.startswith("<")
    parts = redirect.target.parts
    if len(parts) == 1 and isinstance(parts[0], Substitution) and parts[0].kind in {"input", "output"}:
        return PIPED if reads else None
    values = expand(redirect.target, scope)
    at = scope.span(redirect.span)
    if len(values) != 1:
        walk.find("redirect-target", at, "This redirection has several targets, or none.")
    for value in values:
        endpoint = _target(walk, redirect, value, scope, accesses)
        endpoints += [] if endpoint is None else [endpoint]
    if not reads:
        return None
    return NOTHING if values and values[0].text in FREE else PIPED


def _target(
    walk: "Walk", redirect: "Redirect", value: Value, scope: "Scope", accesses: list[Access]
) -> Endpoint | None:
    """Note what one target touches; return the host where it is none of the file system."""
    operator, at = redirect.operator, scope.span(redirect.span)
    if value.certainty == KNOWN:
        if operator in COPIES and _descriptor(value.text):
            return None
        if value.text in FREE or (value.text.startswith("/dev/fd/") and value.text[8:].isdigit()):
            return None
    if value.text.startswith(NETWORK) or value.start.startswith(NETWORK):
        walk.find("network-device", at, f"The shell itself connects to {value.text[5:]!r}.")
        return Endpoint(value=value)
    if value.certainty != KNOWN:
        walk.find("redirect-target", at, "Which file this redirection uses is known only when it runs.")
    elif any(isinstance(part, Tilde) for part in redirect.target.parts):
        walk.find("redirect-target", at, "This redirection leads into a home folder.")
    elif operator == "<&":
        walk.find("redirect-target", at, f"{value.text!r} is no descriptor.")
    kinds = (READ,) if operator in {"<", "<&"} else (READ, WRITE) if operator == "<>" else (WRITE,)
    for kind in kinds:
        accesses += placed(kind, value, scope.state, "redirection")
        if value.certainty == UNKNOWN:
            for text in value.candidates:
                accesses += placed(kind, known(text, value.span), scope.state, "redirection") if text else []
    return None


def _descriptor(text: str) -> bool:
    """Say whether this is a descriptor, or closes one."""
    digits = text.removesuffix("-")
    return not digits or (digits.isascii() and digits.isdigit())
