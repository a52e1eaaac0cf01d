"""Which git folder outside of a project its `.git` file may open."""

import os
import subprocess

import pytest

from ringfence.workspace import git_link

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@example.test", "-c", "protocol.file.allow=always")


@pytest.fixture
def main(tmp_path):
    folder = tmp_path / "main"
    for words in (
        ("init", "-q", str(folder)),
        ("-C", str(folder), "commit", "-q", "--allow-empty", "-m", "x"),
    ):
        subprocess.run([*GIT, *words], check=True, capture_output=True, timeout=20)
    return folder


def git(folder, *words):
    subprocess.run([*GIT, "-C", str(folder), *words], check=True, capture_output=True, timeout=20)


def test_a_linked_worktree_opens_its_repository(main, tmp_path):
    git(main, "worktree", "add", "-q", str(tmp_path / "tree"))
    assert git_link.repository(str(tmp_path / "tree")) == f"{main}/.git"


def test_a_submodule_opens_its_own_part_only(main, tmp_path):
    git(main, "init", "-q", str(tmp_path / "library"))
    git(tmp_path / "library", "commit", "-q", "--allow-empty", "-m", "x")
    git(main, "submodule", "--quiet", "add", str(tmp_path / "library"), "lib")
    assert git_link.repository(str(main / "lib")) == f"{main}/.git/modules/lib"


def test_an_ordinary_repository_needs_nothing_else(main):
    assert git_link.repository(str(main)) == ""


class TestAPlantedFile:
    @pytest.fixture
    def planted(self, tmp_path):
        folder = tmp_path / "planted"
        folder.mkdir()
        return folder

    def test_opens_no_repository_that_does_not_name_the_project(self, main, planted):
        git(main, "worktree", "add", "-q", f"{main}-tree")
        for text in (f"{main}/.git", f"{main}/.git/worktrees/main-tree", "/etc", "/", "../main/.git"):
            (planted / ".git").write_text(f"gitdir: {text}\n")
            assert git_link.repository(str(planted)) == "", text

    def test_opens_nothing_by_a_folder_of_its_own_making(self, planted):
        fake = planted / "fake/worktrees/x"
        fake.mkdir(parents=True)
        (fake / "commondir").write_text("../..\n")
        (fake / "gitdir").write_text(f"{planted}/.git\n")
        (planted / ".git").write_text(f"gitdir: {fake}\n")
        assert git_link.repository(str(planted)) == ""

    def test_opens_nothing_through_a_link(self, main, planted, tmp_path):
        git(main, "worktree", "add", "-q", str(tmp_path / "tree"))
        os.symlink(f"{main}/.git/worktrees/tree", tmp_path / "link")
        (planted / ".git").write_text(f"gitdir: {tmp_path}/link\n")
        assert git_link.repository(str(planted)) == ""

    def test_that_is_a_link_or_a_fifo_is_not_read(self, main, planted):
        os.mkfifo(planted / ".git")
        assert git_link.repository(str(planted)) == ""
        os.unlink(planted / ".git")
        os.symlink(f"{main}/.git/HEAD", planted / ".git")
        assert git_link.repository(str(planted)) == ""

    def test_opens_no_folder_that_is_no_repository(self, main, tmp_path):
        git(main, "worktree", "add", "-q", str(tmp_path / "tree"))
        os.rename(main / ".git/refs", main / ".git/refs2")
        assert git_link.repository(str(tmp_path / "tree")) == ""
