"""The entry program that waits: it takes its command from a message, and does what any other does with it."""

import os
import shutil
import socket
import subprocess

import pytest

from ringfence.boundary import stub, waiting
from ringfence.boundary.model import Plan, Wire, WorkspacePlan
from ringfence.boundary.stub import Call, Data
from ringfence.boundary.tiers import sandbox
from ringfence.errors import UsageError
from ringfence.policy.model import Policy
from ringfence.value import replace

CHANNEL = 3
ARCHES = ("x86_64", "aarch64")


def planned(*argv, cwd="/", path="/usr/bin:/bin", **variables):
    return Plan(
        tier="sandbox", argv=argv, cwd=cwd, home="/home", uid=1, gid=1,
        environment=(("PATH", path), *sorted(variables.items())),
        mounts=(), workspace=WorkspacePlan(root="/", mode="direct"), limits=(), guarantees=(), publish=(),
        wire=Wire(kind="private", gate_address="", proxy_port=0), policy=Policy(),
    )  # fmt: skip


def emulator(arch):
    """Return what goes before a program of that architecture."""
    if os.uname().machine == arch:
        return []
    name = next((one for one in (f"qemu-{arch}", f"qemu-{arch}-static") if shutil.which(one)), "")
    if not name:
        pytest.skip(f"missing: qemu-{arch} (qemu-user)")
    return [name]


@pytest.fixture(params=ARCHES)
def started(request, tmp_path):
    """Start a waiting program; give its process and our end of its channel."""
    before = emulator(request.param)
    program = tmp_path / "enter"
    steps = (
        Call(name="write", arguments=(CHANNEL, Data(content=b"R"), 1), failure="gone"),
        sandbox.execute(planned("sh")),
    )
    program.write_bytes(sandbox.entry_program(planned("sh"), request.param, steps, CHANNEL))
    program.chmod(0o755)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs_fd = theirs.fileno()
    script = f'exec 3<&{theirs_fd}; [ {theirs_fd} = 3 ] || exec {theirs_fd}<&-; exec "$@"'
    child = subprocess.Popen(
        ["bash", "-c", script, "bash", *before, str(program)], pass_fds=(theirs_fd,),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    theirs.close()
    ours.settimeout(30)
    yield child, ours
    ours.close()
    if child.poll() is None:
        child.kill()
    child.communicate(timeout=10)


def given(started, plan, data=b""):
    """Give a waiting program its command; return its status, output and errors."""
    child, ours = started
    assert ours.recv(9) == waiting.WAITS
    pipes = [os.pipe() for _ in range(3)]
    inside = (pipes[0][0], pipes[1][1], pipes[2][1])
    socket.send_fds(ours, [waiting.image(sandbox.execute(plan), plan)], inside)
    for fd in inside:
        os.close(fd)
    with open(pipes[0][1], "wb") as file:
        file.write(data)
    found = []
    for fd in (pipes[1][0], pipes[2][0]):
        with open(fd, "rb") as file:
            found.append(file.read())
    return child.wait(timeout=30), *found


def test_a_command_gets_its_arguments_variables_folder_and_streams(started, tmp_path):
    script = 'read a; echo "$0 $1 $A $a"; pwd; echo oops >&2; exit 7'
    plan = planned("sh", "-c", script, "x", "ä ö", cwd=str(tmp_path), A="b=c")
    status, out, err = given(started, plan, b"line\n")
    assert (status, out.decode()) == (7, f"x ä ö b=c line\n{tmp_path}\n")
    assert err == b"oops\n"


def test_a_path_is_taken_as_it_is_and_tried_alone(started):
    assert given(started, planned("/bin/echo", "x"))[:2] == (0, b"x\n")


def test_what_is_not_there_is_said_on_the_claims_own_stream(started):
    status, out, err = given(started, planned("no-such-program"))
    assert (status, out) == (127, b"")
    assert err.startswith(b"ringfence: no-such-program: command not found inside the boundary\n")


def test_what_cannot_be_executed_is_another_status(started):
    status, _out, err = given(started, planned("/etc/passwd"))
    assert (status, b"cannot be executed" in err) == (126, True)


def test_a_folder_that_is_not_there_ends_it(started):
    status, _out, err = given(started, planned("true", cwd="/nowhere/at/all"))
    assert (status, err) == (125, b"ringfence: the working directory is not there\n")


def test_where_the_launcher_goes_away_nothing_is_started(started):
    child, ours = started
    assert ours.recv(9) == waiting.WAITS
    ours.close()
    assert child.wait(timeout=30) == 125


def test_a_command_as_long_as_may_be_passes_and_a_longer_one_is_refused(started):
    plan = planned("printf", "%s", "x" * 100_000)
    assert given(started, plan)[1] == b"x" * 100_000
    with pytest.raises(UsageError, match="more than the 131072 that a waiting boundary reads"):
        waiting.image(sandbox.execute(plan), replace(plan, cwd="/" + "x" * waiting.MOST))


def test_the_image_fits_into_the_programs_memory():
    assert waiting.WRITABLE == stub.PAGE + waiting.MOST
