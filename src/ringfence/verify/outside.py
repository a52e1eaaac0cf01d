"""The outside halves: attacks whose result shows on the host, while or after a session runs."""

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import struct
import subprocess
import termios
import threading
import time

from ringfence.verify import remains, session, witness
from ringfence.verify.attacks import Attack, new_files
from ringfence.verify.session import Starter

_START, _GONE = 60.0, 5.0  # seconds: for a session to be up; in which nothing is left of it after its end
_FEWEST = 3  # processes: the launcher, what makes the boundary, and what runs in it
_BARE = ("HEAD", "objects", "refs")  # what git takes for a repository

Finding = dict[str, object]
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def _finding(held: bool | None, evidence: str) -> Finding:  # noqa: FBT001 - the value itself
    return {"held": held, "evidence": evidence}


# --- S01 ---------------------------------------------------------------------------------------


def terminal(start: Starter, attack: Attack, _facts: dict[str, object]) -> Finding:
    """Run a session on a terminal of our own, and see what waits in it to be read by the next shell."""
    leader, follower = os.openpty()
    try:
        _raw(follower)
        status = os.fstat(follower)
        known: dict[str, object] = {"terminal": [status.st_dev, status.st_ino, status.st_rdev]}
        argv = start.argv(session.program(session.bundle((attack,), known)))
        text = _on_terminal(argv, leader, follower)
        found = session.findings(text).get(attack.module)
        if found is None:
            return _finding(None, f"the session on a terminal gave no finding: {text.strip()[-200:]!r}")
        waiting = struct.unpack("i", fcntl.ioctl(follower, termios.FIONREAD, b"\0\0\0\0"))[0]
        if waiting:
            return _finding(False, f"{waiting} characters were typed into the operator's terminal")
        return {**found, "evidence": f"{found['evidence']}; nothing waits in the operator's terminal"}
    finally:
        os.close(leader)
        os.close(follower)


def _raw(fd: int) -> None:
    """No line editing and no echo: what is typed in counts at once and is not mixed into the output."""
    import tty

    tty.setraw(fd)


def _on_terminal(argv: list[str], leader: int, follower: int) -> str:
    def take() -> None:
        os.setsid()
        fcntl.ioctl(follower, termios.TIOCSCTTY, 0)

    child = subprocess.Popen(argv, stdin=follower, stdout=follower, stderr=follower, preexec_fn=take)  # noqa: PLW1509
    text = b""
    os.set_blocking(leader, False)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        ended = child.poll() is not None
        with contextlib.suppress(BlockingIOError):
            while part := os.read(leader, 65536):
                text += part
        if ended:
            break
        time.sleep(0.02)
    _stop(child)
    return text.decode("utf-8", "replace")


# --- S20 ---------------------------------------------------------------------------------------


def leftovers(start: Starter, attack: Attack, facts: dict[str, object]) -> Finding:
    """End sessions by force in two ways; each time nothing of them may be left a moment later."""
    said = []
    for way, number in (("SIGTERM", signal.SIGTERM), ("SIGKILL of the launcher", signal.SIGKILL)):
        found = _ended(start, attack, facts, number)
        said.append(f"{way}: {found['evidence']}")
        if found["held"] is not True:
            return {"held": found["held"], "evidence": said[-1]}
    return _finding(True, "; ".join(said))


