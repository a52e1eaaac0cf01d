"""What tests change of the machine while they run, so that several of them may side by side."""

import contextlib
import fcntl
import os
import secrets
import subprocess


@contextlib.contextmanager
def ordinary_user():
    """Make a user with no rights at all; give the name."""
    name = f"rf-{secrets.token_hex(4)}"
    make = ["useradd", "--no-create-home", "--shell", "/bin/sh", "--user-group", name]
    with _alone():
        subprocess.run(make, check=True, timeout=30)
    try:
        yield name
    finally:
        with _alone():
            subprocess.run(["userdel", name], check=False, timeout=30, capture_output=True)


@contextlib.contextmanager
def _alone():
    """Wait for other tests that make users: useradd gives up where somebody else has the files."""
    with open("/etc/passwd", "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def mode_of(path, mode, shared):
    """Give a file of the machine's another mode for as long as somebody needs it.

    `shared` is a folder that all who run tests at this moment have in common.
    """
    note = os.path.join(shared, "mode" + path.replace("/", "-"))
    _used(path, mode, note, +1)
    try:
        yield
    finally:
        _used(path, mode, note, -1)


def _used(path, mode, note, change):
    """Count who uses it: the first changes the mode, the last puts it back."""
    with open(note, "a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        before, users = map(int, file.read().split() or (os.stat(path).st_mode & 0o7777, 0))
        users += change
        os.chmod(path, mode if users else before)
        file.truncate(0)
        file.write(f"{before} {users}" if users else "")
