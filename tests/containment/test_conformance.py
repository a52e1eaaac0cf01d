"""What a program finds is the same in every tier: files, wire, limits, pipes, and a terminal with its keys.

Starting a guest takes seconds, so most checks of a tier share one session, and those of its terminal another.
"""

import contextlib
import os
import re
import select
import signal
import subprocess

import leaks
import pytest
from tiered import TIERS, WAIT, WHO, Inside, Screen, tiered

pytestmark = pytest.mark.timeout(300)

PAIRS = [(who, tier) for tier in TIERS for who in WHO]
# A machine's start costs seconds, and who starts it shows on this side only: there a check is of one or the other
FIRST = [pair for pair in PAIRS if pair[1] != "microvm" or pair[0] == WHO[0]]
LAST = [pair for pair in PAIRS if pair[1] != "microvm" or pair[0] == "user"]
LIMITS = '[limits]\nfile_size = "1M"\nopen_files = 77\nprocesses = 40\nscratch = "600K"\n'
SECRET = "KEY=secret-value\n"
OLD = "old\n"


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


@pytest.fixture(scope="module", params=LAST, ids=map("-".join, LAST))
def inside(request, people):
    """One session for all checks of a tier and an identity; its launcher is killed, or asked to end."""
    who, tier = request.param
    before = leaks.Traces()
    field = tiered(people[who], tier, request)
    field.policy(f'tier = ["{tier}"]\n{LIMITS}')
    field.put("src/a.txt", OLD)
    field.put(".env", SECRET)
    one = Inside(field, "--allow", "http://reached.example")
    number = signal.SIGTERM if who == "user" or tier == "container" else signal.SIGKILL
    try:
        yield one
    finally:
        code, _said = one.end(number)
        sweep = field.run("sessions").code  # what a killed launcher left is taken away by the next
        field.close()
    assert code == (143 if number == signal.SIGTERM else -9)
    assert sweep == 0
    assert not before.left()


class TestFiles:
    def test_the_project_is_there_and_nothing_else_of_the_operators(self, inside):
        done = inside.sh("cat src/a.txt; pwd; id -u; ls /root/.ssh /home 2>/dev/null | grep -v '^/'")
        uid = inside.field.person.uid or "[0-9]+"
        assert re.match(f"old\n{inside.field.project}\n{uid}\n", done.out), done

    def test_credential_files_do_not_exist(self, inside):
        done = inside.sh("cat .env; ls -a; cat /proc/1/environ")
        assert "secret-value" not in done.out + done.err

    def test_the_system_cannot_be_written(self, inside):
        done = inside.sh("touch /usr/x /etc/x /x")
        assert done.err.count("cannot touch") == 3, done


class TestTheWire:
    def test_nothing_leaves_but_by_the_gate(self, inside):
        done = inside.python(
            "import socket, urllib.request, urllib.error\n"
            "for place in (('192.0.2.1', 443), ('127.0.0.1', 22), ('169.254.169.254', 80)):\n"
            "    try:\n"
            "        sock = socket.create_connection(place, 3)\n"
            "        sock.sendall(b'GET / HTTP/1.0\\r\\nHost: x\\r\\n\\r\\n')\n"
            "        print(sock.recv(12))\n"
            "    except OSError as error: print(type(error).__name__)\n"
            "try: urllib.request.urlopen('http://example.com', timeout=20)\n"
            "except urllib.error.HTTPError as error: print(error.code)\n"
            "try: socket.getaddrinfo('nowhere.example', 80)\n"
            "except OSError as error: print('no name')\n"
        )
        lines = done.out.split("\n")
        assert "HTTP/1.1 2" not in done.out, done
        assert lines[1] == "ConnectionRefusedError", done
        assert lines[3:5] == ["403", "no name"], done

    def test_an_allowed_name_is_reached_through_it(self, inside):
        done = inside.sh("curl -sS -o /dev/null -w '%{http_code}' http://reached.example/")
        assert done.out in {"502", "504"}, done  # the gate tried, and there is no such host


class TestRights:
    def test_no_capabilities_no_new_privileges_and_the_filter(self, inside):
        done = inside.sh(
            "grep -E 'CapEff|NoNewPrivs|^Seccomp:' /proc/self/status; unshare -U true; dmesg; mount -t tmpfs x /tmp"
        )
        assert "CapEff:\t0000000000000000" in done.out
        assert "Seccomp:\t2" in done.out, done
        if inside.tier != "gvisor":  # its /proc does not tell
            assert "NoNewPrivs:\t1" in done.out
        refused = re.findall(
            "^unshare: .*not permitted|^dmesg: .*not permitted|^mount: .*(?:superuser|denied)",
            done.err,
            re.MULTILINE,
        )
        assert len(refused) == (2 if inside.tier == "gvisor" and "dmesg: " not in done.err else 3), done


