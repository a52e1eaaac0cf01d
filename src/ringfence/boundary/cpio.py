"""An initial RAM file system: a cpio archive in the "newc" format.

Source: the kernel's documentation, driver-api/early-userspace/buffer-format.
"""

import os

_FOLDER, _PROGRAM = 0o40755, 0o100755


def archive(files: "dict[str, bytes]") -> bytes:
    """Return an archive of programs by their paths, with the folders above them."""
    folders: dict[str, None] = {}
    for path in files:
        above = os.path.dirname(path)
        parts = above.split("/") if above else []
        folders.update(dict.fromkeys("/".join(parts[: number + 1]) for number in range(len(parts))))
    entries = [(path, _FOLDER, b"") for path in folders]
    entries += [(path, _PROGRAM, content) for path, content in files.items()]
    entries.append(("TRAILER!!!", 0, b""))
    return b"".join(_entry(number, *entry) for number, entry in enumerate(entries, 1))


def _entry(number: int, path: str, mode: int, content: bytes) -> bytes:
    name = path.encode() + b"\0"
    numbers = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % one for one in numbers) + name
    return _padded(head) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
