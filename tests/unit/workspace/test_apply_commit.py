"""Changes as a commit that git agrees with, in a repository that would run programs for anyone who runs git in it."""

import os
import subprocess

import pytest

from landing import Landing, tree
from layered import put
from ringfence.errors import HostError, UsageError
from ringfence.workspace import commit, manifest
from ringfence.workspace.commit import Commit
from ringfence.workspace.git_refs import is_branch
from ringfence.workspace.stage import Chosen

AUTHOR = "A Person <person@example.test>"
CHANGES = """
echo new > added; chmod 755 added; echo more >> changed; rm gone; rm -r sub/tree; mkdir -p fresh/deep
echo x > fresh/deep/file; mv moved elsewhere; rm file2dir; mkdir file2dir; echo y > file2dir/inner
rm -r dir2file; echo z > dir2file; ln -s added link; chmod +x sub/mode; mkdir empty
echo '* filter=evil diff=evil' > .gitattributes
"""


def git(folder, *words, check=True):
    done = subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@example.test", "-c", "protocol.file.allow=always", *words],
        cwd=folder, check=False, capture_output=True, timeout=60,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"},
    )  # fmt: skip
    assert not check or done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture(params=["sha1", "sha256"])
def landing(request, tmp_path):
    """Return a project in a repository with a few commits, and a session that is over."""
    one = Landing(tmp_path)
    git(one.below, "init", "-q", "-b", "main", f"--object-format={request.param}")
    for name in (
        "changed",
        "gone",
        "sub/mode",
        "sub/tree/a",
        "sub/tree/b/c",
        "file2dir",
        "dir2file/in/ner",
        "kept",
    ):
        put(one.below, name, name)
    put(one.below, "moved", "some content that moves")
    commit_all(one.below)
    put(one.below, "changed", "first\n" * 100)
    commit_all(one.below)
    put(one.below, "changed", "first\n" * 100 + "second\n")
    commit_all(one.below)
    return one


def commit_all(folder):
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "some commit")


def make(landing, branch="agent/work", **more):
    changes = landing.changes()
    wanted = Commit(branch=branch, author=AUTHOR, **more)
    return commit.commit(
        landing.layers(), Chosen(changes=changes), manifest.Manifest.of(changes), wanted, home="/nonexistent"
    )


def expected(landing):
    """Return the tree that git itself makes of what the agent saw."""
    place = f"{landing.top}/merged-copy"
    landing.agent(f"cp -a . {place}")
    index = {"GIT_INDEX_FILE": f"{landing.top}/index"}
    for words in (["add", "-A"], ["write-tree"]):
        done = subprocess.run(
            ["git", f"--git-dir={landing.below}/.git", f"--work-tree={place}", *words],
            cwd=place, check=True, capture_output=True, timeout=60, env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **index},
        )  # fmt: skip
    return done.stdout.decode().strip()


@pytest.mark.parametrize("packed", [False, True])
def test_the_commit_is_what_git_would_have_made(landing, packed):
    if packed:
        git(landing.below, "gc", "-q", "--aggressive", "--prune=now")
    landing.began()
    landing.agent(CHANGES)
    before = tree(landing.below)
    head = git(landing.below, "rev-parse", "HEAD").decode().strip()
    done = make(landing, message="What the agent did")
    assert git(landing.below, "rev-parse", "agent/work").decode().strip() == done.commit
    assert git(landing.below, "rev-parse", "agent/work^").decode().strip() == head
    assert (
        git(landing.below, "log", "-1", "--format=%an <%ae>|%s", "agent/work")
        == b"A Person <person@example.test>|What the agent did\n"
    )
    assert git(landing.below, "rev-parse", "agent/work^{tree}").decode().strip() == expected(landing)
    git(landing.below, "fsck", "--strict", "--no-dangling")
    assert git(landing.below, "status", "--porcelain") == b""
    now = tree(landing.below)
    assert {path: now[path] for path in before if path != b".git/index"} == {
        path: before[path] for path in before if path != b".git/index"
    }
    assert all(
        path.startswith((b".git/objects/", b".git/refs/heads/agent")) for path in now.keys() - before.keys()
    )


