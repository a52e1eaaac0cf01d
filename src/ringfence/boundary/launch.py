"""Starting a session: the only place on the host that starts processes.

`begin` forks the child at once; `start` sends it the invocation and waits until the boundary stands;
`start_egress` starts the gate's process when somebody first knocks.
"""

import _socket
import marshal
import os
import sys

from ringfence.boundary import syscalls
from ringfence.boundary.child import Channel, run
from ringfence.boundary.model import Plan
from ringfence.boundary.plan import ENTRY
from ringfence.boundary.tiers.invocation import Invocation
from ringfence.errors import BoundaryError
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ringfence.boundary.warden import Denied

_SOCK_SEQPACKET, _CLOEXEC = 5, 0o2000000


class Refused(Struct):
    """What the machine refused the child, and at which step."""

    step: str
    errno: int
    text: str
    what: str = ""


class Child:
    """The child on the launcher's side."""

    def __init__(
        self, pid: int, channel: Channel, ready: int, *, networked: bool, identities: tuple[int, ...] = ()
    ) -> None:
        self.pid = pid
        self.identities = identities
        self.networked = networked
        self.ready = ready
        self.inside = 0  # the first process inside, where it is not below `pid`
        self.kind = ""
        self.listeners: tuple[int, ...] = ()
        self.dns: int | None = None
        self._channel = channel

    def built(self) -> Refused | None:
        """Wait until the namespaces stand; return what was refused, if anything."""
        message, fds = self._channel.receive()
        if "kind" not in message:
            self.abandon()
            return _refused(message)
        self.kind = str(message["kind"])
        if self.networked:
            self.listeners, self.dns = fds[:-1], fds[-1]
        return None

    def try_overlay(self, workspace: str, place: str) -> str:
        """Return why an overlay cannot be mounted with its layers in a folder `place`; or nothing."""
        self._channel.send({"try": (workspace, place)})
        answer, _fds = self._channel.receive()
        return str(answer.get("refused", "no answer"))

    def start(
        self,
        invocation: Invocation,
        plan: Plan,
        staging: str,
        terminal: int | None,
        replaced: tuple[int, ...],
    ) -> int | None:
        """Send the invocation; return a socket to ask for sockets made inside, where ports are published."""
        vend = _pair() if plan.publish else None
        order = {
            "staging": staging,
            "workspace": plan.workspace.root,
            "entry": invocation.entry,
            "entry_path": ENTRY,
            "filter": invocation.filter,
            "bwrap": invocation.bwrap,
            "options": invocation.options,
            "mounts": [mount.__dict__ for mount in invocation.mounts],
            "hidden": invocation.hidden,
            "texts": [content for _target, content in invocation.texts],
            "terminal": terminal is not None,
            "terminal_fds": replaced,
            "vend": vend is not None,
            "cpus": invocation.cpus,
            "command": invocation.command,
            "files": invocation.files,
            "keeps_root": invocation.keeps_root,
            "brought": invocation.brought,
            "ports": invocation.ports,
            "identities": (self.identities[0], plan.uid, self.identities[1]) if self.identities else (),
        }
        fd = syscalls.memfd("invocation", marshal.dumps(order))
        given = [fd, *(() if vend is None else (vend[1],)), *(() if terminal is None else (terminal,))]
        self._channel.send({"go": 1}, tuple(given))
        os.close(fd)
        if vend is None:
            return None
        os.close(vend[1])
        return vend[0]

    def failure(self) -> Refused | None:
        """Return what went wrong before bubblewrap took over, waiting until it did or something has."""
        message, _fds = self._channel.receive()
        return _refused(message) if message else None

    def release(self) -> None:
        """Close our copies of the gate's sockets: when the gate's process dies, nobody listens any more."""
        for fd in (*self.listeners, *(() if self.dns is None else (self.dns,))):
            os.close(fd)
        self.listeners, self.dns = (), None

    def finish(self) -> None:
        """Leave nothing behind: in most tiers it went with the child."""

    def abandon(self) -> None:
        """End a child that has not become a boundary."""
        self.dismiss()
        os.waitpid(self.pid, 0)

    def dismiss(self) -> None:
        """End it, and leave it to somebody else to wait for: its network takes a while to go."""
        self._channel.close()
        os.close(self.ready)
        self.release()
        try:  # noqa: SIM105 - contextlib costs the launcher 5 ms
            os.kill(self.pid, 9)
        except ProcessLookupError:
            pass


def _refused(message: dict[str, object]) -> Refused:
    if not message:
        return Refused(step="start", errno=0, text="the child ended without a word")
    number = message["errno"]
    return Refused(
        step=str(message["step"]),
        errno=number if isinstance(number, int) else 0,
        text=str(message["text"]),
        what=str(message["what"]),
    )


def begin(*, owner: int, networked: bool, identities: tuple[int, ...] = (), tap: bool = False) -> Child:
    """Fork the child. `owner` is the unprivileged uid that root's agent gets (ignored for others).

    `identities`: two uids subordinate to an ordinary user, who then has three in the child's namespace: 0,
    their own and 65534. A runtime that itself changes identities needs them. `tap`: the wire ends in a
    virtual machine's network card.
    """
    _reserve_ready_fd()
    parent = os.getpid()
    up, down = _pair(), _pair()
    pid = os.fork()
    if pid == 0:
        os.close(up[0])
        os.close(down[0])
        several = bool(identities)
        run(
            Channel(up[1]), down[1], parent=parent, owner=owner, networked=networked, several=several, tap=tap
        )
        os._exit(125)
    os.close(up[1])
    os.close(down[1])
    channel = Channel(up[0])
    if identities and os.geteuid():
        _identify(channel, pid, identities)
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)  # the operator's keys are in this process's environment
    return Child(pid, channel, down[0], networked=networked, identities=identities)


