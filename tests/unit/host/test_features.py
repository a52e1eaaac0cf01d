"""What a refusal means, told the same by `run` and `doctor`; shown by making the kernel refuse."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from ringfence.host import features, trials

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
PROFILE = os.path.join(TOP, "src/ringfence/host/ringfence.apparmor")


@pytest.fixture
def machine(tmp_path):
    """Return a maker of a root directory with sysctls and signs of a container."""

    def make(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return str(tmp_path)

    return make


class TestExplaining:
    def test_apparmor_on_ubuntu_gets_the_command_that_installs_our_profile(self, machine):
        root = machine(proc__sys__kernel__apparmor_restrict_unprivileged_userns="1\n")
        message, hint = features.explain("uid_map", errno.EPERM, root)
        assert message == (
            "the kernel did not let ringfence map its user inside a user namespace: "
            "Operation not permitted (EPERM); "
            "AppArmor keeps programs without a profile from using user namespaces (Ubuntu 23.10 and later)"
        )
        assert hint == (
            f"sudo install -m 644 {PROFILE} /etc/apparmor.d/ringfence"
            " && sudo apparmor_parser -r /etc/apparmor.d/ringfence"
        )

    def test_namespaces_switched_off(self, machine):
        root = machine(proc__sys__user__max_user_namespaces="0\n")
        message, hint = features.explain("userns", errno.ENOSPC, root)
        assert "switched off (user.max_user_namespaces=0)" in message
        assert hint == "sudo sysctl -w user.max_user_namespaces=15000"

    def test_namespaces_used_up(self, machine):
        message, hint = features.explain(
            "userns", errno.ENOSPC, machine(proc__sys__user__max_user_namespaces="1000\n")
        )
        assert "nested too deep" in message
        assert "one container further out" in hint

    def test_root_only_namespaces(self, machine):
        message, hint = features.explain(
            "userns", errno.EPERM, machine(proc__sys__kernel__unprivileged_userns_clone="0\n")
        )
        assert "to root only" in message
        assert hint == "sudo sysctl -w kernel.unprivileged_userns_clone=1"

    @pytest.mark.parametrize(("sign", "kind"), [(".dockerenv", "docker"), ("run__.containerenv", "podman")])
    def test_a_containers_filter(self, machine, sign, kind):
        message, hint = features.explain("userns", errno.EPERM, machine(**{sign: ""}))
        assert f"a {kind} container whose own filter refuses it" in message
        assert f"`{kind} run --security-opt seccomp=unconfined" in hint

    def test_docker_on_ubuntu_is_the_containers_filter_and_not_apparmor(self, machine):
        root = machine(**{".dockerenv": "", "proc__sys__kernel__apparmor_restrict_unprivileged_userns": "1"})
        assert "container" in features.explain("userns", errno.EPERM, root)[0]
        assert "AppArmor" in features.explain("uid_map", errno.EACCES, root)[0]

    def test_a_module_that_is_missing(self, machine):
        message, hint = features.explain("nftables", errno.ENOENT, machine())
        assert "not loaded" in message
        assert hint == "sudo modprobe -a nf_tables nft_chain_nat nft_redir"

    def test_a_full_disk_is_no_lack_of_namespaces(self, machine):
        message, hint = features.explain("state", errno.ENOSPC, machine())
        assert "the disk or the quota is full" in message
        assert hint.startswith("df -h")

    def test_a_read_only_home(self, machine):
        assert "RINGFENCE_STATE_DIR" in features.explain("state", errno.EROFS, machine())[1]

    def test_an_old_windows_subsystem(self, machine):
        assert (
            "WSL 1"
            in features.explain("userns", errno.EINVAL, machine(proc__version="Linux 4.4.0-Microsoft"))[1]
        )

    @pytest.mark.parametrize("step", [*features.STEPS, "something new"])
    @pytest.mark.parametrize(
        "number", [errno.EPERM, errno.EACCES, errno.ENOSPC, errno.ENOSYS, errno.EINVAL, 9999]
    )
    def test_every_step_and_error_gets_a_sentence(self, machine, step, number):
        message, _ = features.explain(step, number, machine())
        assert message.startswith("the kernel did not let ringfence ")

    def test_an_odd_path_is_one_word_of_the_command(self, monkeypatch):
        monkeypatch.setattr(features, "_HERE", "/opt/a b/it's")
        assert "'/opt/a b/it'\\''s/ringfence.apparmor'" in features.install_profile()


def doctor(tmp_path, *around, check=False):
    """Run the command on a state directory of its own."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "PYTHONPATH": f"{TOP}/src",
        "RINGFENCE_STATE_DIR": str(tmp_path / "state"),
    }
    argv = [*around, sys.executable, "-m", "ringfence.cli", "doctor", "--json"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=check)
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert done.returncode == (0 if report["sandbox"] else 1)
    return report["sandbox"], {one["name"]: one for one in report["features"]}


def refusing(text):
    return sys.executable, f"{TOP}/tests/refusing.py", text, "--"


