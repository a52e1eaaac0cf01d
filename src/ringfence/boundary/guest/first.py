"""What a guest's first program does: a list of system calls, assembled outside (see `boundary.stub`). Pure.

In a guest that is translated every program that is started costs 10 ms, and this takes sixty of a shell's. So all
that is fixed beforehand is done here: the root that the host shares, what stands above it, the network card. What
depends on how the command goes on is `init.sh`, which comes next.

    /             the initial RAM file system: busybox, this program, the script
    /inside       the devices that the command sees, made by the kernel as it unpacks the archive
    /nothing      an empty file, over what the command must not read
    /new          the root that the host shares; the command is started in it
"""

import struct

from ringfence.boundary import wire
from ringfence.boundary.cpio import Entry
from ringfence.boundary.stub import Call, Data, Execute, Slot, Step, Store

_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT, _BIND = 1, 2, 4, 8, 32, 4096
_AF_INET, _AF_INET6, _DGRAM = 2, 10, 2
_SIOCADDRT, _SIOCSIFFLAGS, _SIOCSIFADDR, _SIOCSIFNETMASK, _SIOCGIFINDEX = (
    0x890B,
    0x8914,
    0x8916,
    0x891C,
    0x8933,
)
_UP, _RUNNING, _MULTICAST, _BROADCAST = 0x1, 0x40, 0x1000, 0x2
_VIA_GATEWAY = 3  # RTF_UP | RTF_GATEWAY
_CARD = b"eth0"
_COVERED = (
    "keys", "key-users", "timer_list", "kallsyms", "kcore", "sched_debug", "slabinfo", "latency_stats",
    "sysrq-trigger",
)  # fmt: skip
_CHARACTER, _LINK, _FOLDER, _FILE = 0o020000, 0o120000, 0o040000, 0o100000
_DEVICES = (
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
)
_LINKS = (
    ("ptmx", "pts/ptmx"), ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
)  # fmt: skip
# Of busybox, what the script starts by name
_PROGRAMS = ("chown", "chroot", "kill", "reboot", "setsid", "stty", "sync", "timeout")


def entries() -> tuple[Entry, ...]:
    """Return what the archive holds beside programs: folders, devices, links."""
    folders = ("proc", "dev", "sys", "new", "inside", "inside/pts", "inside/shm")
    return (
        *(Entry(path=name, mode=_FOLDER | 0o755) for name in folders),
        Entry(
            path="dev/console", mode=_CHARACTER | 0o600, device=(5, 1)
        ),  # the kernel's first three descriptors
        Entry(path="nothing", mode=_FILE | 0o444),
        *(Entry(path=f"inside/{name}", mode=_CHARACTER | 0o666, device=(a, b)) for name, a, b in _DEVICES),
        *(Entry(path=f"inside/{name}", mode=_LINK | 0o777, content=to.encode()) for name, to in _LINKS),
        *(Entry(path=f"bin/{name}", mode=_LINK | 0o777, content=b"busybox") for name in _PROGRAMS),
    )


def steps(scratch: int | None) -> tuple[Step, ...]:
    """Return the calls. `scratch` is the size of shared memory, where the policy limits it."""
    shared = f"mode=1777{f',size={scratch}' if scratch else ''}"
    return (
        _mount("proc", "/proc", "proc"),
        _mount("dev", "/dev", "devtmpfs"),
        _mount("sys", "/sys", "sysfs"),
        _mount("root", "/new", "virtiofs", _NOSUID | _NODEV, failure="the shared root could not be mounted"),
        _mount("proc", "/new/proc", "proc", _NOSUID | _NODEV | _NOEXEC, failure="there is no /proc"),
        _mount("/inside", "/new/dev", "", _BIND, failure="there is no /dev"),
        _mount("devpts", "/new/dev/pts", "devpts", _NOSUID | _NOEXEC, "mode=620,ptmxmode=666,newinstance"),
        _mount("shm", "/new/dev/shm", "tmpfs", _NOSUID | _NODEV, shared, failure="there is no /dev/shm"),
        _seal("/new/dev", _RDONLY | _NOSUID | _NOEXEC),
        _mount("/nothing", "/nothing", "", _BIND),
        _seal("/nothing", _RDONLY | _NOSUID | _NODEV | _NOEXEC),
        *(_mount("/nothing", f"/new/proc/{name}", "", _BIND) for name in _COVERED),  # some are not there
        _mount("/new/proc/sys", "/new/proc/sys", "", _BIND, failure="/proc/sys could not be bound"),
        _seal("/new/proc/sys", _RDONLY | _NOSUID | _NODEV | _NOEXEC),
        *_network(),
        Call(name="sethostname", arguments=(Data(content=b"ringfence"), 9)),
        Execute(
            paths=(b"/bin/busybox",),
            argv=(b"sh", b"/script"),
            environment=(b"PATH=/bin",),
            not_found="in the guest: there is no shell",
            not_executable="in the guest: the shell cannot be executed",
        ),
    )