def _identify(channel: Channel, pid: int, identities: tuple[int, ...]) -> None:
    """Map the identities of a child that waits for it, by the set-id helpers made for that (newuidmap(1))."""
    message, _fds = channel.receive()
    if "identify" not in message:
        return  # it will say itself what was refused
    for program, own in (("newuidmap", os.getuid()), ("newgidmap", os.getgid())):
        words = ["0", str(identities[0]), "1", str(own), str(own), "1", "65534", str(identities[1]), "1"]
        helper = os.posix_spawnp(program, [program, str(pid), *words], {"PATH": "/usr/bin:/bin"})
        if os.waitpid(helper, 0)[1]:
            channel.send({"refused": program})
            return
    channel.send({"identified": 1})


def forbid_cores() -> None:
    """Leave no core, here and in all that is started from here.

    The limit is 1, not 0: where core_pattern names a program, 0 still runs it, on the host and as root
    (core(5), fs/coredump.c).
    """
    import resource

    _soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    most = 1 if hard == resource.RLIM_INFINITY else min(1, hard)
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))


def _reserve_ready_fd() -> None:
    """Keep descriptor 3 taken, so that none of ours gets the number that the entry program writes to.

    A standard stream that came in closed becomes /dev/null, or a socket of ours would get its number.
    """
    fd = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    while fd < 3:
        os.set_inheritable(fd, True)
        fd = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    if fd > 3:
        os.close(fd)


def _pair() -> tuple[int, int]:
    one, other = _socket.socketpair(1, _SOCK_SEQPACKET | _CLOEXEC, 0)
    return one.detach(), other.detach()


def start_egress(handover: int, passed: tuple[int, ...], errors: str) -> int:
    """Start the egress process on a sealed handover; return its pid.

    Descriptors in `passed` keep their numbers. Its environment is empty: secrets arrive by
    descriptor. It dies with the launcher, and its complaints go to the file `errors`.
    """
    return _beside(9, errors, lambda: _become(_EGRESS, (str(handover),), (handover, *passed)))


def start_warden(listener: int, denied: "Denied", file: str) -> int:
    """Start the process that decides on programs inside; return its pid. It ends with the launcher.

    A fork and no new program: the first program inside waits for it already.
    """

    def work() -> None:
        os.dup2(listener, 3)
        syscalls.check_call(436, 4, 0xFFFFFFFF, 0)  # close_range(2)
        from ringfence.boundary.warden import Records, Warden

        Warden(3, denied, Records(file)).run()

    return _beside(9, "/dev/null", work)


def kill(pid: int) -> None:
    """End a child of ours by force; 0: there is none."""
    if not pid:
        return
    try:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        return


def start_looking(workspace: str, file: str) -> int:
    """Start the process that looks into files for keys; return its pid. It ends with the launcher."""
    return _beside(15, "/dev/null", lambda: _become(_LOOK, (workspace, file), ()))


def _beside(signal: int, errors: str, work: "Callable[[], None]") -> int:
    """Fork a process that gets a signal when the launcher ends; return its pid. It ends with its work."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    status = 125
    try:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal)
        if os.getppid() == parent:
            os.setsid()
            _own_streams(errors)
            work()
            status = 0
    finally:
        os._exit(status)


def _become(script: str, arguments: tuple[str, ...], kept: tuple[int, ...]) -> None:
    """Become an interpreter of an empty environment that runs a script of ours, with these descriptors."""
    syscalls.check_call(436, 3, 0xFFFFFFFF, 4)  # close_range(2), CLOSE_RANGE_CLOEXEC
    for fd in kept:
        os.set_inheritable(fd, True)
    argv = [sys.executable, "-I", "-c", script, *arguments, os.path.dirname(os.path.dirname(_HERE))]
    environment = {"PYTHONDONTWRITEBYTECODE": "1"} if sys.dont_write_bytecode else {}
    os.execve(sys.executable, argv, environment)  # noqa: S606 - no shell, that is the point


_HERE = os.path.dirname(os.path.abspath(__file__))
_EGRESS = (
    "import sys; root = sys.argv.pop(); root in sys.path or sys.path.insert(0, root); "
    "from ringfence.egress.__main__ import main; main()"
)
_LOOK = (
    "import sys; root = sys.argv.pop(); root in sys.path or sys.path.insert(0, root); "
    "from ringfence.boundary import detector; detector.main(*sys.argv[1:])"
)
_MINT = (
    "import sys; root = sys.argv.pop(); root in sys.path or sys.path.insert(0, root); "
    "from ringfence.egress import mint; sys.exit(mint.main([sys.argv[1]]))"
)


def mint_authority(ready_dir: str) -> None:
    """Mint a certificate authority now, in a process of its own, because none is ready."""
    argv = [sys.executable, "-I", "-c", _MINT, ready_dir, os.path.dirname(os.path.dirname(_HERE))]
    pid = os.posix_spawn(sys.executable, argv, {})
    _pid, status = os.waitpid(pid, 0)
    if status:
        raise BoundaryError(
            "the session's certificate authority could not be made",
            hint="the lines above say why; `ringfence doctor` checks what it needs",
        )


def _own_streams(errors: str) -> None:
    null = os.open("/dev/null", os.O_RDONLY)
    log = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
