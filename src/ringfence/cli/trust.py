"""`ringfence trust`: let a project's policy widen the boundary, as it stands now."""

import os
import sys

from ringfence import cache
from ringfence.errors import PolicyError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ringfence.host.model import Host
    from ringfence.policy.read import Source

HELP = """\
usage: ringfence trust [FILE]            show what the project's policy widens, and trust its exact bytes
       ringfence trust --revoke [FILE]   take that back
       ringfence trust --list            print what is trusted
       ringfence trust --yes [FILE]      do not ask
"""
_OPTIONS = {"--revoke", "--list", "--yes", "-y"}


def main(arguments: list[str]) -> int:
    """Show, ask, record; or revoke; or list."""
    from ringfence.host import probe

    if arguments and arguments[0] in {"-h", "--help"}:
        sys.stdout.write(HELP)
        return 0
    options = {word for word in arguments if word.startswith("-")}
    files = [word for word in arguments if not word.startswith("-")]
    if not options <= _OPTIONS or len(files) > 1:
        raise UsageError("`ringfence trust` takes one file", hint=HELP.strip())
    host = probe.host()
    if "--list" in options:
        return _list(host)
    path = _path(host, files)
    return (
        _revoke(host, path)
        if "--revoke" in options
        else _trust(host, path, ask=not options & {"--yes", "-y"})
    )


def _path(host: "Host", files: list[str]) -> str:
    from ringfence.policy.load import project_file

    path = os.path.abspath(files[0]) if files else project_file(host, os.getcwd())
    if not path:
        raise PolicyError("there is no ringfence.toml here or above", hint="ringfence init writes one")
    return path


def _trust(host: "Host", path: str, *, ask: bool) -> int:
    from ringfence.policy import read, trust

    try:
        source = read.source(path, "project")
    except read.Failure as failure:
        raise PolicyError(failure.diagnostic.message, diagnostics=(failure.diagnostic,)) from None
    if not source:
        raise PolicyError(f"there is no file {path}")
    if cache.inside(host.state_dir, os.path.dirname(path)):
        raise PolicyError(
            f"trust is recorded in {host.state_dir}, beside this file, where an agent could write it",
            hint="name the policy's other place with --policy, or move the file",
        )
    real = os.path.realpath(path)
    if trust.trusted(host.state_dir, real, source.digest):
        print(f"already trusted: {path}")
        return 0
    from ringfence.policy.explain import printable

    wider = _wider(host, source)
    print(f"{path} asks for:" if wider else f"{path} only narrows.")
    for line in wider:
        print(f"  {printable(line)}")
    if ask and not _agreed():
        print("not trusted")
        return 1
    trust.record(host.state_dir, real, source.digest)
    print(f"trusted: {path} (sha256 {source.digest[:16]}…); any change to it ends that")
    return 0


def _agreed() -> bool:
    """Ask the person at the terminal; without one, nobody has agreed."""
    if not sys.stdin.isatty():
        sys.stderr.write("nobody to ask here: `ringfence trust --yes` says so without\n")
        return False
    return input("trust this file as it stands now? [y/N] ").strip().lower() in {"y", "yes"}


def _wider(host: "Host", source: "Source") -> list[str]:
    """Return what the file says that counts only once it is trusted."""
    if _is_claude(source.path):
        return _wider_settings(source.path)
    from ringfence.policy import layers, read

    layer, problems = read.layer(source, host.cache_dir)
    if problems:
        raise PolicyError("the policy cannot be used", diagnostics=problems)
    nothing = layers.Combined(layer={}, fixed={})
    free = layers.combine(nothing, layer, "this file", frozenset())
    locked = layers.combine(nothing, layer, "this file", layers.EVERYTHING)
    names = [f"use {name}" for name in layer.get("use", ())]
    return [*names, *(_detail(free.layer, what) for what in locked.ignored)]


def _is_claude(path: str) -> bool:
    folder, name = os.path.split(path)
    return os.path.basename(folder) == ".claude" and name in {"settings.json", "settings.local.json"}


def _wider_settings(path: str) -> list[str]:
    """Return what a project's settings for Claude Code allow, where the policy has them count."""
    from ringfence.policy.importers import claude_code

    base = os.path.dirname(os.path.dirname(path))
    place = claude_code.Place(scope=claude_code.PROJECT, path=path, base=base)
    found = claude_code.in_force((place,), lambda _path, _digest: True)
    allowed = [f"allow {rule.text}" for rule in found.rules if rule.effect == "allow"]
    folders = [f"folder {one}" for one in found.directories]
    return [*allowed, *folders, *([] if found.mode == "default" else [f"mode {found.mode}"])]


def _detail(layer: "dict[str, Any]", what: str) -> str:
    """Say more of a thing than its name: where a credential goes, what a variable becomes."""
    name, _, key = what.partition(".")
    if name == "credentials":
        one = layer["credentials"][key]
        told = f"{what}: {one.get('source', 'the same source')} sent to {one.get('host', 'the same host')}"
        # Both see more than the host does: what proves who asks, or the login that opens a vault.
        others = [f", {name} {one[name]}" for name in ("token_url", "source_url") if one.get(name)]
        return told + "".join(others)
    if name == "gateways":
        return f"{what}: {layer['gateways'][key]['upstream']}"
    if what.startswith("environment.set."):
        return f"{what} = {layer['environment']['set'][what[16:]]}"
    for table in ("static", "resolvers"):
        if what.startswith(f"egress.{table}."):
            return f"{what} = {layer['egress'][table][what[8 + len(table) :]]}"
    if what in {"egress.proxy", "egress.proxy_password"}:
        return f"{what} = {layer['egress'][what[7:]]}"
    return what


def _revoke(host: "Host", path: str) -> int:
    from ringfence.policy import trust

    had = trust.revoke(host.state_dir, os.path.realpath(path))
    print(f"no longer trusted: {path}" if had else f"was not trusted: {path}")
    return 0 if had else 1


def _list(host: "Host") -> int:
    from ringfence.canonical import sha256
    from ringfence.policy import trust

    for path, digest in trust.records(host.state_dir):
        try:
            with open(path, "rb") as file:
                state = "trusted" if sha256(file.read()) == digest else "changed since"
        except OSError:
            state = "gone"
        print(f"{state}\t{digest[:16]}\t{path}")
    return 0
