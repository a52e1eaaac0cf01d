"""The system-call filter: one table of what is refused, assembled to classic BPF.

A deny list over bubblewrap's already empty capability sets and private namespaces: what remains
reachable for a process without privileges and has a record of kernel bugs or of ways around the
wire. A call that the kernel may lack answers ENOSYS, so that programs fall back; one that would
break the boundary answers EPERM; another architecture's entry points kill the process.

Numbers: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h (Linux 6.18).
Layout of the input: struct seccomp_data { int nr; __u32 arch; __u64 ip; __u64 args[6]; }.
"""

import errno
import struct

from ringfence.value import Struct

EPERM, ENOSYS = errno.EPERM, errno.ENOSYS
EAFNOSUPPORT, EPROTONOSUPPORT = errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT

# name: (x86_64, aarch64, errno); None where the architecture has no such call
_REFUSED: dict[str, tuple[int | None, int | None, int]] = {
    # asynchronous system calls go past this filter (io_uring)
    "io_uring_setup": (425, 425, ENOSYS),
    "io_uring_enter": (426, 426, ENOSYS),
    "io_uring_register": (427, 427, ENOSYS),
    # kernel attack surface with no use in a sandbox
    "userfaultfd": (323, 282, EPERM),
    "bpf": (321, 280, EPERM),
    "perf_event_open": (298, 241, EPERM),
    "fanotify_init": (300, 262, EPERM),
    "fanotify_mark": (301, 263, EPERM),
    "lookup_dcookie": (212, 18, EPERM),
    "kcmp": (312, 272, EPERM),
    "personality": (135, 92, EPERM),
    "modify_ldt": (154, None, EPERM),
    "ioperm": (173, None, EPERM),
    "iopl": (172, None, EPERM),
    "uselib": (134, None, EPERM),
    "ustat": (136, None, EPERM),
    "sysfs": (139, None, EPERM),
    "nfsservctl": (180, 42, EPERM),
    "vmsplice": (278, 75, EPERM),
    # NUMA calls: information about the machine, and bugs
    "mbind": (237, 235, EPERM),
    "set_mempolicy": (238, 237, EPERM),
    "migrate_pages": (256, 238, EPERM),
    "move_pages": (279, 239, EPERM),
    "set_mempolicy_home_node": (450, 450, EPERM),
    # keyrings are not namespaced for us
    "add_key": (248, 217, EPERM),
    "request_key": (249, 218, EPERM),
    "keyctl": (250, 219, EPERM),
    # reaching into other processes
    "ptrace": (101, 117, EPERM),
    "process_vm_readv": (310, 270, EPERM),
    "process_vm_writev": (311, 271, EPERM),
    "process_madvise": (440, 440, EPERM),
    "pidfd_getfd": (438, 438, EPERM),
    # mounts
    "mount": (165, 40, EPERM),
    "umount2": (166, 39, EPERM),
    "pivot_root": (155, 41, EPERM),
    "chroot": (161, 51, EPERM),
    "open_tree": (428, 428, EPERM),
    "move_mount": (429, 429, EPERM),
    "fsopen": (430, 430, EPERM),
    "fsconfig": (431, 431, EPERM),
    "fsmount": (432, 432, EPERM),
    "fspick": (433, 433, EPERM),
    "mount_setattr": (442, 442, EPERM),
    "open_tree_attr": (467, 467, EPERM),
    "quotactl": (179, 60, EPERM),
    "quotactl_fd": (443, 443, EPERM),
    "listmount": (458, 458, EPERM),
    "statmount": (457, 457, EPERM),
    # namespaces
    "setns": (308, 268, EPERM),
    "clone3": (
        435,
        435,
        ENOSYS,
    ),  # its flags lie in memory, out of a filter's sight; glibc falls back to clone
    # files by handle, past path checks
    "open_by_handle_at": (304, 265, EPERM),
    "name_to_handle_at": (303, 264, EPERM),
    # the machine
    "kexec_load": (246, 104, EPERM),
    "kexec_file_load": (320, 294, EPERM),
    "init_module": (175, 105, EPERM),
    "finit_module": (313, 273, EPERM),
    "delete_module": (176, 106, EPERM),
    "create_module": (174, None, EPERM),
    "get_kernel_syms": (177, None, EPERM),
    "query_module": (178, None, EPERM),
    "reboot": (169, 142, EPERM),
    "swapon": (167, 224, EPERM),
    "swapoff": (168, 225, EPERM),
    "acct": (163, 89, EPERM),
    "syslog": (103, 116, EPERM),
    "settimeofday": (164, 170, EPERM),
    "adjtimex": (159, 171, EPERM),
    "clock_settime": (227, 112, EPERM),
    "clock_adjtime": (305, 266, EPERM),
    "vhangup": (153, 58, EPERM),
    "sethostname": (170, 161, EPERM),
    "setdomainname": (171, 162, EPERM),
    "memfd_secret": (447, 447, ENOSYS),
    "openat2": (437, 437, ENOSYS),  # its mode lies in memory, see _SET_ID; programs fall back to openat
}
_AFFINITY: dict[str, tuple[int | None, int | None, int]] = {"sched_setaffinity": (203, 122, EPERM)}
# Reserves any amount of disk in microseconds; where it is missing, libraries write instead
_RESERVING: dict[str, tuple[int | None, int | None, int]] = {"fallocate": (285, 47, errno.EOPNOTSUPP)}
_CALLS = {  # calls judged by an argument
    "x86_64": {"socket": 41, "clone": 56, "unshare": 272, "ioctl": 16, "renameat2": 316},
    "aarch64": {"socket": 198, "clone": 220, "unshare": 97, "ioctl": 29, "renameat2": 276},
}
# Calls that give a file its mode: (x86_64, aarch64, index of the mode, index of the flags or None).
# A set-id file made in a writable workspace belongs on the host to the workspace's owner: with root as
# the operator that would be root, for any user of the host to execute.
_MODES: dict[str, tuple[int | None, int | None, int, int | None]] = {
    "chmod": (90, None, 1, None),
    "fchmod": (91, 52, 1, None),
    "fchmodat": (268, 53, 2, None),
    "fchmodat2": (452, 452, 2, None),
    "mknod": (133, None, 1, None),
    "mknodat": (259, 33, 2, None),
    "creat": (85, None, 1, None),
    "open": (2, None, 2, 1),
    "openat": (257, 56, 3, 2),
}
_SET_ID = 0o6000
_MAKES_A_FILE = 0o100 | 0o20000000  # O_CREAT, O_TMPFILE: without them `mode` is left over from earlier
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000

AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
SOCK_STREAM, SOCK_DGRAM = 1, 2
_SOCKET_FAMILIES = (AF_UNIX, AF_INET, AF_INET6, AF_NETLINK)
# every CLONE_NEW* flag: time, mount, cgroup, uts, ipc, user, pid, net
_NEW_NAMESPACES = (
    0x80 | 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
)
# CLONE_NEWTIME is 0x80, which in clone(2) is part of the exit signal: only unshare(2) takes it
_CLONE_NAMESPACES = _NEW_NAMESPACES & ~0x80
# Leaves a whiteout behind, a device that no capability is needed for: a deletion, to who reads an upper layer
_RENAME_WHITEOUT = 4
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_NETLINK_ROUTE = 0
_IPPROTO_TCP, _IPPROTO_UDP = 6, 17

_LD_WORD, _JEQ, _JGE, _JSET, _AND, _RET = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_ERRNO = 0x00050000


class Options(Struct):
    """What a policy changes about the filter: two losses that it names, and limits that need it."""

    debuggers: bool = False  # ptrace and process_vm_* among the session's own processes
    namespaces: bool = False  # sandboxes within the sandbox
    keep_cpus: bool = False  # a limit on CPUs is held by affinity alone, which a process could widen again
    keep_quota: bool = False  # a quota is held by looking, which needs time


_STRICT = Options()


def assemble(arch: str, options: Options = _STRICT) -> bytes:
    """Return the filter for one architecture, ready for bubblewrap's `--seccomp`."""
    code = [
        _op(_LD_WORD, 4),
        _op(_JEQ, AUDIT_ARCH[arch], 1, 0),
        _op(_RET, _KILL),
        _op(_LD_WORD, 0),
    ]
    if arch == "x86_64":
        code += [_op(_JGE, _X32_BIT, 0, 1), _op(_RET, _KILL)]
    for block in _blocks(arch, options):
        code += block
    code.append(_op(_RET, _ALLOW))
    return b"".join(code)


def refused(arch: str, options: Options = _STRICT) -> dict[str, tuple[int, int]]:
    """Return name → (number, errno) of the calls refused whatever their arguments."""
    column = 0 if arch == "x86_64" else 1
    given_up = _given_up(options)
    rows = {
        **_REFUSED,
        **(_AFFINITY if options.keep_cpus else {}),
        **(_RESERVING if options.keep_quota else {}),
    }
    return {
        name: (row[column], row[2])  # type: ignore[misc]
        for name, row in rows.items()
        if row[column] is not None and name not in given_up
    }


