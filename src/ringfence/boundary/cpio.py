"""An initial RAM file system: a cpio archive in the "newc" format.

Source: the kernel's documentation, driver-api/early-userspace/buffer-format.
"""

import os

from ringfence.value import Struct

_FOLDER, _PROGRAM = 0o40755, 0o100755


class Entry(Struct):
    """One file, folder, link or device."""

    path: str
    mode: int  # with its kind, as stat(2) has it
    content: bytes = b""  # of a link: what it points to
    device: tuple[int, int] = (0, 0)  # major and minor number


def archive(files: "dict[str, bytes]", more: tuple[Entry, ...] = ()) -> bytes:
    """Return an archive of programs by their paths, the folders above them, and what else there is."""
    folders: dict[str, None] = {}
    for path in files:
        above = os.path.dirname(path)
        parts = above.split("/") if above else []
        folders.update(dict.fromkeys("/".join(parts[: number + 1]) for number in range(len(parts))))
    entries = [Entry(path=path, mode=_FOLDER) for path in folders]
    entries += [Entry(path=path, mode=_PROGRAM, content=content) for path, content in files.items()]
    entries += [*more, Entry(path="TRAILER!!!", mode=0)]
    return b"".join(_entry(number, entry) for number, entry in enumerate(entries, 1))


def _entry(number: int, entry: Entry) -> bytes:
    name = entry.path.encode() + b"\0"
    numbers = (number, entry.mode, 0, 0, 1, 0, len(entry.content), 0, 0, *entry.device, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % one for one in numbers) + name
    return _padded(head) + _padded(entry.content)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