class TestLimits:
    def test_files_and_descriptors(self, inside):
        done = inside.sh(
            "dd if=/dev/zero of=big bs=1M count=3 2>/dev/null; stat -c %s big; ulimit -n; rm big"
        )
        assert done.out == "1048576\n77\n", done

    def test_processes(self, inside):
        done = inside.python(
            "import os, time\n"
            "made = []\n"
            "try:\n"
            "    while len(made) < 100:\n"
            "        pid = os.fork()\n"
            "        if pid == 0: time.sleep(60); os._exit(0)\n"
            "        made.append(pid)\n"
            "except OSError as error: print(len(made), type(error).__name__)\n"
            "for pid in made: os.kill(pid, 9); os.waitpid(pid, 0)\n"
        )
        made, what = done.out.split()
        assert 10 <= int(made) < 40, done
        assert what == "BlockingIOError"

    def test_scratch_space(self, inside):
        done = inside.sh(
            "for d in /tmp /dev/shm /var/tmp ~; do head -c 900000 /dev/zero > $d/x; stat -c %s $d/x; rm $d/x; done"
        )
        sizes = [int(one) for one in done.out.split()]
        assert len(sizes) == 4, done
        assert all(0 < one <= 600 << 10 for one in sizes), done


class TestProcesses:
    def test_orphans_are_reaped_and_the_command_is_not_the_first_process(self, inside):
        done = inside.sh(
            "for i in 1 2 3; do (sh -c 'exit 3' &) ; done; "
            "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.2; ps -e -o stat= | grep -q Z || break; done; "
            "ps -e -o stat= | grep -c Z; echo $$"
        )
        zombies, own = done.out.split()
        assert zombies == "0", done
        assert int(own) > 1

    def test_a_pipe_that_nobody_reads_ends_its_writer(self, inside):
        assert inside.run("bash", "-c", "yes | head -n 1; echo ${PIPESTATUS[*]}").out == "y\n141 0\n"

    def test_without_a_terminal_there_is_none(self, inside):
        done = inside.sh("tty; test -t 1; echo $?; true </dev/tty")
        assert done.out == "not a tty\n1\n", done
        assert "/dev/tty" in done.err


# --- a whole session -------------------------------------------------------------------------------


@of(PAIRS)
def test_bytes_statuses_and_changes_come_out(field):
    """Large input and output at once, both outputs apart, a signal's status, a change that is applied, the log."""
    field.put("src/a.txt", OLD)
    data = os.urandom(3 << 20)
    done = field.sh(
        "head -n 1 src/a.txt; echo new > src/a.txt; echo made > b; cat; echo oops >&2; kill -9 $$", data=data
    )
    assert done.code == 137, done.err
    assert done.raw == OLD.encode() + data
    assert done.err.startswith("oops\n")
    assert field.events()[0]["tier"] == field.tier
    assert field.read("src/a.txt") == OLD
    assert not os.path.exists(f"{field.project}/b")
    assert field.run("apply", "--yes", os.path.basename(field.sessions()[-1])).code == 0
    assert (field.read("src/a.txt"), field.read("b")) == ("new\n", "made\n")
    assert field.run("log", "--verify").code == 0


@of(FIRST)
def test_what_is_made_in_the_project_itself_is_the_operators(field):
    done = field.sh(
        "echo x > made; mkdir folder; echo y > folder/a; mv folder/a folder/z; ln -s made link; chmod 600 made",
        "--direct",
    )
    assert done.code == 0, done
    names = ("made", "folder", "folder/z", "link")
    assert {os.lstat(f"{field.project}/{name}").st_uid for name in names} == {field.person.uid}


@of(LAST)
def test_a_command_whose_output_nobody_reads_any_more_ends(field):
    child = field.start("run", "--", "yes")
    try:
        assert child.stdout.readline() == b"y\n"
        child.stdout.close()
        assert child.wait(WAIT) == (1 if field.tier == "gvisor" else 141)  # the sentry only says EPIPE
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.wait(10)
        child.stderr.close()
        child.stdin.close()


@of(LAST)
def test_what_cannot_be_started_has_the_status_that_shells_give(field):
    done = field.run("run", "--", "no-such-program")
    assert done.code == 127, done
    assert "command not found inside the boundary" in done.err
    if field.tier != "microvm":  # the same steps in the same program
        done = field.run("run", "--", "/etc/passwd")
        assert done.code == 126, done
        assert "cannot be executed" in done.err


# --- a terminal ------------------------------------------------------------------------------------

_WATCHES = "trap 'stty size; exit 0' WINCH; echo 'wait''ing'; while :; do sleep 0.1; done"
_CURSES = """
import curses
def main(screen):
    while True:
        screen.erase()
        screen.addstr(0, 0, "size:%d:%d." % screen.getmaxyx())
        screen.refresh()
        key = screen.getch()
        if key == ord("q"): return
        if key == curses.KEY_RESIZE: curses.update_lines_cols()
curses.wrapper(main)
"""


