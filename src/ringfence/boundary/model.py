"""The plan: plain data in which every decision about a session has been made.

`ringfence plan` prints it, golden tests pin it, launching and rendering both start from it.
"""

from ringfence.handover import Canary, Publication
from ringfence.policy.model import Policy
from ringfence.value import Struct
from ringfence.verdict.execution import ProgramRule


class Mount(Struct):
    """One step in building the file system inside, done in order."""

    # "ro", "rw": recursive binds · "pin": a folder inside a "rw" bound onto itself · "mask": our empty file
    # or folder bound over what is there · "masked": the read-only workspace without its hidden files ·
    # "tmpfs" · "symlink" · "text": a small read-only file · "directory" · "overlay": the project under the
    # upper layer in the folder `upper` · "stand-in": a text, or a folder, that an overlay to come shows
    # in place of what lies below · "over": as "ro", but only where an image has a file at that place
    kind: str
    target: str  # absolute path inside
    source: str = ""  # path on the host; for "symlink" what it points to
    text: str = ""  # content of a "text" file
    size: int | None = None  # bytes, for "tmpfs"
    mode: int = 0o755
    directory: bool = True  # whether the target is a folder
    why: str = ""
    upper: str = ""  # for "overlay": the folder on the host that holds `upper` and `work`
    noexec: bool = False  # nothing in it can be executed


class Hidden(Struct):
    """A path that exists on the host and is hidden inside."""

    path: str
    rule: str  # the mask that matched
    directory: bool = False


class WorkspacePlan(Struct):
    """The project inside."""

    root: str
    mode: str  # direct | overlay | readonly | scratch
    hidden: tuple[Hidden, ...] = ()  # credential files found
    protected: tuple[str, ...] = ()  # existing paths bound read-only (direct mode)
    pinned: tuple[str, ...] = ()  # their ancestors, bound onto themselves so that they cannot be renamed
    watched: tuple[str, ...] = ()  # patterns of paths that did not exist: set aside at the end if they appear
    copy: str = ""  # overlay mode: "overlay", or "copy" where the kernel cannot mount one
    why: str = ""  # for "copy": why it is one
    session: str = ""  # the session whose copy this is: its own, or the one that it continues
    kept: tuple[str, ...] = ()  # folders of the project kept between sessions, in `keep`
    repository: str = ""  # the git folder outside the project that a linked worktree belongs to


class LimitPlan(Struct):
    """One limit, and how firmly it holds."""

    name: str
    value: str
    held: str  # "enforced" (cgroup, whole session) | "per-process" (rlimit) | "watched" (sampled) | "none"
    by: str


class Guarantee(Struct):
    """One line of GUARANTEES.md as it stands for this session."""

    id: str
    text: str
    held: bool
    why: str = ""  # for one not held: what is missing, and how to mend it


class Wire(Struct):
    """The way from the boundary to the gate."""

    kind: str  # "private" (veth to the gate) | "loopback" (a listener inside) | "none"
    gate_address: str
    proxy_port: int
    why: str = ""  # why it is not the private wire
    hint: str = ""  # how to mend that


class Plan(Struct):
    """Everything needed to start one session."""

    tier: str
    argv: tuple[str, ...]
    cwd: str
    home: str
    uid: int  # identity inside
    gid: int
    environment: tuple[tuple[str, str], ...]
    mounts: tuple[Mount, ...]
    workspace: WorkspacePlan
    limits: tuple[LimitPlan, ...]
    wire: Wire
    publish: tuple[Publication, ...]
    policy: Policy
    guarantees: tuple[Guarantee, ...]
    covered: tuple[str, ...] = ()  # files of /proc that cannot be opened
    notes: tuple[str, ...] = ()
    canaries: tuple[Canary, ...] = ()  # made-up values laid inside
    programs: tuple[ProgramRule, ...] = ()  # rules that are held whenever a program starts
    image: str = ""  # digest of the image that a container is made of; empty: the host's own programs
