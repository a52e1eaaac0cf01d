"""The process itself: how it starts, what stops it, what it leaves behind."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from gates import SOURCE, START, WAIT, Running, credential, rule

from ringfence.audit.log import Writer
from ringfence.audit.verify import verify

HOST = "api.example.com"


@pytest.fixture
def running(tmp_path, certificates, serve):
    """Return a function that starts a gate of this test's own."""
    made = []

    def begin(**more):
        folder = tmp_path / str(len(made))
        folder.mkdir()
        upstream = serve(HOST)
        more.setdefault("allow", (rule(HOST),))
        one = Running(folder, static=((HOST, upstream.address),), extra_ca=(certificates.ca,), **more)
        made.append(one)
        return one

    yield begin
    for one in made:
        one.stop()


def test_started_by_hand_it_says_who_starts_it():
    for argument in ([], ["x"], ["9999"]):
        done = subprocess.run(
            [sys.executable, "-I", "-c", START, SOURCE, *argument],
            capture_output=True,
            text=True,
            timeout=WAIT,
            check=False,
        )
        assert done.returncode in {2, 125}
        assert "ringfence run" in done.stderr
        assert "Traceback" not in done.stderr


def test_it_ends_in_order_when_the_launcher_lets_go(running):
    gate = running()
    assert gate.ask(f"{HOST}:443")[0] == 200
    started = time.monotonic()
    assert gate.stop() == 0
    assert time.monotonic() - started < 1.5
    assert gate.stderr == ""
    assert [one["seq"] for one in gate.records()] == list(range(len(gate.records())))


def test_sigterm_ends_it_in_order_with_connections_open(running):
    gate = running()
    with gate.connect(f"{HOST}:443") as sock:
        gate.process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        assert gate.process.wait(WAIT) == 0
        assert time.monotonic() - started < 1.5
        assert sock.recv(1) == b""


def test_a_terminals_signals_do_not_end_it(running):
    gate = running()
    assert gate.ask(f"{HOST}:443")[0] == 200
    for number in (signal.SIGINT, signal.SIGHUP):
        gate.process.send_signal(number)
    assert gate.ask(f"{HOST}:443")[0] == 200


@pytest.mark.usefixtures("tmp_path")
def test_it_dies_with_its_parent():
    """The death signal is set here too where whoever starts it forgot."""
    code = (
        "import os,subprocess,sys\n"
        "fd=os.memfd_create('x'); r,w=os.pipe()\n"
        f"p=subprocess.Popen([sys.executable,'-I','-c',{START_AND_WAIT!r},{SOURCE!r}])\n"
        "print(p.pid,flush=True); sys.stdin.read(); os.kill(os.getpid(),9)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-I", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    child = int(parent.stdout.readline())
    until = time.monotonic() + WAIT
    while pdeathsig_not_yet(child) and time.monotonic() < until:
        time.sleep(0.02)
    parent.stdin.close()
    parent.wait(WAIT)
    parent.stdout.close()
    while alive(child) and time.monotonic() < until:
        time.sleep(0.02)
    assert not alive(child)


START_AND_WAIT = (
    "import sys,time; sys.path.insert(0,sys.argv[1])\n"
    "from ringfence.egress.__main__ import harden\n"
    "harden(); open('/proc/self/comm','w').write('hardened')\n"
    "time.sleep(30)"
)


def pdeathsig_not_yet(pid):
    with open(f"/proc/{pid}/comm", encoding="ascii") as file:
        return "hardened" not in file.read()


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def test_when_the_log_cannot_be_written_nothing_passes_any_more(running):
    import resource

    gate = running()
    assert gate.ask(f"{HOST}:443")[0] == 200
    size = os.stat(gate.audit_path).st_size
    resource.prlimit(gate.process.pid, resource.RLIMIT_FSIZE, (size + 50, size + 50))
    with pytest.raises((OSError, IndexError, AssertionError)):
        assert gate.ask(f"{HOST}:443")[0] == 200
    assert gate.process.wait(WAIT) in {120, 125}  # 120: its last words did not fit under the limit either
    assert "audit log" in gate.stderr


def test_the_next_sessions_authority_is_minted_when_this_ones_first_request_was_served(running):
    gate = running()
    gate.ask(f"{HOST}:443")
    ready = os.path.join(gate.folder, "ready")
    until = time.monotonic() + WAIT
    while not (os.path.isdir(ready) and [one for one in os.listdir(ready) if one[0] != "."]):
        assert time.monotonic() < until
        time.sleep(0.02)
    (name, *_) = [one for one in os.listdir(ready) if one[0] != "."]
    assert {"ca.pem", "ca.key"} <= set(os.listdir(os.path.join(ready, name)))


@pytest.mark.guarantee("A1")
def test_the_log_it_leaves_is_whole_and_holds_each_step_of_a_request_once(running):
    gate = running(
        credentials=(credential(HOST),),
        environment={"TEST_KEY": "canary-0123456789"},
        allow=(rule(HOST, methods=("GET",)),),
    )
    gate.ask(f"{HOST}:443", path="/a?b=c")
    gate.ask(f"{HOST}:443", method="PUT")
    gate.stop()
    kinds = [one["kind"] for one in gate.records()]
    assert kinds == ["start", "verdict", "dial", "response", "verdict"]
    verdict = gate.records("verdict")[0]
    assert (verdict["effect"], verdict["method"], verdict["path"], verdict["host"]) == (
        "allow",
        "GET",
        "/a?b=c",
        HOST,
    )
    assert verdict["credential"] == "test"
    answered = gate.records("response")[0]
    assert (answered["status"], answered["down"]) == (200, 2)
    assert gate.records("verdict")[1]["effect"] == "deny"
    with Writer.resume(gate.audit_path) as log:
        log.append("end", status=0)
    assert verify(gate.audit_path).ok
    assert "canary" not in json.dumps(gate.records())


def test_it_works_without_uvloop(tmp_path, certificates, serve, monkeypatch):
    import gates

    monkeypatch.setattr(gates, "START", "import sys; sys.modules['uvloop'] = None\n" + START)
    upstream = serve(HOST)
    gate = Running(
        tmp_path, allow=(rule(HOST),), static=((HOST, upstream.address),), extra_ca=(certificates.ca,)
    )
    try:
        for _ in range(3):
            assert gate.ask(f"{HOST}:443", method="POST", body=b"x" * 300_000)[0] == 200
        with open(f"/proc/{gate.process.pid}/maps", encoding="utf-8") as file:
            assert "uvloop" not in file.read()
    finally:
        assert gate.stop() == 0
