"""How sessions of the other tiers end: by signals, limits, and the death of what they are made of.

What a program finds while it runs is in test_conformance.py.
"""

import contextlib
import os
import signal
import socket
import subprocess
import time

import pytest
from field import eventually
from tiered import WAIT, WHO, tiered

from ringfence.verify import witness

pytestmark = pytest.mark.timeout(300)

OTHERS = [*((who, tier) for tier in ("container", "gvisor") for who in WHO), ("user", "microvm")]


def of(pairs):
    """Run a test for each of these (who, tier)."""
    return pytest.mark.parametrize("field", pairs, indirect=True, ids=["-".join(one) for one in pairs])


@pytest.fixture
def field(request, people):
    """A home and a project, with sessions of a tier."""
    who, tier = request.param
    one = tiered(people[who], tier, request)
    yield one
    one.close()


def started(field, script, before=":"):
    """Start a session; return its launcher once the command runs, and has done something first."""
    child = field.start("run", "--discard", "--", "sh", "-c", f"{before}; echo ready; {script}")
    line = child.stdout.readline()
    assert line == b"ready\n", child.stderr.read()
    return child


def ended(child):
    """Wait for a launcher; return its status, and what it said."""
    try:
        out, err = child.communicate(timeout=WAIT)
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
    return child.returncode, out.decode(), err.decode()


@of(OTHERS)
def test_an_interrupt_is_the_commands_and_takes_all_it_started_along(field):
    child = started(field, "sleep 300 & wait", before="trap 'echo bye; exit 9' INT; (setsid sleep 300 &)")
    child.send_signal(signal.SIGINT)
    assert ended(child)[:2] == (9, "bye\n")


class TestLimits:
    @of(OTHERS)
    def test_memory_beyond_the_limit_ends_what_takes_it(self, field):
        script = "import time\nhold = []\nwhile len(hold) < 60: hold.append(b'x' * (16 << 20)); time.sleep(0.02)\nprint('HAD')"
        done = field.python(script, "--memory", "256M", "--discard", limit=WAIT)
        assert "HAD" not in done.out, done
        assert done.code in ({1, 137} if field.tier == "gvisor" else {137}), (
            done
        )  # 1: a part of the sentry was ended

    @of(OTHERS)
    def test_time(self, field):
        done = field.sh("sleep 300", "--time", "1s", "--discard", limit=WAIT)
        assert done.code == 137, done
        assert "session ended: the session's wall time of 1 s is over" in done.err


# --- a port inside ---------------------------------------------------------------------------------

_SERVER = (
    "import socket\n"
    "one = socket.create_server(('0.0.0.0', 5173))\n"
    "print('ready', flush=True)\n"
    "peer, _ = one.accept()\n"
    "data = b''\n"
    "while piece := peer.recv(100): data += piece\n"
    "peer.sendall(data[::-1])\n"
)


@of(OTHERS)
@pytest.mark.guarantee("N14")
def test_a_published_port_is_reached_on_loopback(field):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    child = field.start(
        "run", "--discard", "--publish", f"{port}:5173", "--", "/usr/bin/python3", "-I", "-c", _SERVER
    )
    try:
        assert child.stdout.readline() == b"ready\n", child.stderr.read()
        with eventually(lambda: _connected(port), WAIT) as one:
            one.sendall(b"hello")
            one.shutdown(socket.SHUT_WR)
            assert one.recv(100) == b"olleh"
    finally:
        assert ended(child)[0] == 0


def _connected(port):
    try:
        return socket.create_connection(("127.0.0.1", port), 5)
    except OSError:
        return None


# --- what it is made of dies, or is not there --------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "victim"),
    [
        (("user", "gvisor"), "runsc-sandbox"),
        ((WHO[0], "gvisor"), "runsc-gofer"),
        (("user", "microvm"), "qemu-system"),
        ((WHO[0], "microvm"), "virtiofsd"),
    ],
    indirect=["field"],
    ids=["runsc-sandbox", "runsc-gofer", "qemu-system", "virtiofsd"],
)
def test_what_runs_the_guest_is_killed_and_the_session_says_so(field, victim):
    child = started(field, "sleep 300")
    known = witness.below(child.pid)
    os.kill(next(pid for pid, _ in known if victim in _program(pid)), signal.SIGKILL)
    code, _out, err = ended(child)
    assert code == 125, err
    assert {"gvisor": "gVisor", "microvm": "virtual machine"}[field.tier] in err
    assert "hint: " in err
    assert not eventually_none(known)
    end = field.events()[-1]
    assert (end["kind"], end["status"]) == ("end", 125)


