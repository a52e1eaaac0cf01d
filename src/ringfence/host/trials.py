"""Attempts at what a boundary is made of, each in a forked child, so that nothing of them stays.

An attempt is a list of named steps; it ends at the first that the kernel refuses and says which
and why. Everything is done with raw calls: no `ip`, no `nft`, no library, as the launcher does it.
"""

import ctypes
import errno as E  # noqa: N812 - as in features
import os
import select
import signal
import struct
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Step = tuple[str, Callable[[], object]]

NEWNS, NEWCGROUP, NEWUTS, NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
NEWUSER, NEWPID, NEWNET = 0x10000000, 0x20000000, 0x40000000
_PATIENCE = 10.0  # seconds; an attempt takes milliseconds

# Numbers that are the same on every architecture since they are younger than the split: open_tree,
# landlock_create_ruleset, mount_setattr, pidfd_open.
_PIDFD_OPEN, _OPEN_TREE, _MOUNT_SETATTR, _LANDLOCK_CREATE = 434, 428, 442, 444
_libc = ctypes.CDLL(None, use_errno=True)


def attempt(*steps: "Step") -> tuple[str, int]:
    """Do `steps` in a forked child. Return the one refused and its errno, or ("", 0)."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _be_child(writer, steps)
    os.close(writer)
    try:
        answer = _read_all(reader)
    finally:
        os.close(reader)
        _end(child)
    if not answer:
        return steps[-1][0], E.EIO
    name, _, number = answer.decode().partition(" ")
    return ("", 0) if name == "-" else (name, int(number))


def _be_child(writer: int, steps: "tuple[Step, ...]") -> None:
    name, number = "-", 0
    try:
        for name, call in steps:  # noqa: B007 - the name of the failing step is the answer
            call()
        name = "-"
    except OSError as error:
        number = error.errno or E.EIO
    except BaseException:  # noqa: BLE001 - a child never returns into its parent's code
        number = E.EIO
    os.write(writer, f"{name} {number}".encode())
    os._exit(0)


def _read_all(reader: int) -> bytes:
    until = time.monotonic() + _PATIENCE
    answer = b""
    while (left := until - time.monotonic()) > 0 and select.select([reader], [], [], left)[0]:
        part = os.read(reader, 4096)
        if not part:
            break
        answer += part
    return answer


def _end(child: int) -> None:
    os.kill(child, signal.SIGKILL)  # it is not waited for yet, so its number is still its own
    os.waitpid(child, 0)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def unshare(flags: int) -> None:
    """Leave namespaces for new ones; `os.unshare` came with Python 3.12."""
    _checked(_libc.unshare(flags))


def _syscall(number: int, *arguments: "int | bytes | None") -> int:
    wide = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    return _checked(_libc.syscall(ctypes.c_long(number), *wide))


def map_ids(uid: int, gid: int) -> None:
    """Map this user onto itself in the user namespace just made."""
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        fd = os.open(f"/proc/self/{name}", os.O_WRONLY)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)


def user_namespace() -> "tuple[Step, ...]":
    """Return the steps into a user namespace of one's own."""
    uid, gid = os.getuid(), os.getgid()
    return (("userns", lambda: unshare(NEWUSER)), ("uid_map", lambda: map_ids(uid, gid)))


def network_namespace() -> "tuple[Step, ...]":
    """Return the step into an empty network namespace."""
    return (("netns", lambda: unshare(NEWNET)),)


def veth() -> None:
    """Make a pair of virtual interfaces in this network namespace."""
    kind = _attribute(18, _attribute(1, b"veth\0"))  # IFLA_LINKINFO { IFLA_INFO_KIND }
    body = struct.pack("=BxHiII", 0, 0, 0, 0, 0) + kind
    message = _netlink(16, 0x605, 1, body)  # RTM_NEWLINK, REQUEST|ACK|CREATE|EXCL
    _talk(0, message)  # NETLINK_ROUTE


