"""The child that becomes the boundary: namespaces first, then the launcher's instructions, then bubblewrap.

It is forked before the policy is read, so that its 3 ms of namespaces pass while the launcher thinks,
and before anything secret is in memory. It talks to the launcher over one socket: what it built goes
up (with the gate's sockets), the invocation comes down, and a failure goes up at any time. When
bubblewrap has taken its place the socket closes by itself.

As an ordinary user:  unshare(user, mount, network, time) mapping our uid to 0 there.
As root:              unshare(mount, network, time) first, mounts as root, then an unprivileged uid, then
                      unshare(user, mount): nothing that the agent runs is ever root's uid.
"""

import _socket
import fcntl
import marshal
import os
import struct
import sys

from ringfence.boundary import overlaid, syscalls, wire
from ringfence.boundary.model import Mount
from ringfence.boundary.mounts import Builder, root_map

READY_FD, TAP_FD, FIRST_PORT_FD = 3, 4, 40
_CLONE_NEWTIME = 0x80
_SIGKILL = 9


class Channel:
    """Messages of plain values, with descriptors, between the launcher and the child."""

    def __init__(self, fd: int) -> None:
        self._socket = _socket.socket(1, 5, 0, fileno=fd)  # AF_UNIX, SOCK_SEQPACKET

    def fileno(self) -> int:
        """Return the descriptor, for poll."""
        return self._socket.fileno()

    def send(self, message: dict[str, object], fds: tuple[int, ...] = ()) -> None:
        """Send one message."""
        control = [(1, 1, struct.pack(f"={len(fds)}i", *fds))] if fds else []
        self._socket.sendmsg([marshal.dumps(message)], control)

    def receive(self) -> tuple[dict[str, object], tuple[int, ...]]:
        """Return the next message and its descriptors; an empty one at the end."""
        data, control, _flags, _address = self._socket.recvmsg(65536, 512, 0x40000000)  # MSG_CMSG_CLOEXEC
        fds: tuple[int, ...] = ()
        for _level, _kind, payload in control:
            fds += struct.unpack(f"={len(payload) // 4}i", payload)
        return (marshal.loads(data) if data else {}), fds  # noqa: S302 - from our own child or parent

    def close(self) -> None:
        """Close this end."""
        self._socket.close()


class _At:
    """The step the child is at."""

    name = "start"
    what = ""
    idmap: int | None = None
    several = False
    wants_tap = False
    tap = -1
    channel: "Channel | None" = None


def run(
    channel: Channel,
    ready: int,
    *,
    parent: int,
    owner: int,
    networked: bool,
    several: bool = False,
    tap: bool = False,
) -> None:
    """Be the child. Never returns. `owner` is the uid to become when started as root.

    `networked` False: leave namespaces alone, bubblewrap makes them all (the fallback). `several`: the
    launcher maps more identities than our own.
    """
    status = 125
    _At.channel = channel
    _At.several, _At.wants_tap = several and os.geteuid() != 0, tap
    umask = os.umask(0o022)  # what is built must be reachable for the agent, whatever the operator's umask
    owner = owner if os.geteuid() == 0 else 0  # from here on: 0 means that there is nothing to give up
    try:
        _follow(parent)
        _build(channel, as_root=bool(owner), networked=networked)
        message, fds = channel.receive()
        while "try" in message:
            channel.send({"refused": _refusal(owner, *message["try"])})  # type: ignore[misc]
            message, fds = channel.receive()
        if message:
            _become(fds, ready, parent=parent, owner=owner, networked=networked, umask=umask)
    except OSError as error:
        channel.send(
            {
                "step": _At.name,
                "errno": error.errno or 0,
                "text": f"{error.strerror or error}",
                "what": _shown(error.filename) or _At.what,
            }
        )
    except BaseException as error:  # noqa: BLE001 - the parent must hear of it, whatever it is
        channel.send(
            {"step": _At.name, "errno": 0, "text": f"{type(error).__name__}: {error}", "what": _At.what}
        )
    finally:
        os._exit(status)


def _shown(name: object) -> str:
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    return name if isinstance(name, str) else ""


def _follow(parent: int) -> None:
    """Die with the launcher, even when it died before we could say so."""
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, _SIGKILL)
    if os.getppid() != parent:
        os._exit(125)


def _build(channel: Channel, *, as_root: bool, networked: bool) -> None:
    if not networked:
        channel.send({"kind": "loopback"})
        return
    if not as_root:
        _At.name = "userns"
        _enter_profile()
        uid, gid = os.geteuid(), os.getegid()
        syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS)
        _At.name = "uid_map"
        _be_mapped(channel) if _At.several else _map_to_root(uid, gid)
    else:
        _At.name = "mountns"
        syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
    _At.name = "timens"
    syscalls.unshare(_CLONE_NEWTIME)
    _At.name = "wire"
    gate = wire.build(tap=_At.wants_tap)
    _At.tap = gate.tap
    channel.send({"kind": gate.kind, "listeners": len(gate.listeners)}, (*gate.listeners, gate.dns))
    for fd in (*gate.listeners, gate.dns):
        os.close(fd)
    _At.name = "instructions"


