"""package.json where it runs something: scripts, commands, dependencies, hooks; and npm's settings."""

import json

from ringfence.workspace.content import Content
from ringfence.workspace.layers import DELETED, MODE, Change
from ringfence.workspace.risks.finding import RUNS, Finding, excerpt_of, places, verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "package.json"
GROUP = RUNS
DOC = "package.json where it runs something: scripts, commands, dependencies, hooks; and npm's settings."

_SETTINGS = frozenset({
    ".npmrc", ".yarnrc", ".yarnrc.yml", ".pnpmfile.cjs", ".pnpmfile.mjs", "pnpm-workspace.yaml",
    "bunfig.toml", ".bowerrc", "binding.gyp",
})  # fmt: skip
_RUNS = (
    "scripts", "bin", "dependencies", "devDependencies", "optionalDependencies", "peerDependencies",
    "bundleDependencies", "bundledDependencies", "overrides", "resolutions", "workspaces", "main",
    "module", "exports", "imports", "gypfile", "packageManager", "devEngines", "pnpm", "husky",
    "lint-staged", "simple-git-hooks", "pre-commit", "config", "publishConfig", "type", "browser", "babel",
    "jest", "ava", "mocha", "nodemonConfig", "trustedDependencies", "patchedDependencies", "engines",
    "volta", "wireit", "nx", "release",
)  # fmt: skip


def look(change: Change, content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    for place in places(change):
        if place.name in _SETTINGS:
            yield Finding(path=change.path, risk=NAME, why=f"{verb(change)} what npm and its kin obey")
        elif place.name in {"package.json", "package.json5", "package.yaml"}:
            yield from _package(change, content)


def _package(change: Change, content: Content) -> "Iterator[Finding]":
    if change.kind in {MODE, DELETED}:
        return
    before, after = _read(content.before), _read(content.after)
    if before is None or after is None:
        yield Finding(path=change.path, risk=NAME, why="cannot be read as JSON: it may run anything")
        return
    for key in _RUNS:
        if before.get(key) != after.get(key):
            yield from _difference(change, key, before.get(key), after.get(key))


def _difference(change: Change, key: str, old: object, new: object) -> "Iterator[Finding]":
    if not isinstance(old, dict | None) or not isinstance(new, dict | None):
        yield _finding(change, key, new)
        return
    was, now = old or {}, new or {}
    for name in sorted(was.keys() | now.keys()):
        if was.get(name) != now.get(name):
            yield _finding(change, f"{key}.{name}", now.get(name, "(removed)"))


def _finding(change: Change, key: str, value: object) -> Finding:
    shown = excerpt_of(json.dumps(value).encode())
    named = excerpt_of(key.encode("utf-8", "surrogatepass"))
    return Finding(path=change.path, risk=NAME, why=f"changes `{named}`", excerpt=shown)


def _read(data: bytes | None) -> "dict[str, object] | None":
    if not data:
        return {}
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
