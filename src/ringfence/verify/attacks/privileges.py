"""S10: more privilege than the session began with: set-user-ID programs, capabilities, other users."""

import contextlib
import ctypes
import glob
import os
import shutil
import struct

from ringfence.verify.prelude import NO_CHANGE, NotPossibleHere, Tally, in_child, read_text, syscall

_FOLDERS = ("/usr/bin", "/usr/sbin", "/usr/lib/openssh", "/usr/lib/dbus-1.0", "/usr/libexec")
_EINVAL = 22  # the kernel's answer for a user that is not mapped into the namespace


def attack(_facts):
    """Read what the kernel says of us, raise capabilities, change users, run set-user-ID programs."""
    tally = Tally()
    status = dict(
        line.split(":\t", 1) for line in read_text("/proc/self/status").splitlines() if ":\t" in line
    )
    tally.expect("no_new_privs", status.get("NoNewPrivs") == "1", f"NoNewPrivs {status.get('NoNewPrivs')}")
    tally.expect("system call filter", status.get("Seccomp") == "2", f"Seccomp {status.get('Seccomp')}")
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        tally.expect(name, int(status.get(name, "1"), 16) == 0, status.get(name, "unknown"))
    refused = NO_CHANGE | {_EINVAL}
    tally.refuse("raise capabilities", lambda: in_child(_raise_capabilities), refused)
    if os.getuid() != 0:
        tally.refuse("setresuid(0)", lambda: in_child(lambda: os.setresuid(0, 0, 0)), refused)
        tally.refuse("setresgid(0)", lambda: in_child(lambda: os.setresgid(0, 0, 0)), refused)
    tally.refuse("setgroups", lambda: in_child(lambda: os.setgroups([0])), refused)
    tally.refuse("another user", lambda: in_child(lambda: os.setresuid(12345, 12345, 12345)), refused)
    for path in ("/etc/shadow", "/etc/gshadow", "/root/.ssh", "/etc/sudoers"):
        tally.refuse(path, lambda path=path: os.close(os.open(path, os.O_RDONLY)), NO_CHANGE)
    for program in _set_user_id_programs()[:6]:
        tally.refuse(
            f"{os.path.basename(program)} as root",
            lambda program=program: in_child(lambda: _gained(program)),
            NO_CHANGE,
        )
    tally.refuse("a set-user-ID copy of our own", lambda: in_child(_own_copy), NO_CHANGE)
    return tally.finding()


def _raise_capabilities():
    header = struct.pack("=Ii", 0x20080522, 0)
    syscall("capset", header, struct.pack("=6I", *[0xFFFFFFFF] * 6))


def _set_user_id_programs():
    found = []
    for folder in _FOLDERS:
        for path in glob.glob(f"{folder}/*"):
            try:
                status = os.stat(path)
            except OSError:
                continue
            if status.st_mode & 0o6000 and status.st_mode & 0o1 and os.access(path, os.X_OK):
                found.append(path)
    return sorted(found)


def _gained(program):
    """Start the program stopped at its very entry, and see which user the kernel gave it."""
    libc = ctypes.CDLL(None, use_errno=True)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        null = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        libc.prctl(1, 9)  # ends with us; the kernel clears this when a program gains privilege
        os.execv(program, [program, "--version"])
    os.close(writer)
    before = os.stat(f"/proc/{child}").st_uid
    after = before
    try:
        for _ in range(2000):
            text = read_text(f"/proc/{child}/status")
            ids = [line.split()[2] for line in text.splitlines() if line.startswith("Uid:")]
            if not ids or "State:\tZ" in text:
                break
            after = int(ids[0])
            if after != os.geteuid():
                break
    finally:
        _kill(child)
        os.close(reader)
    if after == os.geteuid():
        raise PermissionError(1, "gained nothing")


def _kill(child):
    with contextlib.suppress(
        PermissionError
    ):  # then it runs as somebody else: the finding; it ends by itself
        os.kill(child, 9)
    os.waitpid(child, 0)


def _own_copy():
    """Make a set-user-ID file on a file system of ours: on a nosuid mount it gives nothing to anybody."""
    source = shutil.which("true") or "/bin/true"
    if not os.path.exists(source):
        raise NotPossibleHere("no `true` inside")
    for folder in ("/tmp", "/dev/shm", os.getcwd()):
        path = os.path.join(folder, f".ringfence-verify-{os.getpid()}")
        try:
            shutil.copy(source, path)
            os.chmod(path, 0o4755)
            if not os.statvfs(path).f_flag & os.ST_NOSUID:
                return
        except OSError:
            continue
        finally:
            if os.path.exists(path):
                os.unlink(path)
    raise PermissionError(1, "every writable file system is nosuid")
