"""Having the kernel ask before a program starts: a filter of one question, installed by the entry program.

It is a second filter beside the one that refuses system calls (`seccomp`), and the last thing before the
command: from then on each execve(2) and execveat(2) waits until who holds the listener has answered. A
process can have one such listener only, so a sandbox within this one cannot use the same means.
"""

import struct

from ringfence.boundary.seccomp import AUDIT_ARCH
from ringfence.boundary.stub import Call, Copy, Data, Pointers, Slot, Step, Store

LISTENER = b"X"  # what is said with the listener, where `L` is said with the gate's

_LD_WORD, _JEQ, _RET = 0x20, 0x15, 0x06
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_EXECUTES = {"x86_64": (59, 322), "aarch64": (221, 281)}  # execve, execveat
_SET_FILTER, _NEW_LISTENER = 1, 8
_SOL_SOCKET, _SCM_RIGHTS = 1, 1


def assemble(arch: str) -> bytes:
    """Return the filter. Other architectures' entry points are killed by the first one."""
    one, other = _EXECUTES[arch]
    return b"".join(
        (
            _op(_LD_WORD, 4),
            _op(_JEQ, AUDIT_ARCH[arch], 0, 4),
            _op(_LD_WORD, 0),
            _op(_JEQ, one, 1, 0),
            _op(_JEQ, other, 0, 1),
            _op(_RET, _NOTIFY),
            _op(_RET, _ALLOW),
        )
    )


def _op(code: int, k: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, k)


def install(code: bytes) -> tuple[Step, ...]:
    """Return the entry program's calls that put it, and all it starts, under a filter."""
    program = Pointers(words=(len(code) // 8, Data(content=code)))
    failure = "the system-call filter could not be installed"
    return (
        Call(name="prctl", arguments=(38, 1, 0, 0, 0), failure=failure),  # PR_SET_NO_NEW_PRIVS
        Call(name="seccomp", arguments=(_SET_FILTER, 0, program), failure=failure),
    )


def steps(arch: str, channel: int | Slot) -> tuple[Step, ...]:
    """Return the entry program's calls: install the filter, pass its listener to `channel`, forget it."""
    code = assemble(arch)
    program = Pointers(words=(len(code) // 8, Data(content=code)))  # struct sock_fprog
    listener = Slot(offset=256)
    control = Slot(offset=320, address=True)  # struct cmsghdr {len, level, type} and the descriptor
    payload = Pointers(words=(Data(content=LISTENER), 1))
    header = Pointers(words=(0, 0, payload, 1, control, 24, 0))
    failure = "the kernel does not let the launcher decide on programs"
    return (
        Call(
            name="seccomp", arguments=(_SET_FILTER, _NEW_LISTENER, program), result=listener, failure=failure
        ),
        Store(slot=Slot(offset=320), value=20),
        Store(slot=Slot(offset=328), value=_SOL_SOCKET | _SCM_RIGHTS << 32),
        Copy(source=listener, target=Slot(offset=336)),
        Call(name="sendmsg", arguments=(channel, header, 0), failure=failure),
        Call(name="close", arguments=(listener,)),
    )
