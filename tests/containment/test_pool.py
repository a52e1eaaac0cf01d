"""A pool: each boundary is one session's own, is what a cold start would build, and is gone with the server."""

import concurrent.futures
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest
from field import eventually, gone_within
from pooling import Served

from ringfence.pool import client
from ringfence.pool.ask import Claim

pytestmark = pytest.mark.timeout(180)
POLICY = (
    '[egress]\nallow = ["http://reached.example"]\n[environment]\nkeep = ["LET_IN", "FAMILY_*"]\n'
    '[commands]\ndeny = ["Bash(whoami)"]\n'
)

_REFUSED = "cannot create .git/config: (Permission denied|Read-only)"
ONCE = pytest.mark.parametrize("field", ["user"], indirect=True)  # where root and others do not differ
# What a session could know another by, or leave for it
_LOOK = """
sha256sum < /run/ringfence/ca.pem; ls -A /tmp /dev/shm /var/tmp ~ | wc -l; cat mark
touch /tmp/mark /dev/shm/mark ~/mark mark
(setsid sleep 100 > /dev/null 2>&1 &)
"""


@pytest.fixture
def pool(field):
    field.put("src/a.txt", "old\n")
    with Served(field) as one:
        yield one


@pytest.mark.guarantee("B1")
def test_two_claims_share_nothing_and_none_is_used_twice(pool, field):
    seen = []
    for _ in range(4):
        done = pool.sh(_LOOK, "--discard")
        assert done.code == 0, done
        assert "No such file" in done.err, done
        seen.append(done.out.split("\n")[:2])
    authorities, left = zip(*seen, strict=True)
    assert len(set(authorities)) == 4
    assert len(set(left)) == 1, seen
    sessions = [one for one in field.sessions() if os.path.exists(f"{one}/audit.jsonl")]
    assert len(sessions) == 4
    assert pool.end()[0] == 0
    assert not gone_within(field)


@pytest.mark.guarantee("B1")
def test_two_claims_at_once_are_in_namespaces_of_their_own(pool, field):
    look = "cd /proc/self/ns; readlink net pid mnt ipc user uts; read line"
    first = field.start("pool", "run", "--", "sh", "-c", look)
    try:
        mine = [first.stdout.readline().decode() for _ in range(6)]
        others = pool.sh(look, data=b"\n").out.splitlines(keepends=True)
        first.communicate(b"\n", timeout=30)
    finally:
        if first.poll() is None:
            os.killpg(first.pid, signal.SIGKILL)
            first.communicate(timeout=10)
    assert len(others) == 6
    assert not set(mine) & set(others)


def test_streams_status_folder_and_variables_are_the_claims(pool, field):
    variables = {"LET_IN": "yes", "FAMILY_ONE": "1", "MY_SERVICE_TOKEN": "kept-outside"}
    done = field.run(
        "pool", "run", "--workspace", field.project, "--", "sh", "-c", 'read a; echo "$a $LET_IN $FAMILY_ONE $MY_SERVICE_TOKEN$TERM"; pwd; exit 7',
        cwd=f"{field.project}/src", variables={**variables, "TERM": "dumb"}, data=b"line\n",
    )  # fmt: skip
    assert (done.code, done.out) == (7, f"line yes 1 dumb\n{field.project}/src\n"), done
    data = os.urandom(300_000)
    assert pool.run("cat", data=data).raw == data
    missing = pool.run("no-such-program")
    assert missing.code == 127
    assert "command not found inside the boundary" in missing.err
    assert pool.run("src/a.txt").code == 126
    assert pool.run("src/../src/none").code == 127
    assert "/etc/passwd needs what the pool's boundaries do not show" in pool.run("/etc/passwd").err