def nft() -> None:
    """Make a table with the very chain and rule that the gate needs: a redirect at prerouting."""
    inet, new = 1, 0xA00
    table, chain = _attribute(1, b"t\0"), b"c\0"
    hook = _attribute(1, struct.pack(">I", 0)) + _attribute(2, struct.pack(">i", -100))
    base = table + _attribute(3, chain) + _attribute(4 | 0x8000, hook) + _attribute(7, b"nat\0")
    redirect = _attribute(1, b"redir\0") + _attribute(2 | 0x8000, b"")
    rule = table + _attribute(2, chain) + _attribute(4 | 0x8000, _attribute(1 | 0x8000, redirect))
    edges = struct.pack(">BBH", 0, 0, 10)  # the batch is for subsystem 10, nftables
    family = struct.pack(">BBH", inet, 0, 0)
    flags = 0x605  # REQUEST|ACK|CREATE|EXCL
    batch = (
        _netlink(16, 1, 0, edges)
        + _netlink(new, flags, 1, family + table)
        + _netlink(new | 3, flags, 2, family + base)
        + _netlink(new | 6, 0xC05, 3, family + rule)  # REQUEST|ACK|CREATE|APPEND
        + _netlink(17, 1, 4, edges)
    )
    _talk(12, batch, answers=3)  # NETLINK_NETFILTER


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def _netlink(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags, sequence, 0) + body


def _talk(protocol: int, message: bytes, answers: int = 1) -> None:
    """Send netlink messages and raise the first error among the acknowledgements."""
    import _socket

    wire = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW, protocol)
    wire.settimeout(_PATIENCE)
    wire.bind((0, 0))
    wire.send(message)
    while answers > 0:
        data = wire.recv(65536)
        while len(data) >= 20:
            length, kind = struct.unpack_from("=IH", data)
            if kind == 2:  # NLMSG_ERROR; zero is an acknowledgement
                number = -struct.unpack_from("=i", data, 16)[0]
                if number:
                    raise OSError(number, os.strerror(number))
                answers -= 1
            data = data[(length + 3) & ~3 :]


def mount(source: bytes, target: bytes, kind: bytes, flags: int = 0, options: bytes = b"") -> None:
    """Mount a file system."""
    _checked(_libc.mount(source, target, kind, ctypes.c_ulong(flags), options))


def mount_namespace() -> "tuple[Step, ...]":
    """Return the steps into a private mount namespace with a tmpfs of its own at /tmp."""
    private = 0x4000 | 0x40000  # MS_REC|MS_PRIVATE
    return (
        ("mountns", lambda: unshare(NEWNS)),
        ("mount", lambda: mount(b"none", b"/", b"", private)),
        ("mount", lambda: mount(b"tmpfs", b"/tmp", b"tmpfs", 0, b"mode=755")),
    )


def overlay() -> None:
    """Mount an overlay as an ordinary user would, on the tmpfs of `mount_namespace`."""
    for name in ("lower", "upper", "work", "merged"):
        os.mkdir(f"/tmp/{name}")  # noqa: S108 - a tmpfs of our own
    mount(
        b"overlay",
        b"/tmp/merged",
        b"overlay",
        0,
        b"userxattr,lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work",
    )


def mask_overlay() -> None:
    """Make a whiteout and see that it hides a file of the layer below: how credential files are masked."""
    for name in ("mask", "lower", "merged"):
        os.mkdir(f"/tmp/{name}")  # noqa: S108 - a tmpfs of our own
    os.close(os.open("/tmp/lower/secret", os.O_CREAT | os.O_WRONLY))  # noqa: S108
    os.mknod("/tmp/mask/secret", 0o020000)  # noqa: S108 - character device 0:0
    mount(b"overlay", b"/tmp/merged", b"overlay", 0, b"userxattr,lowerdir=/tmp/mask:/tmp/lower")
    if os.path.lexists("/tmp/merged/secret"):  # noqa: S108
        raise OSError(E.EIO, "the whiteout hides nothing")


def seccomp() -> None:
    """Install a filter that refuses sched_yield with ECONNRESET, and see it do so."""
    import platform

    number = {"x86_64": 24, "aarch64": 124}.get(platform.machine())
    if number is None:
        raise OSError(E.ENOSYS, os.strerror(E.ENOSYS))
    program = struct.pack("=HBBI", 0x20, 0, 0, 0)  # load the number of the call
    program += struct.pack("=HBBI", 0x15, 0, 1, number)  # equal? else skip one
    program += struct.pack("=HBBI", 0x06, 0, 0, 0x50000 | E.ECONNRESET)
    program += struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000)
    install_filter(program)
    try:
        _syscall(number)
    except ConnectionResetError:
        return
    raise OSError(E.EIO, "the filter is not in force")


