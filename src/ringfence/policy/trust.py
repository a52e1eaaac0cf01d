"""What the operator has trusted: the exact bytes of a policy file at one path.

One small file a record under `state_dir/trust`, named by the path's hash. The store decides what may
widen a boundary, so it counts only if nobody else can have written it; anything odd is an error that
says how to mend it, never "not trusted" in silence and never "trusted".
"""

import os
import stat

from ringfence.canonical import encode, sha256
from ringfence.errors import PolicyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_FORMAT = "ringfence-trust 1"


def trusted(state_dir: str, path: str, digest: str) -> bool:
    """Say whether exactly these bytes have been trusted at exactly this path."""
    return _read(state_dir, _name(path)) == (encode(path), digest)


def record(state_dir: str, path: str, digest: str) -> None:
    """Trust a file as it stands now; an earlier record for the path is replaced."""
    folder = _folder(state_dir)
    os.makedirs(folder, 0o700, exist_ok=True)
    _check(folder, folder=True)
    target = f"{folder}/{_name(path)}"
    mine = f"{target}.{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(mine, flags, 0o600)
    try:
        os.write(descriptor, f"{_FORMAT}\n{digest}\n{encode(path)}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(mine, target)


def revoke(state_dir: str, path: str) -> bool:
    """Take the trust back; say whether there was any."""
    try:
        os.unlink(f"{_folder(state_dir)}/{_name(path)}")
    except FileNotFoundError:
        return False
    return True


def records(state_dir: str) -> "Iterator[tuple[str, str]]":
    """Yield (path, digest) of everything trusted."""
    try:
        names = sorted(os.listdir(_folder(state_dir)))
    except FileNotFoundError:
        return
    for name in names:
        found = _read(state_dir, name) if len(name) == 64 else None
        if found:
            yield _path(found[0]), found[1]


def _folder(state_dir: str) -> str:
    return state_dir + "/trust"


def _name(path: str) -> str:
    return sha256(os.fsencode(path))


def _read(state_dir: str, name: str) -> tuple[str, str] | None:
    folder = _folder(state_dir)
    file = f"{folder}/{name}"
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PolicyError(f"the trust record {file} cannot be read: {error.strerror}") from None
    try:
        _check(folder, folder=True)
        _check_facts(file, os.fstat(descriptor), folder=False)
        lines = os.read(descriptor, 1 << 16).decode("ascii", "replace").split("\n")
    finally:
        os.close(descriptor)
    if len(lines) != 4 or lines[0] != _FORMAT:
        raise PolicyError(f"the trust record {file} is damaged", hint=f"remove it: rm {file}")
    return lines[2], lines[1]


def _path(text: str) -> str:
    import json  # for `trust --list` only

    return str(json.loads(text))


def _check(path: str, *, folder: bool) -> None:
    _check_facts(path, os.lstat(path), folder=folder)


def _check_facts(path: str, facts: os.stat_result, *, folder: bool) -> None:
    kind = stat.S_ISDIR if folder else stat.S_ISREG
    if not kind(facts.st_mode):
        raise PolicyError(f"{path} is not a {'folder' if folder else 'regular file'}, so it proves no trust")
    if facts.st_uid != os.geteuid():
        raise PolicyError(
            f"{path} belongs to user {facts.st_uid}, not to you, so it proves no trust",
            hint=f"remove it, and trust again: rm -r {path}",
        )
    if facts.st_mode & 0o077:
        wanted = "700" if folder else "600"
        raise PolicyError(
            f"{path} is open to others (mode {stat.S_IMODE(facts.st_mode):o}), so it proves no trust",
            hint=f"if you have no doubt about its content: chmod {wanted} {path}",
        )