@pytest.fixture(scope="module", params=FIRST, ids=map("-".join, FIRST))
def screen(request, people):
    """One terminal for all checks of a tier and an identity."""
    who, tier = request.param
    before = leaks.Traces()
    field = tiered(people[who], tier, request)
    field.put("curses.py.txt", _CURSES)
    one = Screen(field)
    one.tier = tier
    try:
        yield one
    finally:
        one.close()
        field.close()
    assert not before.left()


class TestTerminal:
    def test_it_has_a_name_and_can_be_opened_by_it(self, screen):
        assert screen.say("tty | grep -c ^/dev/") == "1"
        assert screen.say('test -t 0 -a -t 1 -a -t 2; echo $?; stty size <"$(tty)"') == "0\n31 97"
        assert screen.say('echo word >"$(tty)"') == "word"

    def test_a_program_sees_it_resized(self, screen):
        screen.type(f'sh -c "{_WATCHES}"\n')
        screen.until("waiting\n")
        screen.resize(40, 120)
        assert "40 120\n<0>> " in screen.until(r"<\d+>> $")
        screen.resize(31, 97)

    def test_an_interrupt_ends_the_job_and_not_the_session(self, screen):
        screen.type("sh -c \"echo 'be''gun'; exec sleep 500\"\n")
        screen.until("begun\n")
        assert "<130>> " in screen.press("\x03", r"<\d+>> $")

    def test_jobs_are_stopped_continued_and_brought_back(self, screen):
        screen.type("sh -c \"echo 'be''gun'; exec sleep 500\"\n")
        screen.until("begun\n")
        assert "Stopped" in screen.press("\x1a", r"<148>> $")
        assert "Stopped" in screen.say("jobs")
        screen.say("bg")
        assert "Running" in screen.say("jobs")
        screen.type("fg\n")
        screen.until("sleep 500")
        assert "<130>> " in screen.press("\x03", r"<130>> $")
        assert screen.say("jobs") == ""

    def test_the_end_of_input_is_typed(self, screen):
        screen.type("sh -c \"echo 'be''gun'; cat\"\n")
        screen.until("begun\n")
        screen.type("some text\n")
        screen.until("some text\nsome text\n")
        assert "<0>> " in screen.press("\x04", r"<\d+>> $")

    def test_a_large_paste_arrives(self, screen):
        screen.type("sh -c \"echo 'be''gun'; wc -c\"\n")
        screen.until("begun\n")
        screen.type(("x" * 79 + "\n") * 500)
        screen.type("\x04")
        assert re.search(r"^40000\n", screen.until(r"<\d+>> $"), re.MULTILINE)

    def test_what_scrolls_past_is_complete(self, screen):
        assert screen.say("seq 1 3000").split() == [str(one) for one in range(1, 3001)]

    def test_a_pager_pages(self, screen):
        screen.type("seq 1 500 | less\n")
        assert "29\n30\n" in screen.until(r"\n:$")
        screen.type("G")
        screen.until(r"500\n\(END\)")
        screen.type("q")
        screen.until(r"<\d+>> $")

    def test_a_program_of_curses_draws_and_follows_the_size(self, screen):
        screen.type("python3 curses.py.txt\n")
        screen.until(r"size:31:97\.")
        for rows in range(24, 30):  # curses itself may miss one between its look and its wait
            screen.resize(rows, 80)
            with contextlib.suppress(AssertionError):
                screen.until(rf"{rows}:80\.", WAIT / 6)
                break
        else:
            pytest.fail("no size was followed")
        screen.type("q")
        screen.until(r"<\d+>> $")
        screen.resize(31, 97)

    def test_a_shell_that_is_left_ends_the_session_with_its_status(self, screen):
        screen.type("exec sh -c 'exit 5'\n")
        assert screen.status() == 5


@of([pair for pair in PAIRS if pair[1] == "sandbox"])
def test_a_paste_that_nothing_reads_holds_up_neither_clock_nor_signals(field):
    screen = Screen(field, "sh", "-c", "stty raw -echo; echo be''gun; exec sleep 300")
    try:
        screen.until("begun")
        with pytest.raises(AssertionError, match="does not take"):
            _flood(screen)
        screen.child.terminate()
        assert screen.status(20) == 143
    finally:
        screen.close()


def _flood(screen):
    """Type more than any buffer between here and there takes."""
    for _ in range(4000):
        if not select.select([], [screen.master], [], 1.0)[1]:
            raise AssertionError("it does not take what is typed")
        os.write(screen.master, b"x" * 1024)


def test_what_a_test_leaves_is_seen():
    before = leaks.Traces()
    child = subprocess.Popen(["sh", "-c", "setsid sleep 300 & exit 0"])
    child.wait()
    left = before.left(0.2)
    assert [one for one in left if "sleep 300" in one], left
    for one in left:
        os.kill(int(re.match(r"process (\d+)", one)[1]), signal.SIGKILL)
    assert not before.left()