def test_the_boundary_is_as_tight_as_any_and_its_session_as_much_on_record(pool, field):
    field_secret = field.put(f"{field.home}/.ssh/id", "secret-value\n")
    done = pool.sh(
        "grep -E 'CapEff|NoNewPrivs|^Seccomp:' /proc/self/status; ls /proc/self/fd; cat ~/.ssh/id; touch /usr/x;"
        "curl -sS -o /dev/null -w '%{http_code}\\n' http://reached.example/;"
        "curl -sS -o /dev/null -w '%{http_code}\\n' http://other.example/; cat src/a.txt; echo new > src/a.txt;"
        "whoami"
    )
    lines = done.out.split("\n")
    assert lines[:3] == ["CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"], done
    assert lines[3:7] == ["0", "1", "2", "3"], done  # the fourth is of `ls` itself
    assert lines[7] in {"502", "504"}, done  # the gate tried, and there is no such host
    assert lines[8:10] == ["403", "old"], done
    assert "secret-value" not in done.out + done.err, field_secret
    assert "cannot touch" in done.err
    assert "kept from running by deny rules" in done.err, done
    assert field.read("src/a.txt") == "old\n"
    session = max(field.sessions(), key=lambda one: os.path.exists(f"{one}/audit.jsonl"))
    session = os.path.basename(session)
    log = field.run("log", "last", "--json").out
    assert '"pool":true' in log, log
    assert '"kind":"end"' in log
    assert field.run("log", "--verify").code == 0
    assert f"ringfence apply {session}" in done.err, done
    assert field.run("apply", "--yes", session).code == 0
    assert field.read("src/a.txt") == "new\n"


@pytest.mark.guarantee("B3")
def test_what_nobody_claimed_was_no_session(pool, field):
    assert "no session" in field.run("sessions").out
    assert field.run("log").out == ""
    assert len(field.sessions()) == 2
    assert pool.end()[0] == 0
    assert not field.sessions()
    assert not field.left_over()


@pytest.mark.guarantee("B2")
@ONCE
def test_a_policy_that_has_changed_is_not_served_from_before(pool, field):
    field.policy(POLICY.replace("reached", "elsewhere"))
    done = pool.run("true")
    assert done.code == 125, done
    assert "the policy has changed" in done.err
    pool.until(lambda state: state["waiting"] == 2)
    assert pool.run("true").code == 0
    pool.until(lambda state: state["waiting"] == 2)  # what is just being built would be of the new policy
    field.policy(POLICY)
    cold = field.run("run", "--pool", "--", "sh", "-c", "echo ran")
    assert (cold.code, cold.out) == (0, "ran\n"), cold
    assert "not from the pool: the policy has changed" in cold.err


@pytest.mark.guarantee("B2")
@ONCE
def test_a_key_that_appears_in_the_project_is_hidden_from_a_boundary_that_waited_longer(pool, field):
    field.put(".env", "KEY=secret-value\n")
    done = pool.sh("cat .env")
    assert done.code == 125, done
    assert "hidden or protected in the project has changed" in done.err
    pool.until(lambda state: state["waiting"] == 2)
    done = pool.sh("cat .env; echo $?")
    assert "secret-value" not in done.out + done.err
    assert done.out == "1\n", done


@pytest.mark.guarantee("B2")
def test_what_was_mounted_and_is_replaced_since_is_not_served(field):
    field.put(".git/config", "[core]\n")
    field.put(".env", "KEY=secret-value\n")
    with Served(field, "--direct", size=1) as pool:
        assert re.search(_REFUSED, pool.sh("cat .env; echo x >> .git/config").err)
        for name in (".git/config", ".env"):  # as an editor saves, or git: a mount over the name is gone then
            pool.until(lambda state: state["waiting"] == 1)
            field.put(f"{name}.new", field.read(name))
            os.rename(f"{field.project}/{name}.new", f"{field.project}/{name}")
            done = pool.sh("cat .env; echo x >> .git/config")
            assert (done.code, "was replaced since" in done.err) == (125, True), done
        pool.until(lambda state: state["waiting"] == 1)
        done = pool.sh("cat .env; echo x >> .git/config")
        assert "secret-value" not in done.out
        assert re.search(_REFUSED, done.err), done


