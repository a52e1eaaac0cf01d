"""A kernel that refuses: runs a program under a seccomp filter of the test's choosing.

    python refusing.py unshare=EPERM,mount=EACCES -- PROGRAM ARGUMENT …

So it can be shown what ringfence says and does on a machine that keeps it from its namespaces, as
Ubuntu's AppArmor and Docker's filter do: the same calls answer with the same errors. Names are
system calls; `userns` is every call that asks for a user namespace; `bare-userns` leaves user
namespaces but refuses unshare(2) of any other kind, alone or together with one, which is how a
namespace without capabilities feels to us while bubblewrap, with a profile of its own, still works.
"""

import ctypes
import errno
import os
import struct
import sys

NUMBERS = {
    "x86_64": {"unshare": 272, "mount": 165, "clone": 56, "clone3": 435, "pidfd_open": 434,
        "landlock_create_ruleset": 444, "fsopen": 430, "seccomp": 317},
    "aarch64": {"unshare": 97, "mount": 40, "clone": 220, "clone3": 435, "pidfd_open": 434,
        "landlock_create_ruleset": 444, "fsopen": 430, "seccomp": 277},
}  # fmt: skip
NEWUSER = 0x10000000
OTHERS = 0x20000 | 0x40000000  # mount and network namespaces


def program(refusals):
    """Assemble a filter that answers each call with its errno: {"unshare": errno.EPERM}."""
    numbers = NUMBERS[os.uname().machine]
    code = [_op(0x20, 0)]
    for name, code_of_error in refusals.items():
        answer = _op(0x06, 0x50000 | code_of_error)
        if name == "userns":
            for call in ("unshare", "clone"):
                code += [
                    _op(0x15, numbers[call], 0, 4),
                    _op(0x20, 16),
                    _op(0x45, NEWUSER, 0, 1),
                    answer,
                    _op(0x20, 0),
                ]
            code += [_op(0x15, numbers["clone3"], 0, 1), _op(0x06, 0x50000 | errno.ENOSYS)]
        elif name == "bare-userns":
            code += [
                _op(0x15, numbers["unshare"], 0, 4),
                _op(0x20, 16),
                _op(0x45, OTHERS, 0, 1),
                answer,
                _op(0x20, 0),
            ]
        else:
            code += [_op(0x15, numbers[name], 0, 1), answer]
    return b"".join([*code, _op(0x06, 0x7FFF0000)])


def _op(code, value, if_true=0, if_false=0):
    return struct.pack("=HBBI", code, if_true, if_false, value)


def install(refusals):
    """Put this process and all it starts under the filter."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = program(refusals)
    buffer = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    for arguments in ((38, 1, 0, 0, 0), (22, 2, head, 0, 0)):
        if libc.prctl(*arguments):
            raise OSError(ctypes.get_errno(), "prctl")


def parse(text):
    """Read `unshare=EPERM,mount=EACCES`."""
    return {name: getattr(errno, code) for name, _, code in (part.partition("=") for part in text.split(","))}


if __name__ == "__main__":
    install(parse(sys.argv[1]))
    os.execvp(sys.argv[3], sys.argv[3:])
