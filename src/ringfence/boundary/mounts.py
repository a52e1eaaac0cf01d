"""Building the file system inside, by the child, in a mount namespace of its own.

A tmpfs at the session's staging folder becomes the new root's parent: `root/` is what bubblewrap
binds as `/`, `mask/` stays outside it. Every target is opened relative to `root/` with
openat2(2) and RESOLVE_IN_ROOT, so no link in it leads anywhere else; below the workspace no link is
followed at all. Sources are detached copies (open_tree), attributes are set before anything shows.

As root, sources that belong to root and are written to are id-mapped: inside they belong to the
agent's unprivileged identity, on disk to root.
"""

import ctypes
import os
import stat
import struct
import time

from ringfence.boundary import overlaid, syscalls
from ringfence.boundary.model import Mount

_READ_ONLY = syscalls.MOUNT_ATTR_RDONLY | syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV
_READ_WRITE = syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV
_OPENAT2 = 437
_RESOLVE_NO_SYMLINKS, _RESOLVE_IN_ROOT = 0x04, 0x10
# Hidden in a read-only workspace also when they appear later
_LATER = (
    ".env",
    ".env.local",
    ".env.production",
    ".npmrc",
    ".pypirc",
    ".netrc",
    ".git-credentials",
    ".aws",
    ".ssh",
)


