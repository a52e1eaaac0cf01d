"""git over smart HTTP: which repositories are read and which refs are changed.

Theory (gitprotocol-http(5)). A fetch is GET `REPO/info/refs?service=git-upload-pack` and POSTs to
`REPO/git-upload-pack`, in every version of the protocol. A push is GET of the same with `git-receive-pack`,
and a POST to `REPO/git-receive-pack`, whose body begins with the list of refs to change: a fact of the body.
A request of either kind that deviates in any point (another key in the query, another content type, a
compressed push) is not one. Without `service` it is the dumb protocol, which says nothing about what is
wanted. git LFS asks for `REPO/info/lfs/objects/batch` what it wants to do; reading goes with `fetch`, storing
objects with `push` whatever the refs: an object that no ref names changes no branch.

A repository is the path before that, in lower case (hosts that have users take `Acme/App` and `acme/app` for
one), without `.git`.
"""

import re

from ringfence.policy.conditions import split_git
from ringfence.subject import path_matches
from ringfence.value import Struct
from ringfence.verdict.facts import GIT_COMMANDS, LFS, Commands, Unread
from ringfence.verdict.query import pairs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.verdict.request import Request

NEEDS_COMMANDS, NEEDS_LFS = frozenset({GIT_COMMANDS}), frozenset({LFS})
FETCH, BEGIN, PUSH, BATCH, STORE = "fetch", "begin", "push", "batch", "store"  # what a request is there for
ADVERTISED = {"git-upload-pack": FETCH, "git-receive-pack": BEGIN}

_PATH = re.compile(
    r"/(?P<repository>.+?)(?:\.git)?/(?P<what>info/refs|git-upload-pack|git-receive-pack"
    r"|info/lfs/objects/batch|info/lfs/locks(?:/verify)?|(?:info/lfs|gitlab-lfs)/objects/[0-9a-f]{64}(?:/[0-9]+)?)",
    re.IGNORECASE,
)
_OBJECT = "objects/"


class Entry(Struct):
    """One condition of a rule, read."""

    action: str
    repository: str
    refs: tuple[str, ...]

    def about(self, repository: str) -> bool:
        """Say whether a repository is meant."""
        return self.repository == "*" or path_matches(self.repository, repository)

    def names(self, ref: str) -> bool:
        """Say whether a ref is meant."""
        return not self.refs or any(path_matches(glob, ref) for glob in self.refs)


def entries(texts: tuple[str, ...]) -> tuple[Entry, ...]:
    """Read a rule's conditions once."""
    return tuple(
        Entry(action=action, repository=repository, refs=refs)
        for action, repository, refs in map(split_git, texts)
    )


# --- for an allow rule: exactly git, and nothing beyond what is named


def refused(named: tuple[Entry, ...], request: "Request") -> str | frozenset[str]:
    """Say what in a request is beyond what is named, return "", or name the fact that is needed."""
    purpose, repository = read(request)
    if not purpose:
        return repository
    about = [entry for entry in named if entry.about(repository)]
    fetching = [entry for entry in about if entry.action == "fetch"]
    pushing = [entry for entry in about if entry.action == "push"]
    if purpose == FETCH:
        return "" if fetching else f"fetching from {repository} is not in the rule"
    if purpose == BEGIN:
        return "" if any(entry.action != "fetch" for entry in about) else _no_push(repository)
    if purpose == STORE:
        return "" if pushing else _no_push(repository)
    if purpose == BATCH:
        return _batch(request, repository, fetching=bool(fetching), pushing=bool(pushing))
    return _pushed(request, repository, about)


def read(request: "Request") -> tuple[str, str]:
    """Return what a request is there for and its repository, or "" and why it is no request of git's."""
    found = {_read(path, request) for path in request.paths}
    return found.pop() if len(found) == 1 else ("", "the path can be read in two ways")


def _no_push(repository: str) -> str:
    return f"pushing to {repository} is not in the rule"


def _batch(request: "Request", repository: str, *, fetching: bool, pushing: bool) -> str | frozenset[str]:
    if not fetching and not pushing:
        return f"git LFS of {repository} is not in the rule"
    fact = request.facts.lfs
    if fact is None:
        return NEEDS_LFS
    if isinstance(fact, Unread):
        return fact.reason
    covered = pushing if fact.operation == "upload" else fetching
    return "" if covered else f"a git LFS {fact.operation} for {repository} is not in the rule"


def _pushed(request: "Request", repository: str, about: list[Entry]) -> str | frozenset[str]:
    if not any(entry.action != "fetch" for entry in about):
        return _no_push(repository)
    fact = request.facts.commands
    if fact is None:
        return NEEDS_COMMANDS
    if isinstance(fact, Unread):
        return fact.reason
    for update in fact.updates:
        action = "delete" if update.action == "delete" else "push"
        if not any(entry.action == action and entry.names(update.ref) for entry in about):
            return f"to {update.action} {update.ref} in {repository} is not in the rule"
    return ""


