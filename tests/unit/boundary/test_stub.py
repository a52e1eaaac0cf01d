"""The entry program really runs: natively, and by emulation for the other architecture."""

import os
import shutil
import socket
import stat
import struct
import subprocess
import sys

import pytest

from ringfence.boundary import landlock, reaper, stub
from ringfence.boundary.limits import RLIMIT_NOFILE
from ringfence.boundary.stub import Add, Call, Copy, Data, Execute, Half, Jump, Place, Pointers, Slot, Store
from ringfence.boundary.tiers import sandbox

ARCHES = ("x86_64", "aarch64")
NOT_FOUND, NOT_EXECUTABLE = "nope: not found", "nope: not executable"


def emulator(arch):
    """Return what goes before a program of that architecture."""
    if os.uname().machine == arch:
        return []
    name = next((one for one in (f"qemu-{arch}", f"qemu-{arch}-static") if shutil.which(one)), "")
    if not name:
        pytest.skip(f"missing: qemu-{arch} (qemu-user)")
    return [name]


@pytest.fixture(params=ARCHES)
def arch(request):
    return request.param


@pytest.fixture
def run(arch, tmp_path):
    """Assemble steps, run the program, return how it ended."""
    before = emulator(arch)

    def go(*steps, **how):
        program = tmp_path / "enter"
        program.write_bytes(stub.assemble(arch, steps))
        program.chmod(0o755)
        return subprocess.run([*before, str(program)], capture_output=True, timeout=30, check=False, **how)

    return go


def execute(*paths, argv=(b"a",), environment=()):
    return Execute(
        paths=paths, argv=argv, environment=environment, not_found=NOT_FOUND, not_executable=NOT_EXECUTABLE
    )


def say(text, fd=1, failure=""):
    return Call(name="write", arguments=(fd, Data(content=text), len(text)), failure=failure)


class TestCalls:
    def test_are_made_in_order(self, run):
        assert run(say(b"one "), say(b"two "), say(b"three")).stdout == b"one two three"

    def test_equal_constants_and_different_ones_are_not_confused(self, run):
        assert run(say(b"aa"), say(b"b"), say(b"aa"), say(b"aab")).stdout == b"aabaaaab"

    def test_one_that_fails_ends_the_program_with_its_own_text_and_125(self, run):
        done = run(say(b"before"), say(b"x", fd=99, failure="cannot say"), say(b"after"))
        assert (done.returncode, done.stdout, done.stderr) == (125, b"before", b"ringfence: cannot say\n")

    def test_one_that_fails_without_a_text_does_not_matter(self, run):
        assert run(say(b"x", fd=99), say(b"after")).stdout == b"after"

    def test_the_end_of_the_list_is_an_error_of_ours(self, run):
        done = run(say(b"x"))
        assert (done.returncode, done.stderr) == (125, b"ringfence: the entry program ran past its end\n")

    def test_a_text_of_a_strange_path_is_printed_without_its_bytes(self, run):
        done = run(say(b"x", fd=99, failure="cannot open /a\udcff"))
        assert done.stderr == b"ringfence: cannot open /a\\udcff\n"

    def test_results_are_kept_copied_and_passed_on(self, run, tmp_path):
        (tmp_path / "file").write_bytes(b"")
        opened, other = Slot(offset=8), Slot(offset=16)
        name = str(tmp_path / "file").encode() + b"\0"
        run(
            Call(name="openat", arguments=(-100, Data(content=name), os.O_WRONLY, 0), result=opened),
            Copy(source=opened, target=other),
            Call(name="write", arguments=(other, Data(content=b"kept"), 4)),
        )
        assert (tmp_path / "file").read_bytes() == b"kept"

    def test_a_slot_is_passed_by_address_too(self, run):
        slot = Slot(offset=40)
        value = int.from_bytes(b"slotted\n", "little")
        address = Slot(offset=40, address=True)
        assert (
            run(Store(slot=slot, value=value), Call(name="write", arguments=(1, address, 8))).stdout
            == b"slotted\n"
        )

    def test_a_descriptor_is_passed_out_in_a_message(self, arch, tmp_path):
        """The fallback's listener travels this way: the steps of the sandbox tier itself."""
        program = tmp_path / "enter"
        sock, control = Slot(offset=64), Slot(offset=128, address=True)
        header = Pointers(words=(0, 0, Pointers(words=(Data(content=b"L"), 1)), 1, control, 24, 0))
        steps = (
            Call(name="socket", arguments=(2, 1, 0), result=sock, failure="socket"),
            Store(slot=Slot(offset=128), value=20),
            Store(slot=Slot(offset=136), value=1 | 1 << 32),
            Copy(source=sock, target=Slot(offset=144)),
            Call(name="sendmsg", arguments=(0, header, 0), failure="sendmsg"),
        )
        program.write_bytes(stub.assemble(arch, steps))
        program.chmod(0o755)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            subprocess.run(
                [*emulator(arch), str(program)], stdin=theirs, capture_output=True, timeout=30, check=False
            )
            ours.settimeout(5)
            said, fds, _flags, _address = socket.recv_fds(ours, 16, 4)
        assert said == b"L"
        assert len(fds) == 1
        with socket.socket(fileno=fds[0]) as received:
            assert (received.family, received.type) == (socket.AF_INET, socket.SOCK_STREAM)

    def test_no_step_of_the_tier_is_a_call_that_an_architecture_lacks(self, arch):
        """Execute, limits, Landlock and the listener assemble for both."""
        assert sandbox.limit(RLIMIT_NOFILE, 64)
        for step in (sandbox.limit(RLIMIT_NOFILE, 64), *landlock.steps(6, (("/", landlock.READ, True),))):
            assert stub.assemble(arch, (step,))[:4] == b"\x7fELF"

    def test_a_limit_holds_in_what_is_executed(self, run):
        done = run(sandbox.limit(RLIMIT_NOFILE, 77), execute(b"/bin/sh", argv=(b"sh", b"-c", b"ulimit -n")))
        assert done.stdout == b"77\n"