@pytest.mark.guarantee("Y7")
def test_nothing_that_the_repository_names_is_run(landing):
    trap = f"{landing.top}/trap"
    put(landing.top, "trap", f'#!/bin/sh\necho "$0 $*" >> {landing.top}/sprung\ncat\n', 0o755)
    keys = [
        "core.fsmonitor", "core.sshCommand", "core.pager", "core.editor", "core.askPass", "core.gitProxy",
        "core.alternateRefsCommand", "sequence.editor", "gpg.program", "gpg.ssh.program", "gpg.x509.program",
        "credential.helper", "diff.external", "diff.evil.textconv", "diff.evil.command", "filter.evil.clean",
        "filter.evil.smudge", "filter.evil.process", "merge.evil.driver", "interactive.diffFilter",
        "uploadpack.packObjectsHook", "trailer.sign.command", "alias.commit-tree", "init.templateDir",
    ]  # fmt: skip
    for key in keys:
        git(landing.below, "config", key, trap)
    git(landing.below, "config", "commit.gpgSign", "true")
    git(landing.below, "config", "core.hooksPath", f"{landing.top}/hooks")
    git(landing.below, "config", "include.path", f"{landing.top}/more")
    put(landing.top, "more", f"[core]\n\tfsmonitor = {trap}\n")
    for hook in (
        "pre-commit",
        "post-commit",
        "reference-transaction",
        "post-index-change",
        "update",
        "post-checkout",
        "commit-msg",
    ):
        put(landing.top, f"hooks/{hook}", f"#!/bin/sh\necho {hook} >> {landing.top}/sprung\n", 0o755)
        put(landing.below, f".git/hooks/{hook}", f"#!/bin/sh\necho {hook} >> {landing.top}/sprung\n", 0o755)
    put(landing.below, ".git/info/attributes", "* filter=evil diff=evil\n")
    landing.began()
    landing.agent(CHANGES)
    make(landing)
    assert not os.path.exists(f"{landing.top}/sprung")
    subprocess.run(["git", "status"], cwd=landing.below, capture_output=True, timeout=20, check=False)
    assert os.path.exists(f"{landing.top}/sprung")  # the traps do spring for who runs git there


def test_bytes_are_committed_as_they_are(landing):
    landing.began()
    landing.agent(
        "printf 'a\\r\\nb\\n' > crlf; printf '*.txt text eol=lf\\n* text=auto\\n' > .gitattributes; printf 'x\\r\\n' > y.txt"
    )
    make(landing)
    assert git(landing.below, "cat-file", "blob", "agent/work:crlf") == b"a\r\nb\n"
    assert git(landing.below, "cat-file", "blob", "agent/work:y.txt") == b"x\r\n"


@pytest.mark.parametrize("branch", ["main", "main/inner", "agent", "taken/there"])
def test_a_branch_in_the_way_is_left_alone(landing, branch):
    git(landing.below, "branch", "agent/x")
    git(landing.below, "branch", "taken/there")
    git(landing.below, "pack-refs", "--all")
    landing.began()
    landing.agent(CHANGES)
    refs = git(landing.below, "for-each-ref")
    with pytest.raises(UsageError, match="already"):
        make(landing, branch)
    assert git(landing.below, "for-each-ref") == refs


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-x",
        "a..b",
        "a b",
        "a~1",
        "../x",
        "a/../../x",
        "a.lock",
        "/a",
        "a/",
        "a//b",
        "@",
        "HEAD",
        "a\n",
        ".a",
        "a/.b",
        "x@{1}",
    ],
)
def test_what_is_no_name_of_a_branch_is_refused(name):
    assert not is_branch(name)


def test_names_that_git_takes_are_taken():
    assert all(map(is_branch, ["a", "agent/work", "fix-1.2", "ä", "a@b", "x{y}"]))