class Builder:
    """Builds the new root below a staging folder."""

    def __init__(self, staging: str, *, owner: int, idmap: int | None, workspace: str) -> None:
        """`owner` is the agent's uid as this process's user namespace counts; `idmap` is for root's files."""
        self._staging = staging
        self._owner = owner
        self._idmap = idmap
        self._workspace = workspace
        self._lowers = 0
        syscalls.mount("ringfence", staging, "tmpfs", syscalls.MS_NOSUID, "mode=0755,size=256m")
        for name in ("root", "mask"):
            os.mkdir(f"{staging}/{name}", 0o755)
        self.root = os.open(f"{staging}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        for name in ("proc", "dev"):
            os.mkdir(f"{staging}/root/{name}", 0o755)

    def put(self, mount: Mount, hidden: tuple[str, ...]) -> None:
        """Do one step of the plan. Raises OSError with the target as its filename."""
        kind = mount.kind
        if kind == "symlink":
            self._parents(mount.target)
            os.symlink(mount.source, self._path(mount.target))
        elif kind == "text":
            self.write(mount.target, mount.text.encode("utf-8", "surrogateescape"), 0o444)
        elif kind == "directory":
            self._folder(mount.target, mount.mode)
        elif kind == "tmpfs":
            self._tmpfs(mount)
        elif kind == "stand-in":
            self._stand_in(mount)
        elif kind in {"masked", "overlay"}:
            self._layered(mount, hidden)
        else:
            self._bind(mount)

    def lay(self, files: tuple[tuple[str, bytes], ...], brought: tuple[tuple[str, str], ...]) -> None:
        """Lay out files that the new root does not show: a runtime's, which works with it from outside.

        Those that are `brought` stay where they are, and are only shown here: the runtime's identity may not
        be let into the folder that they lie in.
        """
        if files:
            os.mkdir(f"{self._staging}/files", 0o755)
        for name, content in files:
            with open(f"{self._staging}/files/{name}", "xb") as file:
                file.write(content)
        for name, source in brought:
            place = f"{self._staging}/files/{name}"
            os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
            tree = syscalls.open_tree(source, recursive=False)
            syscalls.restrict_mount(tree, _READ_ONLY)
            syscalls.move_mount(tree, place)
            os.close(tree)

    def reach(self, program: str) -> str:
        """Return a path by which an unprivileged user reaches a program that lies in a folder of root's.

        Two folders above it are bound too: the bundled bubblewrap finds its library from there.
        """
        base = program
        for _ in range(3):
            base = os.path.dirname(base)
        place = f"{self._staging}/program"
        os.mkdir(place, 0o755)
        tree = syscalls.open_tree(base or "/", recursive=False)
        syscalls.restrict_mount(tree, _READ_ONLY)
        syscalls.move_mount(tree, place)
        os.close(tree)
        return place + program[len(base.rstrip("/")) :]

    def write(self, target: str, content: bytes, mode: int) -> None:
        """Make a file of ours in the new root."""
        self._parents(target)
        fd = os.open(self._path(target), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            os.write(fd, content)
            os.fchmod(fd, mode)
        finally:
            os.close(fd)

    def _path(self, target: str) -> str:
        return f"{self._staging}/root{target}"

    def _parents(self, target: str) -> None:
        self._folders(os.path.dirname(target))

    def _folder(self, target: str, mode: int) -> None:
        self._folders(target)
        os.chmod(self._path(target), mode)

    def _folders(self, target: str) -> None:
        """Make a folder and those above it; in a folder of the agent's they are the agent's."""
        path = self._path(target)
        if os.path.isdir(path):
            return
        self._folders(os.path.dirname(target))
        os.mkdir(path, 0o755)
        if os.stat(os.path.dirname(path)).st_uid == self._owner:
            os.chown(path, self._owner, self._owner)

    def _tmpfs(self, mount: Mount) -> None:
        self._folder(mount.target, 0o755)
        owner = f"uid={self._owner},gid={self._owner}"
        size = f",size={mount.size}" if mount.size else ""
        flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | (syscalls.MS_NOEXEC if mount.noexec else 0)
        syscalls.mount(
            "tmpfs", self._path(mount.target), "tmpfs", flags, f"mode={mount.mode:o},{owner}{size}"
        )

    def _bind(self, mount: Mount) -> None:
        tree = self._source(mount)
        try:
            is_folder = stat.S_ISDIR(os.fstat(tree).st_mode)
            if mount.kind == "rw" and self._idmap is not None and os.fstat(tree).st_uid == 0:
                syscalls.idmap_mount(tree, self._idmap)
            attributes = _READ_WRITE if mount.kind in {"rw", "pin"} else _READ_ONLY
            syscalls.restrict_mount(tree, attributes | (syscalls.MOUNT_ATTR_NOEXEC if mount.noexec else 0))
            self._attach(tree, mount.target, is_folder=is_folder)
        finally:
            os.close(tree)

    def _source(self, mount: Mount) -> int:
        """Return a detached copy of what is to be shown.

        In the project no link is followed on the way to it: somebody else who writes there could put one in
        the place of a folder at any moment, and what lies behind would be shown instead.
        """
        inner = mount.kind in {"mask", "pin"}
        if not mount.source.startswith(self._workspace + "/"):
            return syscalls.open_tree(self._path(mount.source) if inner else mount.source)
        root = self.root if inner else os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            place = open_beneath(root, mount.source, _RESOLVE_IN_ROOT | _RESOLVE_NO_SYMLINKS)
        finally:
            if not inner:
                os.close(root)
        try:
            return syscalls.open_tree_of(place)
        finally:
            os.close(place)

    def _attach(self, tree: int, target: str, *, is_folder: bool) -> None:
        in_workspace = target.startswith(self._workspace + "/")
        try:
            place = self._open(target, follow=not in_workspace)
        except FileNotFoundError:
            if in_workspace:
                raise
            self._mount_point(target, is_folder=is_folder)
            place = self._open(target, follow=False)
        try:
            syscalls.move_mount_to(tree, place)
        except OSError as error:
            raise OSError(error.errno, error.strerror, target) from None
        finally:
            os.close(place)

    def _mount_point(self, target: str, *, is_folder: bool) -> None:
        if is_folder:
            self._folders(target)
            return
        self.write(target, b"", 0o444)

    def _open(self, target: str, *, follow: bool) -> int:
        resolve = _RESOLVE_IN_ROOT if follow else _RESOLVE_IN_ROOT | _RESOLVE_NO_SYMLINKS
        return open_beneath(self.root, target, resolve)

    def _layered(self, mount: Mount, hidden: tuple[str, ...]) -> None:
        """Mount the project under a layer of whiteouts: hidden files do not exist at all.

        Read-only, or below the session's own layer, which takes all that is written.
        """
        mask = self._mask(mount.target)
        lower = self._lower(mount.source)
        status = os.stat(mount.source)
        os.chmod(mask, stat.S_IMODE(status.st_mode))
        os.chown(mask, self._owner, self._owner)
        inside = [path for path in hidden if path.startswith(mount.target + "/")]
        for path in (*inside, *(f"{mount.target}/{name}" for name in _LATER)):
            self._whiteout(path)
        top = os.open(mask, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._folders(mount.target)
        try:
            self._overlay(mount, (top, lower))
        finally:
            os.close(top)
            os.close(lower)

    def _lower(self, source: str) -> int:
        """Open the project as a lower layer; where it is root's, it is the agent's inside."""
        self._lowers += 1
        return overlaid.lower(source, f"{self._staging}/lower{self._lowers}", self._idmap)

    def _overlay(self, mount: Mount, lowers: tuple[int, int]) -> None:
        if mount.kind == "masked":
            self._read_only(mount, lowers)
            return
        layers = [self._own_layer(f"{mount.upper}/{name}") for name in ("upper", "work")]
        attributes = _READ_WRITE | (syscalls.MOUNT_ATTR_NOEXEC if mount.noexec else 0)
        tree = overlaid.tree(lowers, layers[0], layers[1], attributes)
        syscalls.move_mount(tree, self._path(mount.target))
        for fd in (*layers, tree):
            os.close(fd)

    def _own_layer(self, path: str) -> int:
        return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)

    def _read_only(self, mount: Mount, lowers: tuple[int, int]) -> None:
        flags = syscalls.MS_RDONLY | syscalls.MS_NOSUID | syscalls.MS_NODEV
        flags |= syscalls.MS_NOEXEC if mount.noexec else 0
        option = "" if _in_initial_namespace() else "userxattr,"
        lower = ":".join(f"/proc/self/fd/{fd}" for fd in lowers)
        syscalls.mount("overlay", self._path(mount.target), "overlay", flags, f"{option}lowerdir={lower}")

    def _mask(self, target: str) -> str:
        """Return the folder that is mounted above the project at `target`."""
        path = f"{self._staging}/mask{target}"
        os.makedirs(path, 0o755, exist_ok=True)
        return path

    def _stand_in(self, mount: Mount) -> None:
        """Put a file or a folder of ours above what the project has at this place, if anything."""
        self._above(os.path.dirname(mount.target))
        if mount.directory:
            self._copied_folder(mount.target)
            return
        path = f"{self._staging}/mask{mount.target}"
        mode = stat.S_IMODE(os.lstat(mount.target).st_mode)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with open(fd, "wb") as file:
            file.write(mount.text.encode("utf-8", "surrogateescape"))
            os.fchmod(fd, mode)
            os.fchown(fd, self._owner, self._owner)

    def _whiteout(self, path: str) -> None:
        self._above(os.path.dirname(path))
        place = f"{self._staging}/mask{path}"
        if not os.path.lexists(place):
            os.mknod(place, stat.S_IFCHR | 0o000, 0)

    def _above(self, folder: str) -> None:
        """Make a folder in the mask layer, and those above it, each like the project's own."""
        if os.path.isdir(f"{self._staging}/mask{folder}"):
            return
        self._above(os.path.dirname(folder))
        self._copied_folder(folder)

    def _copied_folder(self, folder: str) -> None:
        place = f"{self._staging}/mask{folder}"
        try:
            os.mkdir(place)
        except FileExistsError:
            return
        os.chown(place, self._owner, self._owner)
        try:
            status = os.lstat(folder)
        except FileNotFoundError:  # it is only there to be mounted on
            return
        os.chmod(place, stat.S_IMODE(status.st_mode))
        os.utime(place, ns=(status.st_atime_ns, status.st_mtime_ns))


def open_beneath(root: int, path: str, resolve: int) -> int:
    """Open a path inside `root` with openat2(2), as O_PATH."""
    how = struct.pack("=QQQ", os.O_PATH | os.O_CLOEXEC, 0, resolve)
    return syscalls.check_call(_OPENAT2, root, os.fsencode(path), ctypes.c_char_p(how), len(how), path=path)


def root_map(kernel_uid: int) -> int:
    """Return a user namespace that maps files of root to `kernel_uid` and leaves others alone.

    For mount_setattr(2) only: nobody ever runs in it. Called as root.
    """
    reader, writer = os.pipe()
    holder = os.fork()
    if holder == 0:
        try:
            os.close(writer)
            syscalls.unshare(syscalls.CLONE_NEWUSER)
            os.read(reader, 1)  # until the parent has what it needs and closes
        finally:
            os._exit(0)
    os.close(reader)
    try:
        _wait_for_namespace(holder)
        lines = f"0 {kernel_uid} 1\n" + (f"1 1 {kernel_uid - 1}\n" if kernel_uid > 1 else "")
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/{holder}/{name}", "w") as file:
                file.write(lines)
        return os.open(f"/proc/{holder}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(writer)
        os.waitpid(holder, 0)


def _wait_for_namespace(pid: int) -> None:
    own = os.readlink("/proc/self/ns/user")
    deadline = time.monotonic() + 5
    while os.readlink(f"/proc/{pid}/ns/user") == own:
        if time.monotonic() > deadline:
            raise TimeoutError("a user namespace did not appear within 5 s")
        time.sleep(0.0002)


def _in_initial_namespace() -> bool:
    with open("/proc/self/uid_map") as file:
        return file.read().split() == ["0", "0", "4294967295"]
