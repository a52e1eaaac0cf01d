"""An image for containers, made of files of this machine: packages' and what is named beside them."""

import io
import os
import tarfile

from ringfence.errors import HostError
from ringfence.host import packages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

_FOLDERS = {
    "/dev": 0o755, "/etc": 0o755, "/home": 0o755, "/proc": 0o755, "/root": 0o700, "/run": 0o755,
    "/sys": 0o755, "/tmp": 0o1777, "/usr": 0o755, "/var": 0o755, "/var/tmp": 0o1777,  # noqa: S108 - inside
}  # fmt: skip
_COVERED = ("/tmp/", "/var/tmp/", "/run/", "/proc/", "/sys/", "/dev/")  # noqa: S108 - inside


def write(to: "BinaryIO", paths: list[str], links: list[str]) -> int:
    """Write an archive of these files and the folders above them; return how many there are.

    Nothing in it has an owner, or rights that go with one. The same files make the same archive, bit for bit.
    """
    entries: dict[str, str] = dict.fromkeys(_FOLDERS, "")
    for path in paths:
        above = os.path.dirname(path)
        while above != "/" and above not in entries:
            entries[above] = above
            above = os.path.dirname(above)
        entries[path] = path
    entries.update({path: path for path in links})
    with tarfile.open(fileobj=to, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path in sorted(entries):
            _add(archive, path, entries[path])
    return len(entries)


def below(path: str, home: str) -> list[str]:
    """Return a file or folder of the operator's, with all in it. HostError for one that nobody would see."""
    if path[:1] != "/" or f"{path}/".startswith((f"{home}/", *_COVERED)):
        raise HostError(
            f"{path} would not be seen inside, where that folder is the session's own",
            hint=f'show it instead: [files] read = ["{path}"]'
            if path[:1] == "/"
            else "name it from the root on: /…",
        )
    if not os.path.lexists(path):
        raise HostError(f"{path} does not exist")
    real = os.path.realpath(path)
    out = [path] if real == path else [f"{os.path.realpath(os.path.dirname(path))}/{os.path.basename(path)}"]
    for folder, folders, files in os.walk(real):
        out += [f"{folder}/{name}" for name in (*folders, *files)]
    return [*out, real]


def _add(archive: tarfile.TarFile, path: str, source: str) -> None:
    if not source:
        entry = tarfile.TarInfo(path[1:])
        entry.type, entry.mode = tarfile.DIRTYPE, _FOLDERS[path]
        archive.addfile(entry)
        return
    if not packages.is_plain(source):
        return
    entry = archive.gettarinfo(source, arcname=path[1:])
    if entry.islnk():  # the second name of a file: the same order each time makes the same first one
        entry.size = 0
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode &= 0o755
    entry.mtime = int(entry.mtime)
    if not entry.isreg():
        archive.addfile(entry)
        return
    try:
        with open(source, "rb") as file:
            archive.addfile(entry, file)
    except PermissionError:
        raise HostError(f"{source} cannot be read", hint="make the image as root") from None
    except (OSError, io.UnsupportedOperation) as error:
        raise HostError(f"{source} could not be copied: {error}") from None