def install_filter(program: bytes) -> None:
    """Put this process and its children under a seccomp program."""
    buffer = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    _checked(_libc.prctl(38, 1, 0, 0, 0))  # PR_SET_NO_NEW_PRIVS
    _checked(_libc.prctl(22, 2, head, 0, 0))  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


def landlock_abi() -> int:
    """Return the version of Landlock's interface; raises where it is not built in or switched off."""
    return _syscall(_LANDLOCK_CREATE, None, 0, 1)  # LANDLOCK_CREATE_RULESET_VERSION


def pidfd() -> None:
    """Open a descriptor of this process."""
    os.close(_syscall(_PIDFD_OPEN, os.getpid(), 0))


def id_mapped_mount(path: bytes) -> None:
    """Make a detached mount of `path` that shows its owner as another user; root only."""
    holder, hold = _hold_user_namespace()
    try:
        namespace = os.open(f"/proc/{holder}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        tree = _syscall(_OPEN_TREE, -100, path, 0x80001)  # OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC
        request = struct.pack("=QQQQ", 0x100000, 0, 0, namespace)  # MOUNT_ATTR_IDMAP
        _syscall(_MOUNT_SETATTR, tree, b"", 0x1000, request, len(request))  # AT_EMPTY_PATH
    finally:
        os.close(hold)
        os.waitpid(holder, 0)


def _hold_user_namespace() -> tuple[int, int]:
    """Fork a child that sits in a mapped user namespace until the pipe returned is closed."""
    ready_reader, ready_writer = os.pipe()
    hold_reader, hold_writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(hold_writer)
        try:
            unshare(NEWUSER)
            os.write(ready_writer, b"1")
            os.read(hold_reader, 1)
        finally:
            os._exit(0)
    os.close(ready_writer)
    os.close(hold_reader)
    os.read(ready_reader, 1)
    os.close(ready_reader)
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/{child}/{name}", "w", encoding="ascii") as file:
            file.write("0 65534 1")
    return child, hold_writer


def run_quietly(argv: "list[str]", environment: "dict[str, str]") -> tuple[int, bytes]:
    """Run a program to its end with nothing on its standard streams. Return (status, its output)."""
    reader, writer = os.pipe()
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, writer, 1),
        (os.POSIX_SPAWN_DUP2, writer, 2),
    ]
    child = os.posix_spawn(argv[0], argv, environment, file_actions=actions)
    os.close(writer)
    try:
        output = _read_all(reader)
    finally:
        os.close(reader)
    status = _await(child)
    return status, output


def _await(child: int) -> int:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    _end(child)
    return -signal.SIGKILL


def cgroup_directory() -> tuple[str, str]:
    """Make and remove a control group below this process's own. Return (version, path) or raise."""
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split(":", 2) for line in file]
    last: OSError | None = None
    for _, controllers, path in sorted(rows, key=lambda row: row[1] == ""):
        if controllers and not {"memory", "pids"} & set(controllers.split(",")):
            continue
        base = _cgroup_base(controllers, path)
        if not base:
            continue
        try:
            _make_and_remove(base)
        except OSError as error:
            last = error
            continue
        return ("v1" if controllers else "v2"), base
    raise last or OSError(E.ENOENT, "no control group file system is mounted")


def _cgroup_base(controllers: str, path: str) -> str:
    """Return the directory of this process in one hierarchy, or "" where it has no use for limits."""
    if controllers:
        base = f"/sys/fs/cgroup/{controllers}{path}"
        return base if os.path.isdir(base) else ""
    base = f"/sys/fs/cgroup{path}"
    try:
        with open(os.path.join(base, "cgroup.controllers"), encoding="ascii") as file:
            return base if {"memory", "pids"} & set(file.read().split()) else ""
    except OSError:
        return ""


def _make_and_remove(base: str) -> None:
    path = os.path.join(base, f"ringfence-doctor-{os.getpid()}")
    os.mkdir(path)
    os.rmdir(path)


def writable(directory: str) -> str:
    """See that a file can be made in `directory`, or in the nearest parent that exists. Return that path."""
    place = directory
    while not os.path.lexists(place) and place != os.path.dirname(place):
        place = os.path.dirname(place)
    name = os.path.join(place, f".ringfence-doctor-{os.getpid()}")
    fd = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, b"x" * 4096)
    finally:
        os.close(fd)
        os.unlink(name)
    return place


if sys.platform != "linux":  # pragma: no cover - said once, clearly, instead of a strange ctypes error
    raise ImportError("trials are for Linux; the macOS tier has none to make")
