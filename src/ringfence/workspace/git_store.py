"""A repository's objects, read and written without git: no configuration, hook, filter or attribute is asked.

A repository can name programs for git to run in dozens of places, so git is not run in it. What is needed
of its formats is small: loose objects, packs (index version 2, both kinds of delta), alternates. Every
object read is held against its name, so a damaged or forged pack gives an error and never other bytes.
"""

import hashlib
import mmap
import os
import zlib

from ringfence.errors import HostError
from ringfence.workspace import beneath, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_LARGEST = 256 << 20  # bytes of an object that is read whole
_DEEPEST = 4096  # deltas on deltas; git makes 50
_ALTERNATES = 5  # stores that name each other
_KINDS = {1: b"commit", 2: b"tree", 3: b"blob", 4: b"tag"}
_OFS_DELTA, _REF_DELTA = 6, 7
_BLOCK = 1 << 20


class Broken(HostError):  # noqa: N818 - it says what the repository is
    """An object that is missing, damaged, or of a form not known here."""


class Store:
    """One repository's objects."""

    def __init__(self, folder: str, algorithm: str) -> None:
        self._algorithm = algorithm
        self.size = hashlib.new(algorithm, usedforsecurity=False).digest_size
        self._folders = [folder]
        self._follow(folder)
        self._packs: list[_Pack] | None = None
        self._root = beneath.open_real_root(folder)

    def close(self) -> None:
        """Let go of all that is open."""
        os.close(self._root)
        for pack in self._packs or ():
            pack.close()

    def _follow(self, folder: str) -> None:
        """Note the stores that a store borrows from."""
        try:
            with open(f"{folder}/info/alternates", "rb") as file:
                lines = file.read(1 << 16).splitlines()
        except OSError:
            return
        for line in lines:
            other = os.path.realpath(os.path.join(folder, os.fsdecode(line)))
            if line and not line.startswith(b"#") and other not in self._folders:
                if len(self._folders) > _ALTERNATES or not os.path.isdir(other):
                    continue
                self._folders.append(other)
                self._follow(other)

    # --- reading -----------------------------------------------------------------------------

    def read(self, name: bytes) -> tuple[bytes, bytes]:
        """Return the kind and the content of an object."""
        found = self._find(name, 0)
        if found is None:
            raise Broken(
                f"the repository has no object {name.hex()}",
                hint="`git fsck` tells more; a partial clone has to fetch it first",
            )
        kind, data = found
        if self.name(kind, data) != name:
            raise Broken(f"the repository's object {name.hex()} is damaged", hint="`git fsck` tells more")
        return kind, data

    def has(self, name: bytes) -> bool:
        """Tell whether there is such an object."""
        return self._find(name, 0) is not None

    def name(self, kind: bytes, data: bytes) -> bytes:
        """Return the name of an object with this content."""
        return self._hashed(b"%s %d\0" % (kind, len(data)), data)

    def _hashed(self, head: bytes, data: bytes) -> bytes:
        made = hashlib.new(self._algorithm, head, usedforsecurity=False)
        made.update(data)
        return made.digest()

    def _find(self, name: bytes, depth: int) -> tuple[bytes, bytes] | None:
        return self._loose(name) or self._packed(name, depth)

    def _loose(self, name: bytes) -> tuple[bytes, bytes] | None:
        text = name.hex()
        for folder in self._folders:
            try:
                with open(f"{folder}/{text[:2]}/{text[2:]}", "rb") as file:
                    data = _inflated(file.read(_LARGEST), 0, _LARGEST)
            except FileNotFoundError:
                continue
            head, _, content = data.partition(b"\0")
            kind, _, size = head.partition(b" ")
            if size != b"%d" % len(content):
                raise Broken(f"the repository's object {text} is damaged", hint="`git fsck` tells more")
            return kind, content
        return None

    def _packed(self, name: bytes, depth: int) -> tuple[bytes, bytes] | None:
        if self._packs is None:
            self._packs = list(self._open_packs())
        for pack in self._packs:
            at = pack.find(name)
            if at is not None:
                return self._unpacked(pack, at, depth)
        return None

    def _open_packs(self) -> "Iterator[_Pack]":
        for folder in self._folders:
            try:
                names = sorted(os.listdir(f"{folder}/pack"))
            except OSError:
                continue
            for name in names:
                base = f"{folder}/pack/{name[:-4]}"
                if name.endswith(".idx") and os.path.exists(f"{base}.pack"):
                    yield _Pack(base, self.size)

    def _unpacked(self, pack: "_Pack", at: int, depth: int) -> tuple[bytes, bytes]:
        """Read an object of a pack; deltas are put onto what they are based on."""
        deltas: list[bytes] = []
        while True:
            if depth + len(deltas) > _DEEPEST:
                raise Broken("the repository has deltas that are based on each other without end")
            kind, size, base, data_at = pack.head(at, self.size)
            data = _inflated(pack.data, data_at, size)
            if len(data) != size:
                raise Broken(f"the pack {pack.path} is damaged", hint="`git fsck` tells more")
            if kind == _OFS_DELTA:
                deltas.append(data)
                at -= int.from_bytes(base, "big")
                continue
            if kind == _REF_DELTA:
                deltas.append(data)
                found = self._find(base, depth + len(deltas))
                if found is None:
                    raise Broken(f"the pack {pack.path} is damaged", hint="`git fsck` tells more")
                name, content = found
            else:
                name, content = _KINDS[kind], data
            for delta in reversed(deltas):
                content = _patched(content, delta)
            return name, content

    # --- writing -----------------------------------------------------------------------------

    def write(self, kind: bytes, data: bytes) -> bytes:
        """Write an object; return its name. One of the same name that holds other bytes is an error."""
        name = self.name(kind, data)
        if self._same(name, kind, data):
            return name
        text = name.hex()
        folder = self._fan(text[:2])
        try:
            temporary = f"tmp_obj_{os.urandom(8).hex()}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(temporary, flags, 0o444, dir_fd=folder)
            with open(fd, "wb") as file:
                file.write(zlib.compress(b"%s %d\0" % (kind, len(data)) + data, 1))
                self._give(file.fileno())
            os.rename(temporary, text[2:], src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            os.close(folder)
        return name

    def sync(self) -> None:
        """Make what was written survive a crash, before anything names it."""
        record.sync_file_system(self._root)

    def _same(self, name: bytes, kind: bytes, data: bytes) -> bool:
        found = self._find(name, 0)
        if found is not None and found != (kind, data):
            raise Broken(f"the repository's object {name.hex()} has the name of other content: it is damaged")
        return found is not None

    def _fan(self, name: str) -> int:
        try:
            os.mkdir(name, 0o777, dir_fd=self._root)
        except FileExistsError:
            return beneath.open_folder(self._root, name.encode())
        fd = beneath.open_folder(self._root, name.encode())
        self._give(fd)
        return fd

    def _give(self, fd: int) -> None:
        """As root, leave nothing that its owner could not change."""
        if os.geteuid() == 0:
            owner = os.fstat(self._root)
            os.chown(fd, owner.st_uid, owner.st_gid)


class _Pack:
    """A pack and its index, mapped."""

    def __init__(self, base: str, size: int) -> None:
        self.path = f"{base}.pack"
        self._index = _mapped(f"{base}.idx")
        self.data = _mapped(self.path)
        self._size = size
        if self._index[:8] != b"\xfftOc\0\0\0\2":
            raise Broken(f"the index {base}.idx has a form not known here", hint="`git repack -ad` renews it")
        self._count = int.from_bytes(self._index[8 + 255 * 4 : 8 + 256 * 4], "big")

    def close(self) -> None:
        self._index.close()
        self.data.close()

    def find(self, name: bytes) -> int | None:
        """Return where in the pack an object lies."""
        low = self._fan(name[0] - 1) if name[0] else 0
        high = self._fan(name[0])
        names = 8 + 1024
        while low < high:
            middle = (low + high) // 2
            found = self._index[names + middle * self._size : names + (middle + 1) * self._size]
            if found == name:
                return self._offset(middle)
            low, high = (middle + 1, high) if found < name else (low, middle)
        return None

    def _fan(self, byte: int) -> int:
        return int.from_bytes(self._index[8 + byte * 4 : 12 + byte * 4], "big")

    def _offset(self, number: int) -> int:
        offsets = 8 + 1024 + self._count * (self._size + 4)
        at = int.from_bytes(self._index[offsets + number * 4 : offsets + number * 4 + 4], "big")
        if at < 1 << 31:
            return at
        far = offsets + self._count * 4 + (at & 0x7FFFFFFF) * 8
        return int.from_bytes(self._index[far : far + 8], "big")

    def head(self, at: int, width: int) -> tuple[int, int, bytes, int]:
        """Return kind, size, base (distance or name) and where the data begins."""
        byte = self.data[at]
        kind, size, shift = byte >> 4 & 7, byte & 15, 4
        while byte & 0x80:
            at += 1
            byte = self.data[at]
            size |= (byte & 0x7F) << shift
            shift += 7
        at += 1
        base = b""
        if kind == _OFS_DELTA:
            byte = self.data[at]
            distance = byte & 0x7F
            while byte & 0x80:
                at += 1
                byte = self.data[at]
                distance = ((distance + 1) << 7) | (byte & 0x7F)
            at += 1
            base = distance.to_bytes(16, "big")
        elif kind == _REF_DELTA:
            base = self.data[at : at + width]
            at += width
        elif kind not in _KINDS:
            raise Broken(f"the pack {self.path} is damaged", hint="`git fsck` tells more")
        return kind, size, base, at


def _mapped(path: str) -> mmap.mmap:
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _inflated(data: "bytes | mmap.mmap", at: int, size: int) -> bytes:
    """Inflate at most `size` bytes from a place on."""
    if size > _LARGEST:
        raise Broken(f"the repository has an object of {size:,} bytes, larger than is read here")
    stream = zlib.decompressobj()
    out = []
    left = size + 1
    try:
        while left > 0 and not stream.eof and at < len(data):
            piece = stream.decompress(stream.unconsumed_tail + data[at : at + _BLOCK], left)
            at += _BLOCK
            left -= len(piece)
            out.append(piece)
    except zlib.error:
        raise Broken("the repository has an object that is damaged", hint="`git fsck` tells more") from None
    return b"".join(out)


def _patched(base: bytes, delta: bytes) -> bytes:
    """Put a delta onto its base (gitformat-pack)."""
    at = 0
    sizes = []
    for _ in range(2):
        size = shift = 0
        while True:
            byte = delta[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        sizes.append(size)
    out = []
    while at < len(delta):
        code = delta[at]
        at += 1
        if not code & 0x80:
            out.append(delta[at : at + code])
            at += code
            continue
        numbers = [0, 0]
        for bit in range(7):
            if code >> bit & 1:
                numbers[bit >= 4] |= delta[at] << 8 * (bit if bit < 4 else bit - 4)
                at += 1
        start, count = numbers[0], numbers[1] or 0x10000
        out.append(base[start : start + count])
    made = b"".join(out)
    if [len(base), len(made)] != sizes:
        raise Broken("the repository has a delta that does not fit its base", hint="`git fsck` tells more")
    return made
