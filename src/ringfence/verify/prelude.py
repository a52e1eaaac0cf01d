"""What every attack is written with: raw system calls, and an honest tally of tries.

This text travels into the boundary as it is and runs there under whatever Python is visible, so it
imports nothing of ringfence. The judgement is the theory of the whole battery: a try *held* only if
the kernel answered with one of the errors that a refusal has. Success got through; so did an error
which shows that the call reached code that a refusal would have kept it from (EINVAL from
`io_uring_setup` means that io_uring is there). A try that could not be made counts as neither.
"""

import ctypes
import errno
import os
import platform
import select
import signal
import socket
import threading
import time

REFUSED = frozenset({errno.EPERM, errno.EACCES, errno.ENOSYS})
NO_SOCKET = REFUSED | {errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT, errno.EPROTOTYPE}
NO_FILE = REFUSED | {errno.ENOENT, errno.EROFS, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ENODEV}
NO_CHANGE = NO_FILE | {errno.EXDEV, errno.EBUSY}
NO_PEER = NO_FILE | {errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL}

ARCH = platform.machine()
PATIENCE = 4.0  # seconds for an answer; the gate's process may only be starting
_AT_ONCE = 24
_MOMENT = 1.5  # seconds for a server that speaks first, or on the same link
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long

# name: (x86_64, aarch64); one number where the call is younger than the split
_NUMBERS = {
    "ioctl": (16, 29), "socket": (41, 198), "clone": (56, 220), "shmget": (29, 194), "shmat": (30, 196),
    "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180), "ptrace": (101, 117),
    "personality": (135, 92), "pivot_root": (155, 41), "chroot": (161, 51), "acct": (163, 89),
    "settimeofday": (164, 170), "mount": (165, 40), "umount2": (166, 39), "swapon": (167, 224),
    "swapoff": (168, 225), "reboot": (169, 142), "sethostname": (170, 161), "setdomainname": (171, 162),
    "iopl": (172, None), "ioperm": (173, None), "init_module": (175, 105), "delete_module": (176, 106),
    "quotactl": (179, 60), "clock_settime": (227, 112), "kexec_load": (246, 104), "add_key": (248, 217),
    "request_key": (249, 218), "keyctl": (250, 219), "migrate_pages": (256, 238), "unshare": (272, 97),
    "move_pages": (279, 239), "perf_event_open": (298, 241), "fanotify_init": (300, 262),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "clock_adjtime": (305, 266),
    "setns": (308, 268), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "finit_module": (313, 273), "linkat": (265, 37), "kexec_file_load": (320, 294), "bpf": (321, 280),
    "userfaultfd": (323, 282), "syslog": (103, 116), "vhangup": (153, 58), "modify_ldt": (154, None),
    "lookup_dcookie": (212, 18), "renameat2": (316, 276), "prctl": (157, 167), "capset": (126, 91),
    "getpid": (39, 172), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "pidfd_open": (434, 434),
    "clone3": (435, 435), "pidfd_getfd": (438, 438), "process_madvise": (440, 440),
    "mount_setattr": (442, 442), "quotactl_fd": (443, 443), "memfd_secret": (447, 447),
}  # fmt: skip


class NotPossibleHere(Exception):
    """A try that cannot be made on this machine; says why."""


def number(name):
    """Return the number of a system call on this architecture."""
    if ARCH not in {"x86_64", "aarch64"}:
        raise NotPossibleHere(f"no system call table for {ARCH}")
    found = _NUMBERS[name][0 if ARCH == "x86_64" else 1]
    if found is None:
        raise NotPossibleHere(f"{ARCH} has no {name}")
    return found


