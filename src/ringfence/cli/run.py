"""`ringfence run`: a command inside the boundary."""

import sys

from ringfence import session
from ringfence.cli import options
from ringfence.cli.request import DISCARD, OPTIONS, POOL, POOL_NAME, REVIEW, SESSION, request
from ringfence.errors import UsageError
from ringfence.host import probe
from ringfence.host.model import Host
from ringfence.preparation import Request
from ringfence.workspace import unfinished

USAGE = "ringfence run [OPTION …] [--] COMMAND [ARGUMENT …]"
ABOUT = (
    "Run a command inside the boundary. Without a policy file the presets are chosen by the command.\n"
    "The status is the command's own; 125: the boundary failed, 126: not executable, 127: not found.\n"
    "With --review auto, of a command that succeeded: 122 conflicts, 123 changes are left for review."
)


def main(arguments: list[str]) -> int:
    """Run the command; return its status."""
    known = (*OPTIONS, SESSION, DISCARD, REVIEW, POOL, POOL_NAME)
    given = options.read(arguments, (*known, options.Option(name="--help", help="this text")), USAGE)
    if "--help" in given.switches:
        sys.stdout.write(options.help_text(USAGE, ABOUT, known))
        return 0
    host = probe.host()
    asked = request(given, host)
    if not asked.quiet:
        _warn(host)
    if given.one("--name") and "--pool" not in given.switches:
        raise UsageError("`--name` names a pool", hint="add `--pool`")
    if "--pool" in given.switches:
        status = _from_pool(asked, host, given)
        if status is not None:
            return status
    try:
        return session.run(asked, host)
    finally:
        _prune(host)


def _from_pool(asked: Request, host: Host, given: options.Given) -> int | None:
    """Run in a boundary that waits; None, said aloud, where a cold start has to do."""
    from ringfence.cli import pool
    from ringfence.pool.client import ClaimError
    from ringfence.pool.place import NoPoolError

    if asked.session or asked.publish:
        raise UsageError(
            "`--pool` takes a boundary that stands already: it continues no session and publishes no port",
            hint="leave `--pool` out",
        )
    try:
        return pool.run(asked, host, given, bound=True)
    except (ClaimError, NoPoolError) as error:
        sys.stderr.write(f"ringfence: not from the pool: {error.message}; a boundary is built now\n")
        return None


def _prune(host: Host) -> None:
    """Let old records go, once a day, when the command is over: no start waits for that."""
    from ringfence.audit import prune

    if prune.is_due(host.state_dir):
        prune.automatic(host.state_dir)


def _warn(host: Host) -> None:
    """Say where a project is halfway: no start may hide it."""
    for one in unfinished.sessions(host.state_dir):
        sys.stderr.write(
            f"ringfence: an apply of session {one} was interrupted, or goes on at this moment;"
            f" `ringfence apply {one} --resume` finishes it, `--rollback` takes it back\n"
        )