def _ended(start: Starter, attack: Attack, facts: dict[str, object], number: int) -> Finding:
    mark = new_mark()
    argument = session.bundle((attack,), {**facts, "mark": mark[::-1], "stay": True})
    state_dir, socket = str(facts.get("state_dir", "")), str(facts.get("engine") or "")
    noted = remains.Noted(session="", processes=frozenset(), groups=())
    child = subprocess.Popen(
        start.argv(session.program("-")),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        if not _is_up(child, argument):
            return _finding(None, "the session did not start")
        noted = remains.note(child.pid, state_dir)
        if len(noted.processes) < _FEWEST:
            return _finding(None, "the session's processes cannot be seen from outside")
        child.send_signal(number)
        threading.Thread(target=child.wait, daemon=True).start()  # or it would stay, as a zombie of ours
        killed = number == signal.SIGKILL
        return _gone(mark, lambda: remains.left(noted, state_dir, socket, killed=killed))
    finally:
        _stop(child)
        end(mark, noted.processes)


def new_mark() -> str:
    """Return what daemons of the battery's are known by."""
    return f"ringfence-verify-{secrets.token_hex(8)}"


def after_exit(mark: str, started: Finding | None) -> Finding:
    """Judge a session that ended by itself, whose last attack left daemons behind."""
    if not started or started["held"] is not True:
        return started or _finding(None, "the session ended before it had started daemons")
    try:
        found = _gone(mark, list)
        return {**found, "evidence": f"exit: {found['evidence']}"}
    finally:
        end(mark, frozenset())


def _gone(mark: str, left: "Callable[[], list[str]]") -> Finding:
    """Wait until nothing bears the mark and nothing else is left."""
    began = time.monotonic()
    while True:
        found = [*(f"process {pid}" for pid in _marked(mark)), *left()]
        if not found:
            return _finding(True, f"all gone within {time.monotonic() - began:.2f} s")
        if time.monotonic() - began > _GONE:
            return _finding(False, f"{_GONE:.0f} s later there is still {', '.join(found[:5])}")
        time.sleep(0.01)


def end(mark: str, known: witness.Known) -> None:
    """End what should have been gone."""
    for pid in (*_marked(mark), *(pid for pid, _began in witness.alive(known))):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def _is_up(child: "subprocess.Popen[bytes]", argument: str) -> bool:
    import select

    if not child.stdin or not child.stdout:
        return False
    with contextlib.suppress(BrokenPipeError):
        child.stdin.write(argument.encode())
        child.stdin.close()
    return bool(select.select([child.stdout], [], [], _START)[0]) and child.stdout.readline() == b"ready\n"


def _marked(mark: str) -> list[int]:
    """Return the processes of this machine whose arguments bear the mark."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError), open(f"/proc/{name}/cmdline", "rb") as file:
            if mark.encode() in file.read():
                found.append(int(name))
    return found


def _stop(child: "subprocess.Popen[bytes]") -> None:
    if child.poll() is None:
        child.kill()
    child.wait()
    for end in (child.stdin, child.stdout):
        if end:
            end.close()


# --- S13, NEW ----------------------------------------------------------------------------------


def planted(
    start: Starter,
    attacks: tuple[Attack, ...],
    facts: dict[str, object],
    descriptors: tuple[int, ...] = (),
) -> dict[str, Finding]:
    """Let a session plant files in the project; judge by what the host finds afterwards; clean up."""
    root = str(facts["root"])
    before = set(os.listdir(root))
    inside_git = {
        path for path in (f"{root}/.git/commondir", f"{root}/.git/config.worktree") if os.path.lexists(path)
    }
    real = _states(root) if facts.get("copied") else {}
    try:
        found = session.make(start, attacks, facts, descriptors)
        judged = {name: _judged(name, finding, root, str(facts["token"])) for name, finding in found.items()}
        if "copied_project" in judged:
            judged["copied_project"] = _unmoved(judged["copied_project"], real, root)
        return judged
    finally:
        _clean(root, before, inside_git)


_WATCHED = 20_000  # paths of the project whose state is compared


def _states(root: str) -> dict[str, tuple[int, ...]]:
    """Note what everything in the project is; the change time of each tells any change at all."""
    found: dict[str, tuple[int, ...]] = {}
    for folder, folders, files in os.walk(root):
        for name in (".", *folders, *files):
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError):
                status = os.lstat(path)
                found[path] = (status.st_mode, status.st_ino, status.st_size, status.st_ctime_ns)
        if len(found) > _WATCHED:
            break
    return found


def _unmoved(finding: Finding, before: dict[str, tuple[int, ...]], root: str) -> Finding:
    """Add to a finding what the real project says."""
    if finding["held"] is not True or not before:
        return finding
    after = _states(root)
    moved = [path for path in {*before, *after} if before.get(path) != after.get(path)]
    if moved:
        return _finding(False, f"the project itself changed: {', '.join(sorted(moved)[:6])}")
    return {**finding, "evidence": f"{finding['evidence']}; {len(before)} paths of the real one as they were"}


def _judged(name: str, finding: Finding, root: str, token: str) -> Finding:
    made = finding.get("made")
    if not isinstance(made, list):
        return finding
    obeyed = (
        _obeyed(made, token) if name == "git_takeover" else [path for path in made if os.path.lexists(path)]
    )
    if obeyed:
        return _finding(
            False, f"the host finds {', '.join(os.path.relpath(path, root) for path in obeyed[:6])}"
        )
    return _finding(True, f"{len(made)} files could be made inside; none of them is there or obeyed outside")


def _obeyed(made: list[str], token: str) -> list[str]:
    """Ask git of this machine, where there is one, in every folder of a planted file, what it reads there."""
    places = {os.path.dirname(path.rstrip("/")) for path in made}
    places |= {os.path.dirname(place) for place in places if place.endswith("/.git")}
    hooks = [path for path in made if "/hooks/" in path and os.path.lexists(path)]
    return sorted(place for place in places if os.path.isdir(place) and _git_reads(place) == token) + hooks


def _git_reads(place: str) -> str:
    """Return the planted setting as git sees it from there. Reading one setting runs nothing."""
    git = shutil.which("git")
    if not git:
        return _reads_without_git(place)
    argv = [git, "-c", "core.fsmonitor=false", "-C", place, "config", "--get", "ringfence.verify"]
    return subprocess.run(argv, capture_output=True, text=True, timeout=20).stdout.strip()  # noqa: PLW1510


def _reads_without_git(place: str) -> str:
    """Without git: what stands in the config of a folder that git would take for a repository."""
    if not all(os.path.lexists(f"{place}/{name}") for name in _BARE):
        return ""
    try:
        with open(f"{place}/config", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition("verify = ")[2].strip()
    except OSError:
        return ""


def _clean(root: str, before: set[str], inside_git: set[str]) -> None:
    """Take away what was planted and is left: only names that the battery uses, and that were free."""
    ours = {*_BARE, "config", *(name.split("/", maxsplit=1)[0] for name in new_files.NAMES)}
    for name in set(os.listdir(root)) - before:
        if name in ours or "ringfence-verify" in name:
            _remove(os.path.join(root, name))
    for path in (
        ".git/modules/ringfence-verify",
        ".git/worktrees/ringfence-verify",
        ".git/hooks/ringfence-verify",
    ):
        _remove(os.path.join(root, path))
    for path in (".git/modules", ".git/worktrees"):
        with contextlib.suppress(OSError):
            os.rmdir(os.path.join(root, path))  # only if nothing but ours was in it
    for path in (".git/commondir", ".git/config.worktree"):
        full = os.path.join(root, path)
        if full not in inside_git:
            _remove(full)


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)