@ONCE
def test_a_claim_for_something_else_is_refused_and_costs_no_boundary(pool, field):
    before = sorted(field.sessions())
    elsewhere = f"{field.home}/other"
    os.makedirs(elsewhere)
    field.own()
    done = field.run("pool", "run", "--", "true", cwd=elsewhere)
    assert (done.code, "no pool keeps boundaries for this project" in done.err) == (125, True), done
    done = pool.run("python3", "-c", "0")
    assert "gets another policy" in done.err or done.code == 0, done
    done = field.run("run", "--pool", "--allow", "more.example", "--", "sh", "-c", "echo ran")
    assert done.out == "ran\n"
    assert "not from the pool: the pool keeps boundaries of another policy" in done.err, done
    done = field.run("run", "--pool", "--", "sh", "-c", "echo ran")
    assert "not from the pool" not in done.err, done
    assert set(before) & set(field.sessions())
    twice = field.run("pool", "serve")
    assert (twice.code, "runs already" in twice.err) == (2, True), twice


@ONCE
def test_many_claims_at_once_wait_for_their_turn(field):
    with Served(field, size=3) as pool, concurrent.futures.ThreadPoolExecutor(8) as threads:
        found = [threads.submit(pool.sh, f"echo {n}; exit {n}", "--discard") for n in range(8)]
        done = [one.result() for one in found]
        assert [(one.code, one.out) for one in done] == [(n, f"{n}\n") for n in range(8)], done
        assert pool.state()["served"] == 8


def test_a_signal_to_who_claimed_ends_the_session(pool, field):
    for number, status, out in (
        (signal.SIGTERM, 143, b""),
        (signal.SIGINT, 9, b"bye\n"),
        (signal.SIGKILL, -9, b""),
    ):
        _end_by(field, number, status, out)
    pool.until(lambda state: state["sessions"] == 0)
    assert pool.end()[0] == 0
    assert not gone_within(field)
    assert not field.left_over()


def _end_by(field, number, status, said):
    """Send a signal to who claimed a boundary; hold how that ends."""
    script = "trap 'echo bye; exit 9' INT; (setsid sleep 300 &) ; echo ready; sleep 300 & wait"
    child = field.start("pool", "run", "--discard", "--", "sh", "-c", script)
    try:
        assert child.stdout.readline() == b"ready\n", child.stderr.read()
        os.kill(child.pid, number)
        out, _err = child.communicate(timeout=30)
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate(timeout=10)
    assert (child.returncode, out) == (status, said)


@pytest.mark.guarantee("B3")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_servers_end_is_the_end_of_all(field, number):
    with Served(field) as pool:
        child = field.start("pool", "run", "--", "sh", "-c", "(setsid sleep 300 &) ; echo ready; sleep 300")
        try:
            assert child.stdout.readline() == b"ready\n"
            pool.end(number)
            out, err = child.communicate(timeout=30)
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.communicate(timeout=10)
    assert child.returncode == 143, (out, err)
    assert not gone_within(field, 10.0)
    assert eventually(lambda: not os.listdir(f"{field.state}/live"), 10.0)
    sessions = [one for one in field.sessions() if not os.path.exists(f"{one}/audit.jsonl")]
    assert not sessions
    assert field.run("log", "--verify").code == 0
    assert not field.left_over()
    with Served(field, size=1):  # what it left of itself is in nobody's way
        pass


@ONCE
def test_a_keeper_that_is_killed_is_replaced_and_what_it_left_is_removed(pool, field):
    first = set(field.sessions())
    with open(f"{field.state}/live/{os.path.basename(min(first))}", encoding="ascii") as file:
        os.kill(int(file.read().split()[0]), signal.SIGKILL)
    assert eventually(lambda: set(field.sessions()) - first, 60.0)
    pool.until(lambda state: state["waiting"] == 2)
    assert pool.run("true").code == 0
    assert eventually(lambda: min(first) not in field.sessions(), 60.0)
    assert pool.end()[0] == 0
    assert not [one for one in field.sessions() if not os.path.exists(f"{one}/audit.jsonl")]
    assert not field.left_over()


