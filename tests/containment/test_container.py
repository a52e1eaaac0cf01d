"""What is peculiar to the container tier: the engine, what it is asked for, and what happens when it fails."""

import json
import os
import signal
import subprocess
import time

import pytest
from docking import Engine
from field import Field, gone_within
from person import Person

from ringfence.boundary import seccomp_oci
from ringfence.boundary.seccomp import Options
from ringfence.boundary.tiers.container import differences

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may enter what Docker's daemon makes"),
]


@pytest.fixture(scope="module")
def engine():
    one = Engine()
    yield one
    one.close()


@pytest.fixture(scope="module")
def root():
    one = Person(0, 0, "root")
    yield one
    one.close()


@pytest.fixture
def field(root, engine):
    one = Field(root)
    one.variables = engine.variables
    one.policy('tier = ["container"]\n')
    yield one
    left = [*engine.containers(), *one.left_over()]
    one.close()
    assert not left


def test_the_container_is_hardened(field, engine):
    field.policy('tier = ["container"]\n[limits]\nmemory = "256M"\nprocesses = 50\n')
    child = field.start("run", "--", "sh", "-c", "echo ready; cat")
    assert child.stdout.readline() == b"ready\n", child.stderr.read()
    made = json.loads(engine.docker("inspect", *engine.containers()).stdout)[0]
    child.communicate(b"", timeout=20)
    host = made["HostConfig"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert not host["Privileged"]
    assert host["ReadonlyRootfs"]
    assert host["NetworkMode"] == "none"
    assert host["IpcMode"] == "private"
    assert host["LogConfig"]["Type"] == "none"
    assert "no-new-privileges" in host["SecurityOpt"]
    assert (host["Memory"], host["MemorySwap"], host["PidsLimit"]) == (256 << 20, 256 << 20, 50)
    assert made["Config"]["User"] == "65534:65534"
    session = os.path.basename(field.sessions()[-1])
    assert made["Config"]["Labels"] == {"dev.ringfence.session": session}
    mounts = [(one["Source"], one["Destination"], one["RW"]) for one in made["Mounts"]]
    assert mounts == [(f"{field.sessions()[-1]}/inside", "/run/ringfence", False)]


def test_neither_the_engine_nor_the_door_can_be_reached_from_inside(field, engine):
    done = field.python(
        "import os, socket\n"
        f"for path in ({engine.socket!r}, '/run/docker.sock', '/var/run/docker.sock', '/run/ringfence/door'):\n"
        "    try: socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET if 'door' in path else 1).connect(path); print('REACHED', path)\n"
        "    except OSError as error: print(type(error).__name__)\n"
    )
    assert done.out.split() == ["FileNotFoundError"] * 4, done


def test_tmp_and_home_execute_nothing(field):
    done = field.sh('for d in /tmp "$HOME" /var/tmp; do cp /bin/true $d/x && $d/x && echo RAN; done; true')
    assert "RAN" not in done.out, done
    assert done.err.lower().count("permission denied") == 3, done


def test_root_and_system_are_read_only_and_sys_is_empty(field):
    done = field.sh("touch /x /etc/x /usr/x /run/x /sys/x; ls /sys; cat /proc/kallsyms | head -1")
    assert done.out == "", done
    assert done.err.count("touch:") == 5, done


def test_the_memory_limit_ends_what_takes_more(field):
    field.policy('tier = ["container"]\n[limits]\nmemory = "128M"\n')
    done = field.python("x = bytearray(400 << 20); print('HAD')")
    assert "HAD" not in done.out
    assert done.code == 137, done


def test_the_process_limit_holds(field):
    field.policy('tier = ["container"]\n[limits]\nprocesses = 20\n')
    done = field.sh("for i in $(seq 60); do sleep 5 & done; echo done")
    assert "fork" in done.err.lower(), done


def test_orphans_are_reaped_and_the_command_is_not_the_first_process(field):
    done = field.sh("(sleep 0.1 &) ; sleep 0.5; ps -e -o stat= | grep -c Z; echo $$")
    assert done.out.split()[0] == "0", done
    assert int(done.out.split()[1]) > 1


def test_an_image_that_is_another_under_our_name_is_refused(field, engine):
    assert field.sh("true").code == 0
    names = engine.docker("images", "ringfence", "--format", "{{.Repository}}:{{.Tag}}").stdout.split()
    archive = subprocess.run(
        ["tar", "cf", "-", "-C", "/var/empty" if os.path.isdir("/var/empty") else "/srv", "."],
        capture_output=True,
        check=True,
    ).stdout
    for name in names:
        engine.docker("rmi", "-f", name)
        subprocess.run(
            ["docker", "import", "-", name], input=archive, env={"PATH": os.environ["PATH"], **engine.variables},
            check=True, capture_output=True,
        )  # fmt: skip
    done = field.sh("echo RAN")
    assert done.code == 125
    assert "is not the one that ringfence made" in done.err
    assert "RAN" not in done.out
    for name in names:
        engine.docker("rmi", "-f", name)


@pytest.mark.parametrize("change", [
    ("Image", None, "sha256:other"), ("HostConfig", "Privileged", True), ("HostConfig", "NetworkMode", "host"),
    ("HostConfig", "CapAdd", ["SYS_ADMIN"]), ("HostConfig", "SecurityOpt", []), ("HostConfig", "Devices", ["/dev/kvm"]),
    ("HostConfig", "Binds", ["/:/host"]), ("Config", "User", ""), ("Config", "Entrypoint", ["/bin/sh"]),
    ("Mounts", None, [{"Type": "bind", "Source": "/", "Destination": "/host", "RW": True}]),
])  # fmt: skip
def test_any_difference_from_what_was_asked_is_seen(change):
    asked = {"User": "5:5", "Entrypoint": ["/e"], "HostConfig": {
        "Privileged": False, "NetworkMode": "none", "CapAdd": [], "SecurityOpt": ["no-new-privileges"], "Devices": [],
        "Binds": [], "Mounts": [{"Type": "bind", "Source": "/s", "Target": "/t", "ReadOnly": True}],
    }}  # fmt: skip
    made = {
        "Image": "sha256:one", "Config": {"User": "5:5", "Entrypoint": ["/e"]},
        "HostConfig": {**asked["HostConfig"], "CapAdd": None, "Devices": None, "Binds": None},
        "Mounts": [{"Type": "bind", "Source": "/s", "Destination": "/t", "RW": False}],
    }  # fmt: skip
    assert differences(asked, "sha256:one", made) == ()
    section, key, value = change
    made = {**made, section: value if key is None else {**made[section], key: value}}
    assert differences(asked, "sha256:one", made)


def test_the_engines_death_ends_the_session_with_a_word(field, engine):
    child = field.start("run", "--", "sh", "-c", "echo ready; sleep 300")
    assert child.stdout.readline() == b"ready\n", child.stderr.read()
    engine.kill()
    try:
        _out, err = child.communicate(timeout=30)
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        engine.start()
    assert child.returncode != 0
    assert b"engine" in err.lower() or b"daemon" in err.lower(), err
    assert not gone_within(field, 4.0)
    field.sh("true")


def test_streams_pass_whole_and_apart(field):
    data = os.urandom(3 << 20)
    done = field.run("run", "--", "sh", "-c", "cat; echo apart >&2; exit 7", data=data)
    assert done.raw == data
    assert (done.err, done.code) == ("apart\n", 7)


def test_a_signal_is_heard_also_where_nobody_reads(field, engine):
    child = field.start("run", "--", "sh", "-c", "echo ready >&2; exec yes")
    assert child.stderr.readline() == b"ready\n"
    assert child.stdout.read(100_000).count(b"y\n") == 50_000  # and from here on nobody reads
    child.terminate()
    try:
        child.wait(timeout=20)
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate(timeout=10)
    assert child.returncode == 143
    assert not engine.containers()


def test_a_reader_that_goes_away_ends_the_writer(field):
    child = field.start("run", "--", "sh", "-c", "echo ready >&2; exec yes")
    assert child.stderr.readline() == b"ready\n"
    child.stdout.close()
    try:
        assert child.wait(timeout=20) != 0
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait(timeout=10)
        child.stderr.close()
        child.stdin.close()


def test_a_missing_engine_is_said(field):
    done = field.run("run", "--", "true", variables={"DOCKER_HOST": "unix:///nowhere/docker.sock"})
    assert done.code == 125
    assert "the engine at /nowhere/docker.sock does not answer" in done.err
    done = field.run("run", "--", "true", variables={"DOCKER_HOST": "tcp://192.0.2.1:2375"})
    assert done.code == 125
    assert "not a Unix socket of this machine" in done.err


def test_a_killed_launcher_and_keeper_leave_nothing_after_the_next_run(field, engine):
    child = field.start("run", "--", "sh", "-c", "echo ready; sleep 300")
    assert child.stdout.readline() == b"ready\n", child.stderr.read()
    with open(f"/proc/{child.pid}/task/{child.pid}/children", encoding="ascii") as file:
        below = [int(one) for one in file.read().split()]
    for pid in (*below, child.pid):
        os.kill(pid, signal.SIGKILL)
    child.communicate(timeout=10)
    assert engine.containers()  # nobody was there to remove it: the next launcher does
    assert field.sh("true").code == 0
    assert not engine.containers()


def test_a_killed_launcher_alone_leaves_no_container(field, engine):
    child = field.start("run", "--", "sh", "-c", "echo ready; sleep 300")
    assert child.stdout.readline() == b"ready\n", child.stderr.read()
    os.kill(child.pid, signal.SIGKILL)
    child.communicate(timeout=10)
    deadline = time.monotonic() + 10
    while engine.containers() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not engine.containers()
    assert field.sh("true").code == 0


_CALLS = r"""
import ctypes, json, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
out = []
for call in json.loads(sys.argv[1]):
    result = libc.syscall(*[ctypes.c_ulong(one & 0xFFFFFFFFFFFFFFFF) for one in call])
    out.append(ctypes.get_errno() if result == -1 else 0)
print(json.dumps(out))
"""


def test_the_rendered_profile_refuses_what_the_filter_refuses(engine, tmp_path):
    """Under the engine's filter alone: the entry program's own is not there."""
    calls = [
        [41, 40, 1, 0], [41, 38, 5, 0], [41, 2, 3, 0], [41, 2, 5, 0], [41, 2, 1, 132], [41, 10, 1, 262],
        [41, 16, 3, 5], [41, 2 | 1 << 40, 3, 0], [41, 44, 3, 0], [16, 0, 0x5412, 0], [16, 0, 0x5412 | 1 << 40, 0],
        [272, 0x10000000], [272, 0x40000000], [56, 0x10000000, 0, 0, 0, 0], [435, 0, 0], [425, 1, 0], [165, 0, 0, 0, 0, 0],
        [101, 0, 0, 0, 0], [321, 0, 0, 0], [90, 0, 0o4755], [268, -100, 0, 0o2755], [257, -100, 0, 0o101, 0o4755],
        [316, -100, 0, -100, 0, 4], [437, -100, 0, 0, 0], [161, 0], [250, 0, 0, 0, 0, 0], [103, 3, 0, 0],
    ]  # fmt: skip
    fine = [[41, 1, 1, 0], [41, 2, 1, 0], [41, 2, 2, 17], [41, 10, 1, 6], [41, 16, 3, 0], [272, 0]]
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps(seccomp_oci.profile(os.uname().machine, Options())))
    program = tmp_path / "calls.py"
    program.write_text(_CALLS)
    root = tmp_path / "root.tar"
    subprocess.run(["tar", "cf", root, "--files-from", "/dev/null"], check=True)
    engine.docker("import", str(root), "bare")
    binds = [
        word
        for name in ("usr", "lib", "lib64")
        if os.path.exists(f"/{name}")
        for word in ("-v", f"/{name}:/{name}:ro")
    ]
    done = engine.docker(
        "run", "--rm", "--network", "none", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--security-opt",
        f"seccomp={profile}", *binds, "-v", f"{program}:/calls.py:ro", "bare", "/usr/bin/python3", "-I", "/calls.py",
        json.dumps([*calls, *fine]), check=False,
    )  # fmt: skip
    engine.docker("rmi", "bare")
    assert done.returncode == 0, done
    answers = json.loads(done.stdout)
    refused, passed = answers[: len(calls)], answers[len(calls) :]
    faults = [call for call, code in zip(calls, refused, strict=True) if code not in {1, 38, 93, 97}]
    assert not faults, list(zip(calls, refused, strict=True))
    assert refused[calls.index([435, 0, 0])] == 38  # glibc falls back to clone only then
    assert passed == [0] * len(fine)
