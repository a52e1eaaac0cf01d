"""The container tier by Podman, of root's and of an ordinary user's, and images of the operator's own."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time

import pytest
from docking import Engine, Pods, small_image
from field import Field, eventually
from person import Person

from ringfence.boundary.tiers import podman

pytestmark = pytest.mark.timeout(180)
ROOT = os.geteuid() == 0
MAKERS = ["docker root", "podman root", "podman user"] if ROOT else ["podman user"]


@pytest.fixture(scope="module")
def makers(ordinary_ids):
    """Return (person, engine) by name, each made when it is first wanted."""
    made = {}

    def get(name):
        if name not in made:
            person = Person(*ordinary_ids) if name.endswith("user") else Person(0, 0, "root")
            made[name] = person, Engine() if name.startswith("docker") else Pods(person)
        return made[name]

    yield get
    for person, engine in made.values():
        engine.close()
        person.close()


@pytest.fixture
def maker(request):
    return request.param


@pytest.fixture
def engine(makers, maker):
    return makers(maker)[1]


@pytest.fixture
def field(makers, maker):
    person, engine = makers(maker)
    one = Field(person)
    one.variables = engine.variables
    one.policy(wanting(maker))
    yield one
    left = [*engine.containers(), *eventually_nothing(one)]
    one.close()
    assert not left


def eventually_nothing(field, seconds=15):
    """Return what is left; a container's own keeper may need a moment to see that it is gone."""
    until = time.monotonic() + seconds
    while (left := field.left_over()) and time.monotonic() < until:
        time.sleep(0.05)
    return left


def wanting(maker, more=""):
    return f'tier = ["container"]\n[container]\nengine = "{maker.split()[0]}"\n{more}'


of_podman = pytest.mark.parametrize("maker", [one for one in MAKERS if "podman" in one], indirect=True)
of_all = pytest.mark.parametrize("maker", MAKERS, indirect=True)
# Where root's Podman does nothing that one of these two does not
of_two = pytest.mark.parametrize("maker", [one for one in MAKERS if one != "podman root"], indirect=True)


@of_podman
def test_the_container_is_hardened(field, engine):
    child = field.start("run", "--", "sh", "-c", "echo ready; cat")
    assert child.stdout.readline() == b"ready\n", child.stderr.read()
    made = json.loads(engine.podman("container", "inspect", *engine.containers()).stdout)[0]
    child.communicate(b"", timeout=40)
    host = made["HostConfig"]
    assert not made["EffectiveCaps"]
    assert not made["BoundingCaps"]
    assert not host["Privileged"]
    assert host["ReadonlyRootfs"]
    assert host["NetworkMode"] == "none"
    assert host["LogConfig"]["Type"] == "none"
    assert "no-new-privileges" in host["SecurityOpt"]
    assert made["Config"]["Labels"] == {"dev.ringfence.session": os.path.basename(field.sessions()[-1])}
    mounts = [(one["Source"], one["Destination"], one["RW"]) for one in made["Mounts"]]
    assert mounts == [(f"{field.sessions()[-1]}/inside", "/run/ringfence", False)]
    assert (host["UsernsMode"] == "private") == bool(field.person.uid)
    assert made["Config"]["User"] == (
        f"{field.person.uid}:{field.person.gid}" if field.person.uid else "65534:65534"
    )


_TRIED = r"""
import os, resource, socket, ctypes
def tried(name, call):
    try: call(); print("DONE", name)
    except OSError as error: print(error.errno, name)
for path in ("/run/docker.sock", "/run/podman/podman.sock", "/run/ringfence/door", f"/run/user/{os.getuid()}/podman/podman.sock"):
    tried(path, lambda: socket.socket(socket.AF_UNIX).connect(path))
for path in ("/x", "/etc/x", "/usr/x", "/run/x", "/sys/x", "/dev/x"):
    tried(path, lambda: open(path, "w"))
libc = ctypes.CDLL(None, use_errno=True)
def call(*words):
    if libc.syscall(*words) < 0: raise OSError(ctypes.get_errno(), "")
for path in ("/proc/timer_list", "/proc/kallsyms", "/proc/keys"):
    tried(path, lambda: open(path))
tried("core", lambda: resource.setrlimit(resource.RLIMIT_CORE, (2, 2)) if resource.getrlimit(resource.RLIMIT_CORE) != (1, 1) else open("/none"))
for word in ("sessions", "containers.sock", "docker.sock"):
    if word in open("/proc/self/mountinfo").read(): print("DONE naming", word)
tried("unshare", lambda: call(272, 0x10000000))
tried("mount", lambda: call(165, b"n", b"/tmp", b"tmpfs", 0, 0))
tried("setuid", lambda: os.setuid(0))
status = open("/proc/self/status").read()
print(*(status.split(f"{name}:")[1].split()[0] for name in ("SigBlk", "CapBnd")), os.listdir("/sys"))
"""


