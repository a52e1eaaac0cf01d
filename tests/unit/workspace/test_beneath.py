"""Paths below a folder in which anything may stand."""

import os
import stat
import subprocess

import pytest

from ringfence.workspace import beneath


@pytest.fixture
def root(tmp_path):
    """Return (folder, open descriptor) with a decoy beside it."""
    (tmp_path / "decoy").mkdir()
    (tmp_path / "decoy/secret").write_text("secret")
    (tmp_path / "in").mkdir()
    fd = beneath.open_root(str(tmp_path / "in"))
    yield tmp_path / "in", fd
    os.close(fd)


@pytest.mark.parametrize(
    "path",
    [b"", b"/etc/passwd", b"../decoy/secret", b"a/../../x", b"a//b", b"./a", b"a\0b", b"a/", b"n" * 256],
)
def test_a_path_that_no_honest_change_set_holds_is_refused(root, path):
    with pytest.raises(beneath.Unsafe):
        beneath.open_at(root[1], path, os.O_RDONLY)


def test_no_link_is_followed_anywhere(root):
    folder, fd = root
    os.symlink("../decoy", folder / "out")
    os.symlink("../decoy/secret", folder / "file")
    for path in (b"out/secret", b"file"):
        with pytest.raises(OSError, match="symbolic"):
            beneath.open_file(fd, path) if path != b"file" else beneath.open_at(fd, path, os.O_RDONLY)
    with pytest.raises(OSError, match="not a regular"):
        beneath.open_file(fd, b"file")
    assert beneath.read_link(fd, b"file") == b"../decoy/secret"
    assert stat.S_ISLNK(beneath.lstat(fd, b"file").st_mode)
    assert not beneath.exists(fd, b"out/secret")


def test_a_fifo_does_not_block_and_is_not_opened(root):
    folder, fd = root
    os.mkfifo(folder / "fifo")
    with pytest.raises(OSError, match="not a regular"):
        beneath.open_file(fd, b"fifo")


def test_a_root_that_became_a_link_is_refused(root, tmp_path):
    os.symlink(root[0], tmp_path / "alias")
    os.mkdir(root[0] / "sub")
    with pytest.raises(OSError):
        beneath.open_root(str(tmp_path / "alias"))
    with pytest.raises(OSError):
        beneath.open_real_root(str(tmp_path / "alias/sub"))
    os.close(beneath.open_real_root(str(root[0] / "sub")))


def test_a_file_is_read_whatever_its_name_and_mode(root):
    folder, fd = root
    name = b"-\n\xff\x1b[31m"
    (folder / os.fsdecode(name)).write_bytes(b"content")
    os.chmod(folder / os.fsdecode(name), 0)
    assert beneath.names(fd) == [name]
    with open(beneath.open_file(fd, name), "rb") as file:
        assert file.read() == b"content"
    assert stat.S_IMODE(beneath.lstat(fd, name).st_mode) == 0


def test_a_path_longer_than_the_kernel_takes_at_once_is_reached(root):
    folder, fd = root
    _dig(folder, 40)
    path = b"/".join([b"d" * 200] * 40)
    assert len(path) > 8000
    assert stat.S_ISDIR(beneath.lstat(fd, path).st_mode)


def test_removal_takes_links_and_not_what_they_point_at(root, tmp_path):
    folder, fd = root
    os.makedirs(folder / "tree/shut")
    (folder / "tree/shut/file").write_text("x")
    os.symlink(tmp_path / "decoy", folder / "tree/link")
    os.mkfifo(folder / "tree/fifo")
    os.chmod(folder / "tree/shut", 0)
    beneath.remove(fd, b"tree")
    assert os.listdir(folder) == []
    assert (tmp_path / "decoy/secret").read_text() == "secret"


def test_a_very_deep_tree_is_removed(root):
    folder, fd = root
    _dig(folder, 700)
    beneath.empty(fd)
    assert os.listdir(folder) == []


def test_removal_stops_at_a_mount(root, tmp_path):
    if os.getuid():
        pytest.skip("only root mounts here")
    folder, fd = root
    os.makedirs(folder / "tree/mounted")
    subprocess.run(["mount", "--bind", tmp_path / "decoy", folder / "tree/mounted"], check=True, timeout=10)
    try:
        with pytest.raises(OSError, match="cross-device"):
            beneath.remove(fd, b"tree")
        with pytest.raises(OSError, match="cross-device"):
            beneath.open_file(fd, b"tree/mounted/secret")
    finally:
        subprocess.run(["umount", folder / "tree/mounted"], check=True, timeout=10)
    assert (tmp_path / "decoy/secret").read_text() == "secret"


def test_an_immutable_file_is_removed(root):
    folder, fd = root
    (folder / "tree").mkdir()
    (folder / "tree/file").write_text("x")
    done = subprocess.run(
        ["chattr", "+i", folder / "tree/file", folder / "tree"], capture_output=True, timeout=10, check=False
    )
    if done.returncode:
        pytest.skip("only root sets the flag, and not on every file system")
    beneath.remove(fd, b"tree")
    assert os.listdir(folder) == []


def _dig(folder, depth):
    """Make folders below each other, deeper than a path can say."""
    fd = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d" * 200, dir_fd=fd)
        inner = os.open("d" * 200, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
