"""`ringfence hook install`: one entry more in a client's settings, and nothing else."""

import json
import os
import subprocess
import sys

import pytest

import ringfence
from ringfence.errors import HostError, UsageError
from ringfence.integrations import clients, installation

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(ringfence.__file__)))


@pytest.fixture(name="ringfence")
def command_line(desk):
    """Run a command as the desk's owner."""

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        program = f"import sys; sys.path.insert(0, {SOURCE!r}); from ringfence.cli import main; main()"
        usual = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(desk.home),
            "RINGFENCE_MANAGED_POLICY": str(desk.managed),
        }
        return subprocess.run(
            [sys.executable, "-c", program, *words], cwd=desk.project, env={**usual, **environment},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return run


PLACES = {
    "claude": ".claude/settings.json",
    "codex": ".codex/hooks.json",
    "gemini": ".gemini/settings.json",
    "cursor": ".cursor/hooks.json",
}


@pytest.mark.parametrize("client", PLACES)
def test_it_stands_there_once_and_goes_without_a_trace(desk, ringfence, client):
    path = desk.home / PLACES[client]
    before = {"model": "x", "hooks": {}, "permissions": {"deny": ["Bash(ü *)"]}}
    desk.write(path, json.dumps(before))
    for _ in range(2):
        done = ringfence("hook", "install", "--client", client, PATH="/nowhere")
        assert done.returncode == (125 if client == "codex" else 0)  # there is no Codex to trust it
    settings = json.loads(path.read_text())
    events = clients.client(client).events
    assert {name: len(entries) for name, entries in settings["hooks"].items()} == dict.fromkeys(events, 1)
    assert ringfence("hook", "remove", "--client", client).returncode == 0
    after = json.loads(path.read_text())
    after.pop("version", None)
    assert {**after, "hooks": {}} == before


def test_a_hook_that_codex_would_skip_is_an_error(ringfence):
    """It runs only what was trusted, and says nothing of the rest."""
    done = ringfence("hook", "install", "--client", "codex", PATH="/nowhere")
    assert done.returncode == 125
    assert "Codex does not run it yet: there is no `codex` on the PATH to tell" in done.stderr


def test_codex_is_told_by_a_command_that_any_shell_of_a_users_understands():
    """It runs hooks by $SHELL, which may be fish."""
    line = installation.command(clients.client("codex"), {})
    assert line.startswith("exec /bin/sh -c '")
    assert line.endswith(installation.MARK)


def test_codex_settings_lie_where_its_home_is(desk, ringfence):
    other = desk.root / "elsewhere"
    ringfence("hook", "install", "--client", "codex", CODEX_HOME=str(other), PATH="/nowhere")
    assert (other / "hooks.json").exists()


def test_a_repository_cannot_name_the_hook_of_gemini_cli_to_switch_it_off(desk, ringfence):
    """Its settings may list names of hooks that do not run; whoever installs again keeps the name."""
    path, names = desk.home / PLACES["gemini"], []
    for _ in range(2):
        ringfence("hook", "install", "--client", "gemini")
        names.append(json.loads(path.read_text())["hooks"]["BeforeTool"][0]["hooks"][0]["name"])
    ringfence("hook", "remove", "--client", "gemini")
    ringfence("hook", "install", "--client", "gemini")
    names.append(json.loads(path.read_text())["hooks"]["BeforeTool"][0]["hooks"][0]["name"])
    assert names[0] == names[1] != names[2]


def test_managed_settings_of_gemini_cli_keep_hooks_on():
    settings = {"hooksConfig": {"enabled": False, "notifications": False}}
    after = installation.added(settings, clients.client("gemini"), "x", "managed")
    assert after["hooksConfig"] == {"enabled": True, "notifications": False}
    assert "hooksConfig" not in installation.added({}, clients.client("gemini"), "x", "user")


def test_other_hooks_stay(desk, ringfence):
    path = desk.home / PLACES["claude"]
    other = {"type": "command", "command": "mine # ringfence"}
    hooks = {"PreToolUse": [{"matcher": "Bash", "hooks": [other]}], "Stop": [{"hooks": [other]}]}
    desk.write(path, json.dumps({"hooks": hooks}))
    ringfence("hook", "install")
    assert json.loads(path.read_text())["hooks"]["PreToolUse"][0] == hooks["PreToolUse"][0]
    ringfence("hook", "remove")
    assert json.loads(path.read_text())["hooks"] == hooks


@pytest.mark.parametrize("text", ["{", "[]", '{"hooks": []}', '{"hooks": {"Stop": {}}}', '{"a": 1, "a": 2}'])
def test_settings_that_are_not_understood_are_left_alone(desk, ringfence, text):
    path = desk.home / PLACES["claude"]
    desk.write(path, text)
    assert ringfence("hook", "install").returncode == 2
    assert path.read_text() == text
    assert os.listdir(path.parent) == ["settings.json"]


def test_a_link_of_the_users_is_followed_and_stays(desk, ringfence):
    real = desk.write(desk.home / "dotfiles/settings.json", "{}")
    path = desk.home / PLACES["claude"]
    path.parent.mkdir(parents=True)
    path.symlink_to(real)
    assert ringfence("hook", "install").returncode == 0
    assert path.is_symlink()
    assert "hooks" in json.loads(real.read_text())


def test_a_link_of_the_repositorys_is_not_followed(desk, ringfence):
    real = desk.write(desk.home / "other.json", "{}")
    path = desk.project / ".claude/settings.local.json"
    path.parent.mkdir(parents=True)
    path.symlink_to(real)
    assert ringfence("hook", "install", "--project").returncode != 0
    assert real.read_text() == "{}"


def test_what_somebody_else_wrote_meanwhile_is_not_lost(tmp_path):
    path = tmp_path / "settings.json"
    path.write_text('{"new": 1}')
    with pytest.raises(HostError, match="changed by somebody else"):
        installation.write(str(path), {"hooks": {}}, b"{}", "user")
    assert path.read_text() == '{"new": 1}'
    assert os.listdir(tmp_path) == ["settings.json"]


def test_its_mode_stays(desk, ringfence):
    path = desk.write(desk.home / PLACES["claude"], "{}")
    path.chmod(0o640)
    ringfence("hook", "install")
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("words", [("--user", "--project"), ("--client", "x"), ("word",), ("--nothing",)])
def test_a_wrong_command_line_is_told(ringfence, words):
    assert ringfence("hook", "install", *words).returncode == 2


def test_a_client_without_such_settings_is_told():
    with pytest.raises(UsageError, match="no managed settings"):
        installation.place(clients.client("codex"), "managed", home="/h", project="/p", claude="")


def test_a_program_in_the_project_is_never_its_guard(desk, ringfence):
    """The agent writes there: a venv of the project's would be its own judge."""
    folder = desk.project / "src"
    folder.mkdir()
    os.symlink(os.path.join(SOURCE, "ringfence"), folder / "ringfence")
    from ringfence.cli import hook_install

    with pytest.raises(UsageError, match="could change its own guard"):
        hook_install._check_program(os.path.dirname(SOURCE), "project")
    assert ringfence("hook", "install", "--project").returncode == 0


# --- the command itself


def entry(desk) -> str:
    settings = json.loads((desk.home / PLACES["claude"]).read_text())
    hook = settings["hooks"]["PreToolUse"][0]["hooks"][0]
    assert hook["onFailure"] == "block"
    return hook["command"]


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
def test_the_command_answers_from_any_folder_and_environment(desk, ringfence, shell):
    desk.policy('[commands]\nallow = ["Bash(make *)"]\n')
    ringfence("hook", "install")
    done = subprocess.run(
        [shell, "-c", entry(desk)], input=json.dumps(desk.call("make x")), cwd="/",
        env={"PYTHONPATH": "/nonexistent", "HOME": "/nonexistent"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["hookSpecificOutput"]["permissionDecision"] == "allow"


@pytest.mark.guarantee("H1")
@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
@pytest.mark.parametrize(
    "instead", ["/nonexistent/python", "sh -c 'kill -9 $$' sh", "sh -c 'exit 1' sh", "false"]
)
def test_whatever_becomes_of_the_program_the_command_refuses(desk, ringfence, shell, instead):
    ringfence("hook", "install")
    command = entry(desk).replace(sys.executable, instead, 1)
    done = subprocess.run(
        [shell, "-c", command], input="{}", capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "ringfence: refused" in done.stderr


def test_words_of_the_command_cannot_get_out_of_their_quotes(desk, ringfence):
    state = desk.root / "it's; touch pwned #"
    assert ringfence("hook", "install", RINGFENCE_STATE_DIR=str(state)).returncode == 0
    desk.policy('[commands]\nallow = ["Bash(make *)"]\n')
    subprocess.run(
        ["/bin/sh", "-c", entry(desk)], input=json.dumps(desk.call("make x")), cwd=desk.project,
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert os.listdir(desk.project) == []
    assert (state / "tools").is_dir()


def test_it_can_be_looked_at_first(desk, ringfence):
    done = ringfence("hook", "install", "--print")
    assert "PreToolUse" in json.loads(done.stdout)["hooks"]
    assert not (desk.home / ".claude").exists()
