"""A session as its operator sees it: statuses, signals, streams, limits, files, and nothing left behind."""

import fcntl
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import termios
import time

import pytest
from field import SECRET, eventually, gone_within
from person import snapshot

pytestmark = pytest.mark.timeout(100)


def waiting(field, *options, script="echo ready; sleep 60"):
    """Start a session that waits; return its launcher once the command runs."""
    child = field.start("run", *options, "--", "sh", "-c", script)
    line = child.stdout.readline()
    assert line == b"ready\n", (line, child.stderr.read())
    return child


def end(child):
    """Make sure that a launcher is gone and its pipes are closed."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
    child.communicate(timeout=10)


# --- statuses and streams ------------------------------------------------------------------------


class TestStatus:
    @pytest.mark.parametrize("code", [0, 1, 2, 42, 125, 126, 127, 255])
    def test_the_commands_own_passes_through(self, users, code):
        assert users.sh(f"exit {code}").code == code

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
    def test_a_command_that_a_signal_ended_says_so_as_shells_do(self, users, number):
        assert users.sh(f"kill -{int(number)} $$").code == 128 + number

    def test_nothing_is_said_on_standard_error_when_nothing_happened(self, field):
        done = field.sh("echo out")
        assert (done.code, done.out, done.err) == (0, "out\n", "")
        assert field.left_over() == []


class TestStreams:
    def test_a_million_bytes_pass_through_unchanged(self, users):
        data = os.urandom(1 << 20)
        done = users.run("run", "--", "cat", data=data)
        assert done.raw == data

    def test_standard_error_stays_apart(self, users):
        done = users.sh("echo out; echo err >&2")
        assert (done.out, done.err) == ("out\n", "err\n")

    @pytest.mark.guarantee("P5")
    def test_no_other_descriptor_comes_in(self, field):
        secret = field.put(f"{field.folder}/secret", SECRET)
        fds = [os.open(secret, os.O_RDONLY) for _ in range(3)]
        high = fcntl.fcntl(fds[0], fcntl.F_DUPFD, 200)
        try:
            script = "import os; print([one for one in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{one}')])"
            done = field.python(script, pass_fds=(*fds, high))
            inside = field.sh(
                "cat /proc/1/fd/* /proc/self/fd/[3-9]* 2>/dev/null </dev/null", pass_fds=(*fds, high)
            )
        finally:
            for fd in (*fds, high):
                os.close(fd)
        assert sorted(eval(done.out)) == ["0", "1", "2"], done
        assert SECRET not in inside.out

    @pytest.mark.guarantee("P7")
    def test_no_variable_comes_in_that_nobody_named(self, field):
        done = field.sh(
            "env", variables={"LD_PRELOAD": "/x.so", "BASH_ENV": "/x", "AWS_SECRET_ACCESS_KEY": SECRET}
        )
        names = {line.partition("=")[0] for line in done.out.splitlines()}
        assert names.isdisjoint(
            {"LD_PRELOAD", "BASH_ENV", "AWS_SECRET_ACCESS_KEY", "MY_SERVICE_TOKEN", "PYTHONPATH"}
        )
        assert SECRET not in field.sh("cat /proc/*/environ").out


# --- the end -------------------------------------------------------------------------------------


@pytest.mark.guarantee("P1")
class TestEnding:
    SCRIPT = "setsid sleep 61 & (trap '' TERM INT HUP; sleep 62) & trap '' {}; echo ready; sleep 60"

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
    def test_of_the_launcher_ends_everything_within_two_seconds(self, field, number):
        child = waiting(field, script=self.SCRIPT.format("TERM INT HUP"))
        try:
            assert len(field.processes()) >= 4
            child.send_signal(number)
            assert gone_within(field) == []
        finally:
            end(child)

    def test_of_the_command_takes_what_it_left_running_along(self, field):
        done = field.sh("setsid sleep 61 & nohup sleep 62 >/dev/null 2>&1 & exit 3")
        assert done.code == 3
        assert gone_within(field) == []
        assert done.seconds < 3

    def test_a_command_that_heeds_a_signal_chooses_its_end(self, users):
        child = waiting(
            users, script="trap 'echo cleaned; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
        )
        try:
            child.send_signal(signal.SIGTERM)
            out, err = child.communicate(timeout=5)
        finally:
            end(child)
        assert out == b"cleaned\n"
        assert child.returncode == 128 + signal.SIGTERM
        assert b"session ended: signal 15" in err

    def test_an_interrupt_reaches_the_command_and_ends_nothing_else(self, users):
        child = waiting(users, script="trap 'echo got; exit 7' INT; echo ready; while :; do sleep 0.05; done")
        try:
            child.send_signal(signal.SIGINT)
            out, _err = child.communicate(timeout=5)
        finally:
            end(child)
        assert (out, child.returncode) == (b"got\n", 7)

    def test_a_killed_launchers_leftovers_are_swept_by_the_next(self, field):
        child = waiting(field, "--memory", "1G")
        child.kill()
        end(child)
        assert gone_within(field) == []
        assert field.left_over() != []  # the live file, the staging folder, perhaps a cgroup
        assert field.sh("true").code == 0
        assert field.left_over() == []

    @pytest.mark.guarantee("A1")
    def test_the_log_tells_how_it_ended(self, users):
        users.sh("exit 4")
        last = users.events()[-1]
        assert (last["kind"], last["status"], last["reason"]) == ("end", 4, "")
        assert last["policy_digest"] == users.events()[0]["policy_digest"]

    def test_and_why_when_it_did_not_end_by_itself(self, users):
        users.sh("sleep 20", "--time", "200ms")
        last = users.events()[-1]
        assert (last["status"], last["reason"]) == (137, "the session's wall time of 0.2 s is over")


class TestTheGateDies:
    @pytest.mark.guarantee("N13")
    def test_connections_are_refused_and_the_operator_is_told(self, field):
        field.policy('[[egress.allow]]\nhost = "example.com"\n')
        script = (
            "import socket, sys, time\n"
            "def dial():\n"
            "    try: socket.create_connection(('100.64.0.1', 3128), 2).close(); return 'up'\n"
            "    except OSError as error: return type(error).__name__\n"
            "print(dial(), flush=True)\n"
            "sys.stdin.readline()\n"
            "print(dial(), flush=True)\n"
        )
        child = field.start("run", "--", "/usr/bin/python3", "-c", script)
        try:
            assert child.stdout.readline() == b"up\n"
            gate = eventually(lambda: [pid for pid in field_children(child.pid) if b"egress" in cmdline(pid)])
            os.kill(gate[0], signal.SIGKILL)
            assert eventually(lambda: not os.path.exists(f"/proc/{gate[0]}") or state(gate[0]) == "Z")
            out, err = child.communicate(b"\n", timeout=10)
        finally:
            end(child)
        assert out in {
            b"ConnectionRefusedError\n",
            b"OSError\n",
        }  # unreachable: the gate's whole namespace is gone
        assert b"the gate ended before the session" in err


def field_children(pid):
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        try:
            with open(f"/proc/{one}/task/{one}/children") as file:
                below = [int(word) for word in file.read().split()]
        except OSError:
            below = []
        found += below
        todo += below
    return found


def cmdline(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


def state(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


# --- limits --------------------------------------------------------------------------------------


class TestLimits:
    @pytest.mark.guarantee("L2")
    def test_a_session_that_outlives_its_time_is_ended_with_the_reason(self, field):
        done = field.sh("sleep 30", "--time", "500ms")
        assert done.code == 137
        assert "session ended: the session's wall time of 0.5 s is over" in done.err
        assert done.seconds < 3
        assert gone_within(field) == []

    @pytest.mark.guarantee("L1")
    def test_memory_beyond_the_limit_ends_the_session(self, field):
        script = "import time\nhold = []\nwhile len(hold) < 30: hold.append(b'x' * (16 << 20)); time.sleep(0.02)\nprint('alive')"
        done = field.python(script, "--memory", "128M")
        assert done.code != 0
        assert "alive" not in done.out
        assert "memory" in done.err
        assert "memory" in field.events()[-1]["reason"]
        assert gone_within(field) == []
        assert field.left_over() == []

    @pytest.mark.guarantee("L1")
    def test_a_fork_bomb_stays_inside(self, field):
        script = (
            "import os, time\n"
            "made = 0\n"
            "try:\n"
            "    while made < 500:\n"
            "        if os.fork() == 0:\n"
            "            time.sleep(20); os._exit(0)\n"
            "        made += 1\n"
            "except BlockingIOError: pass\n"
            "print(made)\n"
        )
        done = field.python(script, "--processes", "60")
        assert 10 <= int(done.out) < 60, done
        assert gone_within(field) == []

    @pytest.mark.guarantee("L1")
    def test_one_sessions_processes_do_not_use_up_anothers(self, users):
        child = waiting(
            users,
            "--processes",
            "20",
            script="for i in 1 2 3 4 5 6 7 8 9 10; do sleep 30 & done; echo ready; wait",
        )
        try:
            assert (
                users.sh(
                    "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.1 & done; wait; echo ok", "--processes", "20"
                ).out
                == "ok\n"
            )
        finally:
            end(child)

    @pytest.mark.guarantee("L1")
    def test_file_size_and_open_files_are_limited(self, field):
        field.policy('[limits]\nfile_size = "1M"\nopen_files = 40\n')
        done = field.sh("ulimit -n; dd if=/dev/zero of=big bs=1M count=5 2>/dev/null; stat -c %s big")
        assert done.out == "40\n1048576\n", done

    @pytest.mark.guarantee("L1")
    def test_the_private_folders_are_limited(self, users):
        users.policy('[limits]\nscratch = "2M"\n')
        for place in ("/tmp", "/dev/shm", users.home, "/var/tmp"):
            done = users.sh(f"head -c 4000000 /dev/zero > {place}/big; stat -c %s {place}/big")
            assert int(done.out) <= 2 << 20, place

    def test_cpus_are_limited(self, users):
        assert users.sh("nproc", "--cpus", "1").out == "1\n"
        widened = "import os; os.sched_setaffinity(0, range(64))"
        assert "PermissionError" in users.python(widened, "--cpus", "1").err
        assert users.python(widened).code == 0

    @pytest.mark.guarantee("L3")
    def test_the_plan_says_how_firmly(self, field):
        out = field.run("plan", "--memory", "1G", "--processes", "50", "--time", "1m", "--cpus", "1").out
        rows = [line.strip() for line in out.splitlines()]
        assert any(
            row.startswith("memory = 1073741824: ")
            and (": enforced, by cgroup" in row or ": watched, by" in row)
            for row in rows
        )
        assert "processes = 50: enforced, by RLIMIT_NPROC of the session's user namespace" in rows
        assert "wall_time = 60.0: enforced, by the launcher" in rows


# --- files ---------------------------------------------------------------------------------------


class TestWhatIsThere:
    @pytest.mark.guarantee("F1")
    def test_the_home_folder_is_empty_and_of_the_session_only(self, field):
        field.put(f"{field.home}/.ssh/id_rsa", SECRET)
        field.put(f"{field.home}/notes.txt", SECRET)
        assert field.sh("ls -A ~; echo new > ~/new; cat ~/new").out == "project\nnew\n"
        assert not os.path.exists(f"{field.home}/new")
        assert field.sh("ls -A ~").out == "project\n"

    @pytest.mark.guarantee("F1")
    def test_state_is_kept_for_this_workspace_and_for_no_other(self, field):
        field.policy('[files]\nstate = ["~/.tool"]\n')
        field.put(f"{field.home}/.tool/theirs", SECRET)
        assert field.sh("ls -A ~/.tool; echo mine > ~/.tool/kept").out == ""
        assert field.sh("cat ~/.tool/kept").out == "mine\n"
        other = f"{field.home}/other"
        os.mkdir(other)
        field.own()
        assert field.run("run", "--", "sh", "-c", "ls -A ~/.tool", cwd=other).out == ""
        assert os.listdir(f"{field.home}/.tool") == ["theirs"]

    @pytest.mark.guarantee("F2")
    def test_what_nobody_named_does_not_exist(self, field):
        field.put(f"{field.home}/other/file", SECRET)
        field.put(f"{field.folder}/outside", SECRET)
        done = field.sh(
            f"for p in {field.home}/other {field.folder}/outside /root/.bashrc /etc/shadow /var/log /srv /mnt /boot "
            "/sys/kernel /var/run/docker.sock /run/dbus /proc/kcore; do test -e $p && echo $p; done; true"
        )
        assert done.out.replace("/proc/kcore\n", "") == "", done
        assert field.sh("head -c1 /proc/kcore").code != 0

    @pytest.mark.guarantee("F2")
    def test_what_is_named_exists_read_only(self, field):
        field.put(f"{field.home}/docs/a.txt", "words")
        done = field.sh("cat ~/docs/a.txt; echo x > ~/docs/a.txt", "--read", f"{field.home}/docs")
        assert done.out == "words"
        assert done.code != 0
        assert field.read(f"{field.home}/docs/a.txt") == "words"

    @pytest.mark.guarantee("F8")
    def test_only_what_is_named_writable_changes_outside_the_project(self, field):
        field.put(f"{field.home}/out/a", "old")
        field.put(f"{field.home}/docs/a", "old")
        before = snapshot(field.home)
        options = ("--write", f"{field.home}/out", "--read", f"{field.home}/docs")
        field.sh(
            "echo new > ~/out/a; echo x > ~/docs/b; rm ~/docs/a; mkdir ~/d; mv ~/docs ~/d2; echo x > /usr/x",
            *options,
        )
        after = snapshot(field.home)
        assert {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)} == {
            "out/a"
        }
        assert os.stat(f"{field.home}/out/a").st_uid == field.person.uid

    @pytest.mark.guarantee("F9")
    def test_temporary_folders_are_private_and_gone_afterwards(self, field):
        names = [f"{place}/rf-test-{os.getpid()}" for place in ("/tmp", "/dev/shm", "/var/tmp")]
        field.sh("; ".join(f"echo x > {name}" for name in names))
        assert [name for name in names if os.path.exists(name)] == []
        assert field.sh("ls -A /tmp /var/tmp /dev/shm").out.count("rf-test") == 0

    def test_files_made_inside_belong_to_the_operator(self, field):
        field.sh("echo x > made; mkdir folder; echo y > folder/z", "--direct")
        owners = {os.stat(f"{field.project}/{name}").st_uid for name in ("made", "folder", "folder/z")}
        assert owners == {field.person.uid}

    def test_toolchains_on_the_path_are_visible_and_read_only(self, field):
        tool = field.put(
            f"{field.home}/tools/bin/hello", "#!/bin/sh\necho hello $(cat ${0%/*}/../share/word)\n", 0o755
        )
        field.put(f"{field.home}/tools/share/word", "world")
        path = f"{os.path.dirname(tool)}:/usr/bin:/bin"
        done = field.run(
            "run", "--", "sh", "-c", "hello; echo x > $(command -v hello)", variables={"PATH": path}
        )
        assert done.out == "hello world\n", done
        assert field.read(tool).startswith("#!/bin/sh")

    @pytest.mark.guarantee("F3")
    def test_what_lies_in_a_toolchain_is_hidden_too_where_it_is_a_credential(self, field):
        field.put(
            f"{field.home}/tools/bin/hello",
            "#!/bin/sh\ncat ~/tools/.env ~/tools/deep/er/id_rsa ~/tools/plain\n",
            0o755,
        )
        for name in (".env", "deep/er/id_rsa"):
            field.put(f"{field.home}/tools/{name}", SECRET)
        field.put(f"{field.home}/tools/plain", "plain")
        for path in (f"{field.home}/tools/bin:/usr/bin:/bin", "/usr/bin:/bin"):
            done = field.run("run", "--", f"{field.home}/tools/bin/hello", variables={"PATH": path})
            assert SECRET not in done.out
        assert (
            "plain"
            in field.run("run", "--", "hello", variables={"PATH": f"{field.home}/tools/bin:/usr/bin"}).out
        )

    @pytest.mark.guarantee("F2")
    def test_of_the_commands_own_folder_no_more_is_shown_than_the_command(self, field):
        """Where that folder is the home, or above it, or everybody's."""
        tool = field.put(
            f"{field.home}/tool", "#!/bin/sh\nls -A ~; ls -A ~/..; cat ~/notes; echo ran\n", 0o755
        )
        above = field.put(
            f"{field.folder}/tool", "#!/bin/sh\nls -A ~; ls -A ~/..; cat ~/notes; echo ran\n", 0o755
        )
        field.put(f"{field.home}/notes", SECRET)
        for command, seen in ((tool, "project\ntool\nhome\nran\n"), (above, "project\nhome\ntool\nran\n")):
            assert field.run("run", "--", command).out == seen

    @pytest.mark.guarantee("P2")
    def test_there_are_no_capabilities_and_no_way_to_any(self, field):
        done = field.sh(
            "id -u; grep -E '^(Cap(Prm|Eff|Inh|Bnd|Amb)|NoNewPrivs)' /proc/self/status | cut -f2; su -c id 2>&1"
        )
        rows = done.out.split()
        assert rows[0] != "0"
        assert set(rows[1:6]) == {"0000000000000000"}
        assert rows[6] == "1"
        assert "uid=0" not in done.out

    @pytest.mark.guarantee("P4")
    def test_other_processes_cannot_be_seen_or_reached(self, field):
        child = waiting(field)
        try:
            done = field.sh(f"ls -d /proc/[0-9]* | wc -l; kill -0 {child.pid}")
        finally:
            end(child)
        assert int(done.out.split()[0]) <= 5
        assert done.code != 0

    def test_the_kernels_lists_of_keys_and_symbols_cannot_be_opened(self, field):
        for name in ("keys", "kallsyms"):
            assert os.path.exists(f"/proc/{name}")
            assert "Permission denied" in field.sh(f"cat /proc/{name}").err

    @pytest.mark.guarantee("P8")
    def test_sockets_of_the_host_do_not_exist(self, field):
        path = f"{field.home}/agent.sock"
        with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as hidden:
            one.bind(path)
            one.listen()
            hidden.bind(f"\0rf-test-{os.getpid()}")
            hidden.listen()
            os.chmod(path, 0o777)
            names = repr(
                (path, f"\0rf-test-{os.getpid()}", "/run/dbus/system_bus_socket", "/var/run/docker.sock")
            )
            done = field.python(
                "import socket\n"
                f"for name in {names}:\n"
                "    try: socket.socket(socket.AF_UNIX).connect(name); print('reached', name)\n"
                "    except OSError: pass\n",
                variables={"SSH_AUTH_SOCK": path},
            )
        assert (done.out, done.code) == ("", 0), done


