"""Read a policy file once, and turn it into a layer or into everything that is wrong with it.

The bytes that are checked, hashed for `ringfence trust` and decoded are the same bytes, read through one
descriptor. A file of the project is never reached through a symbolic link: a repository could point it
at any file of the operator's, and error messages quote lines.
"""

import errno
import os
import stat

from ringfence import cache
from ringfence.canonical import sha256
from ringfence.diagnostic import Diagnostic
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ringfence.policy.decode import Problem
    from ringfence.policy.positions import Positions

LARGEST = 1 << 20
BUILT_IN_FOLDER = "/etc/ringfence/"
_FOLDER = os.path.dirname(os.path.abspath(__file__))
# What decoding depends on: a change to one of these must not meet entries of before.
_DECODERS = tuple(
    os.path.join(_FOLDER, name)
    for name in (
        *("conditions.py", "decode.py", "forms.py", "model.py", "parameters.py", "read.py"),
        *("ruletext.py", "toolrules.py"),
        "../subject.py",
    )
)


class Source(Struct):
    """The bytes of one policy file."""

    path: str
    kind: str  # "managed", "user", "project", "named" (by --policy), "preset"
    data: bytes
    digest: str  # SHA-256 of the bytes
    use: str = ""  # a preset, as it was named: with its argument


