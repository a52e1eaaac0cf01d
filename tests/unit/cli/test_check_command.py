"""`ringfence check`: what people read, what programs read, and how lines that make no sense end."""

import io
import json
import sys

import pytest

from ringfence import cli
from ringfence.cli import check_shown


@pytest.fixture
def checked(capsys, monkeypatch, tmp_path):
    """Run the command in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/user")

    def run(*arguments, lines=None):
        if lines is not None:
            text = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
            monkeypatch.setattr(
                sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode("utf-8", "surrogatepass")))
            )
        status = cli.run(["check", *arguments])
        done = capsys.readouterr()
        return status, done.out, done.err

    return run


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["rm x", "--deny", "Bash(rm *)", "--allow", "Bash"], 1),
        (["ls", "--ask", "Bash(ls)", "--allow", "Bash"], 3),
        (["ls", "--allow", "Bash(pwd)"], 3),
        (["--allow", "Bash(ls)", "ls"], 0),
        (["--allow", "Bash(ls)", "--", "ls"], 0),
        (["--tool", "Read", "--deny", "Read(.env)", ".env"], 1),
        (["--tool", "WebFetch", "https://a.test/", "--allow", "WebFetch(domain:a.test)"], 0),
        (["--tool", "Agent", '{"subagent_type": "x"}', "--allow", "Agent(x)"], 0),
        ([], 2),
        (["a", "b"], 2),
        (["--nonsense", "ls"], 2),
        (["--tool", "Read", "{", "--allow", "Read"], 2),
    ],
)
def test_the_status_is_the_verdict(checked, arguments, status):
    assert checked(*arguments)[0] == status


def test_people_see_the_risky_part_underlined_and_the_smallest_rule(checked):
    _, out, _ = checked("ls; find . -delete", "--allow", "Bash(ls)", "--allow", "Bash(find *)")
    lines = out.splitlines()
    at = lines.index("  ls; find . -delete")
    assert lines[at + 1].startswith("             ^^^^^^^ ")
    assert lines[at + 1].endswith("[find-action]")
    assert lines[0] == "verdict  ask"
    assert "  find . -delete" in lines[lines.index("understood as") :]
    _, out, _ = checked("touch a*", "--allow", "Bash(ls)")
    assert "no rule allows" in out
    _, out, _ = checked("touch 'a*'", "--allow", "Bash(ls)")
    assert "  Bash(touch a\\*)" in out


def test_what_a_terminal_would_not_show_is_escaped(checked):
    _, out, _ = checked("echo \x1b[2K\u202e'", "--allow", "Bash")
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "\\x1b[2K\\u202e" in out


def test_carets_stand_under_wide_characters():
    lines = list(check_shown._marked("日本 x", [(3, 4, "here")]))
    assert lines == ["  日本 x", "       ^ here"]


def test_json_has_verdict_rule_risks_and_suggestion(checked):
    status, out, _ = checked("--json", "rm -rf /", "--allow", "Bash(rm *)")
    said = json.loads(out)
    assert (status, said["verdict"], said["rule"]) == (3, "ask", None)
    assert "critical-removal" in {one["risk"] for one in said["risks"]}


def test_rules_of_a_file_count_and_a_bad_denial_in_it_stops(checked, tmp_path):
    file = tmp_path / "settings.json"
    file.write_text('{"permissions": {"allow": ["Bash(ls)", "Bash("], "deny": []}}')
    status, _, err = checked("ls", "--rules", str(file))
    assert status == 0
    assert "note: allow rule `Bash(` grants nothing" in err
    file.write_text('{"permissions": {"allow": ["Bash(ls)"], "deny": ["Bash("]}}')
    status, out, err = checked("ls", "--rules", str(file))
    assert (status, out) == (125, "")
    assert "deny rule `Bash(` cannot be read" in err


GOOD = {"id": 1, "command": "ls", "rules": {"allow": ["Bash(ls)"]}}
BAD = [
    "nonsense\n", "[]\n", "7\n", '"ls"\n', "{\n", '{"id": 1}\n', '{"command": 3}\n', '{"command": "ls", "tool": "Bash"}\n',
    '{"command": "ls", "command": "pwd"}\n', '{"command": "ls", "cwd": "rel"}\n', '{"command": "ls", "cwd": 7}\n',
    '{"command": "ls", "shell": []}\n', '{"command": "ls", "rules": []}\n', '{"command": "ls", "rules": {"alow": []}}\n',
    '{"command": "ls", "rules": {"allow": "Bash"}}\n', '{"command": "ls", "rules": {"allow": ["Bash"], "deny": ["Bash("]}}\n',
    '{"command": "ls", "verdict": "allow"}\n', '{"tool": "Bash", "input": "ls"}\n', '{"tool": "", "input": {}}\n',
    "\udcff\n", "[" * 100_000 + "\n", '{"command": "ls", "rules": {"allow": ["Bash"], "deny": [7]}}\n',
    '{"tool": "Bash", "input": {"command": 7}, "rules": {"allow": ["Bash"]}}\n',
]  # fmt: skip


def test_a_bad_line_is_denied_and_the_others_get_their_answers(checked):
    lines = [line for bad in BAD for line in (bad, GOOD)]
    status, out, err = checked("--stdin", lines=lines)
    said = [json.loads(line) for line in out.splitlines()]
    assert (status, err, len(said)) == (0, "", len(lines))
    for bad, good, text in zip(said[::2], said[1::2], BAD, strict=True):
        assert (bad["verdict"], bool(bad["reason"])) == ("deny", True), text[:80]
        assert (good["id"], good["verdict"], good["rule"]) == (1, "allow", "Bash(ls)")


def test_lines_about_tools_and_folders(checked):
    lines = [
        {
            "id": "a",
            "tool": "Read",
            "input": {"file_path": ".env"},
            "cwd": "/w",
            "rules": {"deny": ["Read(.env)"]},
        },
        {"id": {"x": 1}, "command": "cat /w/x", "cwd": "/w", "rules": {"allow": ["Bash(cat *)"]}},
        {"id": None, "command": "cat /w/x", "cwd": "/v", "rules": {"allow": ["Bash(cat *)"]}},
        {"id": "zsh", "command": "ls *(.)", "shell": "zsh", "rules": {"allow": ["Bash(ls *)"]}},
        {"id": "\ud800", "command": "\ud800", "rules": {"allow": ["Bash"]}},
    ]
    said = [json.loads(line) for line in checked("--stdin", lines=lines)[1].splitlines()]
    assert [one["verdict"] for one in said] == ["deny", "allow", "ask", "ask", "ask"]
    assert [one["id"] for one in said] == ["a", {"x": 1}, None, "zsh", "\ud800"]
