"""No secret value in arguments, environments, logs, the plan, error messages or core dumps."""

import contextlib
import glob
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest
from claude_code import API_HOST, policy
from world import World

from fake_api.authority import Authority
from fake_api.scripts import hello
from fake_api.server import FakeAPI

pytestmark = pytest.mark.timeout(120)

CALL = f"curl -sS -o /dev/null -w '%{{http_code}}' https://{API_HOST}/v1/messages -d '{{}}'; echo; sleep 30"


@pytest.fixture
def api(world: World, authority: Authority) -> Iterator[FakeAPI]:
    with FakeAPI(hello(), authority=authority, key=world.key.value) as one:
        world.policy(policy(world, authority, {API_HOST: one.address}))
        yield one


@pytest.fixture
def session(world: World, api: FakeAPI) -> Iterator[subprocess.Popen[bytes]]:
    """A session whose gate has just used the key."""
    assert api.record.requests == []
    argv = world.ringfence("run", "--publish", f"{_free_port()}:80", "--", "sh", "-c", CALL)
    child = subprocess.Popen(
        argv,
        cwd=world.project,
        env=world.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        assert child.stdout is not None
        first = child.stdout.readline()
        assert first.strip() == b"200", first + child.stdout.read(2000)
        yield child
    finally:
        child.terminate()
        child.communicate(timeout=20)


@pytest.mark.guarantee("C2")
def test_no_process_of_the_session_shows_a_secret(world: World, session: subprocess.Popen[bytes]) -> None:
    family = _family(session.pid)
    assert len(family) >= 3, "the launcher, the gate, the command"
    for pid in family:
        assert world.leaks(_read(f"/proc/{pid}/cmdline")) == [], pid
        if pid != session.pid:  # the launcher's own is what the operator's shell gave it
            assert world.leaks(_read(f"/proc/{pid}/environ")) == [], _read(f"/proc/{pid}/cmdline")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can read other processes' memory")
@pytest.mark.guarantee("C5")
def test_only_the_gate_has_a_secret_in_its_memory(world: World, session: subprocess.Popen[bytes]) -> None:
    """The launcher is left out: the operator's own environment, keys included, is in it from the start."""
    key = world.key.value.encode()
    assert len(_family(session.pid)) >= 3
    holders = {pid for pid in _family(session.pid) if key in _memory(pid)} - {session.pid}
    gates = {pid for pid in _family(session.pid) if b"ringfence.egress" in _read(f"/proc/{pid}/cmdline")}
    assert holders == gates


@pytest.mark.guarantee("C2")
def test_the_gates_process_leaves_no_core_dump(world: World, session: subprocess.Popen[bytes]) -> None:
    gates = [pid for pid in _family(session.pid) if b"ringfence.egress" in _read(f"/proc/{pid}/cmdline")]
    assert gates, "no gate is running"
    for pid in gates:
        limits = _read(f"/proc/{pid}/limits").decode()
        line = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
        # One byte: a core handler behind a pipe runs at 0 too, and is refused at 1 alone (core(5)).
        allowed = str(min(1, resource.getrlimit(resource.RLIMIT_CORE)[1] % (1 << 64)))
        assert line.split()[4:6] == [allowed, allowed], line
        os.kill(pid, signal.SIGSEGV)
    time.sleep(1)
    assert glob.glob(os.path.join(world.folder, "**/core*"), recursive=True) == []
    assert world.leaks_on_disk() == {}


@pytest.mark.skipif(os.getuid() != 0, reason="needs another identity to look from")
def test_the_gates_memory_is_closed_to_its_own_user(world: World, session: subprocess.Popen[bytes]) -> None:
    gates = [pid for pid in _family(session.pid) if b"ringfence.egress" in _read(f"/proc/{pid}/cmdline")]
    assert gates, "no gate is running"
    if not world.identity.prefix:
        return  # root may read anything
    for name in ("environ", "mem", "maps"):
        assert world.bare("head", "-c1", f"/proc/{gates[0]}/{name}").code != 0, name


@pytest.mark.usefixtures("session")
def test_logs_plan_and_state_hold_none(world: World) -> None:
    for words in (
        ["plan", "--", "true"],
        ["plan", "--json", "--", "true"],
        ["log"],
        ["doctor"],
        ["policy", "show"],
    ):
        done = world.outside(*world.ringfence(*words))
        assert world.leaks(done.out + done.err) == [], words
    assert world.leaks_on_disk() == {}


@pytest.mark.parametrize(
    "source",
    [
        "file:{folder}/missing",
        "file:{folder}",
        "command:{folder}/fails",
        "command:{folder}/two-lines",
        "env:NOT_SET",
    ],
)
@pytest.mark.guarantee("C2")
def test_a_source_that_fails_tells_no_secret(world: World, authority: Authority, source: str) -> None:
    folder = os.path.join(world.home, "sources")
    world.plant(os.path.join(folder, "fails"), "#!/bin/sh\necho {}; echo {} >&2; exit 3\n")
    world.plant(os.path.join(folder, "two-lines"), "#!/bin/sh\nprintf '{}\\r\\nX-Evil: 1\\n'\n")
    for name in ("fails", "two-lines"):
        os.chmod(os.path.join(folder, name), 0o700)
    more = f"""
[credentials.broken]
source = "{source.format(folder=folder)}"
host = "broken.example.com"
header = "authorization"

[[egress.allow]]
host = "broken.example.com"
"""
    world.policy(policy(world, authority, {"broken.example.com": "127.0.0.1:9"}, more))
    done = world.run("curl", "-sS", "-m", "10", "https://broken.example.com/")
    assert world.leaks(done.out + done.err) == [], done.told()
    assert world.leaks_on_disk() == {}
    told = (done.out + done.err).decode()
    assert done.code != 0 or "broken" in told, "a credential that cannot be had must be said"


def _family(pid: int) -> list[int]:
    """Return `pid` and all processes that descend from it."""
    parents: dict[int, list[int]] = {}
    for entry in glob.glob("/proc/[0-9]*/stat"):
        fields = _read(entry).rpartition(b")")[2].split()
        if fields:
            parents.setdefault(int(fields[1]), []).append(int(entry.split("/")[2]))
    family, todo = [], [pid]
    while todo:
        one = todo.pop()
        family.append(one)
        todo += parents.get(one, [])
    return family


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _memory(pid: int) -> bytes:
    """Return all that a process has written into its memory; nothing of one that has ended meanwhile."""
    try:
        return _memory_of(pid)
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _memory_of(pid: int) -> bytes:
    out = []
    with (
        open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as maps,
        open(f"/proc/{pid}/mem", "rb", 0) as memory,
    ):
        for line in maps:
            place, rights = line.split()[:2]
            begin, end = (int(one, 16) for one in place.split("-"))
            if rights.startswith("rw"):
                memory.seek(begin)
                with contextlib.suppress(OSError):
                    out.append(memory.read(end - begin))
    return b"".join(out)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
