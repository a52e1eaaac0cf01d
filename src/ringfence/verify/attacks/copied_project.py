"""O17, O03: the layers of an overlay reached, its marks forged, the project changed past its copy.

In overlay mode the project inside is a copy: the inside half does to it whatever an ordinary program
can, and the outside half looks whether anything of the real one moved. In every mode it tries to make
a whiteout, which would delete a file once the layer is read, and to find the layers themselves.
"""

import mmap
import os
import stat

from ringfence.verify.prelude import NO_FILE, REFUSED, Tally, can_open, read_text

_MARKS = ("user.overlay.opaque", "user.overlay.whiteout", "user.overlay.redirect", "user.overlay.metacopy",
          "user.overlay.origin", "trusted.overlay.opaque", "trusted.overlay.redirect")  # fmt: skip
_NO_MARK = REFUSED | {95}  # EOPNOTSUPP
_NO_NODE = REFUSED | {30}  # EROFS
_MOST = 20  # files of the project that are changed


def attack(facts):
    """Forge, reach, and in a copy change everything."""
    tally = Tally()
    root = facts.get("root") or os.getcwd()
    new = os.path.join(root, "ringfence-verify-copy")
    _whiteouts(tally, root)
    _layers(tally, facts)
    if facts.get("copied"):
        os.mkdir(new)
        _marks(tally, new)
        _changes(tally, root, new)
    return tally.finding()


def _whiteouts(tally, root):
    name = os.path.join(root, "ringfence-verify-whiteout")
    for kind in (stat.S_IFCHR, stat.S_IFBLK):
        tally.refuse(
            f"make a whiteout ({kind:o})", lambda kind=kind: os.mknod(name, kind | 0o600, 0), _NO_NODE
        )
    tally.refuse("make a whiteout by renaming", lambda: _exchange_for_whiteout(root), _NO_NODE | {22})


def _exchange_for_whiteout(root):
    """Use RENAME_WHITEOUT, which leaves one behind."""
    from ringfence.verify.prelude import syscall

    path = os.path.join(root, "ringfence-verify-a")
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        syscall("renameat2", -100, path.encode(), -100, path.encode() + b"b", 4)
        os.unlink(path + "b")
    finally:
        if os.path.lexists(path):
            os.unlink(path)


def _layers(tally, facts):
    for folder in facts.get("layers", []):
        for spelling in (
            folder,
            f"/proc/self/root{folder}",
            f"/proc/1/root{folder}",
            f"/proc/1/cwd/{folder}",
        ):
            tally.refuse(f"open {spelling}", lambda s=spelling: can_open(s), NO_FILE)
    for fd in os.listdir("/proc/self/fd"):
        at = os.readlink(f"/proc/self/fd/{fd}") if os.path.lexists(f"/proc/self/fd/{fd}") else ""
        inside = any(at.startswith(folder) for folder in facts.get("layers", []))
        if inside:
            tally.expect(f"descriptor {fd}", False, at)
    told = read_text("/proc/self/mountinfo")
    named = [folder for folder in facts.get("private_paths", []) if folder in told]
    tally.expect("mount table", not named, "names no layer" if not named else f"names {named[0]}")


def _marks(tally, new):
    folder, file = os.path.join(new, "folder"), os.path.join(new, "file")
    os.mkdir(folder)
    _write(file, b"x")
    for path in (folder, file):
        for mark in _MARKS:
            tally.refuse(f"set {mark}", lambda path=path, mark=mark: _marked(path, mark), _NO_MARK)


def _marked(path, mark):
    """Set a mark; newer kernels store it under an escaped name, as an overlay inside this one needs."""
    os.setxattr(path, mark, b"y")
    if os.getxattr(path, mark) == b"y" and mark.startswith("user."):
        raise PermissionError(1, "kept by the overlay under another name")


def _changes(tally, root, new):
    """Write, map, truncate, rename, link, delete while open; what comes of it is judged outside."""
    names = [name for name in os.listdir(root) if not name.startswith("ringfence-verify")]
    files = [os.path.join(root, name) for name in names]
    files += [os.path.join(root, ".git", name) for name in ("config", "HEAD", "index", "hooks/pre-commit")]
    for index, path in enumerate(files[:_MOST]):
        for way in (_append, _mapped, _direct, _touched, _linked, _renamed, _deleted_open):
            try:
                way(path, os.path.join(new, str(index)))
            except (OSError, ValueError):
                continue
    tally.expect("changes to the copy", True, f"{len(files[:_MOST])} paths changed in seven ways")


def _write(path, content):
    with open(path, "wb") as file:
        file.write(content)


def _append(path, _new):
    with open(path, "ab") as file:
        file.write(b"ringfence-verify")


def _mapped(path, _new):
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as view:
        view[:1] = b"#"
        view.flush()


def _direct(path, _new):
    fd = os.open(path, os.O_RDWR | getattr(os, "O_DIRECT", 0))
    try:
        buffer = mmap.mmap(-1, 4096)
        os.writev(fd, [buffer])
    finally:
        os.close(fd)


def _touched(path, _new):
    os.chmod(path, 0o4777)
    os.utime(path, (0, 0))


def _linked(path, new):
    os.link(path, new + "-link")
    with open(new + "-link", "ab") as file:
        file.write(b"ringfence-verify")


def _renamed(path, new):
    os.rename(path, new + "-renamed")
    os.symlink("/etc/passwd", path)
    os.unlink(path)
    os.rename(new + "-renamed", path)


def _deleted_open(path, _new):
    fd = os.open(path, os.O_RDWR)
    try:
        os.unlink(path)
        os.write(fd, b"ringfence-verify")
    finally:
        os.close(fd)