class TestExecuting:
    def test_arguments_and_variables_arrive_byte_by_byte(self, run):
        argv = (
            b"sh",
            b"-c",
            b'printf "%s|" "$@"; printf %s "$VALUE"',
            b"0",
            b"a b",
            b"",
            b"\xff\xfe\n'\"",
            b"$(id)",
        )
        done = run(execute(b"/bin/sh", argv=argv, environment=(b"VALUE=x\xffy=z",)))
        assert done.stdout == b"a b||\xff\xfe\n'\"|$(id)|x\xffy=z"

    def test_the_environment_holds_nothing_else(self, run):
        done = run(
            execute(b"/usr/bin/env", argv=(b"env",), environment=(b"ONE=1", b"TWO=2")), env={"LEAK": "secret"}
        )
        assert done.stdout == b"ONE=1\nTWO=2\n"

    def test_paths_are_tried_in_turn_until_one_exists(self, run, tmp_path):
        done = run(
            execute(
                bytes(tmp_path / "none"),
                b"/etc/passwd/x",
                b"/bin/echo",
                b"/bin/false",
                argv=(b"echo", b"found"),
            )
        )
        assert (done.returncode, done.stdout) == (0, b"found\n")

    def test_the_status_is_the_programs_own(self, run):
        assert run(execute(b"/bin/sh", argv=(b"sh", b"-c", b"exit 42"))).returncode == 42

    def test_none_that_exists_is_127(self, run):
        done = run(execute(b"/none/a", b"/etc/passwd/b"))
        assert (done.returncode, done.stderr) == (127, b"ringfence: nope: not found\n")

    @pytest.mark.parametrize("kind", ["no execute bit", "a folder", "no program"])
    def test_one_that_cannot_be_executed_is_126_and_ends_the_search(self, run, tmp_path, kind):
        target = tmp_path / "thing"
        if kind == "a folder":
            target.mkdir()
        else:
            target.write_bytes(b"\x7fELF nonsense")
            target.chmod(0o644 if kind == "no execute bit" else 0o755)
        done = run(execute(bytes(target), b"/bin/echo"))
        assert (done.returncode, done.stderr, done.stdout) == (126, b"ringfence: nope: not executable\n", b"")