@pytest.mark.guarantee("B4")
@pytest.mark.usefixtures("pool")
def test_nobody_else_gets_a_boundary(field):
    places = [f"{field.state}/pools/{name}" for name in os.listdir(f"{field.state}/pools")]
    assert [oct(os.stat(one).st_mode & 0o777) for one in places] == ["0o700"]
    if os.geteuid() or not field.person.uid:
        return  # it takes root to get past the folder, and somebody else's pool
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
        here = os.open(places[0], os.O_PATH)
        line.connect(f"/proc/self/fd/{here}/socket")
        os.close(here)
        line.settimeout(20)
        try:
            line.send(b'{"status": 1}')
            assert line.recv(1000) == b""
        except (BrokenPipeError, ConnectionResetError):
            pass


@ONCE
def test_nonsense_on_the_socket_hurts_nobody(pool, field):
    script = (
        "import socket, os, glob, sys, array\n"
        f"os.chdir(glob.glob('{field.state}/pools/*')[0])\n"
        "for data, fds in ((b'', 0), (b'x', 0), (b'[]', 3), (b'{\"claim\": 1}', 3), (b'{\"claim\": {}}', 0),\n"
        f'    (b\'{{"claim": {{"workspace": "{field.project}", "argv": [1]}}}}\', 3),\n'
        f'    (b\'{{"claim": {{"workspace": "{field.project}", "argv": ["true"], "cwd": "/etc"}}}}\', 3)):\n'
        "    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect('socket'); s.settimeout(30)\n"
        "    socket.send_fds(s, [data or b' '], [0] * fds)\n"
        "    print(s.recv(9999)[:12])\n"
    )
    done = subprocess.run(
        [*field.person.prefix, "/usr/bin/python3", "-c", script],
        env=field.environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert re.findall("refused", done.stdout) == ["refused"] * 3, done.stdout
    assert pool.run("true").code == 0


@ONCE
def test_where_bubblewrap_builds_alone_a_boundary_waits_too_but_no_copy_does(field):
    with Served(field, "--direct", size=1, refusing="bare-userns=EPERM") as pool:
        done = pool.sh("echo new > a; curl -sS -o /dev/null -w '%{http_code}' http://reached.example/")
        assert (done.code, field.read("a")) == (0, "new\n"), done
        assert done.out in {"502", "504"}, done
    done = field.run("pool", "serve", refusing="bare-userns=EPERM")
    assert (done.code, "a copy made before its session begins would be old" in done.err) == (125, True), done
    assert not field.left_over()


@ONCE
def test_sizes_that_no_machine_holds_are_refused(field):
    for size, text in (("0", "keeps 1 to 256"), ("257", "keeps 1 to 256"), ("x", "is not a number")):
        done = field.run("pool", "serve", "--size", size)
        assert (done.code, text in done.err) == (2, True), done


@ONCE
def test_a_pool_that_cannot_build_says_why_and_ends(field):
    field.policy("nonsense = 1\n")
    done = field.run("pool", "serve")
    assert done.code == 125, done
    assert "unknown key" in done.err
    assert not field.left_over()


@pytest.mark.usefixtures("pool")
def test_a_terminal_has_a_size_jobs_and_keys(field):
    _use_a_terminal(field)


@pytest.fixture(scope="module")
def engine():
    """A container engine, for as long as the tests of its tier need it."""
    from docking import Engine

    one = Engine()
    yield one
    one.close()


@pytest.fixture
def tiers_pool(request, field):
    """A pool in another tier than the sandbox."""
    tier = request.param
    if tier == "container":
        if field.person.uid:
            pytest.skip("only root may enter what Docker's daemon makes")
        field.variables = request.getfixturevalue("engine").variables
    rules = (
        POLICY if tier == "container" else POLICY.partition("[commands]")[0]
    )  # gVisor holds none of programs
    field.policy(f'tier = ["{tier}"]\n{rules}')
    with Served(field) as one:
        yield one


@pytest.mark.guarantee("B1")
@pytest.mark.parametrize("tiers_pool", ["gvisor", "container"], indirect=True)
def test_other_tiers_share_as_little_and_take_streams_and_signals(tiers_pool, field):
    pool, data = tiers_pool, os.urandom(300_000)
    tier = pool.state()["tier"]
    seen = [pool.sh(_LOOK, "--discard") for _ in range(3)]
    assert len({one.out.split("\n")[0] for one in seen}) == 3, seen
    assert len({one.out.split("\n")[1] for one in seen}) == 1, seen
    assert all("No such file" in one.err for one in seen), seen
    assert pool.run("cat", data=data).raw == data
    done = pool.sh('read a; echo "$a $LET_IN"; exit 7', data=b"line\n", variables={"LET_IN": "yes"})
    assert (done.code, done.out) == (7, "line yes\n"), done
    _end_by(field, signal.SIGTERM, 143, b"")
    assert tier in field.run("log", "last").out
    if tier == "container":
        assert "kept from running by deny rules" in pool.sh("whoami").err
        _use_a_terminal(field)
        assert min(_first_bytes(pool, field)) < 0.05
    else:
        assert "takes a terminal in only when" in _on_a_terminal(field)
    assert pool.end()[0] == 0
    assert not gone_within(field, 10.0)
    assert not field.left_over()
    if tier == "container":
        assert not field.bare("docker", "ps", "-aq")


def _first_bytes(pool, field, most=40):
    """Claim until one has its first byte within the budget; yield how long each took, in seconds."""
    for _ in range(most):
        pool.until(lambda state: state["waiting"] == 2)
        reader, writer = os.pipe2(os.O_CLOEXEC)
        wanted = Claim(argv=("/bin/echo", "x"), workspace=field.project, cwd=field.project)
        began = time.perf_counter()
        with client.claim(field.state, wanted, (reader, writer, 2)) as running:
            os.close(writer)
            assert os.read(reader, 1) == b"x"
            taken = time.perf_counter() - began
            assert running.wait() == 0
        os.close(reader)
        yield taken
        if taken < 0.05:
            return


def _on_a_terminal(field):
    """Return what a refused claim says to somebody at a terminal."""
    master, slave = pty.openpty()
    with open(slave, "rb") as terminal:
        done = field.run("pool", "run", "--", "true", stdin=terminal)
    os.close(master)
    assert done.code == 125, done
    return done.err


def _use_a_terminal(field):
    master, slave = pty.openpty()
    _resize(master, 31, 97)
    child = subprocess.Popen(
        field.argv("pool", "run", "--discard", "--", "bash", "--norc"), cwd=field.project, env=field.environment,
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        preexec_fn=lambda: __import__("fcntl").ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no thread runs here
    )  # fmt: skip
    os.close(slave)
    try:
        _until(master, "$ ")
        assert "31 97" in _say(master, "stty size\n", "$ ")
        _resize(master, 40, 120)
        assert eventually(lambda: "40 120" in _say(master, "stty size\n", "$ "), 20.0)
        assert "ready" in _say(master, "sh -c 'echo rea''dy; exec sleep 50'\n", "ready\r\n")
        assert "rc=130" in _say(master, "\x03", "$ ") + _say(master, "echo rc=$?\n", "$ ")
        assert "ready" in _say(master, "sh -c 'echo rea''dy; exec sleep 50'\n", "ready\r\n")
        assert "Stopped" in _say(master, "\x1a", "$ ")
        _say(master, "kill -9 %1\n", "$ ")
        os.write(master, b"exec sh -c 'exit 5'\n")
        assert child.wait(timeout=30) == 5
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait(timeout=10)
        os.close(master)


def _resize(master, rows, columns):
    import fcntl

    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _say(master, text, end):
    os.write(master, text.encode())
    return _until(master, end)


def _until(master, end, seconds=40.0):
    seen, deadline = "", time.monotonic() + seconds
    while time.monotonic() < deadline and not seen.endswith(end):
        if select.select([master], [], [], 0.1)[0]:
            seen += os.read(master, 4096).decode(errors="replace")
    assert seen.endswith(end), seen
    return seen