def _read(path: str, request: "Request") -> tuple[str, str]:
    found = _PATH.fullmatch(path)
    if found is None:
        return "", "this is no request of git's smart protocol"
    repository, what = found["repository"].lower(), found["what"]
    if "%" in repository or not repository.isascii() or ".git" in repository.split("/"):
        return "", "the repository's path can be read in two ways"
    purpose, reason = _purpose(what, request)
    return (purpose, repository) if purpose else ("", reason)


def _purpose(what: str, request: "Request") -> tuple[str, str]:
    if what == "info/refs":
        return _advertisement(request)
    if request.query:
        return "", "a request of git's takes no query here"
    if what.startswith("git-"):
        return _service(what, request)
    return _lfs(what, request.method)


def _advertisement(request: "Request") -> tuple[str, str]:
    keys = pairs(request.query)
    service = keys[0][1] if len(keys) == 1 and keys[0][0] == "service" else ""
    if request.query != f"?service={service}" or service not in ADVERTISED:
        return "", "git's dumb protocol is not served: the query has to be one `service`, and nothing else"
    return (ADVERTISED[service], "") if request.method == "GET" else ("", "info/refs is read by GET")


def _service(what: str, request: "Request") -> tuple[str, str]:
    if request.method != "POST" or request.values(b"content-type") != [
        f"application/x-{what}-request".encode()
    ]:
        return "", f"{what} is a POST of application/x-{what}-request"
    if what == "git-upload-pack":
        return FETCH, ""
    if request.values(b"content-encoding"):
        return "", "a compressed push cannot be read"
    return PUSH, ""


def _lfs(what: str, method: str) -> tuple[str, str]:
    kind = _OBJECT if _OBJECT in what and not what.endswith("batch") else what.rpartition("/")[2]
    served = {
        ("batch", "POST"): BATCH,
        ("locks", "GET"): FETCH,
        ("verify", "POST"): STORE,  # asked before a push
        (_OBJECT, "GET"): FETCH,
        (_OBJECT, "PUT"): STORE,
    }
    purpose = served.get((kind, method), "")
    return purpose, "" if purpose else f"git LFS has no {method} that a rule could name here"


# --- for a deny or ask rule: whatever could be what is named


def touched(named: tuple[Entry, ...], request: "Request") -> str | frozenset[str]:
    """Name what in a request could be what is named, return "", or name the fact that is needed."""
    needs: frozenset[str] = frozenset()
    for path in request.paths:
        found = _PATH.fullmatch(path.rstrip("/"))
        if found is None:
            continue
        for entry in named:
            told = _could_be(entry, found["repository"].lower(), found["what"].lower(), request)
            if isinstance(told, frozenset):
                needs |= told
            elif told:
                return told
    return needs or ""


def _could_be(entry: Entry, repository: str, what: str, request: "Request") -> str | frozenset[str]:
    if not entry.about(repository):
        return ""
    if what == "git-receive-pack":
        return _could_change(entry, repository, request)
    if what.endswith("/batch"):
        return _could_transfer(entry, repository, request)
    actions = set(_could_do(what, request))
    whole = entry.action == "fetch" or (entry.action == "push" and not entry.refs)
    return f"git: {entry.action} {repository}" if whole and entry.action in actions else ""


def _could_do(what: str, request: "Request") -> "Iterator[str]":
    """Yield what a request may be there for, `fetch` or `push`."""
    query = request.query.lower()
    if what == "git-upload-pack" or (what == "info/refs" and "receive" not in query):
        yield "fetch"
    if what == "info/refs" and "upload" not in query:
        yield "push"
    if "lfs" in what:
        yield "fetch" if request.method in {"GET", "HEAD"} else "push"


def _could_change(entry: Entry, repository: str, request: "Request") -> str | frozenset[str]:
    fact = request.facts.commands
    if entry.action == "fetch":
        return ""
    if fact is None:
        return NEEDS_COMMANDS
    if isinstance(fact, Unread):
        return fact.reason
    changed = _changed(entry, fact)
    if not fact.updates and entry.action == "push" and not entry.refs:
        return f"git: push {repository}"
    return f"git: {entry.action} {repository} {changed}" if changed else ""


def _changed(entry: Entry, fact: Commands) -> str:
    """Return the first ref that is changed as named; who denies pushing to a branch means deleting it too."""
    for update in fact.updates:
        if (update.action == "delete" or entry.action == "push") and entry.names(update.ref):
            return update.ref
    return ""


def _could_transfer(entry: Entry, repository: str, request: "Request") -> str | frozenset[str]:
    fact = request.facts.lfs
    if entry.action == "delete":
        return ""
    if fact is None:
        return NEEDS_LFS
    if isinstance(fact, Unread):
        return fact.reason
    wanted = "push" if fact.operation == "upload" else "fetch"
    whole = entry.action == wanted and not entry.refs
    return f"git: {entry.action} {repository}" if whole else ""
