"""Real git through the gate: it fetches what it may, and pushes only where a rule says (THREATS.md §3.6)."""

import gzip
import os

import pytest
from forge import AUTHOR, Forge, refs, repositories
from gates import rule
from test_clients import run

HOST = "git.example.com"
SAFE = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_GLOBAL": "/dev/null"}


@pytest.fixture(scope="module")
def forge(tmp_path_factory, certificates):
    folder = str(tmp_path_factory.mktemp("forge"))
    for owner in ("acme", "evil"):
        os.mkdir(os.path.join(folder, owner))
    repositories(folder, "acme/app.git", "acme/site.git", "evil/drop.git")
    made = Forge(folder, certificates.context(HOST))
    yield made
    made.close()


@pytest.fixture(scope="module")
def gate(start, forge):
    allowed = ("fetch *", "push acme/app refs/heads/agent/**", "delete acme/app refs/heads/agent/*")
    return start(allow=(rule(HOST, git=allowed),), static=((HOST, forge.address),))


@pytest.fixture
def clone(gate, tmp_path):
    """Clone a repository, and commit to it."""

    def make(name):
        folder = str(tmp_path / "clone")
        assert git(gate, "clone", "-q", f"https://{HOST}/{name}", folder).returncode == 0
        assert git(gate, "-C", folder, *AUTHOR, "commit", "-q", "--allow-empty", "-m", "x").returncode == 0
        return folder

    return make


def git(gate, *argv):
    return run(gate, "git", *argv, environment=SAFE)


@pytest.mark.guarantee("R2")
def test_a_push_to_another_repository_is_refused_before_it_begins(gate, forge, clone):
    folder, before = clone("evil/drop"), refs(forge.folder, "evil/drop.git")
    forge.requests.clear()
    done = git(gate, "-C", folder, "push", "-q", "origin", "HEAD:refs/heads/agent/x")
    assert done.returncode != 0
    assert "403" in done.stderr
    assert forge.requests == []
    assert refs(forge.folder, "evil/drop.git") == before
    told = gate.records("verdict")[-1]
    assert (told["effect"], told["reason"]) == (
        "deny",
        "no rule allows this: pushing to evil/drop is not in the rule",
    )


@pytest.mark.guarantee("R2")
@pytest.mark.parametrize(
    "refspec",
    ["HEAD:refs/heads/main", "HEAD:refs/tags/v1", ":refs/heads/main", "HEAD:refs/heads/agentx", "+HEAD:main"],
)
def test_a_push_to_another_branch_is_refused(gate, forge, clone, refspec):
    folder, before = clone("acme/app"), refs(forge.folder, "acme/app.git")
    forge.requests.clear()
    done = git(gate, "-C", folder, "push", "-q", "origin", refspec)
    assert done.returncode != 0
    assert refs(forge.folder, "acme/app.git") == before
    assert [one for one in forge.requests if one[0] == "POST"] == []


def test_several_refs_in_one_push_pass_only_together(gate, forge, clone):
    folder = clone("acme/app")
    done = git(
        gate, "-C", folder, "push", "-q", "origin", "HEAD:refs/heads/agent/both", "HEAD:refs/heads/other"
    )
    assert done.returncode != 0
    assert "refs/heads/agent/both" not in refs(forge.folder, "acme/app.git")


@pytest.mark.parametrize("protocol", ["0", "1", "2"])
def test_a_branch_that_is_named_is_made_changed_and_deleted(gate, forge, clone, protocol):
    folder, branch = clone("acme/app"), f"refs/heads/agent/p{protocol}"
    version = ("-c", f"protocol.version={protocol}")
    for _ in range(2):
        assert git(gate, "-C", folder, *AUTHOR, "commit", "-q", "--allow-empty", "-m", "y").returncode == 0
        done = git(gate, "-C", folder, *version, "push", "-q", "origin", f"HEAD:{branch}")
        assert done.returncode == 0, done.stderr
    assert branch in refs(forge.folder, "acme/app.git")
    assert git(gate, "-C", folder, *version, "fetch", "-q", "origin").returncode == 0
    done = git(gate, "-C", folder, "push", "-q", "origin", f":{branch}")
    assert done.returncode == 0, done.stderr
    assert branch not in refs(forge.folder, "acme/app.git")


def test_a_push_too_large_to_be_held_passes_chunked_and_whole(gate, forge, clone):
    folder = clone("acme/app")
    with open(os.path.join(folder, "big"), "wb") as file:
        file.write(os.urandom(3_000_000))
    assert git(gate, "-C", folder, "add", "big").returncode == 0
    assert git(gate, "-C", folder, *AUTHOR, "commit", "-q", "-m", "big").returncode == 0
    done = git(gate, "-C", folder, "push", "-q", "origin", "HEAD:refs/heads/agent/big")
    assert done.returncode == 0, done.stderr
    assert "refs/heads/agent/big" in refs(forge.folder, "acme/app.git")


def test_a_push_that_hides_its_commands_is_refused(gate, forge):
    forge.requests.clear()
    kind = ("Content-Type", "application/x-git-receive-pack-request")
    commands = b"0067" + b"0" * 40 + b" " + b"1" * 40 + b" refs/heads/main\0"
    for body, more in (
        (gzip.compress(commands, mtime=0), (("Content-Encoding", "gzip"),)),
        (b"002bpush-cert\0report-status side-band-64k", ()),
        (commands[:50], ()),
        (b"", ()),
        (b"0000" * 3 + commands, ()),
    ):
        status, _, answer = gate.ask(
            f"{HOST}:443", "POST", "/acme/app.git/git-receive-pack", (kind, *more), body
        )
        # What stands behind the flush is no command: git asks first whether it may push at all.
        assert (status == 403) or body.startswith(b"0000"), answer
    assert all(path == "/acme/app.git/git-receive-pack" for _, path in forge.requests)
    assert len(forge.requests) <= 1


def test_the_dumb_protocol_and_anything_else_of_the_host_are_refused(gate, forge):
    forge.requests.clear()
    for path in ("/acme/app.git/info/refs", "/acme/app.git/HEAD", "/acme/app.git/objects/info/packs", "/"):
        assert gate.ask(f"{HOST}:443", "GET", path)[0] == 403
    status, _, _ = gate.ask(
        f"{HOST}:443", "GET", "/acme/app.git/info/refs?service=git-upload-pack&x=c2VjcmV0"
    )
    assert status == 403
    assert forge.requests == []
