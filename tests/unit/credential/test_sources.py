"""Where secrets come from: what each source gives, refuses, and never tells."""

import os
import sys
import time
import traceback

import pytest

from canary import Canary, assert_absent
from ringfence.credential.secret import SourceError
from ringfence.credential.sources import Access, available, command, fetch, gather, split
from ringfence.policy.model import Credential

CANARY = Canary("secret")


def credential(source):
    return Credential(name="key", source=source, host="api.example")


def fetched(source, environment=None, workspace=""):
    environment = {"PATH": os.environ["PATH"]} if environment is None else environment
    return fetch(credential(source), environment, workspace=workspace).reveal_for_injection()


def refused(source, environment=None, workspace=""):
    """Return the error's text, once it is sure that the secret is not in it."""
    with pytest.raises(SourceError) as error:
        fetched(source, environment, workspace)
    assert error.value.hint, "an error says what to do"
    shown = traceback.TracebackException.from_exception(error.value, capture_locals=False)
    assert_absent(CANARY, error.value.render(), *shown.format())
    return error.value.message


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "key"
    path.write_text(CANARY.value)
    path.chmod(0o600)
    return path


def program(folder, text, name="give"):
    """A program of the operator's."""
    path = folder / name
    path.write_text(f"#!{sys.executable} -IS\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("source", ["", "KEY", "env:", "safe:x", "file", "command:", "ENV:KEY"])
def test_an_unknown_source_is_refused(source):
    assert refused(source) == f"`{source}` is not a credential source"
    with pytest.raises(SourceError):
        split(source)


class TestEnv:
    def test_a_variable_gives_its_value(self):
        assert fetched("env:KEY", {"KEY": CANARY.value}) == CANARY.value

    def test_only_what_was_handed_over_counts(self, monkeypatch):
        monkeypatch.setenv("KEY", CANARY.value)
        assert refused("env:KEY", {}) == "`env:KEY`: the variable is not set"

    def test_a_value_with_a_line_break_is_refused(self):
        assert "control character" in refused("env:KEY", {"KEY": CANARY.value + "\r\nX: y"})


class TestFile:
    @pytest.mark.parametrize("end", ["", "\n", "\r\n"])
    def test_a_file_gives_its_content_without_the_last_line_break(self, file, end):
        file.write_text(CANARY.value + end, newline="")
        assert fetched(f"file:{file}") == CANARY.value

    def test_a_tilde_is_the_operators_home(self, file):
        assert fetched("file:~/key", {"HOME": str(file.parent)}) == CANARY.value

    def test_two_lines_are_refused(self, file):
        file.write_text(f"{CANARY.value}\n{CANARY.value}\n")
        assert "control character" in refused(f"file:{file}")

    @pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
    def test_a_file_that_others_can_write_is_refused(self, file, mode):
        file.chmod(mode)
        assert refused(f"file:{file}") == f"`file:{file}`: others can write this file"

    def test_a_missing_file_is_named(self, tmp_path):
        assert refused(f"file:{tmp_path}/no") == f"`file:{tmp_path}/no`: No such file or directory"

    def test_a_relative_path_is_refused(self):
        assert "not an absolute path" in refused("file:key")

    def test_a_folder_a_pipe_and_a_device_are_refused_at_once(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        started = time.monotonic()
        for path in (tmp_path, tmp_path / "pipe", "/dev/zero"):
            assert "not a regular file" in refused(f"file:{path}")
        assert time.monotonic() - started < 5

    def test_a_file_inside_the_workspace_is_refused_also_through_a_link(self, file, tmp_path):
        (tmp_path / "work").mkdir()
        (tmp_path / "work" / "key").write_text(CANARY.value)
        (tmp_path / "link").symlink_to(tmp_path / "work" / "key")
        (tmp_path / "work" / "out").symlink_to(file)
        for path in ("work/key", "link", "work/../work/key", "work/out"):
            assert "inside the workspace" in refused(
                f"file:{tmp_path}/{path}", workspace=str(tmp_path / "work")
            )
        assert fetched(f"file:{file}", workspace=str(tmp_path / "work")) == CANARY.value
        assert fetched(f"file:{file}", workspace=str(tmp_path / "wor")) == CANARY.value

    def test_a_huge_file_is_not_read(self, file):
        with file.open("ab") as out:
            out.truncate(1 << 30)
        assert "larger than" in refused(f"file:{file}")

    def test_what_is_no_text_is_refused_without_showing_it(self, file):
        file.write_bytes(CANARY.value.encode() + b"\xff\xfe")
        assert "not text" in refused(f"file:{file}")

    def test_an_empty_file_is_refused(self, file):
        file.write_text("\n")
        assert "is empty" in refused(f"file:{file}")


class TestCommand:
    def test_a_program_gives_what_it_prints_without_the_last_line_break(self, tmp_path):
        path = program(tmp_path, f"print({CANARY.value!r})")
        assert fetched(f"command:{path}") == CANARY.value

    def test_arguments_are_split_as_a_shell_would_and_no_shell_sees_them(self, tmp_path):
        path = program(tmp_path, "import sys; print('|'.join(sys.argv[1:]))")
        assert fetched(f"command:{path} 'a b' $HOME `id` ; x > /tmp/y") == "a b|$HOME|`id`|;|x|>|/tmp/y"

    def test_a_command_of_nothing_but_spaces_is_refused(self):
        assert refused("command:  ") == "`command:  `: no program"

    def test_a_quote_that_never_ends_is_told(self):
        assert "No closing quotation" in refused("command:give 'x")

    def test_it_sees_only_a_few_variables(self, tmp_path):
        path = program(tmp_path, "import os; print('|'.join(sorted(os.environ)))")
        environment = {"PATH": "/usr/bin", "HOME": "/root", "KEY": CANARY.value, "LD_PRELOAD": "/x.so"}
        names = set(fetched(f"command:{path}", environment).split("|")) - {"LC_CTYPE"}
        assert names == {"PATH", "HOME"}

    def test_it_runs_from_the_root_with_no_input_and_no_descriptor_of_ours(self, tmp_path):
        path = program(
            tmp_path,
            "import os, sys; open_now = sorted(map(int, os.listdir('/proc/self/fd')))[:-1]; "
            "print(os.getcwd(), repr(sys.stdin.read()), open_now)",
        )
        assert fetched(f"command:{path}") == "/ '' [0, 1, 2]"

    def test_it_is_found_on_the_operators_path_but_never_inside_the_workspace(self, tmp_path):
        for folder in ("work/bin", "own"):
            (tmp_path / folder).mkdir(parents=True)
            program(tmp_path / folder, f"print({folder + '-key'!r})")
        environment = {"PATH": f"{tmp_path}/work/bin:.:work/bin:{tmp_path}/own"}
        assert fetched("command:give", environment, str(tmp_path / "work")) == "own-key"
        for words in ("give", f"{tmp_path}/work/bin/give", "./give", "work/bin/give"):
            only = {"PATH": f"{tmp_path}/work/bin:."}
            assert "is not found on PATH outside the workspace" in refused(
                f"command:{words}", only, str(tmp_path / "work")
            )

    def test_what_it_starts_is_not_looked_up_in_the_workspace_either(self, tmp_path):
        (tmp_path / "own").mkdir()
        path = program(tmp_path / "own", "import os; print(os.environ['PATH'])")
        environment = {"PATH": f"{tmp_path}/work/bin:/usr/bin:."}
        (tmp_path / "work" / "bin").mkdir(parents=True)
        assert fetched(f"command:{path}", environment, str(tmp_path / "work")) == "/usr/bin"

    def test_a_failure_tells_its_status_and_plain_words_only(self, tmp_path):
        path = program(
            tmp_path,
            f"import sys; sys.stdout.write({CANARY.value!r}); "
            f"sys.stderr.write('vault is locked: token={CANARY.value} {CANARY.value[:9]} hunter2\\n'); "
            "sys.stderr.write('\\x1b[2Jlog in first.'); sys.exit(3)",
        )
        assert (
            refused(f"command:{path}")
            == f"`command:{path}`: exit status 3: vault is locked: … … … … in first."
        )

    def test_a_password_of_plain_words_that_was_printed_is_not_told(self):
        assert command.told(b"bad correct horse battery", b"correct horse battery\n") == ": bad … … …"

    def test_a_signal_is_told(self, tmp_path):
        path = program(tmp_path, "import os; os.kill(os.getpid(), 9)")
        assert "ended by signal 9" in refused(f"command:{path}")

    def test_one_that_cannot_be_started_is_told(self, tmp_path):
        path = tmp_path / "give"
        path.write_text("#!/no/such/interpreter\n")
        path.chmod(0o755)
        assert "No such file or directory" in refused(f"command:{path}")

    def test_one_that_never_answers_is_ended_with_its_children(self, tmp_path):
        path = program(
            tmp_path,
            "import os, time\n"
            f"if os.fork() == 0: open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
            "time.sleep(60)",
        )
        started = time.monotonic()
        with pytest.raises(SourceError, match=r"no answer within 0\.5 seconds"):
            command.read(str(path), Access({}), limit=0.5)
        assert time.monotonic() - started < 5
        child = int((tmp_path / "pid").read_text())
        assert gone(child)

    def test_one_that_prints_without_end_is_ended(self, tmp_path):
        path = program(tmp_path, "while True: print('x' * 4096)")
        assert "printed more than a secret" in refused(f"command:{path}")

    def test_one_that_complains_without_end_does_not_fill_the_memory(self, tmp_path):
        path = program(
            tmp_path, "import sys\nfor _ in range(2000): sys.stderr.write('x ' * 4096)\nprint('the-key')"
        )
        assert fetched(f"command:{path}") == "the-key"

    def test_the_secret_is_in_no_argument_list_and_no_environment_of_ours(self, tmp_path):
        path = program(tmp_path, f"print({CANARY.value!r})")
        fetched(f"command:{path}")
        for name in ("cmdline", "environ"):
            with open(f"/proc/self/{name}", "rb") as data:
                assert_absent(CANARY, data.read())


def gone(pid):
    for _ in range(100):
        try:
            with open(f"/proc/{pid}/stat") as state:
                if state.read().rsplit(") ", 1)[1].startswith("Z"):
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False


class TestAvailable:
    def test_a_variable_is_known_by_name(self):
        assert not available(credential("env:KEY"), frozenset())
        assert available(credential("env:KEY"), frozenset({"KEY"}))

    def test_a_file_is_there_or_not(self, file):
        assert not available(credential("file:~/no"), (), home=str(file.parent))
        assert available(credential("file:~/key"), (), home=str(file.parent))

    def test_a_program_is_found_or_not(self, tmp_path):
        program(tmp_path, "")
        assert not available(credential("command:give x"), (), path=("/nowhere",))
        assert available(credential("command:give x"), (), path=("/nowhere", str(tmp_path)))
        assert available(credential(f"command:'{tmp_path}/give' x"), ())
        assert available(credential("command:~/give x"), (), home=str(tmp_path))
        program(tmp_path, "", name="give it")
        assert available(credential(f'command:"{tmp_path}/give it" x'), ())
        assert not available(credential("command: "), ())

    def test_what_lies_in_the_workspace_is_not_there(self, file, tmp_path):
        program(tmp_path, "")
        for source in (f"file:{file}", "command:give", f"command:{tmp_path}/give"):
            assert available(credential(source), (), path=(str(tmp_path),))
            assert not available(credential(source), (), path=(str(tmp_path),), workspace=str(tmp_path))


def test_gathering_takes_what_the_sources_name_and_no_more(monkeypatch):
    monkeypatch.setenv("KEY", CANARY.value)
    monkeypatch.setenv("OTHER", "other secret")
    monkeypatch.setenv("EMPTY", "")
    assert gather([credential("env:KEY"), credential("env:EMPTY"), credential("file:~/x")]) == {
        "KEY": CANARY.value,
        "HOME": os.environ["HOME"],
    }
    assert "OTHER" not in gather([credential("command:give")])
    monkeypatch.setenv("PATH", "/work/.venv/bin:bin:/usr/bin:/work:/working:.")
    assert gather([credential("command:give")], workspace="/work")["PATH"] == "/usr/bin:/working"


def test_the_sources_can_be_asked_before_the_start_without_anything_heavy():
    import subprocess

    code = "import sys; import ringfence.credential.sources; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, check=True, timeout=20,
    ).stdout.split()  # fmt: skip
    assert not {"subprocess", "shlex", "re", "selectors", "hmac", "hashlib", "typing", "enum"} & set(loaded)
