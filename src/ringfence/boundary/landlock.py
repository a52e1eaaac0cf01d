"""Landlock, the second lock: the plan's mounts once more, held by another part of the kernel.

If a mount were ever wrong, what the plan does not name would still be unreadable and unwritable.
Expressed as steps for the entry program (`stub.py`), because rules can only be added once the last
mount is in place. Constants: include/uapi/linux/landlock.h.
"""

import ctypes
import struct

from ringfence.boundary.stub import Call, Data, Slot, Step, Store

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_CHANGES = 0b1_1111_1111_0000  # remove and make anything, bits 4 to 12
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_BITS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # ABI: how many access rights exist
_SCOPE_ABSTRACT_UNIX, _SCOPE_SIGNAL = 1, 2
_O_PATH, _O_CLOEXEC = 0o10000000, 0o2000000
_AT_FDCWD = -100
_CREATE_RULESET_VERSION = 1

READ = _EXECUTE | _READ_FILE | _READ_DIR
LIST = _READ_DIR
FILE_WRITE = _READ_FILE | _WRITE_FILE | _TRUNCATE
WRITE = (READ | _WRITE_FILE | _CHANGES | _REFER | _TRUNCATE) & ~(_MAKE_CHAR | _MAKE_BLOCK)
DEVICE = _READ_FILE | _WRITE_FILE | _TRUNCATE | _READ_DIR | _IOCTL_DEV

_RULESET, _ALLOWED, _PARENT = Slot(offset=0), Slot(offset=16), Slot(offset=24)


def abi() -> int:
    """Return the kernel's Landlock ABI; 0 where there is none."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return max(0, int(libc.syscall(444, None, 0, _CREATE_RULESET_VERSION)))


def steps(version: int, rules: tuple[tuple[str, int, bool], ...]) -> tuple[Step, ...]:
    """Return the entry program's steps for (path, rights, is a directory) rules; none for ABI 0."""
    if version <= 0:
        return ()
    handled = (1 << _BITS.get(version, 16)) - 1
    scope = _SCOPE_ABSTRACT_UNIX | _SCOPE_SIGNAL if version >= 6 else 0
    attributes = struct.pack("<QQQ", handled, 0, scope)[: 24 if version >= 6 else 16 if version >= 4 else 8]
    out: list[Step] = [
        Call(
            name="landlock_create_ruleset",
            arguments=(Data(content=attributes), len(attributes), 0),
            result=_RULESET,
            failure="Landlock refused a ruleset",
        )
    ]
    for path, rights, directory in rules:
        out += _allow(path, rights & handled, directory=directory)
    out += [
        Call(name="prctl", arguments=(38, 1, 0, 0, 0), failure="cannot set no_new_privs"),
        Call(name="landlock_restrict_self", arguments=(_RULESET, 0), failure="Landlock could not be applied"),
        Call(name="close", arguments=(_RULESET,)),
    ]
    return tuple(out)


def _allow(path: str, rights: int, *, directory: bool) -> list[Step]:
    if not directory:
        rights &= _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
    name = path.encode("utf-8", "surrogateescape")
    return [
        Store(slot=_ALLOWED, value=rights),
        Call(
            name="openat",
            arguments=(_AT_FDCWD, Data(content=name + b"\0"), _O_PATH | _O_CLOEXEC, 0),
            result=_PARENT,
            failure=f"Landlock: cannot open {path}",
        ),
        Call(
            name="landlock_add_rule",
            arguments=(_RULESET, 1, Slot(offset=_ALLOWED.offset, address=True), 0),
            failure=f"Landlock: cannot add a rule for {path}",
        ),
        Call(name="close", arguments=(_PARENT,)),
    ]