def _given_up(options: Options) -> set[str]:
    names: set[str] = set()
    if options.debuggers:
        names |= {"ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "personality"}
    if options.namespaces:
        names |= {"mount", "umount2", "pivot_root", "chroot", "setns", "clone3"}
    return names


def _blocks(arch: str, options: Options) -> list[list[bytes]]:
    calls = _CALLS[arch]
    blocks = [_refuse(number, code) for number, code in refused(arch, options).values()]
    blocks.append(_socket_block(calls["socket"]))
    blocks.append(_ioctl_block(calls["ioctl"]))
    blocks.append(_flags_block(calls["renameat2"], _RENAME_WHITEOUT, 4))
    blocks += _mode_blocks(arch)
    if not options.namespaces:
        blocks.append(_flags_block(calls["clone"], _CLONE_NAMESPACES))
        blocks.append(_flags_block(calls["unshare"], _NEW_NAMESPACES))
    return blocks


def _op(code: int, k: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, k)


def _refuse(number: int, code: int) -> list[bytes]:
    return [_op(_JEQ, number, 0, 1), _op(_RET, _ERRNO | code)]


def _argument(index: int) -> bytes:
    """Load the low half of an argument: the kernel looks at no more for these (CVE-2019-7303)."""
    return _op(_LD_WORD, 16 + 8 * index)


def _for(number: int, body: list[bytes]) -> list[bytes]:
    """Run `body` for one call; every path through it returns."""
    return [_op(_JEQ, number, 0, len(body)), *body]


def _ioctl_block(number: int) -> list[bytes]:
    # TIOCSTI types into the terminal (CVE-2017-5226), TIOCLINUX pastes into the console
    return _for(
        number,
        [
            _argument(1),
            _op(_JEQ, _TIOCSTI, 1, 0),
            _op(_JEQ, _TIOCLINUX, 0, 1),
            _op(_RET, _ERRNO | EPERM),
            _op(_RET, _ALLOW),
        ],
    )


def _mode_blocks(arch: str) -> list[list[bytes]]:
    column = 0 if arch == "x86_64" else 1
    blocks = []
    for row in _MODES.values():
        number, mode, flags = row[column], row[2], row[3]
        if number is None:
            continue
        body = [_argument(mode), _op(_JSET, _SET_ID, 0, 1), _op(_RET, _ERRNO | EPERM), _op(_RET, _ALLOW)]
        if flags is not None:
            body = [_argument(flags), _op(_JSET, _MAKES_A_FILE, 1, 0), _op(_RET, _ALLOW), *body]
        blocks.append(_for(number, body))
    return blocks


def _flags_block(number: int, flags: int, index: int = 0) -> list[bytes]:
    return _for(
        number, [_argument(index), _op(_JSET, flags, 0, 1), _op(_RET, _ERRNO | EPERM), _op(_RET, _ALLOW)]
    )


def _socket_block(number: int) -> list[bytes]:
    """Allow Unix, TCP and UDP sockets, and netlink's routing family; refuse all others.

    AF_VSOCK is not confined by network namespaces, AF_ALG and AF_PACKET load kernel modules.
    """
    stream_or_datagram = [
        _argument(1),
        _op(_AND, 0xF),
        _op(_JEQ, SOCK_STREAM, 2, 0),
        _op(_JEQ, SOCK_DGRAM, 1, 0),
        _op(_RET, _ERRNO | EPERM),
        _argument(2),
        _op(_JEQ, 0, 3, 0),
        _op(_JEQ, _IPPROTO_TCP, 2, 0),
        _op(_JEQ, _IPPROTO_UDP, 1, 0),
        _op(_RET, _ERRNO | EPROTONOSUPPORT),  # SCTP, MPTCP, … : clients fall back to TCP
        _op(_RET, _ALLOW),
    ]
    netlink = [
        _argument(2),
        _op(_JEQ, _NETLINK_ROUTE, 0, 1),
        _op(_RET, _ALLOW),
        _op(_RET, _ERRNO | EAFNOSUPPORT),
    ]
    body = [_argument(0)]
    body += _for(AF_UNIX, [_op(_RET, _ALLOW)])
    body += _for(AF_INET, stream_or_datagram)
    body += _for(AF_INET6, stream_or_datagram)
    body += _for(AF_NETLINK, netlink)
    body.append(_op(_RET, _ERRNO | EAFNOSUPPORT))
    return _for(number, body)
