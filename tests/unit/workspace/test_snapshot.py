"""A project copied whole: what is in the copy, what is not, and when it is refused."""

import os
import stat

import pytest

from ringfence.errors import BoundaryError, HostError
from ringfence.workspace import snapshot
from ringfence.workspace.layers import COPY, Layers


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    (folder / "sub/deep").mkdir(parents=True)
    (folder / "a").write_text("one")
    (folder / "sub/run").write_text("#!/bin/sh\n")
    (folder / "sub/run").chmod(0o4755)
    (folder / "sub/deep/.env").write_text("secret")
    os.symlink("/etc/passwd", folder / "link")
    os.mkfifo(folder / "fifo")
    (folder / "sub").chmod(0o750)
    return folder


@pytest.fixture
def target(tmp_path):
    (tmp_path / "session/copy").mkdir(parents=True)
    return tmp_path / "session/copy"


def take(project, target, **more):
    how = {"skipped": (), "texts": (), "bounded": True, "owner": os.getuid(), **more}
    snapshot.take(str(project), str(target), f"{target.parent}/base", **how)


def test_files_folders_and_links_are_as_they_were(project, target):
    take(project, target)
    assert sorted(os.listdir(target)) == ["a", "link", "sub"]
    assert os.readlink(target / "link") == "/etc/passwd"
    assert stat.S_IMODE(os.stat(target / "sub").st_mode) == 0o750
    assert os.stat(target / "sub").st_mtime_ns == os.stat(project / "sub").st_mtime_ns
    assert (target / "a").read_text() == "one"


def test_no_set_id_bit_no_fifo_and_nothing_hidden_comes_along(project, target):
    take(project, target, skipped=("sub/deep/.env",))
    assert stat.S_IMODE(os.stat(target / "sub/run").st_mode) == 0o755
    assert not (target / "fifo").exists()
    assert os.listdir(target / "sub/deep") == []


def test_texts_stand_in_for_files(project, target):
    take(project, target, texts=(("a", "other"),))
    assert (target / "a").read_text() == "other"


def test_a_link_in_the_place_of_a_folder_is_not_followed(project, target, tmp_path):
    os.symlink(tmp_path, project / "sub/out")
    take(project, target)
    assert os.readlink(target / "sub/out") == str(tmp_path)


def test_the_base_says_what_each_path_was(project, target):
    take(project, target, skipped=("sub/deep/.env",))
    base = snapshot.read_base(Layers(session="s", workspace=str(project), upper=str(target), kind=COPY))
    assert set(base) == {b"a", b"link", b"fifo", b"sub", b"sub/run", b"sub/deep"}
    status = os.lstat(project / "a")
    assert base[b"a"] == snapshot.Stamp(changed=status.st_ctime_ns, size=3, inode=status.st_ino)


def test_odd_names_are_copied_byte_by_byte(project, target):
    for name in (b"\xff\xfe", b"new\nline", b"-n", b"*"):
        with open(bytes(project) + b"/" + name, "wb") as file:
            file.write(name)
    take(project, target)
    assert {b"\xff\xfe", b"new\nline", b"-n", b"*"} <= set(os.listdir(bytes(target)))


def test_many_files_are_refused_unless_asked_for(project, target, monkeypatch):
    monkeypatch.setattr(snapshot, "MOST_FILES", 3)
    with pytest.raises(BoundaryError, match="too much to be copied"):
        take(project, target)


def test_and_copied_when_they_are(project, target, monkeypatch):
    monkeypatch.setattr(snapshot, "MOST_FILES", 3)
    take(project, target, bounded=False)
    assert (target / "a").exists()


def test_a_project_that_cannot_be_read_is_told(target, tmp_path):
    with pytest.raises((HostError, OSError)):
        take(tmp_path / "missing", target)


def test_a_large_sparse_file_is_copied_by_what_is_in_it(project, target):
    with open(project / "sparse", "wb") as file:
        file.write(b"head")
        file.truncate(1 << 20)
    take(project, target)
    assert os.stat(target / "sparse").st_size == 1 << 20
    assert (target / "sparse").read_bytes()[:4] == b"head"
