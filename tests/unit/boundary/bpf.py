"""The kernel's reading of a classic BPF filter, as far as seccomp uses it (linux/filter.h, linux/bpf_common.h)."""

import struct

ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "i386": 0x40000003, "arm": 0x40000028}
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000


def judge(program, arch, number, *arguments):
    """Return "allow", "kill" or the errno that the filter answers a call with."""
    six = [argument & 0xFFFFFFFFFFFFFFFF for argument in (*arguments, *[0] * 6)][:6]
    answer = _run(program, struct.pack("<IIQ6Q", number & 0xFFFFFFFF, ARCHES[arch], 0xDEADBEEF, *six))
    if answer == ALLOW:
        return "allow"
    if answer == KILL:
        return "kill"
    assert answer & 0xFFFF0000 == ERRNO, hex(answer)
    return answer & 0xFFFF


def _run(program, data):
    """Execute; every jump goes forward and stays inside, as the kernel's checker demands."""
    code = [struct.unpack_from("<HBBI", program, at) for at in range(0, len(program), 8)]
    accumulator = at = 0
    while True:
        operation, if_true, if_false, k = code[at]
        at += 1
        if operation == 0x20:  # BPF_LD | BPF_W | BPF_ABS
            assert k % 4 == 0
            (accumulator,) = struct.unpack_from("<I", data, k)
        elif operation == 0x54:  # BPF_ALU | BPF_AND | BPF_K
            accumulator &= k
        elif operation in (0x15, 0x35, 0x45):  # BPF_JMP | JEQ, JGE, JSET | BPF_K
            taken = {0x15: accumulator == k, 0x35: accumulator >= k, 0x45: bool(accumulator & k)}[operation]
            at += if_true if taken else if_false
        elif operation == 0x06:  # BPF_RET | BPF_K
            return k
        else:
            raise AssertionError(f"operation {operation:#x} has no place here")