class TestHidden:
    FILES = (
        ".env",
        "deploy/prod.pem",
        "a/b/c/d/e/.env.local",
        "backup/.ssh/id_rsa",
        "home/.config/gh/hosts.yml",
    )

    def fill(self, field):
        for path in self.FILES:
            field.put(path, SECRET)
        field.put("main.py", "print()\n")

    @pytest.mark.guarantee("F3")
    @pytest.mark.parametrize("mode", ["direct", "readonly"])
    def test_at_any_depth_and_in_what_is_named_too(self, field, mode):
        self.fill(field)
        field.put(f"{field.home}/docs/x/.npmrc", SECRET)
        done = field.sh(
            "cat $(find . ~/docs -type f) 2>/dev/null; cat main.py",
            "--mode",
            mode,
            "--read",
            f"{field.home}/docs",
        )
        assert SECRET not in done.out
        assert "print()" in done.out
        assert field.read(".env") == SECRET

    @pytest.mark.guarantee("F4")
    def test_under_every_other_name(self, field):
        self.fill(field)
        os.symlink("deploy/prod.pem", f"{field.project}/innocent")
        field.own()
        done = field.sh(
            "cat .env ./.env .//.env /proc/self/root$PWD/.env /proc/self/cwd/.env innocent backup/.ssh/ 2>&1;"
            "ln .env h; cat h; ln -s .env s; cat s; mv .env m; cat m; mv deploy d2; cat d2/prod.pem; cp -r a a2; cat a2/b/c/d/e/.env.local;"
            "mv a a3; find a3 -type f | xargs cat; exec 9<.; cat /proc/self/fd/9/.env; rm -f .env; cat .env; tar c . | tar xO"
        )
        assert SECRET not in done.out + done.err
        assert field.read(".env") == SECRET

    @pytest.mark.guarantee("F10")
    @pytest.mark.parametrize("mode", ["direct", "readonly"])
    def test_without_leaving_a_stub_at_any_time(self, users, mode):
        self.fill(users)
        for number in range(200):
            users.put(f"many/{number}.pem", SECRET)
        before = snapshot(users.project)
        child = waiting(users, "--mode", mode)
        try:
            during = snapshot(users.project)
        finally:
            child.send_signal(signal.SIGTERM)
            end(child)
        assert during == before
        assert snapshot(users.project) == before

    def test_dependencies_are_shown(self, users):
        users.put("node_modules/x/test/server.pem", "fixture")
        assert users.sh("cat node_modules/x/test/server.pem").out == "fixture"