@of_all
def test_no_socket_of_the_engine_nothing_writable_and_no_rights(field):
    done = field.python(_TRIED)
    assert done.code == 0, done
    assert "DONE" not in done.out, done
    assert "0000000000000000 0000000000000000 []" in done.out, done


@of_podman
def test_tmp_and_home_execute_nothing_and_memory_of_others_is_not_shared(field):
    done = field.sh(
        'for d in /tmp "$HOME" /var/tmp /dev/shm; do cp /bin/true $d/x && $d/x && echo RAN; done; '
        "ls /dev/shm /dev/mqueue; cat /proc/sysvipc/shm | wc -l"
    )
    assert "RAN" not in done.out, done
    assert done.err.lower().count("permission denied") == 4, done
    assert done.out.split()[-1] == "1", done  # the heading


@of_podman
def test_limits_hold(field, maker):
    field.policy(wanting(maker, '[limits]\nmemory = "128M"\nprocesses = 30\n'))
    done = field.python("import time; x = bytearray(600 << 20); time.sleep(20); print('HAD')")
    assert "HAD" not in done.out
    assert done.code == 137, done
    done = field.sh("for i in $(seq 60); do sleep 5 & done; echo done")
    assert "fork" in done.err.lower(), done


@of_podman
def test_a_killed_launcher_leaves_no_container(field, engine):
    child = field.start("run", "--", "sh", "-c", "echo ready; sleep 300")
    assert child.stdout.readline() == b"ready\n", child.stderr.read()
    os.kill(child.pid, signal.SIGKILL)
    child.communicate(timeout=40)
    assert eventually(lambda: not engine.containers(), 30)
    assert field.sh("true").code == 0


@of_podman
def test_a_killed_launcher_and_keeper_leave_nothing_after_the_next_run(field, engine):
    child = field.start("run", "--", "sh", "-c", "echo ready; sleep 300")
    assert child.stdout.readline() == b"ready\n", child.stderr.read()
    with open(f"/proc/{child.pid}/task/{child.pid}/children", encoding="ascii") as file:
        below = [int(one) for one in file.read().split()]
    for pid in (*below, child.pid):
        os.kill(pid, signal.SIGKILL)
    child.communicate(timeout=40)
    assert engine.containers()  # nobody was there to remove it: the next launcher does
    assert field.sh("true").code == 0
    assert not engine.containers()


@of_podman
def test_a_store_that_cannot_be_written_is_said(field):
    place = field.put(
        f"{field.folder}/storage.conf",
        '[storage]\ndriver = "overlay"\ngraphroot = "/proc/none"\nrunroot = "/proc/none"\nrootless_storage_path = "/proc/none"\n',
    )
    done = field.run("run", "--", "true", variables={"CONTAINERS_STORAGE_CONF": place})
    assert done.code == 125
    assert "podman" in done.err
    assert "hint: " in done.err