class TestTheFile:
    def test_no_memory_is_both_written_and_executed(self, arch):
        program = stub.assemble(arch, (say(b"x"),))
        (count,) = struct.unpack_from("<H", program, 56)
        flags = [struct.unpack_from("<II", program, 64 + 56 * number)[1] for number in range(count)]
        assert not any(one & 1 and one & 2 for one in flags)

    def test_the_stack_is_not_executable(self, arch):
        program = stub.assemble(arch, (say(b"x"),))
        kinds = [struct.unpack_from("<II", program, 64 + 56 * number) for number in range(3)]
        assert (0x6474E551, 6) in kinds

    def test_it_grows_to_thousands_of_steps(self, run):
        done = run(*[say(b"%d " % number) for number in range(3000)], execute(b"/bin/true"))
        assert done.returncode == 0
        assert done.stdout.split() == [b"%d" % number for number in range(3000)]


@pytest.mark.guarantee("P9")
@pytest.mark.skipif(not landlock.abi(), reason="missing: a kernel with Landlock")
class TestLandlock:
    """Run natively: the steps restrict what is executed after them."""

    @pytest.fixture
    def held(self, tmp_path):
        """A place where `open` may be read, `work` written and all else not even listed."""
        for name in ("open", "work", "closed"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "file").write_text(name)
        (tmp_path / "one").write_text("one")
        rules = [
            (str(tmp_path / "open"), landlock.READ, True),
            (str(tmp_path / "work"), landlock.WRITE, True),
            (str(tmp_path / "one"), landlock.READ, False),
            *[
                (path, landlock.READ, True)
                for path in ("/usr", "/bin", "/lib", "/lib64")
                if os.path.isdir(path)
            ],
            ("/dev", landlock.DEVICE, True),
        ]
        arch = os.uname().machine

        def go(script, version=0):
            program = tmp_path / "enter"
            steps = landlock.steps(version or landlock.abi(), tuple(rules))
            program.write_bytes(
                stub.assemble(arch, (*steps, execute(b"/bin/sh", argv=(b"sh", b"-c", script.encode()))))
            )
            program.chmod(stat.S_IRWXU)
            return subprocess.run([str(program)], capture_output=True, timeout=30, check=False, cwd=tmp_path)

        return go

    @pytest.mark.parametrize(
        "script",
        [
            "cat closed/file", "ls closed", "ls .", "cat /etc/passwd", "echo x > closed/new", "echo x > open/file",
            "echo x > open/new", "mv open/file work/", "mv work/file open/", "ln work/file open/l", "ln closed/file work/l",
            "rm open/file", "mkdir open/d", "ln -s x open/l", "mknod work/dev c 1 3", "echo x > one",
            "truncate -s 0 open/file", "cat work/../closed/file", "ln -s ../closed work/s; cat work/s/file",
        ],
    )  # fmt: skip
    def test_what_no_rule_names_is_refused(self, held, script):
        done = held(script)
        assert done.returncode != 0
        assert (
            b"ermission denied" in done.stderr
            or b"not permitted" in done.stderr
            or b"cross-device" in done.stderr
        )

    @pytest.mark.parametrize(
        "script",
        ["cat open/file", "cat one", "ls open", "echo x > work/new", "rm work/file", "mkdir work/d",
         "mv work/file work/other", "echo x > /dev/null", "truncate -s 0 work/file", "ln work/file work/l"],
    )  # fmt: skip
    def test_what_a_rule_names_is_allowed(self, held, script):
        done = held(script)
        assert (done.returncode, done.stderr) == (0, b"")

    @pytest.mark.parametrize("version", [one for one in range(1, 8) if one <= landlock.abi()])
    def test_every_version_up_to_this_kernels_holds(self, held, version):
        assert held("cat closed/file", version).returncode != 0
        assert held("echo x > open/new", version).returncode != 0
        assert held("cat open/file", version).stdout == b"open"

    def test_a_path_that_is_gone_stops_the_start(self, tmp_path):
        program = tmp_path / "enter"
        steps = landlock.steps(landlock.abi(), ((f"{tmp_path}/gone", landlock.READ, True),))
        program.write_bytes(stub.assemble(os.uname().machine, (*steps, execute(b"/bin/true"))))
        program.chmod(stat.S_IRWXU)
        done = subprocess.run([str(program)], capture_output=True, timeout=30, check=False)
        assert (done.returncode, done.stderr) == (
            125,
            f"ringfence: Landlock: cannot open {tmp_path}/gone\n".encode(),
        )

    @pytest.mark.skipif(
        landlock.abi() < 6, reason="missing: Landlock ABI 6, which scopes signals and sockets"
    )
    def test_processes_outside_cannot_be_signalled(self, held):
        with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"]) as outside:
            try:
                assert held(f"kill -0 {outside.pid}").returncode != 0
            finally:
                outside.kill()


