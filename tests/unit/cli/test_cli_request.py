"""From a command line to a request: which project, which folder, which port."""

import os
import sys

import pytest

from ringfence.cli import options
from ringfence.cli.request import OPTIONS, SESSION, request
from ringfence.errors import BoundaryError, UsageError
from ringfence.handover import Publication
from ringfence.host import probe
from ringfence.preparation import workspace_of
from ringfence.value import replace


@pytest.fixture
def home(tmp_path, monkeypatch):
    (tmp_path / "work/repo/src/deep").mkdir(parents=True)
    (tmp_path / "work/repo/.git").mkdir()
    (tmp_path / "work/plain/inner").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work/repo/src")
    return os.path.realpath(tmp_path)


def asked(home, *words):
    return request(options.read(list(words), OPTIONS, ""), replace(probe.host(), home=home))


class TestTheMode:
    def test_direct_has_a_word_of_its_own(self, home):
        assert asked(home, "--direct", "true").overrides.mode == "direct"

    def test_two_that_contradict_are_an_error(self, home):
        with pytest.raises(UsageError, match="contradict"):
            asked(home, "--direct", "--mode", "overlay", "true")

    def test_continuing_a_session_means_a_copy(self, home):
        words = options.read(["--session", "last", "true"], (*OPTIONS, SESSION), "")
        one = request(words, replace(probe.host(), home=home))
        assert (one.overrides.mode, one.session) == ("overlay", "last")


class TestTheProject:
    def test_is_the_repository_around_this_folder(self, home):
        one = asked(home, "true")
        assert (one.workspace, one.cwd) == (f"{home}/work/repo", f"{home}/work/repo/src")

    def test_is_this_folder_where_there_is_no_repository(self, home, monkeypatch):
        monkeypatch.chdir(f"{home}/work/plain/inner")
        assert asked(home, "true").workspace == f"{home}/work/plain/inner"

    def test_is_the_one_named_and_then_the_command_starts_there(self, home):
        one = asked(home, "--workspace", f"{home}/work/plain", "true")
        assert (one.workspace, one.cwd) == (f"{home}/work/plain", f"{home}/work/plain")

    def test_is_where_a_link_leads(self, home):
        os.symlink(f"{home}/work/plain", f"{home}/link")
        assert asked(home, "--workspace", f"{home}/link", "true").workspace == f"{home}/work/plain"

    def test_is_never_the_home_folder_for_a_repository_there(self, home):
        os.mkdir(f"{home}/.git")
        assert workspace_of(f"{home}/work/plain", home) == f"{home}/work/plain"
        assert workspace_of(f"{home}/work/plain/inner", home) == f"{home}/work/plain/inner"

    def test_is_a_worktree_too(self, home):
        with open(f"{home}/work/plain/.git", "w", encoding="ascii") as file:
            file.write("gitdir: elsewhere\n")
        assert workspace_of(f"{home}/work/plain/inner", home) == f"{home}/work/plain"

    def test_must_be_a_folder(self, home):
        with pytest.raises(BoundaryError, match="is not a folder"):
            asked(home, "--workspace", f"{home}/nothing", "true")


class TestPorts:
    @pytest.mark.parametrize(
        ("text", "ports"), [("5173", (5173, 5173)), ("8080:80", (8080, 80)), ("1:65535", (1, 65535))]
    )
    def test_are_given_as_here_and_inside(self, home, text, ports):
        (one,) = asked(home, "--publish", text, "true").publish
        assert one == Publication(host_address="127.0.0.1", host_port=ports[0], inside_port=ports[1])

    @pytest.mark.parametrize(
        "text",
        ["", "x", "0", "65536", "80:", ":", "0.0.0.0:80:80", "-5", "1:2:3", "0:80", "²", "8_0", " 80", "+80"],
    )
    def test_that_are_none_are_refused(self, home, text):
        with pytest.raises(UsageError, match="is not a port"):
            asked(home, "--publish", text, "true")


def test_relative_paths_count_from_here(home):
    use = ("--use", "a,b", "--use", "c", "--use", "d,npm-only:x,y")
    over = asked(home, "--read", "../x", "--write", "~/y", *use, "true").overrides
    assert (over.read, over.write, over.use) == (
        (f"{home}/work/repo/x",),
        ("~/y",),
        ("a", "b", "c", "d", "npm-only:x,y"),
    )


def test_no_command_is_an_error(home):
    with pytest.raises(UsageError, match="no command to run"):
        asked(home, "--quiet")


def test_words_of_the_command_are_not_touched(home):
    assert asked(home, "--", "sh", "-c", "a b", "--", "--mode").argv == ("sh", "-c", "a b", "--", "--mode")
    assert sys.argv