def _mount(source: str, target: str, kind: str, flags: int = 0, options: str = "", failure: str = "") -> Call:
    words = [Data(content=text.encode() + b"\0") if text else 0 for text in (source, target, kind, options)]
    return Call(
        name="mount",
        arguments=(words[0], words[1], words[2], flags, words[3]),
        failure=failure and f"in the guest: {failure}",
    )


def _seal(target: str, flags: int) -> Call:
    """Change the flags of one mount, and of nothing below it."""
    return _mount(
        "", target, "", _REMOUNT | _BIND | flags, failure=f"{target.removeprefix('/new')} stays writable"
    )


def _network() -> tuple[Step, ...]:
    """Bring the card up with the inner end's addresses, and the gate as the way to everything else.

    What fails here leaves the command with less of a network, never with another.
    """
    four, six, path = Slot(offset=512), Slot(offset=520), Slot(offset=528)
    accept = b"/proc/sys/net/ipv6/conf/eth0/accept_dad\0"
    up = _UP | _RUNNING | _MULTICAST | _BROADCAST
    return (
        Call(name="socket", arguments=(_AF_INET, _DGRAM, 0), result=four),
        Call(name="socket", arguments=(_AF_INET6, _DGRAM, 0), result=six),
        # nobody else can have our address: there is nothing to wait for
        Call(name="openat", arguments=(-100, Data(content=accept), 1), result=path),
        Call(name="write", arguments=(path, Data(content=b"0"), 1)),
        Call(name="close", arguments=(path,)),
        _ioctl(four, _SIOCSIFFLAGS, _request(b"lo", struct.pack("=H", _UP | _RUNNING))),
        _ioctl(four, _SIOCSIFADDR, _request(_CARD, _address(wire.INSIDE4))),
        _ioctl(four, _SIOCSIFNETMASK, _request(_CARD, _address("255.255.255.252"))),
        _ioctl(four, _SIOCSIFFLAGS, _request(_CARD, struct.pack("=H", up))),
        _ioctl(four, _SIOCADDRT, _route4()),
        *_address6(six),
        _ioctl(six, _SIOCADDRT, _route6()),
        Call(name="close", arguments=(four,)),
        Call(name="close", arguments=(six,)),
    )


def _ioctl(socket: Slot, request: int, structure: bytes) -> Call:
    return Call(name="ioctl", arguments=(socket, request, Data(content=structure)))


def _request(name: bytes, content: bytes) -> bytes:
    """Return a `struct ifreq`."""
    return name.ljust(16, b"\0") + content.ljust(24, b"\0")


def _address(text: str) -> bytes:
    """Return a `struct sockaddr_in`."""
    return struct.pack("=HH4s8x", _AF_INET, 0, wire.packed(text))


def _route4() -> bytes:
    """Return a `struct rtentry`: to everywhere by the gate."""
    anywhere = _address("0.0.0.0")  # noqa: S104 - no address to listen at
    head = struct.pack("=8x16s16s16sH", anywhere, _address(wire.GATE4), anywhere, _VIA_GATEWAY)
    return head.ljust(120, b"\0")


def _route6() -> bytes:
    """Return a `struct in6_rtmsg`: to everywhere by the gate, by whichever card reaches it."""
    return struct.pack("=32x16sIHHI4xQIi", wire.packed(wire.GATE6), 0, 0, 0, 1, 0, _VIA_GATEWAY, 0)


def _address6(socket: Slot) -> tuple[Step, ...]:
    """Give the card its address: a `struct in6_ifreq` wants the card's number, which a first request leaves there.

    The two structures overlap, so that the number of the one is the number of the other.
    """
    base = 1024
    own = wire.packed(wire.INSIDE6) + struct.pack("=I", 64)
    ask = Slot(offset=base + 4, address=True)
    return (
        Store(slot=Slot(offset=base + 4), value=int.from_bytes(_CARD, "little")),
        Call(name="ioctl", arguments=(socket, _SIOCGIFINDEX, ask)),
        *(
            Store(slot=Slot(offset=base + at), value=int.from_bytes(own[at : at + 8], "little"))
            for at in (0, 8, 12)
        ),
        Call(name="ioctl", arguments=(socket, _SIOCSIFADDR, Slot(offset=base, address=True))),
    )