# --- images of the operator's own -----------------------------------------------------------------


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Return archives by name."""
    folder = tmp_path_factory.mktemp("images")
    return {
        "fine": small_image(folder),
        "other": small_image(folder, files=[("etc/own", "of another\n")]),
        "links": small_image(folder, links=[("etc/passwd", "/etc/shadow"), ("var", "/etc"), ("run", "/tmp")]),
        "traps": small_image(
            folder, links=[("etc/passwd", "/etc/shadow"), ("etc/hosts", "../../../etc/hosts")]
        ),
    }


@of_all
def test_programs_are_the_images_and_nothing_of_it_can_be_written(field, maker, engine, images):
    name = engine.take(images["fine"], "rf-fine:1", "ENV PATH=/bin", "ENV OWN=yes", "LABEL who=somebody")
    field.policy(wanting(maker, f'image = "{name}"\n[egress]\nallow = ["http://example.com"]\n'))
    field.put("here", "seen\n")
    done = field.sh(
        "cat here /etc/own; echo $OWN $PATH; ls -d /usr; id -u; head -1 /etc/ssl/certs/ca-certificates.crt; "
        "touch /x /etc/x /bin/x new; grep -c agent /etc/passwd; cat /etc/resolv.conf"
    )
    lines = done.out.split("\n")
    assert lines[:3] == ["seen", "of the image", "yes /bin"], done
    assert lines[3] == str(field.person.uid or 65534)
    assert lines[4] == "-----BEGIN CERTIFICATE-----"
    assert "nameserver 100.64.0.1" in done.out
    assert done.err.count("Read-only file system") == 3, done
    assert not os.path.exists(f"{field.project}/new")  # it is in the copy
    plan = json.loads(field.run("plan", "--json").out)
    assert plan["image"].startswith("sha256:")


@of_two
def test_links_in_an_image_lead_nowhere(field, maker, engine, images):
    with open("/etc/hosts", encoding="utf-8") as file:
        before = file.read()
    name = engine.take(images["traps"], "rf-traps:1", "ENV PATH=/bin")
    field.policy(wanting(maker, f'image = "{name}"\n'))
    done = field.sh("cat /etc/passwd /etc/hosts")
    assert "nologin" in done.out, done
    assert "root:$" not in done.out
    assert "127.0.0.1 localhost" in done.out
    with open("/etc/hosts", encoding="utf-8") as file:
        assert file.read() == before
    name = engine.take(images["links"], "rf-links:1", "ENV PATH=/bin")
    field.policy(wanting(maker, f'image = "{name}"\n'))
    done = field.sh("echo RAN")
    assert done.code == 125
    assert "RAN" not in done.out
    assert not os.path.exists("/tmp/ringfence")


@of_two
def test_an_image_that_is_not_there_is_not_fetched(field, maker):
    field.policy(wanting(maker, 'image = "registry.invalid/agent:1"\n'))
    done = field.run("run", "--", "true")
    assert done.code == 125
    assert "has no image registry.invalid/agent:1" in done.err
    assert f"hint: {maker.split()[0]} pull registry.invalid/agent:1" in done.err


@pytest.mark.parametrize("maker", [one for one in MAKERS if one.endswith("root") == ROOT], indirect=True)
def test_a_name_that_moved_since_the_plan_is_refused(maker, engine, images):
    from ringfence.boundary import engines
    from ringfence.errors import BoundaryError
    from ringfence.host.engine import Docker
    from ringfence.host.podman import Podman

    name = engine.take(images["fine"], "rf-moving:1")
    for key, value in engine.variables.items():
        os.environ[key] = value
    try:
        here = Docker("", engine.socket) if maker.startswith("docker") else Podman("/usr/bin/podman")
        pinned = here.find(name).id
        assert engines.named(here, name, pinned).id == pinned
        engine.take(images["other"], "rf-moving:1")
        with pytest.raises(BoundaryError, match="and the plan was made for"):
            engines.named(here, name, pinned)
        assert here.find(f"{name}-none") is None
    finally:
        for key in engine.variables:
            del os.environ[key]


@pytest.mark.skipif(not ROOT, reason="only root may enter what Docker's daemon makes")
@pytest.mark.parametrize("maker", ["docker root"], indirect=True)
def test_writable_folders_that_an_image_declares_are_refused_by_docker(field, maker, engine, images):
    name = engine.take(images["fine"], "rf-volumes:1", "ENV PATH=/bin", "VOLUME /data")
    field.policy(wanting(maker, f'image = "{name}"\n'))
    done = field.sh("echo RAN")
    assert done.code == 125
    assert "declares writable folders: /data" in done.err


@pytest.mark.parametrize("runtime", ["runsc", "kata", "x"])
def test_a_runtime_whose_containers_cannot_be_entered_is_refused(runtime, tmp_path):
    from ringfence.host import probe, runtimes

    found = runtimes.container(probe.host(), str(tmp_path), runtime=runtime)
    assert runtime in found.refused
    assert found.mend


@pytest.mark.parametrize("change", [
    ("EffectiveCaps", ["CAP_SYS_ADMIN"]), ("BoundingCaps", ["CAP_KILL"]), ("Image", "other"),
    ("HostConfig.NetworkMode", "host"), ("HostConfig.Privileged", True), ("HostConfig.IpcMode", "host"),
    ("HostConfig.SecurityOpt", []), ("HostConfig.SecurityOpt", ["no-new-privileges", "seccomp=unconfined"]),
    ("HostConfig.Devices", [{"PathOnHost": "/dev/kvm"}]), ("HostConfig.ReadonlyRootfs", False),
    ("HostConfig.UsernsMode", "host"), ("Config.User", "0:0"), ("Config.Entrypoint", "/bin/sh"),
    ("Mounts", [{"Type": "bind", "Source": "/", "Destination": "/host", "RW": True}]), ("HostConfig.PidMode", "host"),
    ("HostConfig.LogConfig", {"Type": "journald"}), ("HostConfig.Tmpfs", {"/x": "rw"}),
])  # fmt: skip
def test_any_difference_from_what_was_asked_is_seen(change):
    host = {"Mounts": [{"Type": "bind", "Source": "/s", "Target": "/t"}], "Tmpfs": {}, "ReadonlyRootfs": True,
            "Privileged": False, "Memory": 0, "NanoCpus": 0, "ShmSize": 5, "PidsLimit": 0}  # fmt: skip
    asked = {"User": "5:5", "Entrypoint": ["/e"], "Cmd": [], "Tty": False, "Labels": {}, "HostConfig": host}
    own = {"KeepId": True}
    made = {
        "Image": "one", "EffectiveCaps": None, "BoundingCaps": None,
        "Config": {"User": "5:5", "Entrypoint": "/e", "Cmd": None, "Tty": False, "Labels": None},
        "HostConfig": {
            "NetworkMode": "none", "PidMode": "private", "UTSMode": "private", "CgroupMode": "private", "Init": True,
            "LogConfig": {"Type": "none"}, "Tmpfs": None, "UsernsMode": "private", "IpcMode": "shareable",
            "ReadonlyRootfs": True, "Privileged": False, "Memory": 0, "NanoCpus": 0, "ShmSize": 5,
            "SecurityOpt": ["no-new-privileges"], "Devices": [],
        },
        "Mounts": [{"Type": "bind", "Source": "/s", "Destination": "/t", "RW": False}],
    }  # fmt: skip
    assert podman.differences(asked, own, "sha256:one", made) == ()
    section, _, key = change[0].partition(".")
    made = {**made, section: {**made[section], key: change[1]} if key else change[1]}
    assert podman.differences(asked, own, "sha256:one", made)


@of_two
def test_an_image_made_of_this_machines_packages_is_enough_to_work_in(field, maker):
    words = ["--engine", maker.split()[0], "--name", "rf-made", "--package", "dash", "--package", "coreutils"]
    done = field.run("image", "build", *words, "--with", "/etc/os-release", limit=120)
    assert done.code == 0, done
    assert "rf-made:latest  sha256:" in done.out
    field.policy(wanting(maker, 'image = "rf-made"\n'))
    done = field.sh(
        "grep -c ^ID= /etc/os-release || sort --version | head -n 1; wc -l < /etc/os-release; ls /usr/bin/git"
    )
    assert "sort (GNU coreutils)" in done.out, done  # grep is another package's
    assert int(done.out.split()[-1]) > 3, done
    assert "cannot access" in done.err


@of_two
def test_packages_that_are_not_here_are_named(field, maker):
    done = field.run("image", "build", "--engine", maker.split()[0], "--package", "rf-no-such-package")
    assert done.code == 125
    assert "not installed: rf-no-such-package" in done.err


_SERVER = r"""
import socket
one = socket.create_server(("127.0.0.1", 5173))
print("ready", flush=True)
for _ in range(2):
    peer = one.accept()[0]
    peer.sendall(peer.recv(100)[::-1])
    peer.close()
