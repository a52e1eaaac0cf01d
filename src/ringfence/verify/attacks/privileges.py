"""S10: more privilege than the session began with: set-user-ID programs, capabilities, other users."""

import contextlib
import glob
import os
import shutil
import struct

from ringfence.verify.prelude import NO_CHANGE, NotPossibleHere, Tally, in_child, read_text, syscall, until

_FOLDERS = ("/usr/bin", "/usr/sbin", "/usr/lib/openssh", "/usr/lib/dbus-1.0", "/usr/libexec")
_EINVAL = 22  # the kernel's answer for a user that is not mapped into the namespace

_GET_NO_NEW_PRIVS, _CAP_AMBIENT, _RAISE, _CAP_SYS_ADMIN = 39, 47, 2, 21
_NO_AMBIENT = NO_CHANGE | {_EINVAL}


def attack(facts):
    """Read what the kernel says of us, raise capabilities, change users, run set-user-ID programs."""
    tally = Tally()
    status = dict(
        line.split(":\t", 1) for line in read_text("/proc/self/status").splitlines() if ":\t" in line
    )
    no_new = status.get("NoNewPrivs") or str(syscall("prctl", _GET_NO_NEW_PRIVS, 0, 0, 0, 0))
    tally.expect("no_new_privs", no_new == "1", f"NoNewPrivs {no_new}")
    tally.expect("system call filter", status.get("Seccomp") == "2", f"Seccomp {status.get('Seccomp')}")
    if facts.get("own_kernel") and "CapAmb" not in status:  # the sentry has no such set, so nothing raises it
        status["CapAmb"] = "0"
        raised = (_CAP_AMBIENT, _RAISE, _CAP_SYS_ADMIN, 0, 0)
        tally.refuse(
            "an ambient capability", lambda: in_child(lambda: syscall("prctl", *raised)), _NO_AMBIENT
        )
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
    for way in ("open", "chmod", "fchmod", "mkdir"):
        name = f"set-ID mode by {way} in the workspace"
        tally.refuse(name, lambda way=way: in_child(lambda: _left_for_others(way)), NO_CHANGE)
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
    """Start the program, held fast where it prints its first word, and see which user the kernel gave it."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(writer, b"x" * 4096):
            pass  # until the pipe is full
    os.set_blocking(writer, True)
    child = os.fork()
    if child == 0:
        null = os.open("/dev/null", os.O_RDONLY)
        for fd, source in ((0, null), (1, writer), (2, writer)):
            os.dup2(source, fd)
        os.execv(program, [program, "--version"])
    before = read_text(f"/proc/{child}/comm")
    try:
        until(lambda: read_text(f"/proc/{child}/comm") != before, 2)
        if not until(lambda: _user_of(child) not in {None, os.geteuid()}, 0.1):
            raise PermissionError(1, "gained nothing")
    finally:
        _kill(child)
        os.close(reader)
        os.close(writer)


def _user_of(child):
    """Return the effective user of a process; a zombie has kept its last one."""
    rows = [
        line.split() for line in read_text(f"/proc/{child}/status").splitlines() if line.startswith("Uid:")
    ]
    return int(rows[0][2]) if rows else None


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


def _left_for_others(way):
    """Leave a file in the workspace with the mode that counts outside, where the mount is not nosuid.

    Root's agent writes root's files there (an id-mapped mount), so such a file would be root's.
    """
    path = os.path.join(os.getcwd(), f".ringfence-verify-{os.getpid()}")
    mode = 0o6755
    try:
        if way == "mkdir":
            os.mkdir(path, 0o2755)  # the call drops the bit itself: asked for again below
            os.chmod(path, 0o2755)
        else:
            fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode if way == "open" else 0o755)
            try:
                if way == "fchmod":
                    os.fchmod(fd, mode)
                elif way == "chmod":
                    os.chmod(path, mode)
            finally:
                os.close(fd)
        if not os.stat(path).st_mode & 0o6000:
            raise PermissionError(1, "the bits were dropped")
    finally:
        if os.path.isdir(path):
            os.rmdir(path)
        elif os.path.lexists(path):
            os.unlink(path)