class Failure(Exception):  # noqa: N818 - carries a diagnostic, not an error of its own
    """A file that cannot be used at all."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


def source(path: str, kind: str) -> Source | None:
    """Read a policy file; None where there is none. Raises Failure for one that cannot be used."""
    follow = os.O_NOFOLLOW if kind == "project" else 0
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | follow)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Failure(_unreadable(path, error)) from None
    try:
        return _source(path, kind, descriptor)
    except OSError as error:
        raise Failure(_unreadable(path, error)) from None
    finally:
        os.close(descriptor)


def _source(path: str, kind: str, descriptor: int) -> Source:
    facts = os.fstat(descriptor)
    if stat.S_ISDIR(facts.st_mode):
        raise Failure(Diagnostic(message="a policy is a file, and this is a folder", file=path))
    if not stat.S_ISREG(facts.st_mode):
        raise Failure(Diagnostic(message="a policy is a regular file, and this is something else", file=path))
    _check_owner(path, kind, facts)
    if facts.st_size > LARGEST:
        raise Failure(Diagnostic(message="a policy file has at most 1 MiB", file=path))
    data = os.read(descriptor, LARGEST + 1)
    if len(data) > LARGEST:
        raise Failure(Diagnostic(message="a policy file has at most 1 MiB", file=path))
    return Source(path=path, kind=kind, data=data, digest=sha256(data))


def folder_problem(path: str) -> Diagnostic | None:
    """Say what is wrong with a folder of managed policies: whoever can write there can add one."""
    facts = os.stat(path)
    own = () if path.startswith(BUILT_IN_FOLDER) else (os.geteuid(),)
    if facts.st_uid not in (0, *own):
        message = f"this folder of managed policies belongs to user {facts.st_uid}"
        return Diagnostic(message=message, file=path, hint=f"chown {0 if not own else own[0]} {path}")
    if facts.st_mode & (stat.S_IWOTH | stat.S_IWGRP):
        message = "this folder of managed policies can be written by others"
        return Diagnostic(message=message, file=path, hint=f"chmod go-w {path}")
    return None


def _check_owner(path: str, kind: str, facts: os.stat_result) -> None:
    """Refuse a managed or user policy that somebody else can write."""
    if kind not in {"managed", "user"}:
        return
    own = () if path.startswith(BUILT_IN_FOLDER) else (os.geteuid(),)
    if facts.st_uid not in (0, *own):
        owner = "root" if not own else "you or root"
        message = f"this {kind} policy belongs to user {facts.st_uid}, and must belong to {owner}"
        raise Failure(Diagnostic(message=message, file=path, hint=f"chown {0 if not own else own[0]} {path}"))
    if facts.st_mode & (stat.S_IWOTH | (stat.S_IWGRP if kind == "managed" else 0)):
        who = "everybody" if facts.st_mode & stat.S_IWOTH else "its group"
        message = f"this {kind} policy can be written by {who}"
        raise Failure(Diagnostic(message=message, file=path, hint=f"chmod go-w {path}"))


def _unreadable(path: str, error: OSError) -> Diagnostic:
    if error.errno == errno.ELOOP:  # from O_NOFOLLOW
        return Diagnostic(
            message="this policy is a symbolic link into or within the project, and is not followed",
            file=path,
            hint="put the file itself in its place",
        )
    reason = (error.strerror or "it cannot be read").lower()
    return Diagnostic(message=f"the policy cannot be read: {reason}", file=path)


def layer(origin: Source, cache_dir: str) -> "tuple[dict[str, Any], tuple[Diagnostic, ...]]":
    """Return what a file says, and every problem in it: with one, what it says is for messages only."""
    stamp = cache.stamp(*_DECODERS)
    dialect = b"json" if origin.path.endswith(".json") else b"toml"
    name = cache.key(stamp, origin.kind.encode(), origin.use.encode(), dialect, origin.data)
    kept = cache.load(cache_dir, name) if stamp else None
    if isinstance(kept, dict):
        return kept, ()
    found, problems = _decode(origin)
    if stamp and not problems:
        cache.store(cache_dir, name, found)
    return found, problems


def _decode(origin: Source) -> "tuple[dict[str, Any], tuple[Diagnostic, ...]]":
    """Parse and check: the slow way, for a file seen for the first time."""
    try:
        text = origin.data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = origin.data.count(b"\n", 0, error.start) + 1
        message = (
            f"a policy is UTF-8 text: line {line} holds a byte 0x{origin.data[error.start]:02x} that is not"
        )
        return {}, (Diagnostic(message=message, file=origin.path),)
    from ringfence.policy import positions

    json = origin.path.endswith(".json")
    data, wrong = _json(text, origin.path) if json else _toml(text, origin.path)
    if data is None:
        return {}, wrong
    from ringfence.policy.decode import decode

    if origin.use:
        from ringfence.policy.parameters import filled

        data = filled(data, origin.use)
    found, problems = decode(data, origin.kind)
    if not problems and not wrong:
        return found, ()
    places = (positions.json if json else positions.toml)(text)
    told = [*wrong, *(_told(places, origin.path, problem) for problem in problems)]
    return found, tuple(sorted(told, key=place))


def point(origin: Source, problem: "Problem") -> Diagnostic:
    """Turn a problem that showed later, after merging, into a diagnostic at its place in the file."""
    from ringfence.policy import positions

    find = positions.json if origin.path.endswith(".json") else positions.toml
    text = origin.data.decode("utf-8").removeprefix("\ufeff")
    return _told(find(text), origin.path, problem)


def _told(places: "Positions", file: str, problem: "Problem") -> Diagnostic:
    from ringfence.policy.positions import span

    stretch = places.find(problem.path, name=problem.at_name)
    where = span(places.text, file, stretch) if stretch else None
    return Diagnostic(message=problem.message, span=where, hint=problem.hint, file=file)


def place(problem: Diagnostic) -> tuple[int, int]:
    """Return where a problem stands, to sort by."""
    return (problem.span.line, problem.span.column) if problem.span else (0, 0)


def _toml(text: str, file: str) -> "tuple[Any, tuple[Diagnostic, ...]]":
    import tomllib

    try:
        return tomllib.loads(text), ()
    except tomllib.TOMLDecodeError as error:
        return None, (_syntax(text, file, str(error)),)
    except (RecursionError, ValueError):  # nested beyond reason, or a number of thousands of digits
        return None, (Diagnostic(message="this is not TOML that anybody would write", file=file),)


def _json(text: str, file: str) -> "tuple[Any, tuple[Diagnostic, ...]]":
    import json

    from ringfence.policy import positions

    def refuse(name: str) -> None:
        raise ValueError(f"JSON has no {name}")

    try:
        data = json.loads(text, parse_constant=refuse)
        places = positions.json(text)
    except json.JSONDecodeError as error:
        where = positions.span(text, file, (error.pos, error.pos + 1))
        return None, (
            Diagnostic(message=f"this is not JSON: {error.msg[:1].lower()}{error.msg[1:]}", span=where),
        )
    except (RecursionError, ValueError) as error:
        reason = (
            str(error)
            if isinstance(error, ValueError) and "JSON" in str(error)
            else "it is beyond all limits"
        )
        return None, (Diagnostic(message=f"this is not a usable policy: {reason}", file=file),)
    if not isinstance(data, dict):
        return None, (Diagnostic(message="a policy is an object: { … }", file=file),)
    from ringfence.policy.decode import quoted

    twice = (
        Diagnostic(message=f"{quoted(path[-1])} stands here twice", span=positions.span(text, file, stretch))
        for path, stretch in places.twice
    )
    return data, tuple(twice)


def _syntax(text: str, file: str, message: str) -> Diagnostic:
    """Turn tomllib's message, which ends in `(at line 3, column 9)`, into a diagnostic."""
    from ringfence.policy.positions import span

    reason, _, where = message.rpartition(" (at ")
    numbers = [int(word) for word in where.replace(",", " ").replace(")", " ").split() if word.isdigit()]
    offset = len(text.rstrip())
    if len(numbers) == 2:
        lines = text.replace("\r\n", "\n").split("\n")[: numbers[0] - 1]
        text = text.replace("\r\n", "\n")
        offset = sum(len(line) + 1 for line in lines) + numbers[1] - 1
    reason = reason or message
    return Diagnostic(
        message=f"this is not TOML: {reason[:1].lower()}{reason[1:]}",
        span=span(text, file, (min(offset, len(text)), offset + 1)),
        hint=_syntax_hint(reason),
    )


def _syntax_hint(reason: str) -> str:
    if "Cannot mutate immutable namespace" in reason:
        return "`name = […]` and `[[name]]` cannot both be there: write all of it in one of the two ways"
    if "Cannot overwrite a value" in reason or "Cannot declare" in reason:
        return "the same name is given twice"
    if "Invalid value" in reason:
        return 'text stands in quotes: mode = "readonly"'
    return ""
