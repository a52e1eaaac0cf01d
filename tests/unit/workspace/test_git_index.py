"""An index that git only refreshed is the same; one with another content, mode, stage or flag is not."""

import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.workspace.changes import read
from ringfence.workspace.git_index import is_index, same
from ringfence.workspace.layers import Layers

QUIET = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "PATH": os.environ["PATH"]}


class Repository:
    def __init__(self, folder, version, form):
        self.folder = str(folder)
        self.git("init", "-q", f"--object-format={form}")
        for number in range(30):
            (folder / f"file-{number}-{'n' * number}").write_text(str(number))
        (folder / "sub").mkdir()
        (folder / "sub" / "deep").write_text("x")
        self.git("add", "-A")
        self.git("update-index", f"--index-version={version}")

    def git(self, *argv):
        subprocess.run(
            ("git", "-C", self.folder, *argv), check=True, env=QUIET, timeout=20, capture_output=True
        )

    def touch(self):
        """Have git write the index anew without a change of the project."""
        for name in os.listdir(self.folder):
            if name != ".git":
                os.utime(os.path.join(self.folder, name), (1, 1))
        self.git("update-index", "--refresh")

    @property
    def index(self):
        with open(os.path.join(self.folder, ".git", "index"), "rb") as file:
            return file.read()


@pytest.fixture(params=[(2, "sha1"), (4, "sha1"), (2, "sha256"), (4, "sha256")], ids=str)
def repository(tmp_path, request):
    return Repository(tmp_path, *request.param)


def test_a_refreshed_index_is_the_same(repository):
    before = repository.index
    repository.touch()
    assert repository.index != before
    assert same(before, repository.index)


@pytest.mark.parametrize(
    "change",
    [
        ("update-index", "--chmod=+x", "sub/deep"),
        ("rm", "-q", "--cached", "sub/deep"),
        ("update-index", "--assume-unchanged", "sub/deep"),
        ("update-index", "--skip-worktree", "sub/deep"),
        ("mv", "sub/deep", "sub/other"),
    ],
    ids=lambda words: words[1],
)
def test_an_index_that_says_something_else_is_not(repository, change):
    before = repository.index
    repository.git(*change)
    assert not same(before, repository.index)


def test_another_content_is_not_the_same(repository):
    before = repository.index
    with open(os.path.join(repository.folder, "sub", "deep"), "w", encoding="utf-8") as file:
        file.write("y")
    repository.git("add", "-A")
    assert not same(before, repository.index)


def test_a_damaged_index_is_not_the_same(repository):
    whole = repository.index
    for broken in (whole[:-1], whole[:50], b"", whole[:-20] + b"x" * 20, b"DIRC" + bytes(40)):
        assert not same(whole, broken)
        assert not same(broken, broken)


def test_an_extension_that_git_must_know_makes_it_unreadable(tmp_path):
    repository = Repository(tmp_path, 2, "sha1")
    repository.git("update-index", "--split-index")  # `link`: entries lie in another file
    assert not same(repository.index, repository.index)


def test_a_session_that_only_refreshed_the_index_has_changed_nothing(tmp_path):
    project, upper = tmp_path / "project", tmp_path / "upper"
    project.mkdir()
    (upper / ".git").mkdir(parents=True)
    repository = Repository(project, 2, "sha1")
    before = repository.index
    repository.touch()
    (upper / ".git" / "index").write_bytes(before)
    layers = Layers(session="s", workspace=str(project), upper=str(upper))
    assert read(layers) == ()
    repository.git("rm", "-q", "--cached", "sub/deep")
    assert [change.path for change in read(layers)] == [b".git/index"]


@given(st.binary(max_size=200))
def test_no_bytes_raise(data):
    assert not same(b"DIRC" + data, data)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (b".git/index", True),
        (b"sub/.git/index", True),
        (b".git/worktrees/w/index", True),
        (b".git/modules/m/index", True),
        (b"src/index", False),
        (b"index", False),
        (b".git/index.lock", False),
    ],
)
def test_where_indexes_lie(path, answer):
    assert is_index(path) is answer
