"""`settings = "claude"`: the client's own rules count as well, as they stand at each call."""

import json

import pytest

POLICY = '[commands]\nsettings = "claude"\ndeny = ["Bash(curl *)"]\n'


def put(desk, path: str, **permissions):
    return desk.write(desk.home / path, json.dumps({"permissions": permissions}))


def test_they_count_as_they_stand_now(desk):
    desk.policy(POLICY)
    path = put(desk, ".claude/settings.json", allow=["Bash(make *)"])
    assert desk.hook(desk.call("make x")).verdict == "allow"
    path.unlink()
    assert desk.hook(desk.call("make x")).verdict == "ask"


def test_without_the_setting_they_do_not(desk):
    desk.policy("")
    put(desk, ".claude/settings.json", allow=["Bash(make *)"])
    assert desk.hook(desk.call("make x")).verdict == "ask"


def test_what_the_policy_denies_they_do_not_allow(desk):
    desk.policy(POLICY)
    put(desk, ".claude/settings.json", allow=["Bash"])
    assert desk.hook(desk.call("curl x")).verdict == "deny"


@pytest.mark.guarantee("T1")
@pytest.mark.parametrize("name", ["settings.json", "settings.local.json"])
def test_a_repositorys_allow_counts_once_its_bytes_are_trusted(desk, name):
    desk.policy(POLICY)
    path = put(desk, f"work/project/.claude/{name}", allow=["Bash(make *)"], deny=["Bash(make bad)"])
    assert desk.hook(desk.call("make x")).verdict == "ask"
    assert desk.hook(desk.call("make bad")).verdict == "deny"
    from ringfence.canonical import sha256
    from ringfence.policy import trust

    trust.record(str(desk.state), str(path), sha256(path.read_bytes()))
    assert desk.hook(desk.call("make x")).verdict == "allow"
    path.write_text(path.read_text() + "\n")
    assert desk.hook(desk.call("make x")).verdict == "ask"


@pytest.mark.guarantee("T1")
def test_a_repositorys_question_never_stands_in_for_a_denial(desk):
    desk.policy(POLICY + 'default = "deny"\n')
    put(desk, "work/project/.claude/settings.json", ask=["Bash(mkdir *)"])
    assert desk.hook(desk.call("mkdir y")).verdict == "deny"
    put(desk, ".claude/settings.json", ask=["Bash(mkdir *)"])
    assert desk.hook(desk.call("mkdir y")).verdict == "ask"


@pytest.mark.guarantee("T2")
def test_where_only_managed_rules_allow_they_only_deny_and_ask(desk):
    desk.write(desk.managed, '[commands]\nsettings = "claude"\n[managed]\nonly_managed_rules = true\n')
    put(desk, ".claude/settings.json", allow=["Bash"], deny=["Bash(make bad)"])
    assert desk.hook(desk.call("make x")).verdict == "ask"
    assert desk.hook(desk.call("make bad")).verdict == "deny"
    call = desk.call(
        tool_name="Write", tool_input={"file_path": "x", "content": ""}, permission_mode="acceptEdits"
    )
    assert desk.hook(call).verdict == "ask"


def test_what_they_allow_is_shown_before_it_is_trusted(desk, monkeypatch, capsys):
    from ringfence.cli import trust

    path = put(desk, "work/project/.claude/settings.json", allow=["Bash(make *)"], defaultMode="acceptEdits")
    monkeypatch.setenv("RINGFENCE_STATE_DIR", str(desk.state))
    assert trust.main(["--yes", str(path)]) == 0
    out = capsys.readouterr().out
    assert "allow Bash(make *)" in out
    assert "mode acceptEdits" in out
    desk.policy(POLICY)
    assert desk.hook(desk.call("make x")).verdict == "allow"


@pytest.mark.guarantee("H3")
def test_settings_that_cannot_be_read_refuse_every_call(desk):
    desk.policy(POLICY)
    desk.write(desk.home / ".claude/settings.json", '{"permissions": {"denny": ["Bash"]}}')
    told = desk.hook(desk.call("ls"))
    assert told.status == 2
    assert "did you mean `deny`?" in told.err


def test_accepting_edits_counts_where_the_clients_settings_do(desk):
    call = desk.call(
        tool_name="Write", tool_input={"file_path": "x", "content": ""}, permission_mode="acceptEdits"
    )
    desk.policy("")
    assert desk.hook(call).verdict == "ask"
    desk.policy(POLICY)
    assert desk.hook(call).verdict == "allow"
    assert desk.hook({**call, "tool_input": {"file_path": "../x", "content": ""}}).verdict == "ask"
    assert desk.hook({**call, "tool_input": {"file_path": ".git/hooks/x", "content": ""}}).verdict == "ask"


def test_their_folders_belong_to_the_project(desk):
    desk.policy(POLICY)
    (desk.home / "more").mkdir()
    (desk.home / "more/x").write_text("")
    call = desk.call(tool_name="Read", tool_input={"file_path": str(desk.home / "more/x")})
    assert desk.hook(call).verdict == "ask"
    put(desk, ".claude/settings.json", additionalDirectories=["~/more"])
    assert desk.hook(call).verdict == "allow"
