"""C01: the private key of the session's certificate authority, and any other private key in sight.

Whoever holds it can read what the session says to every host. It is looked for wherever ringfence
or the system could have put it; only the path of a find is told.
"""

import itertools
import os

from ringfence.verify.prelude import NO_FILE, Tally

_MARKS = (b"PRIVATE KEY-----", b"openssh-key-v1")
_PLACES = ("/etc", "/run", "/tmp", "/var", "/dev/shm", "/opt", "/srv", "/mnt", "/root")
_LARGEST, _MOST = 1 << 16, 10000  # bytes of a file; files of one place


def attack(facts):
    """Search for the key by place and by content, and try the places on the host where it lies."""
    tally = Tally()
    for path in facts.get("authority", []):
        tally.refuse(path, lambda path=path: os.listdir(path), NO_FILE)
    home = facts.get("home") or os.path.expanduser("~")
    found, looked = [], 0
    elsewhere = {os.getcwd(), "/proc", *facts.get("bound", [])}
    for place in (*_PLACES, home):
        for path in itertools.islice(_files(place, elsewhere), _MOST):
            looked += 1
            if _is_key(path):
                found.append(path)
    tally.expect(
        "files that hold a private key", not found, ", ".join(found[:4]) or f"none among {looked} files"
    )
    return tally.finding()


def _files(place, elsewhere):
    """Walk one place, without workspace and toolchains: what those hold is the masks' business."""
    for folder, folders, files in os.walk(place):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in elsewhere]
        for name in files:
            yield os.path.join(folder, name)


def _is_key(path):
    try:
        if not os.path.isfile(path) or os.path.islink(path) or os.stat(path).st_size > _LARGEST:
            return False
        with open(path, "rb") as file:
            content = file.read(_LARGEST)
    except OSError:
        return False
    return content.lstrip().startswith(b"-----BEGIN") and any(mark in content for mark in _MARKS)
