"""A little space in the state folder that is kept for the moment when the disk is full.

    STATE/reserve/   a few files that hold nothing

An agent can fill the disk, by bytes or by the number of files. What is done about that (the end of the
session, its changes thrown away) has to be on record like everything else, and a record needs space: then
the reserve is given up for it. It is made anew by the next session that begins with space enough.
"""

import os

_FILES, _SIZE = 12, 16 << 10  # as many as a deed makes, and some; bytes of each
_LITTLE, _PLENTY = 2, 8  # reserves: a disk with less space than for so many is full; has enough to make one


def make(state_dir: str) -> None:
    """Make the reserve where there is none, and space enough."""
    folder = f"{state_dir}/reserve"
    if os.path.isdir(folder) or _is_full(state_dir, _PLENTY):
        return
    try:
        os.mkdir(folder, 0o700)
        for number in range(_FILES):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(f"{folder}/{number}", flags, 0o600)
            try:
                os.posix_fallocate(fd, 0, _SIZE)
            finally:
                os.close(fd)
    except OSError:  # a session that begins at the same time makes it; or what needs space will say so
        return


def make_room(state_dir: str) -> None:
    """Give the reserve up if the disk is full."""
    if not _is_full(state_dir, _LITTLE):
        return
    try:
        release(state_dir)
    except OSError:  # there is none
        return


def _is_full(state_dir: str, count: int) -> bool:
    """Tell whether there is no space for so many reserves."""
    try:
        now = os.statvfs(state_dir)
    except OSError:
        return False
    if now.f_files and now.f_favail < count * _FILES:
        return True
    return now.f_bavail * now.f_frsize < count * _FILES * _SIZE


def release(state_dir: str) -> None:
    """Give the reserve up."""
    folder = os.open(f"{state_dir}/reserve", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for name in os.listdir(folder):
            os.unlink(name, dir_fd=folder)
        os.rmdir(f"{state_dir}/reserve")
        os.fsync(folder)  # a file system may give freed blocks out only once that is on the disk
    finally:
        os.close(folder)
