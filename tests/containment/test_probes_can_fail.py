"""The open control: the same attacks where nothing holds. A probe that cannot fail proves nothing.

"Nothing" is `bwrap --dev-bind / /`: the whole machine, as whoever runs the tests. bubblewrap is only
there so that what an attack does to mounts stays in a mount namespace of its own. The attacks are made
through the very same code as on a real boundary, with facts that point at real files.
"""

import os
import shutil
import subprocess

import pytest
from person import Person

from ringfence.verify import battery, session
from ringfence.verify.attacks import ATTACKS
from ringfence.verify.canary import Canaries

ALL_BUT_THE_TERMINAL = sorted({one.id for one in ATTACKS} - {"S01"})
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
def results():
    """Return id → result of the whole battery on the open machine."""
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
            return {one.id: one for one in battery.attack(start, facts(person, canaries), canaries)}
    finally:
        os.chdir(before)
        person.close()


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


def test_the_control_leaves_nothing_behind(results):
    assert results
    assert not [name for name in os.listdir("/tmp") if "ringfence-verify" in name]
