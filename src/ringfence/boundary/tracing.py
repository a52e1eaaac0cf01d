"""Looking at a thread that the kernel holds: its pending execve(2), and what became of it.

Two holds are used. A seccomp user notification (seccomp_unotify(2), Linux 5.0; answers by
SECCOMP_USER_NOTIF_FLAG_CONTINUE, 5.5) holds a thread before the call: its memory says what it asks for,
but another thread may change that memory before the kernel reads it. ptrace(2)'s PTRACE_EVENT_EXEC holds
it after the call, before the new program's first instruction: its memory is new and nobody else's then, so
what it says is what runs.
"""

import ctypes
import fcntl
import os
import struct

from ringfence.boundary import syscalls
from ringfence.value import Struct

_RECEIVE, _SEND, _VALID = 0xC0502100, 0xC0182101, 0x40082102  # SECCOMP_IOCTL_NOTIF_*
_CONTINUE = 1
_EXECVEAT = {322, 281}  # x86_64, aarch64

_SEIZE, _INTERRUPT, _DETACH, _GETEVENTMSG = 0x4206, 0x4207, 17, 0x4201
_TRACE_EXEC, _EXIT_KILL = 0x10, 0x100000
EVENT_EXEC = 4
_AT_EXECFN = 31

_PAGE = 4096
_MOST_WORDS, _MOST_BYTES = 4096, 1 << 18  # of an argument list before it runs; afterwards all of it is read

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


class Asked(Struct):
    """A thread that waits for leave to execute something."""

    cookie: int  # the kernel's name for this notification
    thread: int
    path: str  # as it stands in its memory; "" where a descriptor names the file
    argv: tuple[str, ...]


class Image(Struct):
    """A program that has been executed and has not run yet."""

    file: str  # the real file behind it
    identity: tuple[int, int, int]  # device, inode, size
    asked_as: str  # the path given to execve(2); for a script the script's
    argv: tuple[str, ...]


class GoneError(Exception):
    """The thread is no longer there, or no longer where it was."""


