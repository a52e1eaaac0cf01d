"""The system-call filter as a container engine takes it: Docker's profile format, from the same tables.

Comparisons there are of 64 bits, while the kernel looks at 32 for these arguments (CVE-2019-7303): each is
made under a mask, or by "greater than" where larger means refused. An engine's library leaves out the names
that it is too old to know, so the entry program loads the exact filter (`seccomp.assemble`) on top.
"""

from ringfence.boundary import seccomp
from ringfence.boundary.seccomp import EAFNOSUPPORT, EPERM, EPROTONOSUPPORT, Options

_LOW = 0xFFFFFFFF
_ARCHITECTURES = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}


def profile(arch: str, options: Options) -> "dict[str, object]":
    """Return the profile as a JSON value."""
    rules = [_rule(name, code) for name, (_number, code) in seccomp.refused(arch, options).items()]
    rules += [*_sockets(), *_modes(arch)]
    for request in (seccomp._TIOCSTI, seccomp._TIOCLINUX):  # noqa: SLF001 - the same table
        rules.append(_rule("ioctl", EPERM, _equals(1, request)))
    rules += _any_bit("renameat2", 4, seccomp._RENAME_WHITEOUT)  # noqa: SLF001
    if not options.namespaces:
        rules += _any_bit("clone", 0, seccomp._CLONE_NAMESPACES)  # noqa: SLF001
        rules += _any_bit("unshare", 0, seccomp._NEW_NAMESPACES)  # noqa: SLF001
    return {"defaultAction": "SCMP_ACT_ALLOW", "architectures": [_ARCHITECTURES[arch]], "syscalls": rules}


def _rule(name: str, code: int, *arguments: "dict[str, object]") -> "dict[str, object]":
    return {"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": code, "args": list(arguments)}


def _equals(index: int, value: int, mask: int = _LOW) -> "dict[str, object]":
    return {"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}


def _above(index: int, value: int) -> "dict[str, object]":
    return {"index": index, "value": value, "valueTwo": 0, "op": "SCMP_CMP_GT"}


def _any_bit(name: str, index: int, bits: int, *more: "dict[str, object]") -> "list[dict[str, object]]":
    each = [1 << number for number in range(32) if bits >> number & 1]
    return [_rule(name, EPERM, _equals(index, bit, bit), *more) for bit in each]


def _sockets() -> "list[dict[str, object]]":
    families = seccomp._SOCKET_FAMILIES  # noqa: SLF001
    last = max(families)
    out = [_rule("socket", EAFNOSUPPORT, _above(0, last))]
    out += [_rule("socket", EAFNOSUPPORT, _equals(0, one)) for one in range(last) if one not in families]
    out.append(_rule("socket", EAFNOSUPPORT, _equals(0, seccomp.AF_NETLINK), _above(2, 0)))
    for family in (seccomp.AF_INET, seccomp.AF_INET6):
        of = _equals(0, family)
        kinds = (one for one in range(16) if one not in {seccomp.SOCK_STREAM, seccomp.SOCK_DGRAM})
        out += [_rule("socket", EPERM, of, _equals(1, kind, 0xF)) for kind in kinds]
        protocols = (one for one in range(17) if one not in {0, 6, 17})
        out += [_rule("socket", EPROTONOSUPPORT, of, _equals(2, one)) for one in protocols]
        out.append(_rule("socket", EPROTONOSUPPORT, of, _above(2, 17)))
    return out


def _modes(arch: str) -> "list[dict[str, object]]":
    column, out = (0 if arch == "x86_64" else 1), []
    for name, row in seccomp._MODES.items():  # noqa: SLF001
        if row[column] is None:
            continue
        if row[3] is None:
            out += _any_bit(name, row[2], seccomp._SET_ID)  # noqa: SLF001
            continue
        for bit in (0o100, 0o20000000):
            out += _any_bit(name, row[2], seccomp._SET_ID, _equals(row[3], bit, bit))  # noqa: SLF001
    return out