def test_the_first_commit_has_no_parent(tmp_path):
    one = Landing(tmp_path)
    git(one.below, "init", "-q", "-b", "main")
    one.began()
    one.agent("echo x > first")
    done = make(one)
    assert git(one.below, "rev-list", "--parents", "agent/work").decode().split() == [done.commit]


def test_a_linked_worktree_gets_its_branch_in_the_main_repository(tmp_path):
    one = Landing(tmp_path)
    main = f"{tmp_path}/main"
    os.mkdir(main)
    git(main, "init", "-q", "-b", "main")
    put(main, "file", "1")
    commit_all(main)
    os.rmdir(one.below)
    git(main, "worktree", "add", "-q", "-b", "side", one.below)
    put(one.below, "side", "2")
    commit_all(one.below)
    one.began()
    one.agent("echo x > first")
    make(one)
    assert git(main, "rev-parse", "agent/work^") == git(main, "rev-parse", "side")
    assert git(main, "ls-tree", "--name-only", "agent/work") == b"file\nfirst\nside\n"


def test_a_submodule_is_not_committed_into(landing):
    inner = f"{landing.top}/inner"
    os.mkdir(inner)
    with open(f"{landing.below}/.git/config") as file:
        algorithm = "sha256" if "sha256" in file.read() else "sha1"
    git(inner, "init", "-q", f"--object-format={algorithm}")
    put(inner, "file", "1")
    commit_all(inner)
    git(landing.below, "submodule", "--quiet", "add", inner, "module")
    commit_all(landing.below)
    landing.began()
    landing.agent("echo 2 > module/file")
    with pytest.raises(HostError, match="module is a submodule"):
        make(landing)


def test_changes_of_the_users_own_are_said(landing):
    put(landing.below, "kept", "mine, not committed\n")
    landing.began()
    landing.agent("echo agent >> kept; echo x >> changed")
    assert make(landing).notes == ("with changes of yours that were not committed: kept",)


def test_a_forged_object_is_noticed(landing):
    landing.began()
    landing.agent("echo x > added")
    head = git(landing.below, "rev-parse", "HEAD^{tree}").decode().strip()
    path = f"{landing.below}/.git/objects/{head[:2]}/{head[2:]}"
    other = git(landing.below, "rev-parse", "HEAD^^{tree}").decode().strip()
    os.chmod(path, 0o644)
    with open(f"{landing.below}/.git/objects/{other[:2]}/{other[2:]}", "rb") as file, open(path, "wb") as to:
        to.write(file.read())
    with pytest.raises(HostError, match="damaged"):
        make(landing)


def test_without_an_author_nothing_is_made(landing):
    landing.began()
    landing.agent("echo x > added")
    changes = landing.changes()
    with pytest.raises(UsageError, match="author"):
        commit.commit(
            landing.layers(),
            Chosen(changes=changes),
            manifest.Manifest.of(changes),
            Commit(branch="b"),
            home="/nonexistent",
        )


def test_a_repository_that_does_not_know_the_folder_is_left_alone(tmp_path):
    other, one = f"{tmp_path}/other", Landing(tmp_path)
    os.mkdir(other)
    git(other, "init", "-q", "-b", "main")
    put(other, "file", "1")
    commit_all(other)
    put(one.below, ".git", f"gitdir: {other}/.git\n")
    before = tree(other)
    one.began()
    one.agent("echo x > first")
    with pytest.raises(HostError, match="does not know this folder"):
        make(one)
    assert tree(other) == before


def test_a_submodule_can_be_the_project(landing):
    inner = f"{landing.top}/inner"
    os.mkdir(inner)
    with open(f"{landing.below}/.git/config") as file:
        algorithm = "sha256" if "sha256" in file.read() else "sha1"
    git(inner, "init", "-q", f"--object-format={algorithm}")
    put(inner, "file", "1")
    commit_all(inner)
    git(landing.below, "submodule", "--quiet", "add", inner, "module")
    landing.below = f"{landing.below}/module"
    landing.began()
    landing.agent("echo x > first")
    make(landing)
    assert git(landing.below, "ls-tree", "--name-only", "agent/work") == b"file\nfirst\n"
