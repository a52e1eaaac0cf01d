"""`ringfence trust`, `policy` and `init` as they are called."""

import os
import pty

import pytest

from ringfence.cli import run


@pytest.fixture
def here(machine, monkeypatch):
    """Stand in the machine's workspace, with its folders."""
    monkeypatch.chdir(machine.workspace)
    monkeypatch.setenv("HOME", str(machine.home))
    monkeypatch.setenv("PATH", "/nowhere")
    for name in ("config", "state", "cache"):
        monkeypatch.setenv(f"RINGFENCE_{name.upper()}_DIR", getattr(machine.host, f"{name}_dir"))
    monkeypatch.setenv("RINGFENCE_MANAGED_POLICY", machine.host.managed_policy)
    return machine


def allowed(machine) -> list[str]:
    return [rule.host for rule in machine.policy().egress.allow]


WIDE = """
use = ["git"]
[egress]
allow = ["evil.test"]
deny = ["narrow.test"]
[credentials.k]
source = "env:K"
host = "evil.test"
[environment.set]
A = "\u202egnp.exe"
"""


def test_without_anybody_to_ask_nothing_is_trusted(here, capsys, monkeypatch):
    here.project(WIDE)
    with open(os.devnull, encoding="utf-8") as nobody:
        monkeypatch.setattr("sys.stdin", nobody)
        assert run(["trust"]) == 1
    out, error = capsys.readouterr()
    path = here.workspace / "ringfence.toml"
    assert out == (
        f"{path} asks for:\n  use git\n  egress.allow evil.test\n"
        "  credentials.k: env:K sent to evil.test\n  environment.set.A = \\u202egnp.exe\nnot trusted\n"
    )
    assert "nobody to ask" in error
    assert allowed(here) == []


@pytest.mark.parametrize(
    ("answer", "status", "hosts"), [("n", 1, []), ("", 1, []), ("yes", 0, ["evil.test"])]
)
def test_the_person_at_the_terminal_decides(here, monkeypatch, answer, status, hosts):
    here.project(WIDE)
    ours, theirs = pty.openpty()
    try:
        with open(theirs, encoding="utf-8", closefd=False) as terminal:
            monkeypatch.setattr("sys.stdin", terminal)
            os.write(ours, f"{answer}\n".encode())
            assert run(["trust"]) == status
    finally:
        os.close(ours)
        os.close(theirs)
    assert allowed(here) == hosts


def test_trust_can_be_listed_and_taken_back(here, capsys):
    path = here.project(WIDE)
    assert run(["trust", "--yes", str(path)]) == 0
    assert allowed(here) == ["evil.test"]
    assert run(["trust", "--yes"]) == 0
    assert "already trusted" in capsys.readouterr().out
    run(["trust", "--list"])
    assert capsys.readouterr().out.startswith("trusted\t")
    path.write_text("")
    run(["trust", "--list"])
    assert capsys.readouterr().out.startswith("changed since\t")
    path.unlink()
    run(["trust", "--list"])
    assert capsys.readouterr().out.startswith("gone\t")
    assert run(["trust", "--revoke", str(path)]) == 0
    assert run(["trust", "--revoke", str(path)]) == 1


def test_a_file_that_is_wrong_is_not_trusted(here, capsys):
    here.project("x = 1")
    assert run(["trust", "--yes"]) == 125
    assert "unknown key `x`" in capsys.readouterr().err
    (here.workspace / "ringfence.toml").unlink()
    assert run(["trust", "--yes"]) == 125
    assert run(["trust", "--yes", "nowhere.toml"]) == 125
    assert run(["trust", "--what"]) == 2
    (here.workspace / "link.toml").symlink_to("/etc/passwd")
    assert run(["trust", "--yes", "link.toml"]) == 125
    assert "root:" not in capsys.readouterr().err


def test_a_store_beside_the_file_records_nothing(here, capsys, monkeypatch):
    here.project(WIDE)
    monkeypatch.setenv("RINGFENCE_STATE_DIR", str(here.workspace / "state"))
    assert run(["trust", "--yes"]) == 125
    assert "where an agent could write it" in capsys.readouterr().err
    assert not (here.workspace / "state").exists()


def test_a_file_that_only_narrows_says_so(here, capsys):
    here.project('[workspace]\nmode = "readonly"')
    assert run(["trust", "--yes"]) == 0
    assert "only narrows." in capsys.readouterr().out


def test_policy_check_says_yes_or_no(here, capsys):
    assert run(["policy", "check"]) == 0
    assert capsys.readouterr().out == "ok: no policy file: the defaults hold\n"
    path = here.project(WIDE)
    assert run(["policy", "check"]) == 0
    out, error = capsys.readouterr()
    assert out == f"ok: {path}\n"
    assert error.startswith("note: project policy ")
    assert run(["policy", "check", "nowhere.toml"]) == 1
    assert run(["policy", "check", "."]) == 1
    path.write_text('use = ["nothing"]')
    assert run(["policy", "check", str(path)]) == 1
    assert "there is no preset `nothing`" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [[], ["what"], ["check", "a", "b"], ["check", "--x"], ["show", "x"], ["schema", "x"]]
)
@pytest.mark.usefixtures("here")
def test_policy_refuses_what_it_does_not_know(words):
    assert run(["policy", *words]) == 2


@pytest.mark.usefixtures("here")
def test_policy_prints_its_schema(capsys):
    assert run(["policy", "schema"]) == 0
    assert '"$schema"' in capsys.readouterr().out


def test_init_proposes_credentials_for_well_known_names_by_name_alone(here, capsys):
    (here.workspace / ".env").write_text(
        "OPENAI_API_KEY=sk-real-value-1\nMY_OWN=x\nGH_TOKEN=\n# GROQ_API_KEY=y\n"
    )
    (here.workspace / ".env").chmod(0o600)
    assert run(["init", "--stdout"]) == 0
    out = capsys.readouterr().out
    assert '# source = "workspace:.env#OPENAI_API_KEY"\n# host   = "api.openai.com"\n' in out
    assert out.count("workspace:.env#") == 1
    assert "sk-real-value-1" not in out


def test_init_takes_an_agent_and_refuses_another(here, capsys):
    assert run(["init", "--stdout", "--agent", "codex"]) == 0
    assert 'use = ["codex"]' in capsys.readouterr().out
    assert run(["init", "--agent", "nobody"]) == 2
    assert run(["init", "--force"]) == 2
    assert not (here.workspace / "ringfence.toml").exists()


@pytest.mark.parametrize("command", ["policy", "trust", "init"])
@pytest.mark.usefixtures("here")
def test_help_is_printed(capsys, command):
    assert run([command, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: ringfence {command}")