@of([("user", "microvm")])
def test_a_kernel_that_cannot_take_the_guest_says_why(field):
    place = f"{field.state}/images/kernel"
    with open(place, "rb") as file:
        data = file.read().replace(b"virtiofs\0", b"nothing!\0")
    os.unlink(place)
    with open(place, "wb") as file:
        file.write(data)
    field.own()
    done = field.run("run", "--", "true", limit=WAIT)
    assert done.code == 125, done
    assert "guest: ringfence: in the guest: the shared root could not be mounted" in done.err, done


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts here")
@of([(who, tier) for who, tier in OTHERS if tier != "microvm"])
def test_a_state_folder_without_room_is_said_before_anything_runs(field):
    os.makedirs(field.state, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", field.state], check=True, timeout=20)
    try:
        field.own()
        with contextlib.suppress(OSError), open(f"{field.state}/filler", "wb", buffering=0) as file:
            while file.write(b"x" * 4096):
                pass
        done = field.sh("echo RAN", limit=WAIT)
        assert done.code == 125, done
        assert "RAN" not in done.out
        assert "No space left" in done.err
        assert "hint: " in done.err
    finally:
        subprocess.run(["umount", field.state], check=True, timeout=20)


@of([(WHO[0], "sandbox")])
class TestMissing:
    """Said before anything is made, with what to do."""

    def _refused(self, field, tier, *, without, variables=None):
        field.policy(f'tier = ["{tier}"]\n')
        done = field.run(
            "run", "--", "true", variables={"PATH": "/nowhere", **(variables or {})}, refusing=""
        )
        assert done.code == 125, done
        assert without in done.err
        assert "hint: " in done.err
        assert not field.sessions()
        field.policy(f'tier = ["{tier}", "sandbox"]\n')
        plan = field.run("plan", "--", "true", variables={"PATH": "/nowhere", **(variables or {})}).out
        assert "tier       sandbox" in plan
        assert without in plan

    def test_an_engine(self, field):
        if WHO[0] != "root":
            pytest.skip("an ordinary user is refused for another reason")
        self._refused(
            field,
            "container",
            without="/nowhere/docker.sock",
            variables={"DOCKER_HOST": "unix:///nowhere/docker.sock"},
        )

    def test_a_kernel_for_the_machine(self, field):
        self._refused(field, "microvm", without="kernel not found")


@of([("user", "microvm")])
class TestTheMachine:
    def test_without_kvm_is_translated_and_the_plan_says_so(self, field):
        out = field.run("plan", "--", "true").out
        assert ("without KVM" in out) is not (" vmx" in _flags() or " svm" in _flags()), out

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can close /dev/net/tun for somebody")
    def test_is_refused_to_whom_no_network_card_is_given(self, field):
        os.chmod("/dev/net/tun", 0o600)
        try:
            done = field.run("run", "--", "true")
        finally:
            os.chmod("/dev/net/tun", 0o666)
        assert done.code == 125, done
        assert "/dev/net/tun cannot be opened" in done.err
        assert "hint: " in done.err
        assert not field.sessions()


def _flags():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        return file.read()


def _program(pid):
    with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
        return os.path.basename(file.read().split("\0")[0])


def eventually_none(known, seconds=8.0):
    """Return what of these processes is left after so many seconds."""
    until = time.monotonic() + seconds
    while (left := witness.alive(known)) and time.monotonic() < until:
        time.sleep(0.02)
    return left


@of(OTHERS)
def test_rules_about_programs_are_refused_where_they_cannot_be_held(field):
    field.policy(f'tier = ["{field.tier}"]\n[commands]\ndeny = ["Bash(curl *)"]\n')
    done = field.sh("true")
    assert done.code == (0 if field.tier == "container" else 125), done
    assert field.tier == "container" or "P11" in done.err
