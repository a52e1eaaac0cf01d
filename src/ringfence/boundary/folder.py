"""A session's folder on the host: its log, its authority, its staging mount; and what is left when it ends.

    STATE/sessions/ID/   audit.jsonl, plan.json, egress.log, authority/ (while it runs), set-aside/
    STATE/live/ID        "PID STARTTIME" of the launcher; gone when the session ended in order
    STATE/reserve/       see `reserve`
    STATE/root           where every session mounts its new root, each in a mount namespace of its own

A launcher that was killed could not tidy up; the next one does it for it.
"""

import os
import time

from ringfence.boundary import reserve
from ringfence.errors import HostError
from ringfence.host.model import Host
from ringfence.value import Struct
from ringfence.workspace import aside
from ringfence.workspace.aside import Moved
from ringfence.workspace.layers import UNCLAIMED
from ringfence.workspace.processes import start_time

_PRIVATE = 0o700


class Folder(Struct):
    """Where one session's files are."""

    id: str
    path: str
    staging: str
    live: str

    @property
    def protected(self) -> str:
        """What stood at protected paths at the start; gone when the session ended in order."""
        return f"{self.path}/protected"

    @property
    def log(self) -> str:
        """The audit log."""
        return f"{self.path}/audit.jsonl"


def create(host: Host) -> Folder:
    """Make a new session's folder. Raises HostError where the state folder cannot be written."""
    now = time.gmtime()
    path = session = ""
    try:
        for name in ("", "/sessions", "/live", "/authority", "/authority/ready", "/homes"):
            _private(host.state_dir + name)
        while True:
            session = f"{time.strftime('%Y%m%d-%H%M%S', now)}-{os.urandom(2).hex()}"
            path = f"{host.state_dir}/sessions/{session}"
            try:
                os.mkdir(path, _PRIVATE)
            except FileExistsError:
                continue
            break
        reserve.make(host.state_dir)
        staging = _staging(host)
        live = f"{host.state_dir}/live/{session}"
        _write(live, f"{os.getpid()} {start_time(os.getpid())}\n")
    except OSError as error:
        if path:
            _remove_begun(host, path, session)
        raise HostError(
            f"the state folder {host.state_dir} cannot be written: {error.strerror}",
            hint="free some space or mend its owner, or name another with RINGFENCE_STATE_DIR",
        ) from None
    return Folder(id=session, path=path, staging=staging, live=live)


def _remove_begun(host: Host, path: str, session: str) -> None:
    finish(Folder(id=session, path=path, staging="", live=f"{host.state_dir}/live/{session}"))
    try:
        os.rmdir(path)
    except OSError:
        return


def _private(path: str) -> None:
    try:
        os.mkdir(path, _PRIVATE)
    except FileExistsError:
        return
    except FileNotFoundError:
        os.makedirs(path, _PRIVATE)


def _staging(host: Host) -> str:
    """Return where the new root is mounted: bubblewrap, no longer root then, must get there by path."""
    staging = f"{host.state_dir}/root" if host.uid else "/run/ringfence"
    os.makedirs(staging, 0o700 if host.uid else 0o711, exist_ok=True)
    return staging


def home_for(host: Host, workspace: str, folders: tuple[str, ...], owner: int) -> str:
    """Make the folders kept for this workspace; return what they lie in."""
    from ringfence.canonical import sha256

    key = sha256(workspace.encode("utf-8", "surrogateescape"))[:24]
    base = f"{host.state_dir}/homes/{key}"
    for folder in ("", *(f"/{one.removeprefix('~/')}" for one in folders)):
        if not os.path.isdir(base + folder):
            os.makedirs(base + folder, _PRIVATE)
            if not host.uid:
                os.chown(base + folder, owner, owner)
    return base


def finish(folder: Folder) -> None:
    """Remove what only a running session needs."""
    for path in (folder.protected, folder.live):
        try:
            os.unlink(path)
        except OSError:
            continue


def forget(folder: Folder) -> None:
    """Remove the folder of a session that never began: its log says nothing yet, or not all."""
    for name in ("audit.jsonl", "plan.json", UNCLAIMED):
        try:
            os.unlink(f"{folder.path}/{name}")
        except OSError:
            continue
    try:
        os.rmdir(folder.path)
    except OSError:
        return


def sweep(host: Host) -> tuple[tuple[str, Moved], ...]:
    """Tidy up after launchers that were killed; return (session, path) for what had to be set aside."""
    moved: list[tuple[str, Moved]] = []
    try:
        names = os.listdir(f"{host.state_dir}/live")
    except OSError:
        return ()
    for name in names:
        live = f"{host.state_dir}/live/{name}"
        try:
            with open(live) as file:
                pid, started = file.read().split()
            running = start_time(int(pid)) == started
        except (OSError, ValueError):
            continue
        if not running:
            dead = Folder(id=name, path=f"{host.state_dir}/sessions/{name}", staging="", live=live)
            moved += [(name, one) for one in _bury(dead)]
    return tuple(moved)


def _bury(dead: Folder) -> tuple[Moved, ...]:
    if os.path.exists(f"{dead.path}/container"):
        from ringfence.boundary import container

        if not container.sweep(dead.path):
            return ()  # the next launcher that finds the engine running does it
    from ringfence.boundary import limits
    from ringfence.credential.authority import Authority, discard

    discard(Authority(folder=f"{dead.path}/authority"))
    limits.remove_leftover(dead.id)
    moved = aside.recall(dead.protected, f"{dead.path}/set-aside")
    if os.path.lexists(f"{dead.path}/{UNCLAIMED}"):
        from ringfence.workspace import unclaimed

        if not unclaimed.clear(dead.path):
            return moved  # the next launcher tries again
        forget(dead)
    finish(dead)
    return moved


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
