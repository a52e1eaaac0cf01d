"""`ringfence verify` on real boundaries: everything holds, and nothing of the battery stays."""

import glob
import json
import os
import subprocess

import pytest
from person import Person, snapshot

from ringfence.verify.attacks import ATTACKS

ALL = {one.id for one in ATTACKS}


def verified(person, *options, **how):
    """Return the parsed report and the result of the command."""
    done = person.ringfence("verify", "--json", *options, **how)
    assert done.stdout, done.stderr
    return json.loads(done.stdout), done


def told(report):
    return "\n".join(
        f"{one['id']} {one['held']} {one['evidence']}"
        for one in report["results"]
        if one["held"] is not True and one["applies"]
    )


class TestEveryAttackHolds:
    def test_in_a_direct_workspace(self, person):
        report, done = verified(person, "--direct")
        assert told(report) == ""
        assert {one["id"] for one in report["results"]} == ALL
        assert done.returncode == 0
        assert report["tries"] > 500

    @pytest.mark.guarantee("W2")
    def test_on_a_copy_of_the_workspace(self, person):
        report, done = verified(person, "--mode", "overlay")
        assert told(report) == ""
        assert {one["id"] for one in report["results"]} == ALL
        assert done.returncode == 0
        assert report["tries"] > 500
        assert json.loads(person.ringfence("sessions", "--json").stdout) == []

    def test_on_a_whole_copy_of_it(self, ordinary):
        report, done = verified(ordinary, "--mode", "overlay", refusing="fsopen=EPERM")
        assert told(report) == ""
        assert done.returncode == 0

    def test_on_a_copy_with_hosts_allowed_and_a_policy_in_the_project(self, ordinary):
        with open(f"{ordinary.project}/ringfence.toml", "w", encoding="utf-8") as file:
            file.write('[workspace]\nmask = ["secrets/**"]\n')
        os.chmod(f"{ordinary.project}/ringfence.toml", 0o666)
        report, done = verified(ordinary, "--use", "claude")
        assert told(report) == ""
        assert done.returncode == 0

    def test_in_a_read_only_workspace(self, ordinary):
        report, done = verified(ordinary, "--mode", "readonly")
        assert told(report) == ""
        assert done.returncode == 0

    def test_in_a_scratch_workspace(self, ordinary):
        report, done = verified(ordinary, "--mode", "scratch")
        assert told(report) == ""
        assert done.returncode == 0

    def test_where_the_kernel_refuses_the_wire(self, person):
        """Ubuntu without our AppArmor profile: bubblewrap works, our own namespaces do not."""
        # Bubblewrap's own mounts cannot reach a copy in root's state folder; root is not refused there for real.
        mode = () if person.uid else ("--direct",)
        report, done = verified(person, *mode, refusing="bare-userns=EPERM")
        assert told(report) == ""
        assert done.returncode == 0
        interfaces = next(one["evidence"] for one in report["results"] if one["id"] == "S21")
        assert "eth0" not in interfaces


@pytest.fixture(scope="module")
def battery(ordinary_ids):
    """Return who ran it, what was there before, and what it printed."""
    person = Person(*ordinary_ids)
    before = snapshot(person.project)
    yield person, before, verified(person)
    person.close()


class TestOneBattery:
    """What is true of any: looked at after one."""

    def test_changes_nothing_of_the_user(self, battery):
        person, before, (report, _done) = battery
        assert told(report) == ""
        after = snapshot(person.project)
        assert {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)} == set()

    def test_leaves_nothing_of_its_own(self, battery):
        person = battery[0]
        for folder in ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue"):
            left = [path for path in glob.glob(f"{folder}/*ringfence-verify*") if _owner(path) == person.uid]
            assert left == []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    assert b"ringfence-verify-" not in file.read() or _owner(f"/proc/{pid}") != person.uid
            except OSError:
                continue

    def test_prints_no_secret_of_the_user(self, battery):
        person, _before, (_report, command) = battery
        with open(f"{person.home}/.ssh/id_ed25519", encoding="utf-8") as file:
            secret = file.read().split()[-1]
        text = command.stdout + command.stderr
        assert secret not in text
        assert person.environment["MY_SERVICE_TOKEN"] not in text
        assert '"held": true' in text

    def test_leaves_git_of_the_host_working(self, battery):
        person = battery[0]
        git = [*person.prefix, "git", "-C", person.project]
        for words in ([*git, "fsck"], [*git, "submodule", "status"], [*git, "-C", "tree", "status"]):
            assert subprocess.run(words, check=False, capture_output=True, timeout=30).returncode == 0


def _owner(path):
    try:
        return os.lstat(path).st_uid
    except OSError:
        return -1


def test_where_no_boundary_can_be_made_it_says_so_and_ends_with_125(ordinary):
    done = ordinary.ringfence("verify", refusing="userns=EPERM")
    assert done.returncode == 125
    assert "error: " in done.stderr
    assert " held " not in done.stdout


def test_only_some_attacks_are_made_where_they_are_named(ordinary):
    report, done = verified(ordinary, "--only", "s04,S24")
    assert [(one["id"], one["held"], one["applies"]) for one in report["results"]] == [
        ("S04", True, True),
        ("S24", None, False),
    ]
    assert done.returncode == 0
    unknown = ordinary.ringfence("verify", "--only", "S99")
    assert unknown.returncode == 2
    assert "names no attack: S99" in unknown.stderr


def test_a_tier_that_is_not_here_is_an_error(ordinary):
    done = ordinary.ringfence("verify", "--tier", "microvm", "--only", "S04")
    assert done.returncode == 125
    assert "microvm: kernel" in done.stderr


def test_a_command_is_a_usage_error(ordinary):
    done = ordinary.ringfence("verify", "--", "true")
    assert done.returncode == 2
    assert "takes no command" in done.stderr


def test_an_unknown_option_is_a_usage_error(ordinary):
    assert ordinary.ringfence("verify", "--jsn").returncode == 2


WEAKENED = """#!/usr/bin/python3
import os, sys
at = sys.argv.index("--args") + 1
options = os.read(int(sys.argv[at]), 1 << 20).split(b"\\0")[:-1]
filter_at = options.index(b"--seccomp")
del options[filter_at : filter_at + 2]
fd = os.memfd_create("options", 0)
os.write(fd, b"".join(option + b"\\0" for option in options))
os.lseek(fd, 0, 0)
os.execv("/usr/bin/bwrap", ["bwrap", "--args", str(fd), *sys.argv[at + 1 :]])
"""


@pytest.mark.guarantee("T8")
def test_a_boundary_that_lacks_something_is_told_by_its_status(person):
    """The same battery, where bubblewrap leaves out the system call filter."""
    folder = f"{person.folder}/weak/a/b"
    os.makedirs(folder)
    with open(f"{folder}/bwrap", "w", encoding="ascii") as file:
        file.write(WEAKENED)
    os.chmod(f"{folder}/bwrap", 0o755)
    report, done = verified(person, "--only", "S03,S04,S05", RINGFENCE_BWRAP=f"{folder}/bwrap")
    assert done.returncode == 1
    through = {one["id"] for one in report["results"] if one["held"] is False}
    assert through == {"S03", "S04"}