"""


@of_two
def test_a_published_port_is_reached_on_loopback(field):
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    child = field.start("run", "--publish", f"{port}:5173", "--", "/usr/bin/python3", "-I", "-c", _SERVER)
    try:
        assert child.stdout.readline() == b"ready\n", child.stderr.read()
        for word in (b"hello", b"again"):
            assert eventually(lambda word=word: answers(port, word) == word[::-1], 30)
        assert child.wait(30) == 0
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate(timeout=30)


def answers(port, word):
    """Return what is answered at a port of this machine's; nothing where nobody listens yet."""
    try:
        with socket.create_connection(("127.0.0.1", port), 10) as line:
            line.sendall(word)
            line.shutdown(socket.SHUT_WR)
            return line.recv(100)
    except OSError:
        return b""


@of_two
def test_what_nobody_reads_any_more_ends_with_sigpipe(field):
    child = field.start("run", "--", "yes")
    try:
        assert child.stdout.read(4) == b"y\ny\n", child.stderr.read()
        child.stdout.close()
        assert child.wait(40) == 141
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.stdin.close()
        child.stderr.close()


@of_two
def test_much_passes_in_both_directions_at_once(field):
    data = os.urandom(3_000_000)
    done = field.run("run", "--", "tee", "/dev/stderr", data=data)
    assert done.raw == data
    assert done.err.encode("utf-8", "surrogateescape") == data