@pytest.mark.guarantee("F7")
class TestModes:
    def test_a_read_only_project_does_not_change(self, field):
        field.put("src/main.py", "old")
        field.put("a/b/.env", SECRET)
        before = snapshot(field.project)
        done = field.sh(
            "echo x > src/main.py; rm -rf src; echo x > new; mkdir d; mv src s; ln -s x l; chmod 777 src; touch src/main.py;"
            "cat src/main.py; ls a/b", "--mode", "readonly",
        )  # fmt: skip
        assert done.out == "old", done
        assert snapshot(field.project) == before

    def test_a_credential_that_the_operator_makes_later_is_hidden_at_the_top(self, field):
        field.put("main.py")
        child = waiting(field, "--mode", "readonly", script="echo ready; read x; cat .env 2>&1; ls -A")
        try:
            field.put(".env", SECRET)
            out, _err = child.communicate(b"\n", timeout=10)
        finally:
            end(child)
        assert SECRET.encode() not in out
        assert b"main.py" in out

    def test_of_a_scratch_project_nothing_is_shown_and_nothing_stays(self, field):
        field.put("src/main.py", SECRET)
        before = snapshot(field.project)
        done = field.sh("ls -A; echo x > new; cat new; pwd", "--mode", "scratch")
        assert done.out == f"x\n{field.project}\n"
        assert snapshot(field.project) == before


