"""Rules about tools as texts: what cannot be read never grants, and never silently fails to protect."""

import pytest

from ringfence.errors import PolicyError
from ringfence.policy import toolrules

ALLOW, ASK, DENY = toolrules.EFFECTS


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "(ls)", "Bash(", "Bash(ls", "Bash(ls) x", "Bash)", "Bash()", "Bash( )", "Ba sh(ls)", "Bash(ls\n)",
        "Bash(\u200bls)", "Bash(:*)", 7, None, ["Bash"], {"Bash": 1}, "Bash(" + "x" * 20_000 + ")", "Read(!x)",
        "Read([a)", "WebFetch(example.com)", "WebFetch(domain:)", "WebFetch(domain:ex ample)", "<script>",
    ],
)  # fmt: skip
def test_a_text_that_is_no_rule_stops_loading_where_it_denies_and_grants_nothing_where_it_allows(text):
    for effect in (DENY, ASK):
        with pytest.raises(PolicyError) as error:
            toolrules.read(**{effect: [text]})
        assert f"{effect} rule" in error.value.message
        assert error.value.hint
    read = toolrules.read(allow=[text])
    assert read.rules == ()
    assert len(read.notes) == 1
    assert "grants nothing" in read.notes[0]


def test_every_unreadable_rule_is_named_at_once():
    with pytest.raises(PolicyError) as error:
        toolrules.read(deny=["Bash(", "Bash(ok)"], ask=["Read(!x)"], origin="settings.json")
    assert error.value.message.startswith("settings.json: deny rule `Bash(`")
    assert "; ask rule `Read(!x)`" in error.value.message


def test_a_list_of_rules_is_a_list():
    for value in ("Bash", {"Bash": True}, 3, None):
        with pytest.raises(PolicyError):
            toolrules.read(deny=value)


@pytest.mark.parametrize(
    ("text", "tool", "specifier"),
    [
        ("Bash", "Bash", None),
        ("Bash(*)", "Bash", None),
        ("Bash( * )", "Bash", None),
        ("Bash(npm run *)", "Bash", "npm run *"),
        ("Bash( touch * )", "Bash", "touch *"),
        ("  Bash (ls)", "Bash", "ls"),
        ("Bash(echo (a) b)", "Bash", "echo (a) b"),
        ("mcp__github__create_issue", "mcp__github__create_issue", None),
        ("mcp__github__get_*", "mcp__github__get_*", None),
        ("bash(ls)", "bash", "ls"),
        ("toString", "toString", None),
        ("__proto__", "__proto__", None),
        ("Bash(constructor)", "Bash", "constructor"),
        ("WebFetch(domain:*.example.com)", "WebFetch", "domain:*.example.com"),
        ("Agent(Explore)", "Agent", "Explore"),
        ("Bash(git:* push)", "Bash", "git:* push"),
    ],
)
def test_a_rule_is_a_tool_and_what_stands_in_its_brackets(text, tool, specifier):
    (rule,) = toolrules.read(deny=[text], scope="user", origin="f", base="/b").rules
    assert (rule.tool, rule.specifier, rule.text) == (tool, specifier, text)
    assert (rule.effect, rule.scope, rule.origin, rule.base) == (DENY, "user", "f", "/b")


@pytest.mark.parametrize("text", ["B*", "*", "*(x)", "mcp__*", "mcp__gi*", "mcp__*__get", "mcp__git*__x"])
def test_a_glob_of_tools_grants_nothing_but_denies(text):
    read = toolrules.read(allow=[text])
    assert read.rules == ()
    assert "grants nothing" in read.notes[0]
    assert toolrules.read(deny=[text]).rules


@pytest.mark.parametrize(
    "text",
    [
        "Write(src/**)", "NotebookEdit(x.ipynb)", "Glob(secrets/**)", "Grep(x)", "Bash(command:rm *)",
        "Read(file_path:/etc/*)", "WebFetch(url:http://x)",
    ],
)  # fmt: skip
def test_rules_that_are_never_consulted_get_a_note(text):
    for effect in toolrules.EFFECTS:
        read = toolrules.read(**{effect: [text]})
        assert read.rules == ()
        assert "has no effect" in read.notes[0]


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("Bash(run_in_background:true)", ("run_in_background", "true")),
        ("Bash(dangerouslyDisableSandbox: true)", ("dangerouslyDisableSandbox", "true")),
        ("Agent(model:opus*)", ("model", "opus*")),
        ("mcp__db__query(limit:*)", ("limit", "*")),
        ("Bash(npm run:*)", None),
        ("Bash(npm:*)", None),
        ("Bash(ls)", None),
        ("Read(C:x)", None),
        ("WebFetch(domain:x)", None),
    ],
)
def test_rules_about_parameters_only_deny_or_ask(text, about):
    (rule,) = toolrules.read(ask=[text]).rules
    assert toolrules.parameter(rule) == about
    if about:
        assert toolrules.read(allow=[text]).rules == ()


def test_brackets_that_nobody_understands_grant_nothing():
    assert toolrules.read(allow=["WebSearch(cats)", "mcp__a__b(x)", "Free(x)"]).rules == ()
    assert len(toolrules.read(deny=["WebSearch(cats)", "mcp__a__b(x)", "Free(x)"]).rules) == 3