def syscall(name, *arguments):
    """Make a system call by name, or by number; raises OSError."""
    wide = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result = _LIBC.syscall(ctypes.c_long(number(name) if isinstance(name, str) else name), *wide)
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def in_child(call, patience=5.0):
    """Run `call` in a forked child. Return its result as text; raises what it raised.

    A death by signal, as a filter's kill is, raises OSError(EPERM): the call did not happen.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = f"0 {call()}"
        except NotPossibleHere as why:
            answer = f"-1 {why}"
        except OSError as error:
            answer = f"{error.errno or errno.EIO} {error.strerror}"
        except BaseException as error:
            answer = f"-2 {error!r}"
        try:
            os.write(writer, answer.encode()[:4000])
        finally:
            os._exit(0)
    os.close(writer)
    ready = select.select([reader], [], [], patience)[0]
    text = os.read(reader, 4096).decode() if ready else ""
    os.close(reader)
    if not ready:
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if not ready:
        raise OSError(errno.ETIME, "no answer in time")
    return _answer(text, status)


def _answer(text, status):
    if not text:
        if os.WIFSIGNALED(status):
            name = signal.Signals(os.WTERMSIG(status)).name
            raise OSError(errno.EPERM, f"killed by {name}")
        raise OSError(errno.EIO, "ended without an answer")
    code, _, rest = text.partition(" ")
    if code == "0":
        return rest
    if code == "-1":
        raise NotPossibleHere(rest)
    if code == "-2":
        raise RuntimeError(rest)
    raise OSError(int(code), rest)


class Tally:
    """Counts the tries of one attack, and says in the end what held and what did not."""

    def __init__(self):
        self.held = []
        self.through = []
        self.untried = []

    def refuse(self, name, call, refusals=REFUSED):
        """Try `call`, which a boundary refuses. Return its result where it got through."""
        try:
            result = call()
        except NotPossibleHere as why:
            self.untried.append(f"{name}: {why}")
            return None
        except OSError as error:
            label = errno.errorcode.get(error.errno, str(error.errno))
            if error.errno in refusals:
                self.held.append(
                    (name, label if error.strerror == os.strerror(error.errno) else error.strerror)
                )
            else:
                self.through.append(f"{name} reached the kernel ({label})")
            return None
        self.through.append(f"{name} succeeded")
        return result

    def expect(self, name, good, seen):
        """Record one observation: `good` if the boundary holds, `seen` is the evidence."""
        if good:
            self.held.append((name, seen))
        else:
            self.through.append(f"{name}: {seen}")

    def skip(self, name, why):
        """Record a try that could not be made."""
        self.untried.append(f"{name}: {why}")

    def finding(self):
        """Return {"held": True, False or None (nothing could be tried), "evidence": text}."""
        if self.through:
            return {"held": False, "evidence": "; ".join(self.through[:8]), "tries": self._tries()}
        if not self.held:
            why = "; ".join(self.untried) or "nothing to try"
            return {"held": None, "evidence": why, "tries": self._tries()}
        return {"held": True, "evidence": self._summary(), "tries": self._tries()}

    def _tries(self):
        return len(self.held) + len(self.through)

    def _summary(self):
        """Group what held by how it was refused: "EPERM: mount, fsopen, 9 more; ENOSYS: clone3"."""
        groups = {}
        for name, how in self.held:
            groups.setdefault(how, []).append(name)
        parts = []
        for how, names in groups.items():
            more = f", {len(names) - 4} more" if len(names) > 4 else ""
            parts.append(f"{how}: {', '.join(names[:4])}{more}")
        text = "; ".join(parts)
        if self.untried:
            text += f" (not possible here: {'; '.join(self.untried)})"
        return text


def can_open(path, flags=os.O_RDONLY):
    """Open and close a path, never waiting for a FIFO or a terminal and never creating."""
    os.close(os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC))


def read_text(path, limit=1 << 20):
    """Return what a file holds, "" where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(limit).decode("utf-8", "replace")
    except OSError:
        return ""


def until(condition, seconds):
    """Wait for a condition; tell whether it came true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


# --- talking to the gate --------------------------------------------------------------------------


def together(tally, tries):
    """Make many tries at once: most of their time is waiting."""
    left = list(reversed(tries))

    def work():
        while True:
            try:
                call, *arguments = left.pop()
            except IndexError:
                return
            call(tally, *arguments)

    workers = [threading.Thread(target=work) for _ in range(_AT_ONCE)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()


def answered(tally, name, address, port, request, token=b""):  # noqa: PLR0917 - called from a list of tries
    """Send and listen; judge what comes back. Where nothing is sent, nobody waits long."""
    try:
        answer = exchange(address, port, request, _MOMENT if not request or "%" in address else PATIENCE)
    except OSError as error:
        refused = error.errno in NO_PEER or error.errno in {104, 32, 110, None, 101, 22, 19}
        tally.expect(name, refused, type(error).__name__ if error.errno is None else os.strerror(error.errno))
        return
    verdict = judged(answer, token)
    tally.expect(
        name, verdict != "an answer", verdict if verdict != "an answer" else f"answered: {answer[:60]!r}"
    )


def exchange(address, port, request, patience=PATIENCE, *, whole=False):
    """Connect, send, and return what comes back: up to the end of a head, or `whole`, until it is closed."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    end = socket.socket(family, socket.SOCK_STREAM)
    end.settimeout(patience)
    try:
        end.connect(place(address, port))
        if request:
            end.sendall(request)
        return received(end, whole=whole)
    finally:
        end.close()


def place(address, port):
    """Return what connect(2) takes, for a link-local address as well."""
    if "%" not in address:
        return (address, port)
    plain, _, link = address.partition("%")
    return (plain, port, 0, socket.if_nametoindex(link))


def received(end, *, whole=False):
    """Return what a peer sends; None where it says nothing for as long as we wait."""
    answer = b""
    try:
        while len(answer) < 1 << 16:
            part = end.recv(4096)
            if not part:
                break
            answer += part
            if b"\r\n\r\n" in answer and not whole:
                break
    except TimeoutError:
        return answer or None
    except ConnectionError:
        return answer
    return answer


def judged(answer, token):
    """Tell the gate's refusal from an upstream's answer: 502 and 504 mean that it tried to reach one."""
    if token and answer and token in answer:
        return "an answer"
    if answer is None:
        return "no answer"
    if not answer:
        return "closed without a byte"
    words = answer.split(None, 2)
    if answer.startswith(b"HTTP/1.") and len(words) > 1 and words[1].isdigit():
        status = int(words[1])
        return f"refused with {status}" if 400 <= status < 600 and status not in {502, 504} else "an answer"
    if answer[:1] == b"\x15":
        return "refused by a TLS alert"
    return "an answer"