def _refusal(owner: int, workspace: str, place: str) -> str:
    """Say why an overlay over the workspace cannot be mounted with its layers in `place`; or nothing."""
    try:
        overlaid.trial(workspace, place, _idmap(owner))
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _idmap(owner: int) -> int | None:
    """Return a mapping of root's files to the agent's; None for an ordinary user, who has no such files."""
    if owner and _At.idmap is None:
        _At.idmap = root_map(owner)
    return _At.idmap


def _enter_profile() -> None:
    """Enter our AppArmor profile where Ubuntu reserves user namespaces for those that have one.

    Without the profile the write fails, the namespace is refused next, and that is what is told.
    """
    if not os.path.exists("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"):
        return
    for path in ("/proc/self/attr/apparmor/current", "/proc/self/attr/current"):
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            os.write(fd, b"changeprofile ringfence")
        except OSError:
            continue
        finally:
            os.close(fd)
        return


def _map_to_root(uid: int, gid: int) -> None:
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        fd = os.open(f"/proc/self/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)


def _be_mapped(channel: Channel) -> None:
    syscalls.prctl(
        syscalls.PR_SET_DUMPABLE, 1
    )  # else /proc/self belongs to root and nobody may write the maps
    channel.send({"identify": 1})
    answer, _fds = channel.receive()
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    if "identified" not in answer:
        raise OSError(1, f"{answer.get('refused', 'the launcher')} refused")


def _become(
    fds: tuple[int, ...],
    ready: int,
    *,
    parent: int,
    owner: int,
    networked: bool,
    umask: int,
) -> None:
    """Make the mounts, give up root, take the terminal, and become bubblewrap."""
    with open(fds[0], "rb") as file:
        order = marshal.load(file)  # noqa: S302 - from our own launcher
    terminal = fds[-1] if order["terminal"] else None
    if order["ports"]:
        import ringfence.boundary.guest.keeper  # noqa: F401 - where an unprivileged uid may not look
    if order["vend"]:
        _vend(fds[1])
    if networked:
        _mount_all(order, owner)
    if order["cpus"]:
        _At.name = "cpus"
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: order["cpus"]])
    if owner and not order["keeps_root"]:
        _At.name = "uid"
        if order["identities"]:
            _drop_to_several(owner, order["identities"])
        else:
            _drop(owner, networked=networked)
        _follow(parent)
    if _At.several:
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        _follow(parent)
    _At.name = "terminal"
    os.setsid()
    if terminal is not None:
        _take_terminal(terminal, order["terminal_fds"])
    _At.name = "bubblewrap"
    os.umask(umask)
    if order["ports"]:
        _keep(order["ports"], ready, terminal=terminal is not None)
    _exec(order, ready)


def _mount_all(order: dict[str, object], owner: int) -> None:
    _At.name = "mounts"
    builder = Builder(
        str(order["staging"]),
        owner=owner or (os.geteuid() if _At.several else 0),
        idmap=_idmap(owner),
        workspace=str(order["workspace"]),
    )
    if owner:
        order["bwrap"] = builder.reach(str(order["bwrap"]))
    builder.write(str(order["entry_path"]), order["entry"], 0o555)  # type: ignore[arg-type]
    builder.lay(order["files"], order["brought"])  # type: ignore[arg-type]
    hidden = order["hidden"]
    for values in order["mounts"]:  # type: ignore[attr-defined]
        mount = Mount(**values)
        _At.what = mount.target
        builder.put(mount, hidden)  # type: ignore[arg-type]
    _At.what = ""
    os.close(builder.root)


def _drop(owner: int, *, networked: bool) -> None:
    """Become an unprivileged user, for good, and get a user namespace in which bubblewrap can work."""
    os.setgroups([])
    os.setresgid(owner, owner, owner)
    os.setresuid(owner, owner, owner)
    if not networked:
        return
    syscalls.prctl(
        syscalls.PR_SET_DUMPABLE, 1
    )  # else /proc/self belongs to root and the maps cannot be written
    syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS)
    _map_to_root(owner, owner)
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)


def _drop_to_several(owner: int, identities: tuple[int, int, int]) -> None:
    """Leave root for a user namespace of three unprivileged identities: its root, the agent, and nobody."""
    root, agent, nobody = identities
    reader, writer = os.pipe2(os.O_CLOEXEC)
    ours = os.getpid()
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)
    mapper = os.fork()  # a process that is root still can write such a map
    if not mapper:
        try:
            os.read(reader, 1)
            for name in ("uid_map", "gid_map"):
                with open(f"/proc/{ours}/{name}", "w") as file:
                    file.write(f"0 {root} 1\n{agent} {owner} 1\n65534 {nobody} 1\n")
            os._exit(0)
        finally:
            os._exit(125)
    os.setgroups([])
    syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS)
    os.write(writer, b"m")
    if os.waitpid(mapper, 0)[1]:
        raise OSError(1, "the identities of the session could not be mapped")
    for fd in (reader, writer):
        os.close(fd)
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    _At.several = True


