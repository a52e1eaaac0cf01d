"""A generator of layers such as a hostile agent could leave, and of the projects below them.

A tree is a mapping from names (bytes) to nodes. Nodes are tuples that say what is made:

    ("file", content, mode)   ("dir", tree, mode)   ("link", target)   ("fifo",)
    ("gone",)                 a whiteout            ("opaque", tree, mode)
    ("hard", name)            a second name of a file of the same folder
"""

import os
import stat

from hypothesis import strategies as st

NAMES = st.sampled_from(
    [
        b"a", b"A", b"b", b"src", b"-rf", b"..x", b"\n", b"a\tb", b"\x1b[31mred", b"\xff\xfe", "\u202eevil".encode(),
        "\u00e9".encode(), "e\u0301".encode(), b"COM1", b"trail ", b"dot.", b"'\"`$(x)", b"a\\b", b"n" * 255, b".git",
        b".ringfence-0", b"0000001", b"~", b"*", b"file:stream",
    ]
)  # fmt: skip
CONTENTS = st.sampled_from(
    [b"", b"x", b"old\n", b"new\n" * 3, b"\0" * 5000, b"\xff\r\n\x1b]0;x\x07", b"long" * 3000]
)
FILE_MODES = st.sampled_from([0o644, 0o600, 0o755, 0o4755, 0o2755, 0o777, 0o666, 0o400, 0, 0o1644])
DIR_MODES = st.sampled_from([0o755, 0o700, 0o777, 0o1777, 0o2755, 0o555])
TARGETS = st.sampled_from(
    [b"a", b"b", b"src", b"../decoy", b"../../decoy/secret", b"/etc/passwd", b"DECOY", b"DECOY/secret", b".", b"..", b"a/../../decoy", b".git/config"]
)  # fmt: skip


def nodes(children, *, layer):
    """Return the nodes that can stand in a folder; what only a layer has, only in a layer."""
    plain = [
        st.tuples(st.just("file"), CONTENTS, FILE_MODES),
        st.tuples(st.just("link"), TARGETS),
        st.tuples(st.just("dir"), children, DIR_MODES),
    ]
    special = [
        st.tuples(st.just("gone")),
        st.tuples(st.just("opaque"), children, DIR_MODES),
        st.tuples(st.just("fifo")),
        st.tuples(st.just("hard"), NAMES),
    ]
    return st.one_of(*plain, *(special if layer else ()))


def trees(*, layer):
    """Return a strategy for trees a few folders deep."""
    leaf = st.dictionaries(NAMES, nodes(st.just({}), layer=layer), max_size=3)
    inner = st.dictionaries(NAMES, nodes(leaf, layer=layer), max_size=4)
    return st.dictionaries(NAMES, nodes(inner, layer=layer), max_size=6)


PROJECTS, LAYERS = trees(layer=False), trees(layer=True)


def build(place, tree, decoy):
    """Make a tree on the disk; the modes of folders last, so that they can be filled."""
    for name, node in tree.items():
        path = place + b"/" + name
        kind = node[0]
        if kind == "file":
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            os.write(fd, node[1])
            os.close(fd)
            os.chmod(path, node[2])
        elif kind == "link":
            os.symlink(node[1].replace(b"DECOY", decoy), path)
        elif kind == "fifo":
            os.mkfifo(path)
        elif kind == "gone":
            whiteout(path)
        elif kind in {"dir", "opaque"}:
            os.mkdir(path, 0o700)
            build(path, node[1], decoy)
            if kind == "opaque":
                os.setxattr(path, "user.overlay.opaque", b"y")
            os.chmod(path, node[2])
    for name, node in tree.items():
        first = place + b"/" + node[1] if node[0] == "hard" else b""
        if first and os.path.lexists(first) and stat.S_ISREG(os.lstat(first).st_mode):
            os.link(first, place + b"/" + name, follow_symlinks=False)


def whiteout(path):
    """Mark a path as deleted, the way that is open to whoever runs this."""
    if os.geteuid() == 0:
        os.mknod(path, stat.S_IFCHR, 0)
        return
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    os.setxattr(path, "user.overlay.whiteout", b"y")
