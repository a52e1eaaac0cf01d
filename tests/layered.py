"""A project below, a session's layer above, and the agent's commands run in a real overlay of both."""

import os
import stat
import subprocess

from ringfence.workspace.layers import Layers

SCRIPT = (
    'mount -t overlay overlay -o "userxattr,lowerdir=$1,upperdir=$2,workdir=$3" "$4" && cd "$4" && eval "$5"'
)


class Layered:
    """Two trees and what a session would say of them."""

    def __init__(self, folder, **more):
        self.folder = os.fspath(folder)
        for name in ("below", "upper", "work", "merged"):
            os.makedirs(f"{self.folder}/{name}", exist_ok=True)
        self.below, self.upper = f"{self.folder}/below", f"{self.folder}/upper"
        self.more = more

    def layers(self, **more):
        return Layers(
            **{
                "session": "20260101-000000-abcd",
                "workspace": self.below,
                "upper": self.upper,
                **self.more,
                **more,
            }
        )

    def began(self):
        """Let the session begin now: what changes below from here on was not seen."""
        mark = f"{self.folder}/mark"
        with open(mark, "w"):
            pass
        self.more["started"] = os.stat(mark).st_ctime_ns
        while True:  # until the clock of the file system has moved on
            with open(mark, "w"):
                pass
            os.utime(mark)
            if os.stat(mark).st_ctime_ns > self.more["started"]:
                return

    def agent(self, script):
        """Run shell commands as the agent would: in an overlay in a user namespace."""
        places = [self.below, self.upper, f"{self.folder}/work", f"{self.folder}/merged"]
        done = subprocess.run(
            ["unshare", "-Urm", "sh", "-ec", SCRIPT, "sh", *places, script],
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()


def put(root, path, content=b"", mode=0o644):
    """Write a file below a root, with the folders above it."""
    where = os.path.join(os.fsencode(root), os.fsencode(path))
    os.makedirs(os.path.dirname(where), exist_ok=True)
    with open(where, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    os.chmod(where, mode)


def whiteout(root, path):
    """Make what the kernel leaves for a deleted file. Only root may."""
    where = os.path.join(os.fsencode(root), os.fsencode(path))
    os.makedirs(os.path.dirname(where), exist_ok=True)
    os.mknod(where, stat.S_IFCHR, 0)
