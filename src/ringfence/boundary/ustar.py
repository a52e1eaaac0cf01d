"""An archive of folders and links, as tar(1) writes it ("ustar", POSIX.1-1988): what an empty image is made of.

By hand, because `tarfile` costs the launcher 4 ms.
"""

_FOLDER, _LINK = b"5", b"2"
_BLOCK = 512


def archive(folders: tuple[str, ...], links: tuple[tuple[str, str], ...]) -> bytes:
    """Return an archive of folders and of links (name, to) of root's, in this order."""
    entries = [_entry(name, _FOLDER, 0o755) for name in folders]
    entries += [_entry(name, _LINK, 0o777, to) for name, to in links]
    nothing = 2 + -(len(entries) + 2) % 20  # two blocks of nothing end it, and records are of twenty blocks
    return b"".join(entries) + bytes(nothing * _BLOCK)


def _entry(name: str, kind: bytes, mode: int, to: str = "") -> bytes:
    named, linked = name.encode(), to.encode()
    if len(named) > 100 or len(linked) > 100:
        raise ValueError(f"{name} does not fit into a header")
    numbers = b"%07o\0" % mode + b"0000000\0" * 2 + b"%011o\0" % 0 * 2  # mode, owner, group; size, time
    sum_ = b" " * 8
    rest = kind + linked.ljust(100, b"\0") + b"ustar\00000" + bytes(64) + b"0000000\0" * 2
    head = (named.ljust(100, b"\0") + numbers + sum_ + rest).ljust(_BLOCK, b"\0")
    return head[:148] + b"%06o\0 " % sum(head) + head[156:]