def test_without_landlock_there_are_no_steps():
    assert landlock.steps(0, (("/", landlock.READ, True),)) == ()


class TestJumps:
    def test_make_a_loop_that_counts(self, run):
        turns = Slot(offset=8)
        steps = (
            Store(slot=turns, value=3),
            Place(name="again"),
            say(b"x"),
            Add(slot=turns, value=1, subtract=True),
            Jump(to="out", when=(turns, 0)),
            Jump(to="again"),
            Place(name="out"),
            say(b"."),
            Call(name="exit_group", arguments=(turns,)),
        )
        done = run(*steps)
        assert (done.returncode, done.stdout) == (0, b"xxx.")

    @pytest.mark.parametrize(
        ("first", "second", "less", "taken"),
        [(5, 5, False, True), (5, 6, False, False), (5, 6, True, True), (6, 5, True, False), (5, 5, True, False),
         (-11, 0, True, True), (0, -11, True, False), (-11, -11, False, True), (1 << 40, 0, False, False)],
    )  # fmt: skip
    def test_are_taken_when_the_numbers_say_so(self, run, first, second, less, taken):
        one, other = Slot(offset=8), Slot(offset=16)
        for value in (second, other):
            done = run(
                Store(slot=one, value=first & 0xFFFFFFFFFFFFFFFF),
                Store(slot=other, value=second & 0xFFFFFFFFFFFFFFFF),
                Jump(to="taken", when=(one, value), less=less),
                Call(name="exit_group", arguments=(1,)),
                Place(name="taken"),
                Call(name="exit_group", arguments=(2,)),
            )
            assert done.returncode == (2 if taken else 1)

    def test_halves_of_words_and_sums_of_slots(self, run):
        whole, high, low = Slot(offset=8), Slot(offset=16), Slot(offset=24)
        done = run(
            Store(slot=whole, value=5 << 32 | 0xFFFFFFFF),
            Half(offset=12, target=high),
            Half(offset=8, target=low),
            Jump(to="right", when=(low, 0xFFFFFFFF)),
            Call(name="exit_group", arguments=(99,)),
            Place(name="right"),
            Add(slot=high, value=high),
            Call(name="exit_group", arguments=(high,)),
        )
        assert done.returncode == 10


class TestTheFirstProcess:
    """Without a terminal: with one it is tried in a whole session (tests/containment/test_conformance.py)."""

    @pytest.fixture
    def first(self, run):
        def go(script, **how):
            command = execute(b"/bin/sh", argv=(b"sh", b"-c", script))
            return run(*reaper.staying((), command, ()), **how)

        return go

    def test_ends_as_its_command_did(self, first):
        assert first(b"exit 7").returncode == 7
        assert first(b"kill -9 $$").returncode == 128 + 9

    def test_is_not_the_command_and_holds_none_of_its_streams(self, first):
        done = first(b"cat; echo $PPID; exec >&-; sleep 0.3; exit 3", input=b"typed ")
        assert done.returncode == 3
        assert done.stdout.startswith(b"typed ")
        assert int(done.stdout.split()[1]) > 1

    def test_passes_signals_on(self, arch, tmp_path):
        program = tmp_path / "enter"
        script = b"trap 'echo got; exit 5' TERM; echo ready; while :; do sleep 0.05; done"
        command = execute(b"/bin/sh", argv=(b"sh", b"-c", script))
        program.write_bytes(stub.assemble(arch, reaper.staying((), command, ())))
        program.chmod(0o755)
        child = subprocess.Popen([*emulator(arch), str(program)], stdout=subprocess.PIPE)
        try:
            assert child.stdout.readline() == b"ready\n"
            child.terminate()
            out, _ = child.communicate(timeout=30)
        finally:
            child.kill()
        assert (out, child.returncode) == (b"got\n", 5)

    def test_the_command_starts_with_no_signal_blocked(self, first):
        assert first(b"grep SigBlk /proc/self/status").stdout.split()[-1] == b"0" * 16
