"""The warden on the kernel's own questions: an entry program, its filter, and programs that want to start."""

import contextlib
import json
import os
import shutil
import socket
import struct
import sys

import pytest

from ringfence.boundary import notify, stub, tracing, warden
from ringfence.boundary.stub import Call, Execute
from ringfence.boundary.warden import Denied, Records, Warden
from ringfence.verdict.execution import enforceable

pytestmark = pytest.mark.skipif(
    os.uname().machine != "x86_64", reason="the entry program is built for x86_64 here"
)
RULES = ("Bash(forbidden *)", "Bash(git push *)")
ENVIRONMENT = (b"PATH=/usr/bin:/bin",)


class Outcome:
    def __init__(self, status, out, records, left_out):
        self.status, self.out, self.records, self.left_out = status, out, records, left_out


@pytest.fixture
def inside(tmp_path):
    """Return what runs a command under a warden, as the launcher does it."""
    tools = tmp_path / "tools"
    tools.mkdir()
    shutil.copy("/usr/bin/touch", tools / "forbidden")

    def run(*argv, rules=RULES, second_look=True, unchecked=False):
        file, out = tmp_path / "records", tmp_path / "out"
        file.unlink(missing_ok=True)
        entry = tmp_path / "entry"
        steps = (
            Call(name="prctl", arguments=(38, 1, 0, 0, 0), failure="no_new_privs"),
            *notify.steps("x86_64", 3),
            Execute(
                paths=(argv[0].encode(),), argv=tuple(word.encode() for word in argv), environment=ENVIRONMENT,
                not_found="not found", not_executable="not executable",
            ),
        )  # fmt: skip
        entry.write_bytes(stub.assemble("x86_64", steps))
        entry.chmod(0o755)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            pid = _entered(str(entry), theirs.fileno(), str(out))
            theirs.close()
            said, control, _flags, _address = ours.recvmsg(8, 64)
            assert said == notify.LISTENER
            listener = struct.unpack("=i", control[0][2])[0]
        denied = Denied(rules=enforceable(rules), path=(str(tools), "/usr/bin"), unchecked=unchecked)
        guard = _guarded(listener, denied, str(file), second_look)
        os.close(listener)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert os.waitpid(guard, 0)[1] == 0, "the warden ends when nobody is left"
        lines = file.read_text().splitlines()
        left_out = lines.pop() if lines and lines[-1].startswith(".") else ""
        return Outcome(status, out.read_text(), [json.loads(line) for line in lines], len(left_out))

    run.tools = str(tools)
    return run


def _entered(entry, channel, out):
    pid = os.fork()
    if not pid:
        with contextlib.suppress(BaseException):
            to = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(to, 1)
            os.dup2(to, 2)
            os.dup2(channel, 3)
            os.set_inheritable(3, True)
            os.execv(entry, [entry])
        os._exit(99)
    return pid


def _guarded(listener, denied, file, second_look):
    pid = os.fork()
    if not pid:
        status = 1
        with contextlib.suppress(BaseException):
            if not second_look:
                warden.Warden._let_start = lambda self, asked: tracing.answer(self._listener, asked.cookie, 0)
                warden.Warden._begun = True
            one = Warden(listener, denied, Records(file))
            one._begun = not second_look
            one.run()
            status = 0
        os._exit(status)
    return pid


def test_a_denied_program_gets_eacces_and_a_record(inside):
    done = inside("/bin/sh", "-c", f"{inside.tools}/forbidden x; echo $?")
    assert "Permission denied" in done.out
    assert done.out.endswith("126\n")
    assert done.records[0]["rule"] == "Bash(forbidden *)"
    assert done.records[0]["how"] == "refused"


def test_other_programs_run_scripts_and_failures_too(inside, tmp_path):
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\necho script $1\n")
    script.chmod(0o755)
    done = inside(
        "/bin/sh",
        "-c",
        f"ls / >/dev/null && {script} one; nowhere 2>/dev/null; echo $?; /etc 2>/dev/null; echo $?",
    )
    assert done.out == "script one\n127\n126\n"
    assert not done.records