class TestProtected:
    """In direct mode: the agent has the real files, but not these."""

    @pytest.fixture(autouse=True)
    def _direct(self, field):
        field.mode = "direct"

    PATHS = (
        ".envrc",
        ".git/hooks/pre-commit",
        ".git/config",
        "a/b/c/d/e/.vscode/tasks.json",
        ".claude/settings.json",
        "x/.mcp.json",
    )

    @pytest.mark.guarantee("F5")
    def test_what_the_host_obeys_cannot_be_changed_in_any_way(self, field):
        field.bare("git", "init", "-q", ".")
        for path in self.PATHS:
            field.put(path, "mine")
        script = "\n".join(
            f"echo evil > {p}; echo evil >> {p}; rm -rf {p}; mv {p} gone; echo evil > t && mv -f t {p}; cp t {p}; ln -f t {p};"
            f" truncate -s 0 {p}; chmod 777 {p}; mv $(dirname {p}) moved; rm -rf $(dirname {p})"
            for p in self.PATHS
        )
        tops = "mv a a2; mv .git .git2; mv x x2; mv .claude c2; mv a/b a/b2; mv a/b/c/d a/d; rm -rf a .git x; true"
        field.sh(f"exec 2>/dev/null; {script}\n{tops}")
        for path in self.PATHS:
            assert field.read(path) == "mine", path

    def test_debuggers_and_namespaces_work_only_where_the_policy_gives_them_up(self, field):
        trace = "python3 -c 'import ctypes; print(ctypes.CDLL(None).ptrace(0, 0, 0, 0))'"  # PTRACE_TRACEME
        assert field.sh(trace).out.strip() == "-1"
        assert field.sh(trace, "--accept", "debuggers").out.strip() == "0"
        assert field.sh("unshare -U true").code != 0
        assert field.sh("unshare -U true", "--accept", "namespaces").code == 0

    def test_a_folder_closed_to_the_scan_is_hidden_at_the_start_and_set_aside_when_new(self, field):
        field.put("closed/.env", "secret")
        os.chmod(f"{field.project}/closed", 0o311)
        done = field.sh(
            "chmod 755 closed; cat closed/.env; mkdir -p new/.vscode; echo evil > new/.vscode/tasks.json; chmod 311 new"
        )
        assert "secret" not in done.out
        os.chmod(f"{field.project}/closed", 0o755)
        assert field.read("closed/.env") == "secret"
        assert not os.path.exists(f"{field.project}/new/.vscode/tasks.json"), done.err

    def test_a_path_too_long_to_follow_hides_and_loses_nothing_else(self, field):
        dig = "import os\nfor _ in range(30): os.mkdir('d' * 200); os.chdir('d' * 200)"
        done = field.python(dig + "\nos.chdir('/proc/self/cwd')")
        assert done.code == 0, done.err
        done = field.sh("mkdir .vscode; echo evil > .vscode/tasks.json; echo fine > ok.txt")
        assert done.code == 0, done.err
        assert field.read("ok.txt") == "fine\n"
        assert not os.path.exists(f"{field.project}/.vscode")

    def test_credentials_in_a_git_configuration_are_not_shown_also_through_a_link(self, field):
        field.bare("git", "init", "-q", ".")
        text = field.read(".git/config") + '[remote "o"]\n\turl = https://user:t0ken@host.example/o/r\n'
        for linked in (False, True):
            field.put(".git/config", text)
            if linked:
                os.rename(f"{field.project}/.git/config", f"{field.project}/settings")
                os.symlink("../settings", f"{field.project}/.git/config")
            done = field.sh("cat .git/config settings 2>/dev/null; git remote -v")
            assert "https://host.example/o/r" in done.out
            assert "t0ken" not in done.out

    def test_what_the_host_obeys_below_another_writable_path_is_read_only_too(self, field):
        other = f"{field.folder}/other"
        field.bare("git", "init", "-q", other)
        script = (
            f"cd {other}; echo evil > .git/hooks/pre-commit; echo evil >> .git/config; echo fine > ok; cat ok"
        )
        done = field.sh(script, "--write", other)
        assert done.out == "fine\n", done.err
        assert not os.path.exists(f"{other}/.git/hooks/pre-commit")
        with open(f"{other}/.git/config", encoding="utf-8") as file:
            assert "evil" not in file.read()

    @pytest.mark.guarantee("T5")
    def test_no_policy_file_can_be_written_or_left_behind(self, field):
        text = "[workspace]\nmask = ['private/**']\n"
        field.put("ringfence.toml", text)
        own = os.path.join(field.home, ".config/ringfence/policy.toml")
        field.sh(
            "exec 2>/dev/null; echo evil >> ringfence.toml; rm -f ringfence.toml; mv ringfence.toml y; echo evil > t;"
            " mv -f t ringfence.toml; mkdir sub; echo evil > sub/ringfence.toml; mkdir -p ~/.config/ringfence;"
            " echo evil > ~/.config/ringfence/policy.toml; true"
        )
        assert field.read("ringfence.toml") == text
        assert not os.path.exists(f"{field.project}/sub/ringfence.toml")
        assert not os.path.exists(own)

    @pytest.mark.guarantee("F6")
    def test_what_appears_is_set_aside_and_told(self, field):
        field.bare("git", "init", "-q", ".")
        done = field.sh(
            "echo evil > .envrc; echo evil > .git/hooks/post-checkout; mkdir -p n/.vscode; echo evil > n/.vscode/tasks.json; echo good > main.py"
        )
        assert sorted(os.listdir(field.project)) == [".git", "main.py", "n"], done
        assert not os.path.exists(f"{field.project}/.git/hooks/post-checkout")
        assert os.listdir(f"{field.project}/n") == []
        assert ".envrc appeared, which programs on this machine obey: moved to" in done.err
        assert len(os.listdir(f"{field.sessions()[-1]}/set-aside")) == 2  # hooks was there, and read-only

    def test_a_clean_repository_made_inside_stays_whole_and_a_trapped_one_does_not(self, field):
        done = field.sh(
            "git init -q clean; git init -q trapped; git -C trapped config core.fsmonitor ./x;"
            " echo evil > trapped/.git/hooks/post-checkout"
        )
        assert os.path.exists(f"{field.project}/clean/.git/config"), done
        assert os.path.exists(f"{field.project}/clean/.git/hooks")
        assert not os.path.exists(f"{field.project}/trapped/.git/config")
        assert not os.path.exists(f"{field.project}/trapped/.git/hooks")

    def test_git_commits_inside_as_the_operator(self, field):
        field.put(
            f"{field.home}/.gitconfig",
            "[user]\n\tname = Ada L\n\temail = ada@example.test\n[credential]\n\thelper = store\n",
        )
        field.bare("git", "init", "-q", ".")
        field.put("main.py")
        done = field.sh(
            "git add main.py && git commit -qm first && git log --format='%an <%ae>'; git config credential.helper"
        )
        assert done.out == "Ada L <ada@example.test>\n", done
        assert field.bare("git", "log", "--format=%s") == "first\n"

    def test_two_sessions_work_on_one_project_at_once(self, field):
        field.put(".envrc", "mine")
        child = waiting(field, script="echo ready; read x; cat shared; echo y > second")
        try:
            assert field.sh("echo from the other > shared; echo evil > .envrc").code != 0
            out, err = child.communicate(b"\n", timeout=10)
        finally:
            end(child)
        assert (out, err, child.returncode) == (b"from the other\n", b"", 0)
        assert field.read(".envrc") == "mine"
        assert field.left_over() == []