class TestAKernelThatRefuses:
    def test_no_user_namespaces_means_no_sandbox(self, tmp_path):
        able, found = doctor(tmp_path, *refusing("userns=EPERM"))
        assert not able
        assert found["userns"]["verdict"] == "degraded"
        assert "Operation not permitted (EPERM)" in found["userns"]["detail"]
        assert found["bwrap"]["verdict"] == "missing"
        assert found["bwrap"]["consequence"] == "no boundary can be made: `ringfence run` refuses to start"
        assert found["bwrap"]["mend"]

    def test_namespaces_used_up(self, tmp_path):
        able, found = doctor(tmp_path, *refusing("userns=ENOSPC"))
        assert not able
        assert "No space left on device (ENOSPC)" in found["userns"]["detail"]
        assert "user.max_user_namespaces" in found["userns"]["mend"]

    def test_where_only_we_are_refused_bubblewrap_still_makes_a_boundary_without_the_wire(self, tmp_path):
        able, found = doctor(tmp_path, *refusing("bare-userns=EPERM"))
        assert able
        assert found["bwrap"]["verdict"] == "ok"
        assert found["netns"]["verdict"] == "degraded"
        assert (
            found["netns"]["consequence"]
            == "no private wire: programs reach the gate by proxy variables only"
        )
        assert found["veth"]["detail"] == "not tried: it needs a network namespace, see there"

    def test_a_kernel_without_landlock(self, tmp_path):
        able, found = doctor(tmp_path, *refusing("landlock_create_ruleset=ENOSYS"))
        assert able
        assert found["landlock"]["verdict"] == "degraded"
        assert "lsm=" in found["landlock"]["mend"]

    def test_a_kernel_without_pidfd(self, tmp_path):
        _, found = doctor(tmp_path, *refusing("pidfd_open=ENOSYS"))
        assert found["pidfd"]["verdict"] == "degraded"
        assert "built without it" in found["pidfd"]["detail"]

    def test_user_namespaces_really_used_up(self, tmp_path):
        """No filter: the kernel's own limit, in a user namespace of the test's."""
        if trials.attempt(*trials.user_namespace())[0]:
            pytest.skip("missing: user namespaces")
        script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
        able, found = doctor(tmp_path, "unshare", "-U", "--map-root-user", "sh", "-c", script, "sh")
        assert not able
        assert found["userns"]["mend"] == "sudo sysctl -w user.max_user_namespaces=15000"


class TestTheSurvey:
    def test_says_that_this_machine_can(self, tmp_path):
        able, found = doctor(tmp_path)
        assert able
        assert found["bwrap"]["verdict"] == "ok"
        for one in found.values():
            assert set(one) == {"name", "what", "verdict", "detail", "consequence", "mend", "needed"}
            assert one["verdict"] == "ok" or one["mend"] or one["detail"].startswith("not tried")

    def test_leaves_nothing_behind(self, tmp_path):
        doctor(tmp_path)
        assert os.listdir(tmp_path) == []
        assert not [
            name
            for folder in ("/sys/fs/cgroup", "/sys/fs/cgroup/pids", "/tmp")
            if os.path.isdir(folder)
            for name in os.listdir(folder)
            if "ringfence-doctor" in name
        ]

    def test_a_state_directory_that_cannot_be_made(self, tmp_path):
        (tmp_path / "state").write_text("a file")
        able, found = doctor(tmp_path)
        assert not able
        assert found["state"]["verdict"] == "missing"

    def test_an_unknown_argument_is_a_usage_error(self):
        done = subprocess.run(
            [sys.executable, "-m", "ringfence.cli", "doctor", "--x"],
            env={"PYTHONPATH": f"{TOP}/src"},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 2
        assert "unknown argument `--x`" in done.stderr


class TestTrials:
    def test_the_first_refused_step_is_named(self):
        def refuse():
            raise PermissionError(errno.EACCES, "no")

        assert trials.attempt(("one", lambda: None), ("two", refuse), ("three", lambda: None)) == (
            "two",
            errno.EACCES,
        )

    def test_a_step_that_ends_its_process_has_not_worked(self):
        assert trials.attempt(("one", lambda: os._exit(0))) == ("one", errno.EIO)

    def test_a_step_that_hangs_is_ended(self, monkeypatch):
        import time

        monkeypatch.setattr(trials, "_PATIENCE", 0.2)
        assert trials.attempt(("one", lambda: time.sleep(60))) == ("one", errno.EIO)

    def test_a_filter_that_is_not_in_force_is_noticed(self, monkeypatch):
        monkeypatch.setattr(trials, "install_filter", lambda _program: None)
        assert trials.attempt(("seccomp", trials.seccomp)) == ("seccomp", errno.EIO)


def test_the_apparmor_profile_is_read_by_apparmors_own_parser(tmp_path):
    parser = shutil.which("apparmor_parser") or (
        "/usr/sbin/apparmor_parser" if os.path.exists("/usr/sbin/apparmor_parser") else ""
    )
    if not parser:
        pytest.skip("missing: apparmor_parser")
    with open(PROFILE, encoding="utf-8") as file:
        text = file.read()
    version = subprocess.run(
        [parser, "--version"], capture_output=True, text=True, timeout=30, check=True
    ).stdout
    if int(re.search(r"version (\d+)", version)[1]) < 4:
        # the rule and the interface it needs came with version 4, which Ubuntu has; the rest is read here
        text = text.replace("  userns,\n", "").replace("abi <abi/4.0>,\n", "")
    file = tmp_path / "ringfence"
    file.write_text(text)
    done = subprocess.run(
        [parser, "-Q", "-K", str(file)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_profile_lets_a_namespace_be_made_and_has_the_name_that_we_enter():
    with open(PROFILE, encoding="utf-8") as file:
        rules = [line for line in file.read().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "abi <abi/4.0>,"
    assert f"profile {features.PROFILE} flags=(unconfined) {{" in rules
    assert "  userns," in rules
