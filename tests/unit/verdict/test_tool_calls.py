"""Calls of tools other than the shell: what decides about them, and that nothing unclear gets through."""

import pytest
from paper import Files

from ringfence.policy import toolrules
from ringfence.verdict.ruling import ToolCall
from ringfence.verdict.tool import Rulebook, decide

WORLD = Files({"/w/.env": None, "/w/a": None, "/w/link": ".env", "/w/src/b": None, "/h/.ssh/id": None})


def ruled(tool, given, allow=(), ask=(), deny=(), cwd="/w", **options):
    book = Rulebook(toolrules.read(allow, ask, deny).rules, home="/h", **options)
    return decide(ToolCall(tool=tool, input=given, cwd=cwd), book, WORLD)


def verdict(tool, given, **rules):
    return ruled(tool, given, **rules).effect


@pytest.mark.parametrize(
    ("tool", "given"),
    [
        ("Bash", {}), ("Bash", {"command": 7}), ("Bash", {"command": None}), ("Bash", {"command": ["ls"]}), ("Read", {}),
        ("Read", {"file_path": 3}), ("Read", {"file_path": ""}), ("Write", {"content": "x"}), ("WebFetch", {}),
        ("WebFetch", {"url": ["http://x"]}), ("PowerShell", {}), ("Edit", {"file_path": "a\0b"}),
    ],
)  # fmt: skip
def test_a_call_without_what_its_tool_needs_is_denied(tool, given):
    assert verdict(tool, given, allow=[tool]) == "deny"


def test_a_call_from_nowhere_is_denied():
    assert verdict("Bash", {"command": "ls"}, allow=["Bash"], cwd="") == "deny"


@pytest.mark.parametrize("tool", ["Read", "Edit", "Write", "MultiEdit", "Grep"])
@pytest.mark.parametrize("path", [".env", "/w/.env", "link", "src/../.env", "/proc/self/root/w/.env"])
def test_a_denied_file_is_denied_to_every_tool(tool, path):
    given = {"path" if tool == "Grep" else "file_path": path}
    assert verdict(tool, given, allow=[tool, "Read", "Edit"], deny=["Read(./.env)"]) == "deny"


def test_tools_that_write_are_decided_by_rules_for_edit():
    for tool, field in (("Write", "file_path"), ("Edit", "file_path"), ("NotebookEdit", "notebook_path")):
        assert verdict(tool, {field: "src/b"}) == "ask"
        assert verdict(tool, {field: "src/b"}, allow=["Edit(src/**)"]) == "allow"
        assert verdict(tool, {field: "src/b"}, allow=["Edit"]) == "allow"
        assert verdict(tool, {field: "src/b"}, allow=["Read(src/**)"]) == "ask"
        assert verdict(tool, {field: "src/b"}, allow=["Edit"], deny=["Edit"]) == "deny"
        assert verdict(tool, {field: ".git/config"}, allow=["Edit"]) == "ask"
    assert verdict("Write", {"file_path": "a"}, allow=["Write(a)"]) == "ask"


def test_reading_outside_or_of_secrets_is_asked_about():
    assert verdict("Read", {"file_path": "/etc/hosts"}, readonly=True) == "ask"
    assert verdict("Read", {"file_path": "~/.ssh/id"}, allow=["Read"]) == "ask"
    assert verdict("Read", {"file_path": "a"}) == "ask"
    assert verdict("Read", {"file_path": "a"}, readonly=True) == "allow"
    assert verdict("Write", {"file_path": "a"}, readonly=True) == "ask"


def test_searching_a_folder_that_holds_a_denied_file_is_asked_about():
    assert verdict("Grep", {"pattern": "x"}, allow=["Read", "Grep"], deny=["Read(.env)"]) == "ask"
    assert (
        verdict("Grep", {"pattern": "x", "path": "src"}, allow=["Read(src/**)"], deny=["Read(.env)"]) == "ask"
    )
    assert (
        verdict("Grep", {"pattern": "x", "path": "src"}, allow=["Read(src)"], deny=["Read(.env)"]) == "allow"
    )
    assert verdict("Glob", {"pattern": "/etc/*"}, allow=["Read"], readonly=True) == "ask"


def test_the_smallest_rule_is_proposed_and_is_enough():
    for tool, given in (
        ("Read", {"file_path": "/etc/hosts"}),
        ("Write", {"file_path": "n*w"}),
        ("mcp__a__b", {}),
    ):
        asked = ruled(tool, given)
        assert asked.effect == "ask"
        assert verdict(tool, given, allow=list(asked.suggestion)) == "allow"


