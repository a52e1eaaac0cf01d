"""A session's copy of the project: begun, continued, ended, found again, removed.

    STATE/sessions/ID/   layers.json   what `layers.Layers` says, replaced as a whole
                         lock          held by the launcher while the session runs
                         upper/        what differs from the project (or copy/, the whole changed copy)
                         work/         the kernel's, for an overlay; fresh at every start
                         repository/   the same for the git folder of a linked worktree
                         boundary      the processes of the boundary, while they run

A launcher that was killed leaves a copy that is not marked as ended. Its lock is free then; once the
processes of its boundary are gone too, the copy is as good as any other, and whoever looks it up next
marks it. A session that changed nothing leaves nothing.
"""

import fcntl
import os
import stat
import time

from ringfence.canonical import encode
from ringfence.errors import BoundaryError, HostError, RingfenceError, UsageError
from ringfence.value import Struct, replace
from ringfence.workspace import beneath, git_index
from ringfence.workspace.layers import COPY, OVERLAY, REPOSITORY, UNCLAIMED, UPPER, Layers
from ringfence.workspace.processes import GONE, start_time

LAYERS, LOCK, BOUNDARY, WORK, BASE = "layers.json", "lock", "boundary", "work", "base"
# What stays of a session when its copy is removed: the record of it
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ringfence.workspace.upper import Usage

_RECORD = frozenset(("audit.jsonl", "plan.json", "egress.log", "set-aside"))
_BEGINNING = 60.0  # seconds in which a folder without a description may be a session that begins
_FEW, _SMALL = 100, 4 << 20  # entries and bytes of a copy that is looked through at once for changes
# seconds that the processes of a boundary may take to be gone: they write to a disk that may be busy
_DYING = 30.0


class Held(Struct):
    """A copy in use: nobody else may use, apply or discard it."""

    folder: str  # of the session it belongs to
    layers: Layers
    lock: int  # descriptor
    continued: bool = False


class Listed(Struct):
    """One session that has a copy."""

    layers: Layers
    running: bool
    entries: int
    size: int  # bytes


# --- beginning and ending ------------------------------------------------------------------------


def begin(folder: str, made: Layers, owner: int) -> Held:
    """Make an empty copy in a session's folder, for an agent that is `owner` on the host."""
    path = f"{folder}/{LOCK}"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _make_layer(made, owner)
        root = os.stat(made.workspace)
        known = (root.st_dev, root.st_ino)
        begun = replace(made, lock=path, started=os.fstat(fd).st_ctime_ns, root=known)
        write(folder, begun)
        if made.kind == OVERLAY:
            _fresh_work(folder)
    except BaseException:
        os.close(fd)
        raise
    return Held(folder=folder, layers=begun, lock=fd)


def _make_layer(made: Layers, owner: int) -> None:
    """Make the layer's own folder like the project's: it is what shows as the project's inside."""
    status = os.stat(made.workspace)
    os.mkdir(made.upper, 0o700)
    if not os.geteuid():
        os.chown(made.upper, status.st_uid or owner, owner)
    os.chmod(made.upper, stat.S_IMODE(status.st_mode))


def resume(layers: Layers, workspace: str) -> Held:
    """Take an ended session's copy into use again. Raises UsageError where that cannot be."""
    if layers.workspace != workspace:
        raise UsageError(
            f"session {layers.session} is about {layers.workspace}, not about {workspace}",
            hint=f"change into {layers.workspace}",
        )
    fd = locked(layers)
    if fd is None:
        raise UsageError(f"session {layers.session} is still running", hint="wait for it, or start another")
    folder = os.path.dirname(layers.lock)
    begun = replace(layers, ended=False)
    write(folder, begun)
    if layers.kind == OVERLAY:
        _fresh_work(folder)
    return Held(folder=folder, layers=begun, lock=fd, continued=True)


def _fresh_work(folder: str) -> None:
    _remove(folder, WORK)
    os.mkdir(f"{folder}/{WORK}", 0o700)


def add_repository(held: Held, path: str, masked: tuple[str, ...], owner: int) -> None:
    """Make a layer for the git folder at `path`, which the workspace's git needs, beside the copy's own."""
    folder = f"{held.folder}/{REPOSITORY}"
    status = os.stat(path)
    made = replace(
        held.layers,
        workspace=path,
        upper=f"{folder}/{UPPER}",
        masked=masked,
        exclude=(),
        root=(status.st_dev, status.st_ino),
    )
    if not os.path.isdir(folder):
        os.mkdir(folder, 0o700)
        _make_layer(made, owner)
    write(folder, made)
    _fresh_work(folder)


def repository_of(layers: Layers) -> Layers | None:
    """Return what git wrote outside of a linked worktree, as layers of their own; or None."""
    folder = f"{os.path.dirname(layers.lock)}/{REPOSITORY}"
    return replace(load(f"{folder}/{LAYERS}"), ended=layers.ended) if os.path.isdir(folder) else None


