"""Building the file system inside on the files of an image, in the helper that furnishes a container.

The image's root becomes the lower layer of an overlay whose upper one is in memory, so places to mount on
can be made in it. An image is somebody else's: its links must not lead the helper, which works on paths of
the host, anywhere else. So no step goes through a link of the image's, and what would is refused.
"""

import errno
import os
import stat

from ringfence.boundary import overlaid, syscalls
from ringfence.boundary.model import Mount
from ringfence.boundary.mounts import Builder

_REPLACING = frozenset(("text", "symlink"))


class ImageBuilder(Builder):
    """Builds the new root on top of an image's."""

    def __init__(self, staging: str, image: int, *, owner: int, idmap: int | None, workspace: str) -> None:
        """`image`: a detached mount of its root."""
        super().__init__(staging, owner=owner, idmap=idmap, workspace=workspace)
        os.close(self.root)
        for name in ("image", "upper", "work"):
            os.mkdir(f"{staging}/{name}", 0o755)
        syscalls.restrict_only(image, syscalls.MOUNT_ATTR_RDONLY)
        syscalls.move_mount(image, f"{staging}/image")
        layers = [
            os.open(f"{staging}/{name}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            for name in ("image", "upper", "work")
        ]
        tree = overlaid.tree(
            (layers[0],), layers[1], layers[2], syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV
        )
        syscalls.move_mount(tree, f"{staging}/root")
        for fd in (*layers, tree):
            os.close(fd)
        self.root = os.open(f"{staging}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def put(self, mount: Mount, hidden: tuple[str, ...]) -> None:
        """Do one step of the plan. Raises OSError with the target as its filename."""
        if mount.kind == "over":
            self._over(mount)
            return
        if mount.kind != "stand-in" and not mount.target.startswith(self._workspace + "/"):
            self._make_way(mount.target, replacing=mount.kind in _REPLACING)
        super().put(mount, hidden)

    def _make_way(self, target: str, *, replacing: bool) -> None:
        """Refuse links on the way to a target, and take away a file that ours replaces."""
        parts = target.split("/")[1:]
        for end in range(1, len(parts) + 1):
            here = "/" + "/".join(parts[:end])
            try:
                mode = os.lstat(self._path(here)).st_mode
            except FileNotFoundError:
                return
            if end == len(parts) and replacing and not stat.S_ISDIR(mode):
                os.unlink(self._path(here))
            elif stat.S_ISLNK(mode):
                raise OSError(errno.ELOOP, "the image has a link at this place", here)

    def _over(self, mount: Mount) -> None:
        """Bind a file of ours over the image's, where there is one; links are followed within the image."""
        try:
            place = self._open(mount.target, follow=True)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
                return
            raise
        try:
            if stat.S_ISREG(os.fstat(place).st_mode):
                tree = syscalls.open_tree(mount.source, recursive=False)
                syscalls.restrict_mount(tree, syscalls.MOUNT_ATTR_RDONLY | syscalls.MOUNT_ATTR_NOSUID)
                syscalls.move_mount_to(tree, place)
                os.close(tree)
        finally:
            os.close(place)