@pytest.mark.parametrize(
    ("rule", "url", "effect"),
    [
        ("domain:example.com", "https://example.com/x", "allow"),
        ("domain:example.com", "https://EXAMPLE.com.:8443/x", "allow"),
        ("domain:example.com", "https://sub.example.com", "ask"),
        ("domain:example.com", "https://example.com.evil.test", "ask"),
        ("domain:example.com", "https://example.com@evil.test", "ask"),
        ("domain:example.com", "https://evil.test/@example.com", "ask"),
        ("domain:example.com", "https://evil.test\\@example.com", "ask"),
        ("domain:example.com", "https://evil.test#example.com", "ask"),
        ("domain:example.com", "file://example.com/etc", "ask"),
        ("domain:example.com", "https://ex\tample.com", "ask"),
        ("domain:example.com", "https://éxample.com", "ask"),
        ("domain:*.example.com", "https://a.b.example.com", "allow"),
        ("domain:*.example.com", "https://example.com", "ask"),
        ("domain:*.example.com", "https://notexample.com", "ask"),
        ("domain:a*.example.com", "https://ab.example.com", "allow"),
        ("domain:a*.example.com", "https://a.b.example.com", "ask"),
        ("domain:*", "https://anything.test", "allow"),
        ("domain:*", "https://0x7f.1", "ask"),
    ],
)
def test_hosts_of_web_fetch(rule, url, effect):
    assert verdict("WebFetch", {"url": url}, allow=[f"WebFetch({rule})"]) == effect


@pytest.mark.parametrize(
    "url",
    ["https://evil.test", "https://EVIL.test.", "https://x@evil.test", "https://evil.test@x", "evil.test/x"],
)
def test_a_denied_host_is_denied_however_it_is_written(url):
    assert (
        verdict("WebFetch", {"url": url}, allow=["WebFetch"], deny=["WebFetch(domain:evil.test)"]) == "deny"
    )


@pytest.mark.parametrize(
    ("tool", "allow", "effect"),
    [
        ("mcp__git__push", "mcp__git", "allow"), ("mcp__git__push", "mcp__git__*", "allow"), ("mcp__git__push", "mcp__git__p*", "allow"),
        ("mcp__git__push", "mcp__git__pull", "ask"), ("mcp__gitx__push", "mcp__git", "ask"), ("mcp__git__push", "mcp__gi*", "ask"),
        ("WebSearch", "WebSearch", "allow"), ("WebSearch", "websearch", "ask"), ("toString", "constructor", "ask"), ("__proto__", "__proto__", "allow"),
    ],
)  # fmt: skip
def test_other_tools_go_by_name(tool, allow, effect):
    assert verdict(tool, {}, allow=[allow]) == effect


def test_a_glob_denies_any_tool():
    for rule in ("*", "mcp__*", "mcp__*__push", "m*h"):
        assert verdict("mcp__git__push", {}, allow=["mcp__git"], deny=[rule]) == "deny"


def test_parameters_deny_and_ask():
    assert (
        verdict(
            "Bash",
            {"command": "ls", "run_in_background": True},
            allow=["Bash"],
            deny=["Bash(run_in_background:true)"],
        )
        == "deny"
    )
    assert (
        verdict(
            "Bash",
            {"command": "ls", "run_in_background": False},
            allow=["Bash"],
            deny=["Bash(run_in_background:true)"],
        )
        == "allow"
    )
    assert (
        verdict("Agent", {"subagent_type": "x", "model": "opus"}, allow=["Agent"], ask=["Agent(model:op*)"])
        == "ask"
    )
    assert (
        verdict("Task", {"subagent_type": "x", "model": "opus"}, allow=["Agent"], deny=["Agent(model:opus)"])
        == "deny"
    )
    assert verdict("Agent", {"subagent_type": "Explore"}, allow=["Agent(Explore)"]) == "allow"
    assert verdict("Agent", {"subagent_type": "Other"}, allow=["Agent(Explore)"]) == "ask"


def test_powershell_is_never_allowed_and_still_denied():
    given = {"command": "Remove-Item x; curl.exe y"}
    assert verdict("PowerShell", given, allow=["PowerShell"]) == "ask"
    assert verdict("PowerShell", given, allow=["PowerShell"], deny=["PowerShell(remove-item *)"]) == "deny"
    assert verdict("PowerShell", given, deny=["PowerShell(curl *)"]) == "deny"


def test_once_a_rule_names_a_folder_to_go_to_others_are_asked_about():
    assert verdict("Cd", {"path": "src"}) == "allow"
    assert verdict("Cd", {"path": "/tmp"}) == "ask"
    assert verdict("Cd", {"path": "src"}, allow=["Cd(//tmp/**)"]) == "ask"
    assert verdict("Cd", {"path": "link"}, deny=["Cd(.env)"]) == "deny"


def test_a_failure_of_ours_is_a_denial():
    class Broken(Files):
        def link(self, path):
            raise RuntimeError(path)

    book = Rulebook(toolrules.read(allow=["Bash", "Read"]).rules)
    for tool, given in (("Bash", {"command": "cat a"}), ("Read", {"file_path": "a"})):
        ruling = decide(ToolCall(tool=tool, input=given, cwd="/w"), book, Broken())
        assert ruling.effect == "deny"
        assert "ringfence failed" in ruling.reason


def test_a_thousand_rules_decide_as_ten_do():
    many = [f"Bash(program{n} *)" for n in range(1000)] + [f"Read(folder{n}/**)" for n in range(1000)]
    assert verdict("Bash", {"command": "program7 x"}, allow=many) == "allow"
    assert verdict("Bash", {"command": "program7 x"}, allow=["Bash"], deny=many) == "deny"
    assert verdict("Read", {"file_path": "folder9/x"}, allow=["Read"], deny=many) == "deny"
    assert verdict("Read", {"file_path": "a"}, allow=["Read"], deny=many) == "allow"