@pytest.mark.skipif(not ROOT, reason="only root may mount a full disk")
@pytest.mark.parametrize("maker", ["podman root"], indirect=True)
def test_a_full_disk_is_said_and_nothing_is_left(field):
    small = f"{field.folder}/small"
    os.makedirs(small)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", small], check=True, timeout=20)
    try:
        with open(f"{small}/filler", "wb") as file, contextlib.suppress(OSError):
            file.write(bytes(1 << 20))
        place = field.put(
            f"{field.folder}/storage.conf",
            f'[storage]\ndriver = "overlay"\ngraphroot = "{small}/root"\nrunroot = "{small}/run"\n',
        )
        done = field.run("run", "--", "true", variables={"CONTAINERS_STORAGE_CONF": place})
        assert done.code == 125
        assert "no space left on device" in done.err.lower(), done
        assert "hint: " in done.err
    finally:
        subprocess.run(["umount", "-l", small], check=True, timeout=20)
    assert not field.left_over()


@pytest.mark.skipif(not ROOT, reason="asked of somebody who is not whoever runs this")
def test_docker_is_refused_to_an_ordinary_user(ordinary_ids):
    person = Person(*ordinary_ids)
    one = Field(person)
    try:
        one.policy('tier = ["container"]\n[container]\nengine = "docker"\n')
        done = one.run("run", "--", "true")
    finally:
        one.close()
        person.close()
    assert done.code == 125
    assert "only root may enter what Docker's daemon makes" in done.err
    assert "hint: install Podman" in done.err


@pytest.mark.guarantee("P11")
@of_two
def test_deny_rules_hold_when_programs_start(field, maker, engine, images):
    rules = '[commands]\ndeny = ["Bash(git push *)", "Bash(touch *)"]\n'
    field.policy(wanting(maker, rules))
    line = (
        "t=/usr/bin/touch; $t made; echo $?; git push x; echo $?; git --version; ln -s $t a; ./a made; cp $t c; ./c made;"
        "python3 -c \"import os; os.execv('c', ['touch', 'made'])\"; env -i $t made; (setsid touch made); ls made; sh -c 'exit 7'"
    )
    done = field.sh(line)
    assert done.code == 7, done
    assert done.out.startswith("126\n126\ngit version"), done
    assert "cannot access 'made'" in done.err
    found = {row["rule"] for row in field.events() if row["kind"] == "program"}
    assert found == {"Bash(touch *)", "Bash(git push *)"}
    assert (
        field.run("run", "--", "touch", "made").code == 0
    )  # the operator's own command is no matter of rules
    name = engine.take(images["fine"], "rf-rules:1", "ENV PATH=/bin")
    field.policy(wanting(maker, f'image = "{name}"\n{rules}'))
    done = field.sh("true")
    assert done.code == 125
    assert "P11" in done.err