# --- ports and terminals -------------------------------------------------------------------------


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


SERVER = (
    "import socket\n"
    "one = socket.create_server(('127.0.0.1', 5173))\n"
    "print('ready', flush=True)\n"
    "peer = one.accept()[0]\n"
    "peer.sendall(peer.recv(100)[::-1])\n"
    "peer.close()\n"
)


class TestPublished:
    @pytest.mark.guarantee("N14")
    def test_a_port_inside_is_reachable_on_loopback_only(self, field):
        port = free_port()
        child = field.start("run", "--publish", f"{port}:5173", "--", "/usr/bin/python3", "-c", SERVER)
        try:
            assert child.stdout.readline() == b"ready\n"
            assert eventually(lambda: listening(port))
            assert listening(port) == {"127.0.0.1"}
            with socket.create_connection(("127.0.0.1", port), 5) as one:
                one.sendall(b"hello")
                one.shutdown(socket.SHUT_WR)
                assert one.recv(100) == b"olleh"
            assert child.wait(5) == 0
        finally:
            end(child)

    def test_a_port_that_is_taken_is_told(self, users):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            done = users.sh("sleep 0.5", "--publish", f"{taken.getsockname()[1]}:5173")
            assert str(taken.getsockname()[1]) in done.err, done
            assert "in use" in done.err


