"""Lock files that fetch from other hosts than before, or without a digest."""

import re

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.review.unified import is_binary
from ringfence.workspace.risks.finding import RUNS, Finding, excerpt_of, place_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "lock file"
GROUP = RUNS
DOC = "Lock files that fetch from other hosts than before, or without a digest."

_NAMES = frozenset({
    "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "poetry.lock",
    "uv.lock", "pdm.lock", "pipfile", "pipfile.lock", "pylock.toml", "cargo.lock", "go.sum", "go.mod",
    "gemfile.lock", "composer.lock", "mix.lock", "podfile.lock", "package.resolved", "packages.lock.json",
    "deno.lock", "gradle.lockfile", "flake.lock", "conda-lock.yml", "pixi.lock", "pubspec.lock",
    "cartfile.resolved", "paket.lock", "elm-stuff", "rebar.lock", "verification-metadata.xml",
    "environment.yml", "environment.yaml", "constraints.txt", "bun.lockb",
})  # fmt: skip
_HOST = re.compile(
    rb"(?:\b[a-z][a-z0-9+.-]{0,30}://|\bgit@|\bssh@)(?:[^/\s\"'@]{0,200}@)?([a-z0-9.\-\[\]:]{1,300})",
    re.IGNORECASE,
)
_REDIRECT = re.compile(
    rb"^\s*replace\b|=>|^\s*-{1,2}(index-url|extra-index-url|find-links|trusted-host|i)\b|\bfile:|\blink:"
)


def look(change: Change, content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    name = place_of(change).name
    if not (name in _NAMES or _is_requirements(name)) or change.after is None:
        return
    if content.after is None or is_binary(content.after):
        yield Finding(path=change.path, risk=NAME, why="a lock file whose lines cannot be looked through")
        return
    known = {host.lower() for host in _HOST.findall(content.before or b"")}
    told: set[bytes] = set()
    for number, line in content.added():
        hosts = {host.lower() for host in _HOST.findall(line)} - known - told
        if hosts:
            told |= hosts
            names = ", ".join(sorted(excerpt_of(host) for host in hosts))
            why = f"fetches from a host that it did not name before: {names}"
            yield Finding(path=change.path, risk=NAME, why=why, line=number, excerpt=excerpt_of(line))
        elif _REDIRECT.search(line):
            why = "takes a package from another place"
            yield Finding(path=change.path, risk=NAME, why=why, line=number, excerpt=excerpt_of(line))
    lost = _digests(content.before or b"") - _digests(content.after)
    if content.before and lost > 0 and not _digests(content.after):
        yield Finding(path=change.path, risk=NAME, why="no longer has the digests of packages")


def _is_requirements(name: str) -> bool:
    return name.startswith(("requirements", "constraints")) and name.endswith((".txt", ".in"))


def _digests(data: bytes) -> int:
    return data.count(b"integrity") + data.count(b"sha256") + data.count(b"checksum") + data.count(b"h1:")
