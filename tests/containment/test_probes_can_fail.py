"""The open control: the same attacks where nothing holds. A probe that cannot fail proves nothing.

"Nothing" is `bwrap --dev-bind / /`: the whole machine, as whoever runs the tests. bubblewrap is only
there so that what an attack does to mounts stays in a mount namespace of its own. The attacks are made
through the very same code as on a real boundary, with facts that point at real files.
"""

import os
import shutil
import signal
import subprocess
import time

import pytest
from person import Person

from ringfence.verify import battery, session, witness
from ringfence.verify.attacks import ATTACKS
from ringfence.verify.canary import Canaries

# What needs a session of ours to be there: a gate, a limit. test_weakened.py shows that those can fail.
OURS = {"E01", "E02", "E03", "MEM"}
CHOSEN = tuple(one for one in ATTACKS if one.id not in OURS)
ALL_BUT_THE_TERMINAL = sorted({one.id for one in CHOSEN} - {"S01"})
FOR_ROOT = {"S05", "S22"}  # system files are closed to an ordinary user by their modes alone


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


@pytest.fixture(scope="module")
def control():
    """Return id → result of the whole battery on the open machine, and what was planted for it."""
    bwrap = shutil.which("bwrap")
    if not bwrap:
        pytest.skip("missing: bwrap")
    person = Person(os.getuid(), os.getgid(), "tester")
    person.write("project/key.txt", "x")
    before = os.getcwd()
    os.chdir(person.project)
    try:
        with Canaries() as canaries:
            key = os.path.join(canaries.facts["planted_folder"], "key.pem")
            with open(key, "w", encoding="utf-8") as file:
                file.write("-----BEGIN PRIVATE KEY-----\n")
            start = session.Starter(words=(bwrap, "--dev-bind", "/", "/", "--"), token=canaries.token)
            found = battery.attack(start, facts(person, canaries), canaries, CHOSEN)
            return {one.id: one for one in found}, canaries.facts["planted_files"]
    finally:
        os.chdir(before)
        person.close()


@pytest.fixture
def results(control):
    return control[0]


@pytest.mark.parametrize("attack", ALL_BUT_THE_TERMINAL)
def test_gets_through_where_nothing_holds(results, attack):
    if attack in FOR_ROOT and os.getuid() != 0:
        pytest.skip("these files are closed to an ordinary user by their modes")
    assert results[attack].held is False, results[attack].evidence
    assert results[attack].evidence


def test_types_into_the_terminal_where_nothing_holds(results):
    with open("/proc/sys/dev/tty/legacy_tiocsti", encoding="ascii") as file:
        legacy = file.read().strip() == "1"
    if not legacy:
        pytest.skip("this kernel refuses TIOCSTI to everybody (dev.tty.legacy_tiocsti=0)")
    assert results["S01"].held is False
    assert "typed into the operator's terminal" in results["S01"].evidence


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


def test_the_control_leaves_nothing_behind(control):
    planted = control[1]
    assert len(planted) > 1
    assert not [path for path in planted if os.path.lexists(path)]


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
