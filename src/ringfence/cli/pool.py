"""`ringfence pool`: keep boundaries ready, and run commands in them at once."""

import sys

from ringfence.canonical import encode
from ringfence.cli import options
from ringfence.cli.options import Given, Option
from ringfence.cli.request import DISCARD, OPTIONS, POOL_NAME, REVIEW, request
from ringfence.errors import UsageError
from ringfence.host import probe
from ringfence.host.model import Host
from ringfence.preparation import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.pool.ask import Claim

USAGE = (
    "ringfence pool serve [--size N] [OPTION …] [-- COMMAND] | ringfence pool run [OPTION …] -- COMMAND …"
    " | ringfence pool status [--json]"
)
ABOUT = (
    "`serve` keeps N boundaries of this project ready until it is told to stop; `run` takes one for a\n"
    "command. Each is used once, and only as what `ringfence run` would build at that moment: where the\n"
    "policy or the project has changed, `run` says so with status 125, and `ringfence run --pool` builds\n"
    "a boundary then. COMMAND of `serve` is what presets are chosen by; it is not run."
)
NAME = POOL_NAME
_SIZE = Option(name="--size", value="N", help="serve: how many boundaries wait (2)")
_WORKSPACE = next(one for one in OPTIONS if one.name == "--workspace")
_QUIET = next(one for one in OPTIONS if one.name == "--quiet")
_SERVE = (_SIZE, NAME, *(one for one in OPTIONS if one.name != "--publish"))
_RUN = (NAME, _WORKSPACE, DISCARD, REVIEW, _QUIET)
_STATUS = (Option(name="--json", help="status: as JSON"),)
_HELP = Option(name="--help", help="this text")


def main(arguments: list[str]) -> int:
    """Serve, run, or tell."""
    acts = {"serve": _serve, "run": _run, "status": _status}
    word = arguments[0] if arguments else "--help"
    if word == "--help" or "--help" in arguments[1:2]:
        known = (_SIZE, NAME, DISCARD, REVIEW, *_STATUS, *(one for one in _SERVE if one not in {_SIZE, NAME}))
        sys.stdout.write(options.help_text(USAGE, ABOUT, known))
        return 0
    if word not in acts:
        raise UsageError(f"`ringfence pool` knows no `{word}`", hint=f"usage: {USAGE}")
    return acts[word](arguments[1:])


def _serve(words: list[str]) -> int:
    from ringfence.pool import server

    given = options.read(words, _SERVE, USAGE)
    host = probe.host()
    asked = request(given, host, default=("sh",))
    return server.serve(asked, host, name=given.one("--name"), size=_size(given.one("--size", "2")))


def _size(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise UsageError(f"`--size {text}` is not a number of boundaries")
    return int(text)


def _run(words: list[str]) -> int:
    given = options.read(words, _RUN, USAGE)
    host = probe.host()
    return run(request(given, host), host, given, bound=False)


def run(asked: Request, host: Host, given: Given, *, bound: bool) -> int:
    """Run a command in a boundary of the pool. `bound`: only in one of the very policy that was asked for."""
    from ringfence.pool import attached

    name = given.one("--name")
    return attached.run(host.state_dir, _claim(asked, host, name, bound=bound), name=name, quiet=asked.quiet)


def _claim(asked: Request, host: Host, name: str, *, bound: bool) -> "Claim":
    from ringfence.pool import client, place
    from ringfence.pool.ask import Claim

    patterns = client.asked(place.of(host.state_dir, asked.workspace, name), "waiting").get("keep", [])
    wanted = [one for one in host.set_variables if any(_fits(one, pattern) for pattern in patterns)]
    return Claim(
        argv=asked.argv,
        workspace=asked.workspace,
        cwd=asked.cwd,
        variables=(*host.variables, *sorted(probe.settings(wanted).items())),
        overrides=asked.overrides if bound else None,
        discard=asked.discard,
        review=asked.review,
    )


def _fits(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _status(words: list[str]) -> int:
    from ringfence.pool import client, place

    given = options.read(words, (*_STATUS, _HELP), USAGE)
    found = []
    for where in place.every(probe.host().state_dir):
        try:
            found.append(client.asked(where, "status"))
        except place.NoPoolError:
            continue  # its server was killed
    if "--json" in given.switches:
        print(encode(found))
        return 0
    for one in found:
        print(_told(one))
    if not found:
        print("no pool runs")
    return 0 if found else 1


def _told(one: "dict[str, object]") -> str:
    shown = str(one["workspace"])
    shown = shown if shown.isprintable() else shown.encode("unicode_escape", "backslashreplace").decode()
    memory = one["memory"]
    assert isinstance(memory, int)  # noqa: S101 - for the type checker
    return (
        f"{shown}  {one.get('tier', '?')} for {one['command']}: {one['waiting']} of {one['size']} wait, "
        f"{one['building']} being built, {one['sessions']} in use, {one['served']} served, "
        f"{memory >> 20} MiB waiting (pid {one['pid']})"
    )
