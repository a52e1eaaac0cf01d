"""The open control: attacks that are judged otherwise under a kernel of the session's own, where nothing holds.

"Nothing" is `bwrap --dev-bind / /`: the whole machine, as whoever runs the tests. bubblewrap is only
there so that what an attack does to mounts stays in a mount namespace of its own. The attacks are made
through the very same code as on a real boundary, with facts that point at real files.

Each attack by itself succeeds in test_weakened.py: a probe that cannot fail proves nothing.
"""

import os
import shutil
import signal
import subprocess
import time

import pytest
from person import Person

from ringfence.verify import session, witness
from ringfence.verify.attacks import ATTACKS
from ringfence.verify.canary import Canaries

LIMITS = (("processes", 64), ("file_size", 1 << 20), ("open_files", 64), ("scratch", 1 << 20))


PROTECTED = (".git/config", ".git/hooks", ".envrc", "a/b/.mcp.json")


def identity(path):
    status = os.stat(path)
    return {
        "path": path,
        "device": status.st_dev,
        "inode": status.st_ino,
        "size": status.st_size,
        "changed": status.st_mtime_ns,
    }


def facts(person, canaries):
    """Say what `facts.gather` would, of a machine without a boundary."""
    project = person.project
    return {
        **canaries.facts,
        "root": project,
        "home": person.home,
        "environment": ["PATH", "HOME"],
        "variables": [*session.TOKEN_VARIABLES, session.FUNCTION_VARIABLE],
        "protected": [f"{project}/{name}" for name in PROTECTED],
        "existing": [os.path.join(project, name) for name in os.listdir(project)],
        "writable": [project],
        "credentials": [identity(f"{project}/.env"), identity(f"{person.home}/.ssh")],
        "invisible": [identity(f"{person.home}/.bashrc")],
        "policy_files": [f"{project}/.envrc"],
        "own_folders": [person.home],
        "own_identities": {person.home: [os.stat(person.home).st_dev, os.stat(person.home).st_ino]},
        "authority": [],
        "private_paths": [],
        "users": ["root"],
        "limits": [{"name": name, "value": value, "held": "enforced"} for name, value in LIMITS],
        "host_pids": [os.getpid()],
        "namespaces": {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in ("pid", "ipc", "net", "uts")},
        "sockets": [f"{canaries.facts['planted_folder']}/socket"],
        "abstract": [canaries.facts["canary_abstract"]],
    }  # fmt: skip


def test_set_user_id_programs_give_root_where_nothing_holds(ordinary):
    """Without bubblewrap, which sets no_new_privs, and as an ordinary user, whom they give something."""
    lines = [
        "from ringfence.verify.attacks import privileges",
        "found = privileges._set_user_id_programs()",
        "known = [one for one in found if one.endswith(('/su', '/passwd', '/chfn', '/mount'))]",
        "print([privileges._gained(known[0])])",
    ]
    argv = [*ordinary.prefix, ordinary.python, "-c", "\n".join(lines)]
    done = subprocess.run(
        argv, env=ordinary.environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "[None]", done.stderr  # it returned, and did not raise "gained nothing"


@pytest.fixture(scope="module")
def judged_as_a_guest():
    """Return module → finding of what is judged otherwise under a kernel of its own, where nothing holds."""
    if os.getuid() != 0:
        pytest.skip("what a guest's root may do, only root can do without a guest")
    person = Person(os.getuid(), os.getgid(), "tester")
    before = os.getcwd()
    os.chdir(person.project)
    try:
        with Canaries() as canaries:
            open_wide = ("--dev-bind", "/", "/", "--unshare-pid", "--cap-add", "ALL", "--")
            start = session.Starter(words=(shutil.which("bwrap"), *open_wide), token=canaries.token)
            with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
                own = {"own_kernel": True, "tier": "microvm", "boot": file.read().strip()}
            wanted = {"S05", "S06", "S10", "S11", "S18", "S22"}
            chosen = tuple(one for one in ATTACKS if one.id in wanted)
            yield session.make(start, chosen, {**facts(person, canaries), **own})
    finally:
        os.chdir(before)
        person.close()


def test_a_guest_that_is_none_is_found_out(judged_as_a_guest):
    assert judged_as_a_guest["processes"]["held"] is False, (
        "the host's own namespaces, under the host's kernel"
    )
    assert "shared with the host" in judged_as_a_guest["processes"]["evidence"]
    assert "in /tmp succeeded" in judged_as_a_guest["devices"]["evidence"], "the node opened something"
    assert judged_as_a_guest["devices"]["held"] is False
    assert judged_as_a_guest["read_only"]["held"] is False, judged_as_a_guest["read_only"]
    assert judged_as_a_guest["kernel_files"]["held"] is False
    assert judged_as_a_guest["privileges"]["held"] is False


def test_what_ran_a_guest_and_goes_on_is_seen():
    argv = [shutil.which("unshare"), "--user", "--map-root-user", "--pid", "--fork", "sleep", "60"]
    child = subprocess.Popen(argv)
    try:
        known = frozenset()
        until = time.monotonic() + 5
        while not known and time.monotonic() < until:
            known = witness.below(child.pid)
        assert known
        assert witness.alive(known) == known
        for pid, _ in known:
            os.kill(pid, signal.SIGKILL)
        child.wait(timeout=5)
        assert not witness.alive(known)
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()
