"""The options that `run`, `plan` and `verify` share: from the command line to a request."""

import os

from ringfence.cli.options import Given, Option
from ringfence.errors import BoundaryError, UsageError
from ringfence.handover import Publication
from ringfence.host.model import Host
from ringfence.policy.overrides import Overrides
from ringfence.preparation import Request, workspace_of
from ringfence.subject import canonical_port

OPTIONS = (
    Option(
        name="--use",
        value="PRESET",
        help="presets in place of those chosen by the command; repeat, or a,b",
        many=True,
    ),
    Option(name="--allow", value="HOST", help="let requests to this host out", many=True),
    Option(name="--deny", value="HOST", help="never let requests to this host out", many=True),
    Option(name="--read", value="PATH", help="show this path, read-only", many=True),
    Option(name="--write", value="PATH", help="let this path be written", many=True),
    Option(name="--mode", value="MODE", help="workspace: overlay, direct, readonly or scratch"),
    Option(name="--direct", help="let the agent work on the real files: the same as --mode direct"),
    Option(
        name="--workspace", value="DIR", help="the project; default: the repository around this folder, or it"
    ),
    Option(name="--policy", value="FILE", help="this file in place of the project's ringfence.toml"),
    Option(name="--tier", value="TIER", help="what the boundary is made of, best first", many=True),
    Option(name="--accept", value="NAME", help="give up a protection by name", many=True),
    Option(name="--credential", value="NAME=SOURCE", help="another source for a credential", many=True),
    Option(name="--memory", value="SIZE", help="limit, such as 2G"),
    Option(name="--cpus", value="N", help="limit"),
    Option(name="--processes", value="N", help="limit"),
    Option(name="--time", value="DURATION", help="end the session after, such as 30m"),
    Option(name="--publish", value="[HOST:]INSIDE", help="reach a port inside on 127.0.0.1", many=True),
    Option(name="--quiet", help="say nothing on standard error"),
)


POOL = Option(name="--pool", help="take a boundary that waits in this project's pool, where one fits")
POOL_NAME = Option(name="--name", value="NAME", help="with --pool: one of several pools of a project")

SESSION = Option(name="--session", value="ID", help="work on in the copy of this session, or of the `last`")

REVIEW = Option(
    name="--review", value="auto", help="apply at the end what the policy's [review] auto lets through"
)

DISCARD = Option(name="--discard", help="throw away at the end what changed in a copy of the project")


def request(given: Given, host: Host, default: tuple[str, ...] = ()) -> Request:
    """Return the request that the options describe."""
    argv = given.rest or default
    if not argv:
        raise UsageError("no command to run", hint="ringfence run -- COMMAND [ARGUMENT …]")
    cwd = _cwd()
    workspace = _workspace(given.one("--workspace"), cwd, host)
    if "--discard" in given.switches and given.one("--session"):
        raise UsageError(
            "`--discard` would throw away what the session before had changed as well",
            hint="leave one of `--session` and `--discard` out",
        )
    inside = cwd == workspace or cwd.startswith(workspace + "/")
    return Request(
        argv=argv,
        workspace=workspace,
        cwd=cwd if inside else workspace,
        overrides=_overrides(given),
        publish=tuple(map(_publication, given.all("--publish"))),
        quiet="--quiet" in given.switches,
        session=given.one("--session"),
        discard="--discard" in given.switches,
        review=_review(given),
    )


def _review(given: Given) -> bool:
    named = given.one("--review")
    if named not in {"", "auto"}:
        raise UsageError(f"`--review {named}` is not known", hint="--review auto, or leave it out")
    if named and "--discard" in given.switches:
        raise UsageError("`--review` and `--discard` contradict each other", hint="leave one of them out")
    return bool(named)


def _cwd() -> str:
    try:
        return os.path.realpath(os.getcwd())
    except OSError as error:
        raise BoundaryError(
            f"the current folder cannot be used: {error.strerror}", hint="change into a folder that exists"
        ) from None


def _workspace(named: str, cwd: str, host: Host) -> str:
    if not named:
        return workspace_of(cwd, host.home)
    if not os.path.isdir(named):
        raise BoundaryError(f"the workspace {named} is not a folder")
    return os.path.realpath(named)


def _presets(value: str) -> list[str]:
    """Split `a,b`; behind a `:` commas belong to the argument: `npm-only:react,left-pad`."""
    plain, colon, argument = value.partition(":")
    names = [name for name in plain.split(",") if name]
    return [*names[:-1], f"{names[-1]}:{argument}"] if colon and names else names


def _overrides(given: Given) -> Overrides:
    return Overrides(
        policy_file=given.one("--policy"),
        use=tuple(name for value in given.all("--use") for name in _presets(value)),
        allow=given.all("--allow"),
        deny=given.all("--deny"),
        read=tuple(map(_absolute, given.all("--read"))),
        write=tuple(map(_absolute, given.all("--write"))),
        mode=_mode(given),
        accept=given.all("--accept"),
        tier=given.all("--tier"),
        credentials=given.all("--credential"),
        memory=given.one("--memory"),
        cpus=given.one("--cpus"),
        processes=given.one("--processes"),
        wall_time=given.one("--time"),
    )


def _mode(given: Given) -> str:
    named = given.one("--mode")
    if "--direct" not in given.switches:
        return named or ("overlay" if given.one("--session") else "")
    if named not in {"", "direct"} or given.one("--session"):
        other = f"--mode {named}" if named else "--session"
        raise UsageError(f"`--direct` and `{other}` contradict each other", hint="leave one of them out")
    return "direct"


def _absolute(path: str) -> str:
    return path if path.startswith("~") else os.path.abspath(path)


def _publication(text: str) -> Publication:
    outside, _, inside = text.rpartition(":")
    try:
        port = canonical_port(inside)
        host_port = canonical_port(outside) if outside else port
    except ValueError:
        raise UsageError(
            f"`--publish {text}` is not a port",
            hint="write --publish 5173, or --publish 8080:5173 (here:inside)",
        ) from None
    return Publication(host_address="127.0.0.1", host_port=host_port, inside_port=port)