# The vendor's whole program: for each byte asked, a socket of that family, made in the network it is in.
VENDOR = """
import _socket, struct
requests = _socket.socket(1, 5, 0, fileno=0)
while wanted := requests.recv(1):
    made = _socket.socket(10 if wanted == b"6" else 2, 1, 0)
    requests.sendmsg([wanted], [(1, 1, struct.pack("=i", made.fileno()))])
    made.close()
"""


def _vend(requests: int) -> None:
    """Leave a process behind that makes sockets in the boundary's network, for published ports.

    It lives outside the sandbox's process and mount namespaces and ends with us. It is a new program,
    not only a fork: our memory is a copy of the launcher's, with the operator's environment in it.
    """
    parent = os.getpid()
    if os.fork():
        os.close(requests)
        return
    try:
        _follow(parent)
        os.dup2(requests, 0)
        syscalls.check_call(
            436, 1, 0xFFFFFFFF, 0
        )  # close_range(2): the launcher waits for our channel to close
        os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", VENDOR], {})  # noqa: S606 - no shell
    finally:
        os._exit(125)


def _take_terminal(terminal: int, replaced: object) -> None:
    fcntl.ioctl(terminal, 0x540E, 0)  # TIOCSCTTY: ours, so job control and resizing work inside
    for fd in replaced:  # type: ignore[attr-defined]
        os.dup2(terminal, fd)


def _exec(order: dict[str, object], ready: int) -> None:
    """Hand over to bubblewrap: options by descriptor and an empty environment, since pid 1 inside is it.

    Nothing but what it needs stays open: the agent can follow the links in /proc/1/fd, and one to a
    folder of the host would lead out.
    """
    _close_on_exec_all()
    if order["command"]:
        _leave_keys_to_runtime()
    texts = [syscalls.memfd("text", content) for content in order["texts"]]  # type: ignore[attr-defined]
    filter_fd = syscalls.memfd("filter", order["filter"])  # type: ignore[arg-type]
    names = {"{root}": f"{order['staging']}/root", "{seccomp}": str(filter_fd)}
    names["{files}"] = f"{order['staging']}/files"
    names.update({f"{{text:{number}}}": str(fd) for number, fd in enumerate(texts)})
    options = [names.get(option, option) for option in order["options"]]  # type: ignore[attr-defined]
    arguments = syscalls.memfd("options", b"".join(os.fsencode(option) + b"\0" for option in options))
    for number in range(order["ports"]):  # type: ignore[call-overload]
        os.set_inheritable(FIRST_PORT_FD + number, True)
    os.dup2(ready, READY_FD)
    if _At.tap >= 0:
        os.dup2(_At.tap, TAP_FD)
    argv = ["bwrap", "--args", str(arguments), "--", *(order["command"] or (str(order["entry_path"]),))]  # type: ignore[misc]
    os.execve(str(order["bwrap"]), argv, {})  # noqa: S606 - no shell, that is the point


def _keep(ports: int, ready: int, *, terminal: bool) -> None:
    """Stay as the keeper of what a copy of us becomes; return in the copy only."""
    from ringfence.boundary.guest.keeper import Keeper  # imported by `_become` while it could be read

    pairs = [_socket.socketpair(1, 1 | 0o2000000) for _ in range(ports)]
    pid = os.fork()
    if not pid:
        for number, (_ours, theirs) in enumerate(pairs):
            os.dup2(theirs.fileno(), FIRST_PORT_FD + number)
        return
    for _ours, theirs in pairs:
        theirs.close()
    if _At.tap >= 0:
        os.close(_At.tap)
    if _At.channel is not None:
        _At.channel.close()  # the launcher waits for that: nothing can go wrong any more before it stands
    status = 125
    try:
        status = Keeper(tuple(ours.detach() for ours, _theirs in pairs), ready, terminal=terminal).run()
        os.kill(pid, _SIGKILL)
    finally:
        os._exit(status)


def _leave_keys_to_runtime() -> None:
    """Ignore what the terminal's keys send: the runtime passes it on inside, while bubblewrap would end."""
    import _signal  # type: ignore[import-not-found] # signal.py imports enum, 3 ms

    for number in (2, 3, 20, 21, 22):  # SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU
        _signal.signal(number, _signal.SIG_IGN)


def _close_on_exec_all() -> None:
    syscalls.check_call(436, 3, 0xFFFFFFFF, 4)  # close_range(2) with CLOSE_RANGE_CLOEXEC, Linux 5.11
