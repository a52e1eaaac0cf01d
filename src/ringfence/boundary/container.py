"""A session in a container: made by the engine, compared with what was asked, furnished, watched, removed.

    launcher ── keeper    starts it, passes the streams on, ends with the command's status
        └────── helper                         furnishes the container, then ends

The keeper also ends the container when the launcher dies. Whatever dies, the container's name lies in the
session's folder, and the next launcher removes it.
"""

import _socket
import fcntl
import os
import select
import struct
import sys

from ringfence.boundary import attached, engines, furnish, standing, syscalls
from ringfence.boundary.child import Channel
from ringfence.boundary.folder import Folder
from ringfence.boundary.launch import Child, Refused
from ringfence.boundary.model import Plan
from ringfence.boundary.tiers.container import Box
from ringfence.errors import BoundaryError
from ringfence.host.model import Runtime
from ringfence.host.runtimes import engine_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.host.engine import Image

INSIDE, NAME = "inside", "container"  # in a session's folder
_CONNECTS = 30.0  # seconds until the entry program must have come to the door


class Contained(Child):
    """The container on the launcher's side; to a session what `launch.Child` is in the other tiers."""

    def __init__(self, first: Child, runtime: Runtime, owner: int) -> None:
        """`first` is the child that found out what this machine offers; `owner` is who the agent becomes."""
        self._gone = [first.pid]  # processes that are to be waited for
        first.dismiss()
        self._runtime, self._owner = runtime, owner
        self._engine = engine_of(runtime)
        self.engine = engines.known(runtime)
        self._name = self._folder = ""
        self.pid, self.ready, self.inside = 0, -1, 0
        self._init = -1  # the first process of the container: with it all others end
        self.identities: tuple[int, ...] = ()
        self.networked, self.kind = True, ""
        self.listeners: tuple[int, ...] = ()
        self.dns: int | None = None

    def begin(
        self, box: Box, plan: Plan, at: Folder, streams: "tuple[int | None, tuple[int, ...]]"
    ) -> int | None:
        """Make the container, start it and furnish it; return a socket to ask for sockets made inside."""
        folder = at.path
        self._name, self._folder = f"ringfence-{at.id}", folder
        _write(f"{folder}/{NAME}", f"{self._engine.note}\n{self._name}\n".encode(), 0o600)
        os.mkdir(f"{folder}/{INSIDE}", 0o755)
        _write(f"{folder}/{INSIDE}/enter", box.entry, 0o555)
        _write(f"{folder}/{engines.FILTER}", box.profile.encode(), 0o600)
        door = self._door()
        helper, vend = self._help(box, plan, at.staging)
        try:
            engines.create(self._engine, self._name, box, self._image(box, plan), folder)
            self.pid = self._keep(*streams)
            self.ready, pid = self._wait(door, plan.uid)
            self._init, self.inside = _first_process(pid)
        finally:
            os.close(door)
        unlike = standing.differences(pid, plan.uid)
        if unlike:
            raise BoundaryError(
                f"the engine made another container than the plan's: {'; '.join(unlike)}",
                hint="its runtime does not do what it is told: `ringfence doctor` names both",
            )
        if box.cpus:
            os.sched_setaffinity(pid, sorted(os.sched_getaffinity(0))[: box.cpus])
        self._furnish(helper, pid)
        os.write(self.ready, b"G")
        return vend

    def _door(self) -> int:
        """Listen where the entry program will connect to."""
        door = _socket.socket(1, 5 | 0o2000000)
        here = os.open(f"{self._folder}/{INSIDE}", os.O_PATH | os.O_CLOEXEC)  # a socket's path is short
        try:
            door.bind(f"/proc/self/fd/{here}/door")
            os.chmod(f"{self._folder}/{INSIDE}/door", 0o666)  # noqa: S103 - for the agent's uid, in a folder of ours
        finally:
            os.close(here)
        door.listen(1)
        return int(door.detach())

    def _image(self, box: Box, plan: Plan) -> "Image":
        """Return the image that the container is made of."""
        if plan.image:
            return engines.named(self._engine, plan.policy.container.image, plan.image)
        return engines.empty(self._engine, box.folders, box.links)

    def _keep(self, terminal: int | None, replaced: tuple[int, ...]) -> int:
        parent = os.pidfd_open(os.getpid())
        pid = os.fork()
        if pid:
            os.close(parent)
            return pid
        try:
            os.setsid()
            if terminal is not None:
                fcntl.ioctl(terminal, 0x540E, 0)  # TIOCSCTTY
                for fd in replaced:
                    os.dup2(terminal, fd)
            os._exit(attached.keep(parent, self._engine, self._name, terminal))
        finally:
            self._engine.remove(self._name)
            os._exit(125)

    def _wait(self, door: int, uid: int) -> tuple[int, int]:
        """Return the entry program's connection, and its process."""
        poll = select.poll()
        end = os.pidfd_open(self.pid)
        poll.register(door, select.POLLIN)
        poll.register(end, select.POLLIN)
        found = dict(poll.poll(int(_CONNECTS * 1000)))
        os.close(end)
        if door not in found:
            raise BoundaryError(
                "the container did not start"
                if found
                else f"the container did not start within {_CONNECTS:g} s",
                hint="the engine's own message stands above; its log says more",
            )
        listener = _socket.socket(1, 5, 0, fileno=os.dup(door))
        fd, _address = listener._accept()  # type: ignore[attr-defined] # noqa: SLF001 - socket.py costs 9 ms
        listener.close()
        os.set_inheritable(fd, False)
        line = _socket.socket(1, 5, 0, fileno=fd)
        pid, who, _gid = struct.unpack("=iII", line.getsockopt(1, 17, 12))  # SO_PEERCRED
        if who != uid:
            line.close()
            raise BoundaryError(
                f"the container runs as uid {who}, not as {uid}",
                hint="does the daemon remap users (`userns-remap`)? Podman needs no such setting",
            )
        return line.detach(), pid

    def _help(self, box: Box, plan: Plan, staging: str) -> tuple[Channel, int | None]:
        """Start the helper; return its channel, and a socket to ask for sockets made inside.

        That is there where ports are published; the helper stays then.
        """
        ours, theirs = _socket.socketpair(1, 5 | 0o2000000, 0)
        vend, requests = _socket.socketpair(1, 5 | 0o2000000, 0) if plan.publish else (None, None)
        launcher = os.getpid()
        helper = os.fork()
        if not helper:
            syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 9)
            if os.getppid() != launcher:
                os._exit(125)
            ours.close()
            furnish.furnish(
                Channel(theirs.detach()),
                box,
                staging=staging,
                workspace=plan.workspace.root,
                owner=self._owner,
                requests=-1 if requests is None else requests.detach(),
            )
        self._gone.append(helper)
        theirs.close()
        if requests is not None:
            requests.close()
        return Channel(ours.detach()), None if vend is None else int(vend.detach())

    def _furnish(self, channel: Channel, pid: int) -> None:
        """Have the helper furnish the container whose first program is `pid`."""
        try:  # noqa: SIM105 - contextlib costs the launcher 5 ms
            channel.send({"pid": pid})
        except BrokenPipeError:  # what it could not do is what it says next
            pass
        message, fds = channel.receive()
        if "kind" in message:
            self.kind, self.listeners, self.dns = str(message["kind"]), fds[:-1], fds[-1]
            message, _none = channel.receive()
        channel.close()
        if "done" not in message:
            raise Failed(
                Refused(
                    step=str(message.get("step", "start")),
                    errno=0,
                    text=str(message.get("text", "the helper ended without a word")),
                    what=str(message.get("what", "")),
                )
            )

    # --- as launch.Child -----------------------------------------------------------------------

    def release(self) -> None:
        """Close our copies of the gate's sockets."""
        for fd in (*self.listeners, *(() if self.dns is None else (self.dns,))):
            os.close(fd)
        self.listeners, self.dns = (), None

    def abandon(self) -> None:
        """End what has not become a boundary."""
        self.release()
        self.finish()

    def finish(self) -> None:
        """Leave nothing: the container, its keeper, and the folder it started from."""
        for pid in filter(None, (self.pid, *self._gone)):
            _end(pid)
        self._gone = []
        if not self._name:
            return
        if self._init >= 0:  # also where the engine is gone, and would leave it running
            _kill_by(self._init)
            self._init = -1
        if not self._engine.remove(self._name):
            sys.stderr.write(
                f"ringfence: {self._engine.where} does not answer any more; the session's "
                f"processes are ended, its container {self._name} goes when the engine is back\n"
            )
        clear(self._folder)
        self._name = ""