def listening(port):
    """Return the addresses on which something listens at a port."""
    found = set()
    for name, width in (("tcp", 8), ("tcp6", 32)):
        with open(f"/proc/net/{name}") as file:
            for line in list(file)[1:]:
                address, _, number = line.split()[1].partition(":")
                if line.split()[3] == "0A" and int(number, 16) == port:
                    found.add(socket.inet_ntoa(bytes.fromhex(address)[::-1]) if width == 8 else address)
    return found


class Typist:
    """Somebody at a terminal."""

    def __init__(self, field, *words):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(field.project)
                argv = field.argv(*words)
                os.execvpe(argv[0], argv, field.environment)
            finally:
                os._exit(99)
        self.seen = b""

    def type(self, data):
        os.write(self.fd, data)

    def wait_for(self, text, seconds=10.0):
        until = time.monotonic() + seconds
        while text not in self.seen:
            if time.monotonic() > until:
                raise AssertionError(f"{text!r} did not appear in {self.seen!r}")
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.fd, 4096)
                except OSError:
                    raise AssertionError(f"{text!r} did not appear before the end: {self.seen!r}") from None
        self.seen = self.seen.partition(text)[2]

    def close(self):
        """Return the status, ending it first if it has to be."""
        until = time.monotonic() + 5
        while time.monotonic() < until:
            if select.select([self.fd], [], [], 0.02)[0]:
                try:
                    os.read(self.fd, 4096)
                except OSError:
                    pass
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)
        return "had to be killed"