def note_boundary(held: Held, pids: tuple[int, ...]) -> None:
    """Write down the boundary's processes, for whoever finds the copy when we were killed."""
    path, flags = f"{held.folder}/{BOUNDARY}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, "".join(f"{pid} {start_time(pid)}\n" for pid in pids).encode())
    finally:
        os.close(fd)


def end(held: Held, *, discard: bool = False) -> "Usage | None":
    """Mark a copy as ended, now that nothing of its session runs; say what is in it.

    One in which nothing was changed is removed, as is one to `discard`; then None.
    """
    folder, layers = held.folder, held.layers
    try:
        if discard or (layers.kind == OVERLAY and _is_untouched(layers)):
            remove_all(folder)  # with what a process writes that is just being killed
            return None
        if not _is_over(folder):
            return _usage(layers)  # left as it is: whoever looks it up waits again
        used = _usage(layers)
        if layers.kind == COPY and not used.entries:
            remove_all(folder)
            return None
        ended = _settle(folder, layers)
        if not held.continued and _is_little(used) and _says_nothing(ended):
            remove_all(folder)
            return None
        fcntl.flock(held.lock, fcntl.LOCK_UN)  # closing is not enough while a helper just forked has it too
        return used
    finally:
        os.close(held.lock)


def abandon(held: Held) -> None:
    """Give back a copy for a session that never began."""
    if held.continued:
        end(held)
        return
    remove_all(held.folder)
    os.close(held.lock)


def _settle(folder: str, layers: Layers) -> Layers:
    """Mark a copy as ended."""
    for place in (folder, f"{folder}/{REPOSITORY}"):
        if os.path.isdir(f"{place}/{WORK}"):
            _remove(place, WORK)
    _forget(folder, BOUNDARY)
    ended = replace(layers, ended=True, index=layers.index or _index(layers))
    write(folder, ended)
    return ended


def _index(layers: Layers) -> str:
    """Return what the project's git index holds, where the session has one of its own to compare with."""
    path = f"/{git_index.INDEX.decode()}"
    try:
        os.lstat(layers.upper + path)
        if os.lstat(layers.workspace + path).st_ctime_ns > layers.started:
            return ""  # changed during the session: what it held before is not known
    except OSError:
        return ""
    return git_index.digest_below(layers.workspace)


def _is_untouched(layers: Layers) -> bool:
    repository = f"{os.path.dirname(layers.lock)}/{REPOSITORY}/{UPPER}"
    if os.path.isdir(repository) and os.listdir(repository):
        return False
    mode = os.stat(layers.upper).st_mode & 0o777
    return not os.listdir(layers.upper) and mode == os.stat(layers.workspace).st_mode & 0o777


def _is_little(used: "Usage") -> bool:
    return used.complete and used.entries <= _FEW and used.size <= _SMALL


def _says_nothing(layers: Layers) -> bool:
    """Tell whether what was written is no change: what was there already, caches, a refreshed git index."""
    from ringfence.workspace import changes

    if os.stat(layers.upper).st_mode & 0o777 != os.stat(layers.workspace).st_mode & 0o777:
        return False
    outside = repository_of(layers)
    try:
        return not any(changes.read(one) for one in (layers, outside) if one is not None)
    except (OSError, RingfenceError):
        return False  # told when it is reviewed


def _usage(layers: Layers) -> "Usage":
    if layers.kind == COPY:
        from ringfence.workspace import snapshot

        return snapshot.usage(layers)
    from ringfence.workspace import upper

    return upper.usage(layers.upper)


def write(folder: str, layers: Layers) -> None:
    """Write down what a copy is, in place of what was said before."""
    temporary = f"{folder}/{LAYERS}.new"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(fd, "w", encoding="ascii") as file:
        file.write(encode(layers) + "\n")
    os.rename(temporary, f"{folder}/{LAYERS}")


def _forget(folder: str, name: str) -> None:
    try:
        os.unlink(f"{folder}/{name}")
    except FileNotFoundError:
        return


# --- finding -------------------------------------------------------------------------------------


def load(path: str) -> Layers:
    """Read a `layers.json` of ours."""
    import json

    try:
        with open(path, encoding="ascii") as file:
            data = json.load(file)
        known: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in data.items()
        }
        return Layers(**known)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise BoundaryError(f"the session's copy cannot be used: {path}: {why}") from None


def find(state_dir: str, name: str = "last", workspace: str = "") -> Layers:
    """Return the copy of a session, named by its id, the beginning of one, or `last`.

    With `workspace`, `last` is the last one about that project. Raises UsageError where none fits.
    """
    ids = _ids(state_dir)
    if name == "last":
        found = (_layers(state_dir, session) for session in ids)
        about = [one for one in found if not workspace or one.workspace == workspace]
        if about:
            return max(about, key=lambda one: (one.started, one.session))  # ids are by the second only
        raise UsageError("no session has changed anything", hint="`ringfence sessions` lists those that have")
    fitting = [session for session in ids if session.startswith(name)]
    if name in fitting:
        fitting = [name]
    if len(fitting) != 1:
        what = (
            f"`{name}` stands for {len(fitting)} sessions" if fitting else f"no session `{name}` has a copy"
        )
        raise UsageError(what, hint="`ringfence sessions` lists those that have one")
    return _layers(state_dir, fitting[0])


