"""Laws of rules about tool calls: layers that may only narrow never widen, whatever they say."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.host.model import Host
from ringfence.integrations.permissions import Asked, Permissions
from ringfence.policy import ruletext
from ringfence.policy.build import build
from ringfence.policy.layers import EVERYTHING, Combined, combine
from ringfence.verdict.ruling import ToolCall

RULES = st.sampled_from(
    [
        "Bash", "Bash(make *)", "Bash(make x)", "Bash(curl *)", "Bash(git push *)", "Bash(*)",
        "Edit", "Edit(src/**)", "Edit(/src/a)", "Edit(//w/**)", "Read(.env)", "Read(//etc/**)",
        "WebFetch", "WebFetch(domain:a.test)", "mcp__s", "mcp__s__t", "Agent(x)", "WebSearch",
    ]
)  # fmt: skip
TEXTS = st.lists(RULES, max_size=3, unique=True).map(
    lambda texts: tuple({"text": text, "base": "/w"} for text in texts)
)
SECTION = {"allow": TEXTS, "ask": TEXTS, "deny": TEXTS}
LAYERS = st.fixed_dictionaries(
    {},
    optional={
        "commands": st.fixed_dictionaries(
            {},
            optional={
                **SECTION,
                "readonly": st.booleans(),
                "default": st.sampled_from(["ask", "deny"]),
                "settings": st.just(""),
            },
        ),
        "tools": st.fixed_dictionaries({}, optional=SECTION),
    },
)
CALLS = st.sampled_from(
    [
        ("Bash", {"command": "make x"}),
        ("Bash", {"command": "make x && curl a.test"}),
        ("Bash", {"command": "git push origin main"}),
        ("Bash", {"command": "ls"}),
        ("Bash", {"command": "cat .env"}),
        ("Bash", {"command": "echo x > src/a"}),
        ("Bash", {"command": "eval $x"}),
        ("Edit", {"file_path": "src/a"}),
        ("Write", {"file_path": "/w/other"}),
        ("Read", {"file_path": "/w/.env"}),
        ("Read", {"file_path": "/etc/hosts"}),
        ("WebFetch", {"url": "https://a.test/"}),
        ("WebSearch", {"query": "x"}),
        ("mcp__s__t", {}),
        ("Agent", {"subagent_type": "x"}),
    ]
)
CWDS = st.sampled_from(["/w", "/w/sub", "/elsewhere"])
STRICTNESS = ("allow", "ask", "deny")
EMPTY = Combined(layer={}, fixed={})
HOST = Host(
    system="linux", arch="x86_64", uid=os.getuid(), gid=os.getgid(), user="ada", home="/home/ada", path=(),
    set_variables=frozenset(), variables=(), config_dir="/home/ada/.config/ringfence", state_dir="/nonexistent",
    cache_dir="/nonexistent", managed_policy="/nonexistent", bwrap="", system_bwrap="",
)  # fmt: skip


def strictness(layer: dict, call: tuple, cwd: str) -> int:
    """Say how strict the answer to a call is under the policy that a merged layer is."""
    held = Permissions.__new__(Permissions)
    held._host, held.root, held.settings, held._books = HOST, "/w", None, {}
    held.policy = build(layer, ())
    held._narrow, held.rules = ruletext.narrow(held.policy), ruletext.rules(held.policy)
    tool, given_input = call
    asked = Asked(calls=(ToolCall(tool=tool, input=given_input, cwd=cwd),), root="/w", client="test")
    return STRICTNESS.index(held.ruling(asked).effect)


def after(state: Combined, *layers: dict, locked: frozenset = frozenset()) -> Combined:
    for layer in layers:
        state = combine(state, layer, "project policy", locked)
    return state


@pytest.mark.guarantee("T1")
@settings(max_examples=300, deadline=None)
@given(LAYERS, LAYERS, CALLS, CWDS)
def test_a_layer_that_nobody_trusts_makes_no_answer_laxer(below, layer, call, cwd):
    state = after(EMPTY, below)
    now = after(state, layer, locked=EVERYTHING)
    assert strictness(now.layer, call, cwd) >= strictness(state.layer, call, cwd)


@pytest.mark.guarantee("T2")
@settings(max_examples=300, deadline=None)
@given(LAYERS, LAYERS, LAYERS, CALLS, CWDS)
def test_where_only_managed_rules_allow_nobody_below_makes_an_answer_laxer(managed, user, project, call, cwd):
    state = after(EMPTY, managed)
    below = Combined(layer=state.layer, fixed=managed)
    now = after(below, user, project, locked=frozenset({"commands", "tools"}))
    assert strictness(now.layer, call, cwd) >= strictness(state.layer, call, cwd)


@pytest.mark.guarantee("T2")
@settings(max_examples=300, deadline=None)
@given(LAYERS, LAYERS, LAYERS, CALLS, CWDS)
def test_what_a_managed_rule_denies_or_asks_nobody_below_makes_laxer(managed, user, project, call, cwd):
    state = after(EMPTY, managed)
    now = after(Combined(layer=state.layer, fixed=managed), user, project)
    rules = [rule for name in ("commands", "tools") for rule in managed.get(name, {}).get("deny", ())]
    alone = strictness({"commands": {"deny": tuple(rules)}}, call, cwd)
    if alone == STRICTNESS.index("deny"):
        assert strictness(now.layer, call, cwd) == alone


@pytest.mark.guarantee("T4")
@settings(max_examples=300, deadline=None)
@given(LAYERS, RULES, CALLS, CWDS)
def test_a_denial_more_makes_no_answer_laxer(layer, rule, call, cwd):
    before = after(EMPTY, layer)
    denied = after(before, {"commands": {"deny": ({"text": rule, "base": "/w"},)}})
    assert strictness(denied.layer, call, cwd) >= strictness(before.layer, call, cwd)