class TestTerminal:
    def test_programs_see_a_terminal_of_the_operators_size(self, field):
        typist = Typist(
            field,
            "run",
            "--",
            "sh",
            "-c",
            "read x; tty; stty size; trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done",
        )
        fcntl.ioctl(typist.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
        time.sleep(0.3)
        typist.type(b"\r")
        typist.wait_for(b"33 101")
        typist.wait_for(b"ready")
        fcntl.ioctl(typist.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 44, 120, 0, 0))
        typist.wait_for(b"44 120")
        typist.type(b"\x03")
        assert typist.close() == 130

    def test_interrupting_works_and_the_shell_goes_on(self, field):
        typist = Typist(field, "run", "--", "bash", "--norc", "-i")
        typist.wait_for(b"$ ")
        typist.type(b"sleep 30\r")
        time.sleep(0.3)
        typist.type(b"\x03")
        typist.type(b"echo al''ive\r")
        typist.wait_for(b"alive")
        typist.type(b"exit 5\r")
        assert typist.close() == 5

    def test_jobs_can_be_stopped_and_continued(self, users):
        typist = Typist(users, "run", "--", "bash", "--norc", "-i")
        typist.wait_for(b"$ ")
        typist.type(b"sleep 30\r")
        time.sleep(0.3)
        typist.type(b"\x1a")
        typist.wait_for(b"Stopped")
        typist.type(b"jobs; kill %1; fg; echo d''one\r")
        typist.wait_for(b"done")
        typist.type(b"exit\r")
        assert isinstance(typist.close(), int)

    @pytest.mark.guarantee("P6")
    def test_it_is_not_the_operators_and_cannot_be_typed_into(self, field):
        script = (
            "import fcntl, os\n"
            "for request in (0x5412, 0x541c):\n"
            "    try: fcntl.ioctl(0, request, b'x'); print('typed')\n"
            "    except OSError as error: print('refused', error.errno)\n"
        )
        typist = Typist(field, "run", "--", "/usr/bin/python3", "-c", script)
        typist.wait_for(b"refused 1")
        typist.wait_for(b"refused 1")
        assert typist.close() == 0

    def test_the_operators_terminal_is_given_back_as_it_was(self, users):
        typist = Typist(users, "run", "--", "true")
        before = termios.tcgetattr(typist.fd)
        assert typist.close() == 0
        typist = Typist(users, "run", "--", "sh", "-c", "echo ready; sleep 30")
        typist.wait_for(b"ready")
        raw = termios.tcgetattr(typist.fd)
        os.kill(typist.pid, signal.SIGTERM)
        time.sleep(0.05)
        assert raw[3] != before[3]
        assert eventually(lambda: termios.tcgetattr(typist.fd)[3] == before[3])
        assert typist.close() == 143

    def test_a_pipe_beside_a_terminal_stays_a_pipe(self, users):
        argv = " ".join(
            users.argv("run", "--", "sh", "-c", "'test -t 1 && echo tty; test -t 0 && echo in; cat'")
        )
        reader, writer = os.pipe()
        leader, follower = pty.openpty()
        with subprocess.Popen(
            ["sh", "-c", argv],
            cwd=users.project,
            env=users.environment,
            stdin=reader,
            stdout=follower,
            stderr=follower,
        ) as child:
            os.write(writer, b"piped\n")
            os.close(writer)
            os.close(reader)
            os.close(follower)
            seen = b""
            while select.select([leader], [], [], 5)[0]:
                try:
                    seen += os.read(leader, 4096)
                except OSError:
                    break
            child.wait(5)
        os.close(leader)
        assert seen.replace(b"\r", b"") == b"tty\npiped\n"


