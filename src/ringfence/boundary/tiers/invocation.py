"""What the child does once it has its namespaces: the same shape for every tier that it becomes part of."""

from ringfence.boundary.model import Mount
from ringfence.value import Struct


class Invocation(Struct):
    """The mounts that the child makes, and what bubblewrap starts then."""

    bwrap: str
    options: tuple[str, ...]  # bubblewrap's, given by descriptor; the child fills in `{names}`
    entry: bytes  # the entry program
    filter: bytes  # for bubblewrap's --seccomp
    mounts: tuple[Mount, ...]  # that our child makes; empty when bubblewrap does
    hidden: tuple[str, ...]  # paths that do not exist in a "masked" or "overlay" workspace
    cpus: int  # keep to so many CPUs; 0: a cgroup holds the limit, or there is none
    texts: tuple[tuple[str, bytes], ...]  # files that bubblewrap makes from descriptors, in the fallback
    command: tuple[str, ...] = ()  # what bubblewrap starts; (): the entry program
    files: tuple[tuple[str, bytes], ...] = ()  # laid into the folder `{files}` on the staging file system
    brought: tuple[tuple[str, str], ...] = ()  # (name, file of the host) shown beside them
    ports: int = (
        0  # sockets that bubblewrap's command gets, from descriptor 10 on; the child keeps their ends
    )
    keeps_root: bool = False  # as root: do not become an unprivileged user; the tier's runtime does it later
    raw: bool = False  # the terminal passes everything on as it is: the tier keeps one of its own inside
