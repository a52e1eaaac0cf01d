"""S22: what is mounted read-only, written all the same: remounts, other spellings, new files beside it."""

import contextlib
import os

from ringfence.verify.prelude import NO_CHANGE, NotPossibleHere, Tally, can_open, in_child, read_text, syscall

_MS_RDONLY, _MS_REMOUNT, _MS_BIND = 1, 32, 4096
_FILES = (
    "/etc/passwd",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/ld.so.cache",
    "/usr/bin/env",
    "/usr/lib/os-release",
)
_FOLDERS = (
    "/",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/local/bin",
    "/etc",
    "/etc/ssl",
    "/opt",
    "/var",
    "/run",
    "/boot",
    "/sys",
    "/proc",
)
# Kinds of file systems that are the boundary's own and writable by nature
_DEEP, _MANY = 2, 1000  # how far a writable mount is tried
_OWN = {"tmpfs", "proc", "devpts", "mqueue", "devtmpfs"}


def attack(facts):
    """Remount, open system files for writing, make files in system folders, and read the mount table."""
    tally = Tally()
    for target in (b"/", b"/usr", b"/etc", os.getcwd().encode()):
        tally.refuse(
            f"remount {target.decode()}",
            lambda t=target: in_child(lambda: syscall("mount", b"", t, b"", _MS_REMOUNT | _MS_BIND, None)),
        )
    for path in _FILES:
        for spelling in (
            path,
            f"/proc/self/root{path}",
            f"/proc/1/root{path}",
            f"/proc/self/cwd/../../../../../../../..{path}",
        ):
            tally.refuse(spelling, lambda s=spelling: _written(s), NO_CHANGE)
    for folder in _FOLDERS:
        tally.refuse(f"new file in {folder}", lambda folder=folder: _made(folder, facts), NO_CHANGE)
    wide = _writable_mounts(facts)
    if facts.get("writable") is not None:
        tally.expect("writable mounts of the host", not wide, ", ".join(wide[:5]) or "only those of the plan")
    return tally.finding()


def _written(path):
    if not os.path.exists(path):
        raise FileNotFoundError(2, "not there")
    can_open(path, os.O_WRONLY)


def _made(folder, facts):
    """Make a file; in a tmpfs of the boundary's own it would change nothing outside."""
    if not os.path.isdir(folder):
        raise FileNotFoundError(2, "not there")
    if any(folder == place or folder.startswith(place + "/") for place in facts.get("writable") or []):
        raise NotPossibleHere("the plan makes it writable")
    if _kind_of(folder) == "tmpfs":
        raise PermissionError(30, "a tmpfs of the boundary's own")
    path = os.path.join(folder, ".ringfence-verify")
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    os.unlink(path)


def _mounts():
    for line in read_text("/proc/self/mountinfo").splitlines():
        fields, _, rest = line.partition(" - ")
        yield fields.split()[4].replace("\\040", " "), fields.split()[5].split(","), rest.split()[0]


def _kind_of(folder):
    best = ("", "")
    for target, _, kind in _mounts():
        if (folder == target or folder.startswith(target.rstrip("/") + "/")) and len(target) >= len(best[0]):
            best = (target, kind)
    return best[1]


def _writable_mounts(facts):
    planned = facts.get("writable") or []
    wide = []
    for target, options, kind in _mounts():
        if (
            "rw" in options
            and kind not in _OWN
            and not any(target == one or target.startswith(one + "/") for one in planned)
        ):
            wide.append(f"{target} ({kind})")
    wide = [one for one in wide if not one.startswith("/dev/")]
    if facts.get("own_kernel"):  # the file server outside holds the modes, whatever the guest's table says
        return [found for one in wide for found in _through(one.rpartition(" (")[0], facts)]
    return wide


def _through(target, facts):
    """Return what can be written through a mount that the table calls writable: its first thousand places."""
    found, seen = [], 0
    apart = {
        *(facts.get("writable") or []),
        *(facts.get("scratch") or []),
        *(one for one, _, _ in _mounts() if one != target),
    }
    for folder, folders, files in os.walk(target):
        depth = folder[len(target) :].count("/")
        if depth > _DEEP or seen > _MANY:
            folders[:] = []
            continue
        folders[:] = [one for one in folders if os.path.join(folder, one) not in apart]
        seen += 1 + len(files)
        found += _written_in(folder, files)
    return found


def _written_in(folder, files):
    found, path = [], os.path.join(folder, ".ringfence-verify")
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        os.unlink(path)
        found.append(folder)
    for name in files[:40]:
        with contextlib.suppress(OSError):
            can_open(os.path.join(folder, name), os.O_WRONLY)
            found.append(os.path.join(folder, name))
    return found