def listed(state_dir: str) -> tuple[Listed, ...]:
    """Return all sessions that have a copy, oldest first."""
    out = []
    for session in _ids(state_dir):
        try:
            layers = _layers(state_dir, session)
            used = _usage(layers)
        except (BoundaryError, OSError):
            continue  # being made or removed at this moment
        out.append(Listed(layers=layers, running=not layers.ended, entries=used.entries, size=used.size))
    return tuple(out)


def _ids(state_dir: str) -> list[str]:
    """Return the sessions that have a copy, those settled first whose launcher was killed."""
    try:
        names = sorted(os.listdir(f"{state_dir}/sessions"))
    except OSError:
        return []
    begun = [name for name in names if not os.path.lexists(f"{state_dir}/sessions/{name}/{UNCLAIMED}")]
    having = [name for name in begun if os.path.exists(f"{state_dir}/sessions/{name}/{LAYERS}")]
    for name in begun:
        (_recover if name in having else _finish_removal)(f"{state_dir}/sessions/{name}")
    return [name for name in having if os.path.exists(f"{state_dir}/sessions/{name}/{LAYERS}")]


def _layers(state_dir: str, session: str) -> Layers:
    return load(f"{state_dir}/sessions/{session}/{LAYERS}")


def _recover(folder: str) -> None:
    """Mark a copy as ended where its launcher was killed; remove it where nothing was written."""
    try:
        layers = load(f"{folder}/{LAYERS}")
        fd = None if layers.ended else locked(layers)
    except BoundaryError:
        return  # removed at this moment, or damaged: told when it is used
    if fd is None:
        return
    try:
        if not _is_over(folder):
            return
        if layers.kind == OVERLAY and _is_untouched(layers):
            remove_all(folder)
        else:
            _settle(folder, layers)
    finally:
        os.close(fd)


def _finish_removal(folder: str) -> None:
    """Remove what is left of a copy whose removal was killed: a lock without a description, and old."""
    try:
        lock = os.lstat(f"{folder}/{LOCK}")
    except OSError:
        return
    if time.time() - lock.st_ctime < _BEGINNING:
        return  # perhaps a session that is just beginning
    fd = locked(Layers(session="", workspace="", upper="", lock=f"{folder}/{LOCK}"))
    if fd is None:
        return
    try:
        if not os.path.lexists(f"{folder}/{LAYERS}"):
            remove_all(folder)
    except OSError:
        return  # the next one tries again
    finally:
        os.close(fd)


def locked(layers: Layers) -> int | None:
    """Take a session's lock, or return None where its launcher, or somebody else, holds it."""
    try:
        fd = os.open(layers.lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise BoundaryError(f"the session's lock {layers.lock} cannot be opened: {error.strerror}") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return fd


def is_running(layers: Layers) -> bool:
    """Tell whether a session runs, or somebody else uses its copy at this moment."""
    fd = locked(layers)
    if fd is None:
        return True
    os.close(fd)
    return not _is_over(os.path.dirname(layers.lock))


def _is_over(folder: str) -> bool:
    """Wait until the boundary's processes, which die with their launcher, are gone; tell whether they are."""
    try:
        with open(f"{folder}/{BOUNDARY}", encoding="ascii") as file:
            known = [line.split() for line in file]
    except OSError:
        return True
    deadline = time.monotonic() + _DYING
    # those of a short session may have been gone when they were noted
    lived = [(int(one[0]), one[1]) for one in known if len(one) == 2 and one[1] != GONE]
    while any(start_time(pid) == started for pid, started in lived):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


# --- removing ------------------------------------------------------------------------------------


def remove(layers: Layers) -> None:
    """Remove a session's copy and all that belongs to it but its record. Raises UsageError while it runs."""
    from ringfence.workspace import apply

    fd = locked(layers)
    folder = os.path.dirname(layers.lock)
    if fd is None or not _is_over(folder):
        raise UsageError(f"session {layers.session} is still running", hint="end it first")
    try:
        apply.refuse_interrupted(layers)
        remove_all(folder)
    except OSError as error:
        raise HostError(
            f"the copy of session {layers.session} cannot be removed: {error.strerror}",
            hint=f"look into {folder}; a file system mounted there is left alone",
        ) from None
    finally:
        os.close(fd)


def remove_all(folder: str) -> None:
    """Remove what is not the record; the layers' description goes first, so that nobody finds half a copy."""
    root = beneath.open_root(folder)
    try:
        for name in (LAYERS, *sorted(set(os.listdir(root)) - _RECORD - {LAYERS, LOCK}), LOCK):
            beneath.remove_name(root, os.fsencode(name))
    finally:
        os.close(root)


def _remove(folder: str, name: str) -> None:
    root = beneath.open_root(folder)
    try:
        beneath.remove(root, os.fsencode(name))
    finally:
        os.close(root)