class Failed(Exception):  # noqa: N818 - a message on its way to the session, never shown
    """What was refused to the helper."""

    def __init__(self, refused: Refused) -> None:
        self.refused = refused


def sweep(folder: str) -> bool:
    """Remove the container of a session whose launcher was killed; False where its engine cannot be asked."""
    try:
        with open(f"{folder}/{NAME}") as file:
            note, name = file.read().split("\n")[:2]
    except (OSError, ValueError):
        return True
    if not engines.noted(note).remove(name):
        return False
    clear(folder)
    return True


def clear(folder: str) -> None:
    """Remove what a container started from."""
    for name in (f"{INSIDE}/enter", f"{INSIDE}/door", engines.FILTER, NAME):
        try:
            os.unlink(f"{folder}/{name}")
        except OSError:
            continue
    try:
        os.rmdir(f"{folder}/{INSIDE}")
    except OSError:
        return


def _first_process(pid: int) -> tuple[int, int]:
    """Return a descriptor and the number of the first process in the namespace that `pid` is in."""
    while True:
        with open(f"/proc/{pid}/status") as file:
            rows = dict(line.split(":", 1) for line in file if ":" in line)
        if rows["NSpid"].split()[-1] == "1":
            return os.pidfd_open(pid), pid
        pid = int(rows["PPid"])


def _kill_by(descriptor: int) -> None:
    try:  # noqa: SIM105 - contextlib costs the launcher 5 ms
        syscalls.check_call(424, descriptor, 9, None, 0)  # pidfd_send_signal(2)
    except ProcessLookupError:
        pass
    os.close(descriptor)


def _end(pid: int) -> None:
    try:
        if os.waitpid(pid, os.WNOHANG) == (0, 0):
            os.kill(pid, 9)
            os.waitpid(pid, 0)
    except ChildProcessError:  # waited for already, and its number perhaps another's
        return


def _write(path: str, content: bytes, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        os.write(fd, content)
        os.fchmod(fd, mode)
    finally:
        os.close(fd)
