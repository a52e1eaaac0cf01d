"""Where a session's copy of the project lies, and how a change in it is described.

In overlay mode the agent writes into an upper layer; the project below stays as it is. These values are
what the parts that mount, compare, show and apply it share. Paths are bytes: names are whatever the
kernel allows, not text.
"""

from ringfence.value import Struct

OVERLAY, COPY = "overlay", "copy"  # how the upper layer came to be
UNCLAIMED = "unclaimed"  # a file in the folder of a boundary that waits for its command: no session yet
REPOSITORY = "repository"  # the folder, beside it, of what git wrote outside of a linked worktree
UPPER, WHOLE = "upper", "copy"  # what the layer's folder is called in the session's, for each
FILE, DIRECTORY, LINK, OTHER = "file", "directory", "link", "other"
ADDED, CHANGED, DELETED, RENAMED, MODE, TYPE = "added", "changed", "deleted", "renamed", "mode", "type"


class Layers(Struct):
    """One session's copy of the project."""

    session: str
    workspace: str  # the project's real path: what lies below
    upper: str  # OVERLAY: what differs; COPY: the whole changed copy
    kind: str = OVERLAY
    xattr: str = "user.overlay"  # the namespace in which the kernel marks opaque folders and the like
    started: int = 0  # ns, ctime of a file made when the session began: what is later below was not seen
    ended: bool = False
    lock: str = ""  # held (flock) by the launcher while the session runs
    index: str = ""  # digest of what the project's git index held, whatever git remembers of files' times
    exclude: tuple[str, ...] = ()  # globs that are no part of the change set
    masked: tuple[str, ...] = ()  # paths that exist below but were hidden from the agent: not its to delete
    root: tuple[int, int] = (0, 0)  # device and inode of the workspace, so that another folder there shows


class Entry(Struct):
    """One side of a change: what stands at a path."""

    kind: str  # FILE, DIRECTORY, LINK or OTHER (device, fifo, socket)
    mode: int  # permission bits, set-id bits included
    size: int = 0
    digest: str = ""  # SHA-256 of a file's content, hexadecimal
    target: bytes = b""  # of a link; of OTHER what it is: fifo, socket, device 8:1, …
    inode: tuple[int, int] = (0, 0)  # device and inode, to tell later that it is still the same
    links: int = 1  # hard links to a file
    attributes: tuple[str, ...] = ()  # names of extended attributes that tell something; never applied


class Change(Struct):
    """What differs at one path."""

    path: bytes
    kind: str  # ADDED, CHANGED, DELETED, RENAMED, MODE (only permissions) or TYPE (file, folder, link)
    before: Entry | None = None
    after: Entry | None = None
    source: bytes = b""  # RENAMED: where the same content stood before (that path's own DELETED is implied)
    conflict: str = ""  # what the user changed meanwhile, in words; empty: nothing
    notes: tuple[str, ...] = ()  # what else a reviewer should know, in words: twins by case, hard links
