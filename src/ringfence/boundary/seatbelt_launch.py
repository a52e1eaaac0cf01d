"""Starting a session on macOS: sandbox-exec under the rendered profile. Untested on a real Mac.

There is no wire: Seatbelt lets the agent reach one port of the loopback, where the gate listens and
speaks proxy protocols only, so programs must honour the proxy variables; what does not, reaches
nothing. There is no process namespace either: the session is a process group of its own, and what
leaves the group is found by its ancestry (`ps`) and killed at the end. `docs/macos.md` says what
this tier holds and what it does not.

Like everywhere: the listener is ours and exists before the agent does; the agent's environment is
the plan's and nothing else; descriptors above 2 are closed.
"""

import os

from ringfence.boundary.model import Plan
from ringfence.boundary.tiers import seatbelt
from ringfence.errors import HostError
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SANDBOX_EXEC = "/usr/bin/sandbox-exec"
_SIGTERM, _SIGKILL = 15, 9
_GRACE = 1.0  # seconds between the polite and the final signal
_MAX_PROFILE = 200_000  # bytes: ARG_MAX on macOS is 1 MiB for arguments and environment together


class Invocation(Struct):
    """What is executed."""

    program: str
    argv: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    cwd: str


def listen() -> tuple[int, int]:
    """Open the gate's listener on the loopback; return its descriptor and port."""
    import _socket

    listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen(512)
    listener.setblocking(False)
    port = int(listener.getsockname()[1])
    return listener.detach(), port


def invocation(plan: Plan, profile_file: str) -> Invocation:
    """Return how to start the plan's command. Pure, but that a long profile is to be read from a file."""
    profile = seatbelt.render(plan)
    short = len(profile.encode()) <= _MAX_PROFILE
    how = ("-p", profile) if short else ("-f", profile_file)
    return Invocation(
        program=SANDBOX_EXEC,
        argv=("sandbox-exec", *how, *plan.argv),
        environment=plan.environment,
        cwd=plan.cwd,
    )


def launch(plan: Plan, listener: int, folder: str, serve: "Callable[[int], int]") -> int:
    """Run the plan's command to its end; return its status as shells count it.

    `folder` is the session's own, outside the boundary. `serve` starts the egress process on the
    listener and returns its pid; it is called before the agent starts, since nothing here waits at
    the listener for a first connection.
    """
    if not os.access(SANDBOX_EXEC, os.X_OK):
        raise HostError(
            f"there is no {SANDBOX_EXEC}", hint="this tier needs macOS; on Linux the tier is built otherwise"
        )
    profile_file = os.path.join(folder, "profile.sb")
    _write(profile_file, seatbelt.render(plan))
    start = invocation(plan, profile_file)
    serve(listener)
    os.close(listener)
    child = os.fork()
    if child == 0:
        _become(start)
    return _watch(child)


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _become(start: Invocation) -> None:
    """Be the agent: a process group of its own, no descriptors but three, the plan's environment."""
    try:
        os.setpgid(0, 0)
        os.closerange(3, 65536)
        os.chdir(start.cwd)
        os.execve(start.program, start.argv, dict(start.environment))  # noqa: S606 - there is no shell
    except OSError as error:
        os.write(2, f"ringfence: {start.program}: {error.strerror}\n".encode())
    finally:
        os._exit(125)


def _watch(child: int) -> int:
    """Wait for the command; then end whatever it left running."""
    import signal

    def pass_on(number: int, _frame: object) -> None:
        _signal(-child, number)

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, pass_on)
    family: set[int] = {child}
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        family |= _descendants(family)
        if done:
            break
        _sleep(0.2)
    _end(child, family)
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _sleep(seconds: float) -> None:
    import time

    time.sleep(seconds)


def _descendants(family: set[int]) -> set[int]:
    """Return the live processes below `family`. Sampled: a double fork between two looks escapes it."""
    reader, writer = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, writer, 1)]
    child = os.posix_spawn("/bin/ps", ["ps", "-axo", "pid=,ppid="], {}, file_actions=actions)
    os.close(writer)
    text = b""
    while part := os.read(reader, 65536):
        text += part
    os.close(reader)
    os.waitpid(child, 0)
    parents = {
        int(pid): int(parent) for pid, parent in (line.split() for line in text.splitlines() if line.split())
    }
    found = set(family)
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return found & set(parents)


def _end(group: int, family: set[int]) -> None:
    """Ask, wait a moment, insist."""
    for number, wait in ((_SIGTERM, _GRACE), (_SIGKILL, 0.0)):
        _signal(-group, number)
        for pid in family - {group}:
            _signal(pid, number)
        if not wait or not any(_lives(pid) for pid in family - {group}):
            continue
        _sleep(wait)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError:  # it has ended
        return