def next_call(listener: int) -> "Asked | None":
    """Return the next thread that wants to execute something; None where it has gone meanwhile.

    OSError where nobody can ask any more.
    """
    buffer = bytearray(80)
    try:
        fcntl.ioctl(listener, _RECEIVE, buffer)
    except (FileNotFoundError, InterruptedError):
        return None
    cookie, thread, _flags, number, _arch, _ip, *arguments = struct.unpack("=QIIiIQ6Q", buffer)
    at = number in _EXECVEAT
    path_at, argv_at = arguments[1 if at else 0], arguments[2 if at else 1]
    try:
        memory = os.open(f"/proc/{thread}/mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        path, argv = "", tuple[str, ...]()
    else:
        try:
            path, argv = _text(memory, path_at), _argv(memory, argv_at)
        finally:
            os.close(memory)
    return Asked(cookie=cookie, thread=thread, path=path, argv=argv)


def there(asked: Asked) -> bool:
    """Say whether the file that a thread asks for is there: shells try one folder of PATH after the other."""
    if not asked.path:
        return True
    place = f"root{asked.path}" if asked.path.startswith("/") else f"cwd/{asked.path}"
    try:
        os.stat(f"/proc/{asked.thread}/{place}")
    except (FileNotFoundError, NotADirectoryError):
        return os.path.islink(f"/proc/{asked.thread}/{place}")  # its target lies elsewhere, seen from here
    except OSError:
        return True
    return True


def valid(listener: int, cookie: int) -> bool:
    """Say whether the thread still waits: then what was read was its own memory."""
    try:
        fcntl.ioctl(listener, _VALID, struct.pack("=Q", cookie))
    except OSError:
        return False
    return True


def answer(listener: int, cookie: int, error: int) -> bool:
    """Let the call go on, or let it fail with an errno; False where nobody waits for it any more."""
    reply = struct.pack("=QqiI", cookie, 0, -error, 0 if error else _CONTINUE)
    try:
        fcntl.ioctl(listener, _SEND, reply)
    except OSError:
        return False
    return True


def _text(memory: int, address: int) -> str:
    return os.fsdecode(_bytes(memory, address, _PAGE))


def _bytes(memory: int, address: int, most: int) -> bytes:
    """Return the bytes up to a NUL; what cannot be read ends them."""
    found = b""
    while address and len(found) < most:
        size = _PAGE - address % _PAGE
        try:
            piece = os.pread(memory, size, address)
        except (OSError, OverflowError):
            break
        end = piece.find(b"\0")
        if end >= 0:
            return found + piece[:end]
        if not piece:
            break
        found += piece
        address += len(piece)
    return found[:most]


def _argv(memory: int, address: int) -> tuple[str, ...]:
    words: list[str] = []
    size = 0
    while address and len(words) < _MOST_WORDS and size < _MOST_BYTES:
        try:
            piece = os.pread(memory, 8 * 64, address)
        except (OSError, OverflowError):
            break
        pointers = struct.unpack(f"={len(piece) // 8}Q", piece[: len(piece) // 8 * 8])
        for pointer in pointers:
            if not pointer:
                return tuple(words)
            words.append(_text(memory, pointer))
            size += len(words[-1])
        if not pointers:
            break
        address += 8 * len(pointers)
    return tuple(words)


# --- after the call ------------------------------------------------------------------------------


def _ptrace(request: int, thread: int, address: int = 0, data: int = 0) -> None:
    if _libc.ptrace(request, thread, address, data) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def seize(thread: int) -> None:
    """Have the kernel hold a thread when it has executed something. If we die, it dies."""
    _ptrace(_SEIZE, thread, 0, _TRACE_EXEC | _EXIT_KILL)


def interrupt(thread: int) -> None:
    """Have it held at the latest when its call returns, so that it can be let go."""
    _ptrace(_INTERRUPT, thread)


def let_go(thread: int, number: int = 0) -> None:
    """Stop tracing a thread that is held; `number` is the signal it was about to get."""
    try:
        _ptrace(_DETACH, thread, 0, number)
    except ProcessLookupError:
        return


def former(process: int) -> int:
    """Return which thread of a process it was that executed the program (it has the process's id now)."""
    message = ctypes.c_ulong()
    if _libc.ptrace(_GETEVENTMSG, process, None, ctypes.byref(message)) < 0:
        return process
    return message.value


def image(process: int) -> Image:
    """Return what a process, held after its execve(2), is about to run."""
    try:
        status = os.stat(f"/proc/{process}/exe")
        file = os.readlink(f"/proc/{process}/exe")
        with open(f"/proc/{process}/cmdline", "rb") as stream:
            words = stream.read().split(b"\0")
        asked_as = _asked_as(process)
    except OSError as error:
        raise GoneError from error
    argv = tuple(map(os.fsdecode, words[:-1]))
    identity = status.st_dev, status.st_ino, status.st_size
    return Image(file=file, identity=identity, asked_as=asked_as, argv=argv)


def _asked_as(process: int) -> str:
    """Return AT_EXECFN (getauxval(3)): the path that execve(2) was given."""
    with open(f"/proc/{process}/auxv", "rb") as stream:
        pairs = stream.read()
    for at in range(0, len(pairs) - 15, 16):
        kind, value = struct.unpack_from("=QQ", pairs, at)
        if kind == _AT_EXECFN:
            memory = os.open(f"/proc/{process}/mem", os.O_RDONLY | os.O_CLOEXEC)
            try:
                return _text(memory, value)
            finally:
                os.close(memory)
    return ""


def available() -> str:
    """Return why programs cannot be held here as they start; or nothing."""
    if not _has_notifications():
        return "this kernel has no seccomp user notifications (Linux 5.5 or later)"
    try:
        with open("/proc/sys/kernel/yama/ptrace_scope") as file:
            scope = file.read().strip()
    except OSError:
        return ""
    return "kernel.yama.ptrace_scope is 3: no process may look at another" if scope == "3" else ""


def _has_notifications() -> bool:
    action = (ctypes.c_uint32 * 1)(0x7FC00000)  # SECCOMP_RET_USER_NOTIF
    number = 317 if os.uname().machine == "x86_64" else 277
    try:
        syscalls.check_call(number, 2, 0, action)  # SECCOMP_GET_ACTION_AVAIL
    except OSError:
        return False
    return _release() >= (5, 5)


def _release() -> tuple[int, ...]:
    numbers = os.uname().release.split("-")[0].split(".")[:2]
    return tuple(int(one) if one.isdigit() else 0 for one in numbers)
