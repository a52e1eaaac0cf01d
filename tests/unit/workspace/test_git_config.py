"""A repository's configuration is shown without the credentials in it, and otherwise unchanged."""

import subprocess

import pytest

from ringfence.workspace.git_config import clean_copy, is_plain, is_untouched_hooks


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("\turl = https://user:token@host.example/o/r.git\n", "\turl = https://host.example/o/r.git\n"),
        ("\turl = https://ghp_token@github.com/o/r\n", "\turl = https://github.com/o/r\n"),
        ('\turl = "https://a:b@c@host/x"\n', '\turl = "https://host/x"\n'),
        ("\tproxy = HTTP://u:p@proxy:3128\n", "\tproxy = HTTP://proxy:3128\n"),
        ("\turl = ssh://git:secret@host/x\n", "\turl = ssh://host/x\n"),
        ("\textraheader = AUTHORIZATION: basic c2VjcmV0\n", "# hidden by ringfence: extraHeader\n"),
        ("\tExtraHeader=X: y\n", "# hidden by ringfence: extraHeader\n"),
        ("\tinsteadOf = https://u:p@a/b https://v:q@c/d\n", "\tinsteadOf = https://a/b https://c/d\n"),
    ],
)
def test_credentials_are_taken_out(tmp_path, line, shown):
    config = tmp_path / "config"
    config.write_text("[core]\n\tbare = false\n" + line)
    assert clean_copy(str(config)) == "[core]\n\tbare = false\n" + shown


@pytest.mark.parametrize(
    "line",
    [
        "\turl = ssh://git@github.com/o/r.git\n",
        "\turl = git@github.com:o/r.git\n",
        "\turl = https://github.com/o/r@v1\n",
        "\temail = someone@example.com\n",
    ],
)
def test_what_holds_none_is_left_as_it_is(tmp_path, line):
    config = tmp_path / "config"
    config.write_text("[remote]\n" + line)
    assert clean_copy(str(config)) is None


def test_a_link_is_not_followed_and_a_huge_file_is_hidden(tmp_path):
    (tmp_path / "link").symlink_to("/etc/passwd")
    assert clean_copy(str(tmp_path / "link")) is None
    (tmp_path / "huge").write_bytes(b"#" * (1 << 20) + b"https://a:b@c")
    assert "hidden by ringfence" in (clean_copy(str(tmp_path / "huge")) or "")


CORE = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n"
CLONE = (
    CORE
    + '[remote "origin"]\n\turl = https://git.example.com/o/r.git\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n'
    + '[branch "main"]\n\tremote = origin\n\tmerge = refs/heads/main\n'
)


@pytest.mark.parametrize(
    "text", [CORE, CLONE, CLONE.replace("https://git.example.com/o/r.git", "git@git.example.com:o/r.git")]
)
def test_what_git_itself_writes_is_plain(tmp_path, text):
    (tmp_path / "config").write_text(text)
    assert is_plain(str(tmp_path / "config"))


def test_a_real_fresh_repository_is_plain(tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path / "r")], check=True, timeout=20)
    assert is_plain(str(tmp_path / "r/.git/config"))
    assert is_untouched_hooks(str(tmp_path / "r/.git/hooks"))
    (tmp_path / "r/.git/hooks/pre-commit").write_text("#!/bin/sh\n")
    assert not is_untouched_hooks(str(tmp_path / "r/.git/hooks"))


@pytest.mark.parametrize(
    "text",
    [
        CORE + "\tfsmonitor = ./x\n",
        CORE + "\thooksPath = x\n",
        CORE + "\tsshCommand = x\n",
        CORE + "\tworktree = /home\n",
        CORE + "\tpager = x\n",
        CORE + "\tfilemode = true \\\n fsmonitor = x\n",
        "[CORE]\n\tfsmonitor = x\n",
        "[core] fsmonitor = x\n",
        "[core]fsmonitor = x ]\n",
        "[core]\r\n\tbare = false\n",
        "[core]\n\tbare = false\r\tfsmonitor = x\n",
        "[alias]\n\tst = !x\n",
        "[include]\n\tpath = x\n",
        '[includeIf "gitdir:/"]\n\tpath = x\n',
        '[filter "x"]\n\tsmudge = x\n',
        '[diff "x"]\n\ttextconv = x\n',
        "[credential]\n\thelper = !x\n",
        "[gpg]\n\tprogram = x\n",
        '[remote "o"]\n\turl = ext::sh -c x\n',
        '[remote "o"]\n\turl = --upload-pack=x\n',
        '[remote "o"]\n\turl = ssh://-oProxyCommand=x/y\n',
        '[remote "o"]\n\turl = -oProxyCommand=x:y\n',
        '[remote "o"]\n\turl = /tmp/evil\n',
        '[remote "o"]\n\tuploadpack = x\n',
        '[remote "o"]\n\treceivepack = x\n',
        '[remote "o"]\n\tvcs = x\n',
        '[branch "m"]\n\tremote = ext::x\n',
        '[branch "m"]\n\tremote = ./evil\n',
        '[url "x"]\n\tinsteadOf = https://\n',
        '[core "\n[alias]\n"]\n',
        "[extensions]\n\tworktreeConfig = true\n",
        "\ufeff[core]\n",
        "key = before a section\n",
    ],
)
def test_what_could_make_git_run_or_reach_something_is_not(tmp_path, text):
    (tmp_path / "config").write_text(text, newline="")
    assert not is_plain(str(tmp_path / "config"))


def test_a_link_is_never_plain(tmp_path):
    (tmp_path / "real").write_text(CORE)
    (tmp_path / "config").symlink_to("real")
    (tmp_path / "hooks").symlink_to(tmp_path)
    assert not is_plain(str(tmp_path / "config"))
