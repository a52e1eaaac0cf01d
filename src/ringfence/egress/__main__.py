"""`python -I -m ringfence.egress FD`: the gate's process. FD holds the handover.

Hardened before anything secret is read: no core dumps, not traceable by others of the same user, dead
when its parent is. It ends when the launcher's end of the control pipe closes, or at SIGTERM.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

PR_SET_PDEATHSIG, PR_GET_PDEATHSIG, PR_SET_DUMPABLE = 1, 2, 4  # linux/prctl.h
OPEN_FILES = 8192
GARBAGE = 10_000  # objects made and not let go of, before cycles are looked for among them


def main() -> None:
    """Serve one session and exit."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Serve one session; returns the exit status."""
    harden()
    from ringfence.errors import RingfenceError

    if len(arguments) != 1 or not arguments[0].isdigit():
        sys.stderr.write("usage: python -I -m ringfence.egress FD\n\nhint: `ringfence run` starts this\n")
        return 2
    try:
        return _serve(int(arguments[0]))
    except RingfenceError as error:
        sys.stderr.write(error.render())
        return error.status


def harden() -> None:
    """Close this process to others before it knows anything, and bind its life to its parent's."""
    import signal

    seal(OPEN_FILES)
    for number in (signal.SIGINT, signal.SIGHUP):  # a terminal's; the launcher decides when this ends
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        _die_with_parent(signal.SIGKILL)


def seal(open_files: int) -> None:
    """Close this process to others: no core dumps, no tracing by the same user."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    none = 1 if hard == resource.RLIM_INFINITY else min(1, hard)  # 0 would still run core_pattern's program
    resource.setrlimit(resource.RLIMIT_CORE, (none, none))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = open_files if most == resource.RLIM_INFINITY else min(open_files, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    if sys.platform == "linux":
        _be_undumpable()
    resolve_as_judged()
    os.umask(0o077)


def resolve_as_judged() -> None:
    """Keep the system's resolver from trying a name with the domains of a search list behind it.

    The name that was judged is the name that is resolved: an unknown `api.example.com` must not become
    `api.example.com.corp.example`. An empty LOCALDOMAIN is an empty list (resolver(5)).
    """
    os.putenv("LOCALDOMAIN", "")


def _be_undumpable() -> None:
    import ctypes

    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise SystemExit("error: this process cannot be closed to others (prctl PR_SET_DUMPABLE)")


def _die_with_parent(death_signal: int) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    present = ctypes.c_int(0)
    libc.prctl(PR_GET_PDEATHSIG, ctypes.byref(present), 0, 0, 0)
    if present.value == 0:
        libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)


def _serve(fd: int) -> int:
    import asyncio

    from ringfence import canonical
    from ringfence.egress import configuration

    canonical.use_openssl()
    handover = configuration.read(fd)
    environment = configuration.environment(handover.secrets_fd)

    async def work() -> int:
        import signal

        from ringfence.egress.server import Server

        server = Server(handover, environment)
        environment.clear()
        collect_rarely()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
        await server.run()
        return server.status

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(work())


def collect_rarely() -> None:
    """Leave what stands now out of every collection, and look for cycles less often than Python does.

    A request leaves none behind; connections do when they end. Looking costs a request 4 µs otherwise.
    """
    import gc

    gc.freeze()
    gc.set_threshold(GARBAGE, 20, 50)


def loop_factory() -> "Callable[[], asyncio.AbstractEventLoop] | None":
    """Return uvloop's loop where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    main()