# --- where the kernel refuses the wire -----------------------------------------------------------


class TestFallback:
    """Namespaces of our own are refused, bubblewrap's are not: as on Ubuntu without our AppArmor profile."""

    REFUSING = "bare-userns=EPERM"

    def test_the_plan_says_what_does_not_hold(self, users):
        out = users.run("plan", refusing=self.REFUSING).out
        assert "NOT HELD N2" in out
        assert "programs that ignore proxy variables get no network at all" in out

    @pytest.mark.guarantee("F3")
    def test_masks_and_protections_hold(self, users):
        users.put("a/b/.env", SECRET)
        users.put("a/.aws/credentials", SECRET)
        users.put("a/.envrc", "mine")
        done = users.sh(
            "cat a/b/.env a/.envrc a/.aws/*; echo evil > a/.envrc; mv a a2; echo ok > made",
            "--direct",
            refusing=self.REFUSING,
        )
        assert SECRET not in done.out
        assert users.read("a/.envrc") == "mine"
        assert users.read("made") == "ok\n", done
        assert users.left_over() == []

    @pytest.mark.guarantee("N2")
    def test_nothing_but_the_proxy_can_be_reached(self, users):
        users.policy('[[egress.allow]]\nhost = "allowed.example"\n')
        script = (
            "import os, socket\n"
            "for where in (('93.184.215.14', 443), ('100.64.0.1', 3128), ('10.0.0.1', 80)):\n"
            "    try: socket.create_connection(where, 2); print('reached', where)\n"
            "    except OSError as error: print(error.errno)\n"
            "proxy = socket.create_connection(('127.0.0.1', 3128), 5)\n"
            "proxy.sendall(b'CONNECT other.example:443 HTTP/1.1\\r\\nHost: other.example:443\\r\\n\\r\\n')\n"
            "print(proxy.recv(100).split()[1].decode())\n"
            "print(os.environ['HTTPS_PROXY'], [name for _, name in socket.if_nameindex() if name == 'eth0'])\n"
        )
        done = users.python(script, refusing=self.REFUSING)
        assert done.out == "101\n101\n101\n403\nhttp://127.0.0.1:3128 []\n", done
        assert "1 request was refused" in done.err
