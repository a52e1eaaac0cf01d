"""C15: files that hold keys, in the project and in the home directory.

Only metadata is looked at, no content is read: a path inside is the host's file if device and inode
are the same, or a copy of it (as on an overlay) if size and time of change are.
"""

import os

from ringfence.verify.prelude import NO_FILE, Tally


def attack(facts):
    """Look at every masked file and every usual place of keys, also by other spellings."""
    tally = Tally()
    for entry in facts.get("credentials", []):
        for spelling in _spellings(entry["path"]):
            tally.refuse(spelling, lambda s=spelling, e=entry: _reveals(s, e), NO_FILE)
    return tally.finding()


def _spellings(path):
    parent, name = os.path.split(path)
    yield path
    yield f"/proc/self/root{path}"
    yield f"{parent}/./{name}"
    yield f"{parent}/../{os.path.basename(parent)}/{name}"
    if os.getcwd() != "/" and path.startswith(os.getcwd() + "/"):
        yield f"/proc/self/cwd{path[len(os.getcwd()) :]}"


def _reveals(path, entry):
    """Succeed only if the host's own file, or a copy of it, is there and opens."""
    status = os.stat(path)
    same = (status.st_dev, status.st_ino) == (entry["device"], entry["inode"])
    copy = (status.st_size, status.st_mtime_ns) == (entry["size"], entry["changed"])
    if not same and not copy:
        raise PermissionError(13, "masked")
    if os.path.isdir(path):
        if not os.listdir(path):
            raise PermissionError(13, "masked")
        return
    os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