@pytest.mark.parametrize(
    ("disguise", "how"),
    [
        ("ln -s {f} {t}/other && {t}/other {t}/made", "ended"),
        ("ln {f} {t}/other && {t}/other {t}/made", "ended"),
        ("cp {f} {t}/other && {t}/other {t}/made", "ended"),
        ("/lib64/ld-linux-x86-64.so.2 {f} {t}/made", "refused"),
        ("PATH={t}:$PATH; env forbidden {t}/made", "refused"),
        ("find /bin/sh -exec {f} {t}/made \\;", "refused"),
        ("printf '#!{f}\\n' >{t}/script; chmod +x {t}/script; {t}/script {t}/made", "ended"),
        ('{p} -c \'import os; os.execve(os.open("{f}", 0), ["x", "{t}/made"], {{}})\'', "ended"),
        ('{p} -c \'import os; os.posix_spawn("{f}", ["x", "{t}/made"], {{}})\'', "refused"),
    ],
)
def test_no_disguise_starts_it(inside, disguise, how):
    if "ld-linux" in disguise and not os.path.exists("/lib64/ld-linux-x86-64.so.2"):
        pytest.skip("missing: glibc's loader")
    line = disguise.format(f=f"{inside.tools}/forbidden", t=inside.tools, p="/usr/bin/python3")
    done = inside("/bin/sh", "-c", line + "; true")
    assert not os.path.exists(f"{inside.tools}/made"), done.out
    assert {one["how"] for one in done.records} == {how}, done.out


def test_a_rule_about_arguments_leaves_other_arguments_alone(inside):
    done = inside("/bin/sh", "-c", "git --version; git push origin; echo $?")
    assert done.out.startswith("git version")
    assert done.out.endswith("126\n")


RACE = """
import ctypes, os, sys, threading
libc = ctypes.CDLL(None)
harmless, forbidden, made = (word.encode() for word in sys.argv[1:4])
size = max(len(harmless), len(forbidden)) + 1
path = ctypes.create_string_buffer(size)
argv = (ctypes.c_char_p * 3)(b"x", made, None)
def swap():
    one, other = harmless.ljust(size, b"\\0"), forbidden.ljust(size, b"\\0")
    while True:
        ctypes.memmove(path, other, size); ctypes.memmove(path, one, size)
for _ in range(int(sys.argv[4])):
    pid = os.fork()
    if not pid:
        threading.Thread(target=swap, daemon=True).start()
        for _ in range(50):
            libc.execve(path, argv, None)
        os._exit(9)
    os.waitpid(pid, 0)
"""


def race(inside, **more):
    made = f"{inside.tools}/made"
    return made, inside(
        "/usr/bin/python3", "-c", RACE, "/bin/true", f"{inside.tools}/forbidden", made, "150", **more
    )


def test_swapping_the_path_after_the_first_look_gains_nothing(inside):
    made, done = race(inside)
    assert not os.path.exists(made)
    assert done.status == 0, done.out
    assert {"refused", "ended"} & {one["how"] for one in done.records}


def test_without_the_second_look_the_swap_wins(inside):
    made, _done = race(inside, second_look=False)
    assert os.path.exists(made), "the race test proves nothing on this machine"


def test_a_flood_of_refusals_is_counted(inside, monkeypatch):
    monkeypatch.setattr(warden, "_MOST_RECORDS", 3)
    done = inside("/bin/sh", "-c", f"for i in 1 2 3 4 5; do {inside.tools}/forbidden x; done")
    assert (len(done.records), done.left_out) == (3, 2)


def test_signals_and_threads_do_not_confuse_it(inside):
    line = (
        "import subprocess, threading, signal, os\n"
        "signal.signal(signal.SIGUSR1, lambda *a: None)\n"
        "def kick():\n"
        "    for _ in range(300): os.kill(os.getpid(), signal.SIGUSR1)\n"
        "threading.Thread(target=kick).start()\n"
        "for _ in range(40): assert subprocess.run(['/bin/true']).returncode == 0\n"
        "print('done')"
    )
    done = inside("/usr/bin/python3", "-c", line)
    assert done.out == "done\n", done.out
    assert sys.platform == "linux"
